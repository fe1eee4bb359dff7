"""Small wrappers around a Link: lines with a deadline, and a transcript of every byte.

Time is a function that is handed in, so that nothing here sleeps and a test can run a minute in no time.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

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


class Log(Protocol):
    """Where a transcript goes: an open text file, or anything else with its `write`."""

    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class Passed:
    """Bytes that went one way (`>` to the device, `<` from it) at a moment of the transcript's clock."""

    time_s: float
    direction: Literal[">", "<"]
    data: bytes


class Transcript:
    """A link that writes down every byte that passes, with its direction and the time since it was opened."""

    def __init__(self, link: Link, log: Log, clock: Clock) -> None:
        self._link = link
        self._log = log
        self._clock = clock
        self._opened_s = clock()

    def write(self, data: bytes) -> None:
        """Note `data`, then send it: what was tried is on record even if the link breaks."""
        self._note(">", data)
        self._link.write(data)

    def read(self, within_s: float) -> bytes:
        """At least one byte, or LinkTimeout, or LinkClosed, as the link beneath."""
        data = self._link.read(within_s)
        self._note("<", data)
        return data

    def _note(self, direction: str, data: bytes) -> None:
        self._log.write(f"{self._clock() - self._opened_s:12.6f} {direction} {data!r}\n")


def passed(lines: Iterator[str]) -> Iterator[Passed]:
    """The entries of a transcript, as they were; ValueError if it is not one."""
    for line in lines:
        time_s, direction, data = line.split(maxsplit=2)
        value = ast.literal_eval(data)
        if direction not in ("<", ">") or not isinstance(value, bytes):
            raise ValueError(f"`{line.strip()}` is not a line of a transcript")
        yield Passed(float(time_s), "<" if direction == "<" else ">", value)
