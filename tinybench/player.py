"""The device that is not there: a recorded transcript as an adapter and its links.

What is sent is held against what was sent, byte for byte. Clock readings are handed out in order between two
of these; code that looks at the clock more often sees the last one again, so that it may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinybench import errors
from tinybench.errors import DeviceError, SetupError, TinyBenchError
from tinybench.target import Device, Flashed, Image, Joined, Link, Target
from tinybench.transcript import Direction, Entry

_SHOWN_BYTES = 48
_HINT = "what the device would have said to that is not on record: undo the change, or record the run again"


class ReplayDiverged(DeviceError):
    """The pipeline says or wants something else than is on record: nobody can tell what comes of it."""

    may_pass = False


class Player:
    """Hands out the entries of a transcript in their order, to whoever asks for the right one."""

    def __init__(self, told: Sequence[Entry]) -> None:
        self._told = told
        self._at = 0
        self._now_s = 0.0
        self._command = b""
        self._error: TinyBenchError | None = None
        self.diverged: ReplayDiverged | None = None

    def clock(self) -> float:
        """The next reading, or the last one where no other was taken before what was said next."""
        if self._at < len(self._told) and self._told[self._at].direction == "=":
            self._now_s = self._told[self._at].time_s
            self._at += 1
        return self._now_s

    def take(self, direction: Direction, wanted: str) -> Entry:
        """The next entry, which must be of `direction`; or the error that came instead, raised.

        Raises ReplayDiverged if it is another one; `wanted` says what the code wants, in its message.
        """
        entry = self._next()
        if entry is not None and entry.direction == direction:
            self._at += 1
            return entry
        if entry is not None and entry.direction == f"!{direction}":
            self._at += 1
            raise error_of(entry)
        raise self._leaves(entry, wanted)

    def open(self, like: dict[str, str], wanted: str) -> dict[str, Any]:
        """What is known of the device that is opened next, which must be `like` the recorded one.

        A second try that was not made then meets what the first one met.
        """
        entry = self._next()
        facts = entry.facts if entry is not None and entry.direction == "[" else None
        fits = isinstance(facts, dict) and all(facts.get(key) == value for key, value in like.items())
        if self._error is not None and not fits and (entry is None or entry.direction != "!["):
            raise self._error
        facts = self.take("[", wanted).facts
        if not isinstance(facts, dict) or not fits:
            raise self._leaves(entry, wanted)
        return facts

    def send(self, data: bytes) -> None:
        """Hold `data` against what was sent. Raises ReplayDiverged, or what sending raised."""
        entry = self.take(">", f"replay sends `{_shown(data)}`")
        if entry.data != data:
            first = next(
                (
                    index
                    for index, pair in enumerate(zip(entry.data, data, strict=False))
                    if pair[0] != pair[1]
                ),
                min(len(entry.data), len(data)),
            )
            start = max(0, first - _SHOWN_BYTES // 2)
            raise self._diverge(
                f"replay sends `{_shown(data[start:])}` where line {entry.line} of the transcript has "
                f"`{_shown(entry.data[start:])}`: they differ at byte {first}, "
                + (f"after `{_shown(self._command)}`" if self._command else "at the first command")
            )
        self._command = data
        self._fail("!>")

    def change_baud(self, baud: int) -> None:
        """Hold a change of speed against the recorded one."""
        entry = self.take("~", f"replay sets the speed to {baud} baud")
        if entry.facts != baud:
            raise self._diverge(
                f"replay sets the speed to `{baud}` where line {entry.line} has `{entry.facts}`"
            )
        self._fail("!~")

    def explained(self) -> Sequence[str]:
        """What was said about a fault."""
        facts = self.take("?", "replay asks what a fault means").facts
        return [str(sentence) for sentence in facts] if isinstance(facts, list) else []

    def leave(self, error: TinyBenchError | None) -> None:
        """The device is freed, by `error` if not in peace; raises what leaving made of it.

        Where the recorded conversation went on, the rest of it is passed over.
        """
        self._error = error
        entry = self._next()
        if error is not None and self.diverged is None:
            while entry is not None and entry.direction not in ("]", "!]"):
                self._at += 1
                entry = self._next()
        if self.diverged is not None:
            return
        if entry is not None and entry.direction == "!]":
            self._at += 1
            raise error_of(entry) from error
        notes = self.take("]", "replay is done with the device").facts
        if error is not None and isinstance(notes, list):
            for note in notes:
                error.add_note(str(note))

    def finish(self) -> None:
        """ReplayDiverged if anything is left that was said."""
        entry = self._next()
        if entry is not None:
            raise self._leaves(entry, "replay is done")

    def _next(self) -> Entry | None:
        """The next entry that is no reading of the clock; readings that nobody asked for are passed over."""
        while self._at < len(self._told) and self._told[self._at].direction == "=":
            self.clock()
        return self._told[self._at] if self._at < len(self._told) else None

    def _fail(self, direction: Direction) -> None:
        """Raise what came of the entry before, if it failed."""
        if self._at < len(self._told) and self._told[self._at].direction == direction:
            self._at += 1
            raise error_of(self._told[self._at - 1])

    def _leaves(self, entry: Entry | None, wanted: str) -> ReplayDiverged:
        after = f" after `{_shown(self._command)}`" if self._command else ""
        if entry is None:
            return self._diverge(f"the transcript ends{after}, where {wanted}")
        has = f"`{_shown(entry.data)}` " if entry.direction in ("<", ">") else ""
        does = _WORDS.get(entry.direction, "an error")
        return self._diverge(
            f"{wanted} where line {entry.line} of the transcript has {has}{does},{after}".rstrip(",")
        )

    def _diverge(self, message: str) -> ReplayDiverged:
        if self.diverged is None:
            self.diverged = ReplayDiverged(message, hint=_HINT)
        return self.diverged


_WORDS = {
    "[": "the opening of the device",
    "]": "the end of the conversation",
    ">": "sent",
    "<": "arriving",
    "~": "a change of speed",
    "?": "the explanation of a fault",
    "!<": "nothing arriving",
}


class RecordedLink:
    """The recorded bytes as a link."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def write(self, data: bytes) -> None:
        """Hold `data` against what was sent."""
        self._player.send(data)

    def read(self, within_s: float) -> bytes:  # noqa: ARG002 - it was waited for already
        """What arrived, in the pieces in which it did."""
        return self._player.take("<", "replay reads").data


