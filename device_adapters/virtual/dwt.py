"""The cycle counter at 0xE0001000 (Armv7-M Architecture Reference Manual, DDI 0403, C1.8)."""

from __future__ import annotations

from collections.abc import Callable

from device_adapters.virtual.system_control import SystemControl


class Dwt:
    """Counts executed instructions, if DEMCR.TRCENA and its own enable bit are set.

    A Cortex-M7's DWT ignores software until its lock register was given the key, unless a debugger did so.
    """

    CTRL, CYCCNT, LAR, LSR = 0x000, 0x004, 0xFB0, 0xFB4
    _KEY = 0xC5ACCE55

    def __init__(self, now: Callable[[], int], system: SystemControl, has_lock: bool) -> None:
        self._now = now
        self._system = system
        self._has_lock = has_lock
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._locked = self._has_lock
        self._enabled = False
        self._value = 0
        self._since: int | None = None

    def refresh(self) -> None:
        """TRCENA may have changed: without it the counter stands still."""
        counting = self._enabled and bool(self._system.demcr >> 24 & 1)
        if counting and self._since is None:
            self._since = self._now()
        elif not counting and self._since is not None:
            self._value = self._count()
            self._since = None

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == self.LSR:
            return (1 | self._locked << 1) if self._has_lock else 0
        if not self._system.demcr >> 24 & 1:
            return 0
        if offset == self.CYCCNT:
            return self._count()
        return 0x40000000 | self._enabled if offset == self.CTRL else 0  # NUMCOMP 4

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        del mask
        if offset == self.LAR and self._has_lock:
            self._locked = value != self._KEY
        elif self._locked or not self._system.demcr >> 24 & 1:
            return
        elif offset == self.CTRL:
            self._enabled = bool(value & 1)
            self.refresh()
        elif offset == self.CYCCNT:
            self._value = value
            if self._since is not None:
                self._since = self._now()

    def _count(self) -> int:
        ran = self._now() - self._since if self._since is not None else 0
        return (self._value + ran) & 0xFFFFFFFF
