"""What the clock controllers of ST's families share: sources that take time to start.

What silicon allows, which bits there are and what they select differs from family to family: that is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Oscillators:
    """The enable bits of RCC_CR: which have been on for long enough. `settle` counts instructions."""

    def __init__(self, now: Callable[[], int], settle: int) -> None:
        self._now = now
        self._settle = settle
        self._ready_at: dict[int, int] = {}

    def reset(self, *running: int) -> None:
        """As after power-on, with these running already."""
        self._ready_at = dict.fromkeys(running, 0)

    def switch(self, old: int, new: int, bits: Iterable[int]) -> None:
        """RCC_CR went from `old` to `new`: of `bits`, what is now set begins to start, the rest stops."""
        for bit in bits:
            if new & bit and not old & bit:
                self._ready_at[bit] = self._now() + self._settle
            elif not new & bit:
                self._ready_at.pop(bit, None)

    def has_settled(self, bit: int) -> bool:
        """Whether it was switched on, and long enough ago."""
        return bit in self._ready_at and self._now() >= self._ready_at[bit]


def mhz(hz: float) -> str:
    """`216 MHz`, for what is refused."""
    return f"{hz / 1e6:g} MHz"
