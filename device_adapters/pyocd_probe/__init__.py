"""Any Cortex-M behind a debug probe, through pyOCD: flash, read back, start, and talk over its serial port.

pyOCD lives in a child process of its own (`worker.py`), asked over a pipe with a deadline for every stage
(`process.py`): a hung probe costs one board its turn, never the night.
"""

from device_adapters.pyocd_probe.adapter import PyocdAdapter

ADAPTERS = (PyocdAdapter(),)
