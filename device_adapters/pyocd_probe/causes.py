"""What pyOCD raises, and what it means at a desk: one table for every stage.

pyOCD lets KeyError, USBError, ELFError, EOFError and others through, so the worker catches everything and
asks here. Observed behaviour of pyOCD 0.46 on virtual boards; its own class names are matched, not imported,
so that this module can be read and tested without pyOCD.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

REPLUG = "unplug the board and plug it in again; then `tinybench devices`"
UNLOCK = "run again with --unlock: this erases the whole chip"


@dataclass(frozen=True)
class Cause:
    """One of our errors, by name, with its sentence and hint."""

    error: str
    message: str
    hint: str


def cause_of(raised: BaseException, stage: str) -> Cause:  # noqa: PLR0911 - a table, read from the top
    """What to tell the user about `raised`, which pyOCD let through during `stage`."""
    chain = list(_chain(raised))
    names = {kind.__name__ for error in chain for kind in type(error).__mro__}
    text = " / ".join(dict.fromkeys(str(error) for error in chain if str(error)))
    usb = next((error for error in chain if type(error).__name__ == "USBError"), None)
    if usb is not None:
        return _usb(usb)
    if "FlashFailure" in names or names & {"FlashProgramFailure", "FlashEraseFailure"}:
        return _flash(text)
    if "TransferFaultError" in names:
        return Cause(
            "LoadError",
            f"the chip refused an access during `{stage}`: {text}",
            "if the flash is readout-protected, " + UNLOCK,
        )
    if names & {"TransferError", "TransferTimeoutError", "TransferProtocolError", "ProbeDisconnected"}:
        return Cause("DeviceError", f"the debug connection broke during `{stage}`: {text}", REPLUG)
    if "TargetSupportError" in names:
        return Cause(
            "SetupError",
            f"pyOCD does not know this chip: {text}",
            "name its pack: --pack FILE, or `pyocd pack install`",
        )
    if "Target not detected" in text or "No ACK" in text:
        return Cause(
            "DeviceError", f"the probe sees no chip: {text}", "is the board powered and the probe connected?"
        )
    if isinstance(raised, KeyError):
        return Cause(
            "DeviceError",
            f"pyOCD found no core during `{stage}` ({text}): the chip is locked, or it is another one",
            "is this the board you named? If it is locked, " + UNLOCK,
        )
    if "ProbeError" in names:
        return Cause("DeviceError", f"the probe failed during `{stage}`: {text}", REPLUG)
    return Cause("DeviceError", f"pyOCD failed during `{stage}`: {type(raised).__name__}: {text}", REPLUG)


def _usb(error: BaseException) -> Cause:
    number = getattr(error, "errno", None)
    if number == errno.EBUSY:
        return Cause(
            "DeviceError", "the probe is in use by another program", "close it, or name another board"
        )
    if number == errno.EACCES:
        return Cause(
            "SetupError",
            "no permission to open the probe",
            "install udev rules for it: https://github.com/pyocd/pyOCD/tree/main/udev",
        )
    if number in (errno.ENODEV, errno.ENOENT):
        return Cause(
            "DeviceNotFound",
            "the probe was unplugged: it is not plugged in any more",
            "plug it in again; then `tinybench devices`",
        )
    return Cause("DeviceError", f"the probe's USB connection failed: {error}", REPLUG)


def _flash(text: str) -> Cause:
    if "timeout" in text.lower() or "timed out" in text.lower():
        return Cause(
            "LoadError", f"the flash controller did not finish: {text}", "power-cycle the board and try again"
        )
    return Cause(
        "LoadError",
        f"flash could not be erased or programmed: {text}",
        "is this sector write-protected, and is this the chip you named?",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, and so on; each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
