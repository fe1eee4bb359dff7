"""Deadlines, and lines that are read before one.

Time is a function that is handed in, so that nothing here sleeps and a test can run a minute in no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinybench.errors import LinkTimeout, ProtocolError
from tinybench.target import Link

Clock = Callable[[], float]

LONGEST_LINE_BYTES = 1 << 20
_UNASKED_READS = 64


@dataclass(frozen=True)
class Deadline:
    """A moment on `clock`, in its seconds, after which nothing more is waited for, or that of `within`."""

    at_s: float
    clock: Clock
    within: Deadline | None = None

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(clock() + seconds, clock)

    @classmethod
    def never(cls, clock: Clock) -> Deadline:
        """A deadline that does not come."""
        return cls(math.inf, clock)

    def remaining_s(self) -> float:
        """Seconds that are left, 0 once it has passed."""
        own_s = max(0.0, self.at_s - self.clock())
        return own_s if self.within is None else min(own_s, self.within.remaining_s())

    def sooner(self, seconds: float, clock: Clock | None = None) -> Deadline:
        """`seconds` from now on `clock` (else on this one's clock), or this deadline if it comes first."""
        clock = clock or self.clock
        return Deadline(clock() + seconds, clock, within=self)


def text(line: bytes) -> str:
    """A line as shown to people: what is not ASCII becomes a replacement mark, so that nothing can raise."""
    return line.decode("ascii", errors="replace")


class Lines:
    """Splits what a link delivers at line feeds; bytes go in and bytes come out, nothing is decoded."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._pending = bytearray()

    def read(self, deadline: Deadline) -> bytes:
        """The next line without its CR and LF, and without NUL bytes.

        Raises LinkTimeout at the deadline, even while bytes that complete no line keep coming, LinkClosed,
        and ProtocolError for a line longer than `LONGEST_LINE_BYTES`.
        """
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            if searched > LONGEST_LINE_BYTES:
                raise ProtocolError(f"a line of more than `{LONGEST_LINE_BYTES}` bytes arrived")
            remaining_s = deadline.remaining_s()
            if remaining_s == 0:
                raise LinkTimeout(f"no line was finished after `{text(bytes(self._pending[-80:]))}`")
            self._pending += self._link.read(remaining_s)
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line.replace(b"\r", b"").replace(b"\0", b"")

    def unread(self) -> bytes:
        """Whatever has arrived and was not asked for, without waiting; afterwards none of it is left.

        A device that never stops talking is listened to for `_UNASKED_READS` reads only.
        """
        try:
            for _ in range(_UNASKED_READS):
                self._pending += self._link.read(0.0)
        except LinkTimeout:
            pass
        stray = bytes(self._pending)
        self._pending.clear()
        return stray
