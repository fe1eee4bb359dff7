"""A conversation as lines of text: what passed which way, when, what the clock showed and what went wrong.

A line is a time in seconds since the recording began, a direction, and what passed:

    0.000101234 =                      a reading of the clock that decided something
       0.000150 [  {"changes_baud": true, "image": "clean"}      the device was opened
       0.000200 >  b'name%'            bytes to the device; those that are no text as x'00ff…'
       0.003100 <  b'm-name-dut-'      bytes from it, as they were read
       0.003200 !< {"error": "LinkTimeout", …}                   that did not work: `[` `>` `<` `~` or `]`
       0.003300 ~  921600              another speed of this end of the line
       0.003400 ?  ["pc tb_serve+0x12"]    what the image's symbols say about a fault
       0.003500 ]  []                  the device was freed, with what that added to the error that ended it

Only the readings are exact: they are handed out again, to the digit, when the conversation is replayed.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from tinybench.errors import SetupError

Direction = Literal["=", "[", ">", "<", "~", "?", "]", "![", "!>", "!<", "!~", "!]"]
_DIRECTIONS: tuple[str, ...] = get_args(Direction)
_READING_DIGITS = 9
_WIDTH = 15


@dataclass(frozen=True)
class Entry:
    """One line: `data` holds the bytes of `>` and `<`, `facts` what JSON says of the others but `=`."""

    time_s: float
    direction: Direction
    data: bytes = b""
    facts: object = None
    line: int = 0


def reading(seconds: float) -> float:
    """A reading of a clock as it is written down: whole nanoseconds, the same number when read back."""
    return float(f"{seconds:.{_READING_DIGITS}f}")


def as_line(entry: Entry) -> str:
    """The text of an entry, with its line feed."""
    if entry.direction == "=":
        return f"{entry.time_s:{_WIDTH}.{_READING_DIGITS}f} =\n"
    passed = _as_text(entry.data) if entry.direction in ("<", ">") else json.dumps(entry.facts)
    return f"{entry.time_s:{_WIDTH}.6f} {entry.direction:2} {passed}\n"


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a transcript as they were, each with its line from 1.

    Raises SetupError naming the line that is not one; the last, if it has no line feed, was cut off.
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield _entry(line, number)
        except (ValueError, SyntaxError) as error:
            raise SetupError(
                f"line {number} of the transcript cannot be read: `{line.strip()[:60]}`",
                hint="it was cut off or edited: record the run again",
            ) from error


def _entry(line: str, number: int) -> Entry:
    if not line.endswith("\n"):
        raise ValueError("cut off")
    time_s, direction, *rest = line.split(maxsplit=2)
    if direction not in _DIRECTIONS or bool(rest) is (direction == "="):
        raise ValueError("not a line of a transcript")
    which: Direction = next(known for known in get_args(Direction) if known == direction)
    if which == "=":
        return Entry(float(time_s), which, line=number)
    if which in ("<", ">"):
        return Entry(float(time_s), which, data=_as_bytes(rest[0].strip()), line=number)
    return Entry(float(time_s), which, facts=json.loads(rest[0]), line=number)


def _as_text(data: bytes) -> str:
    """Text as Python writes bytes; what is no text, in hexadecimal, which is half as long."""
    written = repr(data)
    return written if len(written) <= 2 * len(data) + len("x''") else f"x'{data.hex()}'"


def _as_bytes(written: str) -> bytes:
    if written.startswith("x'") and written.endswith("'"):
        return bytes.fromhex(written[2:-1])
    value = ast.literal_eval(written)
    if not isinstance(value, bytes):
        raise ValueError("not bytes")  # noqa: TRY004 - what cannot be read is one thing
    return value
