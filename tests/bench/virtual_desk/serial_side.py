"""The board's UART on a pseudo-terminal: baud rates, line rate, noise."""

from __future__ import annotations

import contextlib
import os
import termios
import time
import tty

from device_adapters.virtual.serial_line import SerialLine
from virtual_desk.faults import Faults

_BITS_PER_BYTE = 10
_RATES = {
    getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()
}
_NOISE = bytes(range(0x80, 0xC0)) + b"\x00\xff"


class Throttle:
    """Lets bytes through no faster than a line does; who was late may catch up, who was idle may not."""

    def __init__(self) -> None:
        self._free_at_s = time.monotonic()
        self._was_idle = True

    def take(self, waiting: int, baud: float) -> int:
        """How many of the waiting bytes pass now."""
        now_s = time.monotonic()
        if self._was_idle:
            self._free_at_s = max(self._free_at_s, now_s)
        byte_s = _BITS_PER_BYTE / baud
        count = min(waiting, max(int((now_s - self._free_at_s) / byte_s), 0))
        self._free_at_s += count * byte_s
        self._was_idle = count == waiting
        return count


class SerialSide:
    """A pty; `path` is what pyserial opens."""

    def __init__(self, faults: Faults, *, throttled: bool) -> None:
        self._faults = faults
        self._throttled = throttled
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path: str = os.ttyname(self._slave)
        self._in, self._out = Throttle(), Throttle()
        self._to_device = bytearray()
        self._to_host = bytearray()
        self.sent_bytes = 0

    def pump(self, line: SerialLine) -> None:
        """Move bytes both ways."""
        line.set_host_baud(self._host_baud())
        with contextlib.suppress(BlockingIOError):
            self._to_device += os.read(self.master, 1 << 16)
        count = self._share(self._in, len(self._to_device), line.host.baud)
        line.to_device.extend(self._to_device[:count])
        del self._to_device[:count]
        self._take(line)
        count = self._share(self._out, len(self._to_host), line.host.baud)
        try:
            written = os.write(self.master, self._to_host[:count]) if count else 0
        except BlockingIOError:
            written = 0
        self.sent_bytes += written
        del self._to_host[:written]

    def is_waiting(self) -> bool:
        """Whether bytes wait for their turn on a slow line."""
        return bool(self._to_device or self._to_host)

    def close(self) -> None:
        """Unplug the port."""
        os.close(self.master)
        os.close(self._slave)

    def _take(self, line: SerialLine) -> None:
        if line.to_host and not self._faults.mute:
            if self._faults.serial_garbage:
                self._to_host += _NOISE
            self._to_host += line.to_host
        line.to_host.clear()

    def _share(self, throttle: Throttle, wanted: int, baud: float) -> int:
        if not self._throttled:
            return wanted
        return throttle.take(wanted, baud)

    def _host_baud(self) -> int:
        return _RATES.get(termios.tcgetattr(self.master)[5], 115200)
