"""A cycle counter that follows the host's clock, so that device time can be compared with host time."""

from __future__ import annotations

import time
from collections.abc import Callable


class WallClock:
    """Cycles of a core that ran at its own frequency since this was made, times `scale`."""

    def __init__(self, core_hz: Callable[[], float], scale: float = 1.0) -> None:
        self._core_hz = core_hz
        self._scale = scale
        self._cycles = 0.0
        self._at_s = time.monotonic()

    def cycles(self) -> int:
        """The count; between two calls the core is taken to have run at the frequency that it has now."""
        now_s = time.monotonic()
        self._cycles += (now_s - self._at_s) * self._core_hz() * self._scale
        self._at_s = now_s
        return int(self._cycles)