class RecordedLine:
    """The recorded bytes as a link whose speed was changed."""

    def __init__(self, player: Player) -> None:
        link = RecordedLink(player)
        self.write = link.write
        self.read = link.read
        self.set_baud = player.change_baud


@dataclass
class RecordedAdapter:
    """Opens and joins the recorded device, under the name of the adapter that did."""

    name: str
    player: Player
    simulated: bool = False

    def find(self, target: Target) -> Sequence[Device]:  # noqa: ARG002 - the seam's signature
        """Nothing: a recording is not looked for."""
        return ()

    def flashed(self, word: str) -> Flashed | None:  # noqa: ARG002 - the seam's signature
        """None: as above."""
        return None

    @contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """As it was opened, or failed to be."""
        facts = self.player.open({"image": image.kind}, f"replay opens `{device.id}`")
        with self._left():
            yield RecordedLine(self.player) if facts.get("changes_baud") else RecordedLink(self.player)

    @contextmanager
    def join(self, unit: Flashed) -> Iterator[Joined]:
        """As it was joined, or failed to be."""
        facts = self.player.open({}, f"replay joins `{unit.id}`")
        with self._left():
            yield Joined(RecordedLink(self.player), int(facts["baud"]), tuple(map(str, facts["boot"])))

    @contextmanager
    def _left(self) -> Iterator[None]:
        try:
            yield
        except TinyBenchError as error:
            self.player.leave(error)
            raise
        self.player.leave(None)


def error_of(entry: Entry) -> TinyBenchError:
    """The error that an entry tells of, with its notes. Raises SetupError if there is no such class."""
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    kind = getattr(errors, str(facts.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, TinyBenchError)):
        raise SetupError(
            f"line {entry.line} of the transcript tells of an unknown error", hint="upgrade tinybench"
        )
    error = kind(str(facts.get("message")), hint=facts.get("hint"))
    for note in facts.get("notes", ()):
        error.add_note(str(note))
    return error


def _shown(data: bytes) -> str:
    """Bytes for a message: the text of the first of them."""
    short = data[:_SHOWN_BYTES]
    return repr(short)[2:-1] + ("…" if len(data) > len(short) else "")
