"""Writes a conversation down while it happens, so that it can be replayed without the device.

Everything that decides passes through a Tape: the clock's readings, the bytes each way, what a device's
opening, leaving and failing brought along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, Self, TypeVar

from tinybench.errors import SetupError, TinyBenchError
from tinybench.links import Clock
from tinybench.target import ChangesBaud, ImageKind, Joined, Link
from tinybench.transcript import Direction, Entry, as_line, reading

TRANSCRIPT = "serial.log"

T = TypeVar("T")


class _File(Protocol):
    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def close(self) -> object: ...


class Tape:
    """A transcript in the making. Close it, or use it as a context manager.

    Its `clock` counts from the tape's beginning, in whole nanoseconds: the numbers that are written down are
    the ones that decide. Nothing is written before `start`; until then entries are kept.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock()
        self._file: _File | None = None
        self._kept: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, file: _File) -> None:
        """Write to `file` from now on, which is this tape's to close; what was kept comes first."""
        self._file, kept = file, "".join(self._kept)
        self._kept.clear()
        with _written():
            file.write(kept)

    def start_in(self, folder: Path) -> None:
        """Write to the transcript of `folder`, which is made. Raises SetupError if it cannot be written."""
        path = folder / TRANSCRIPT
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("x", encoding="utf-8", newline="\n")
        except OSError as error:
            raise not_written(path, error) from error
        self.start(file)

    def close(self) -> None:
        """End the transcript; twice is once. Raises SetupError if the last of it cannot be written."""
        file, self._file = self._file, None
        if file is not None:
            with _written():
                file.close()

    def clock(self) -> float:
        """Seconds since the tape began; the reading is noted."""
        return self._read(self._clock, self._began_s)

    def noting(self, clock: Clock) -> Clock:
        """Another clock, whose readings are noted as this tape's are."""
        return lambda: self._read(clock, 0.0)

    def explaining(self, explain: Callable[[str], Sequence[str]]) -> Callable[[str], Sequence[str]]:
        """`explain`, whose sentences are noted."""

        def noted(text: str) -> Sequence[str]:
            sentences = list(explain(text))
            self.note("?", facts=sentences)
            return sentences

        return noted

    @contextmanager
    def opened(self, opening: AbstractContextManager[Link], kind: ImageKind) -> Iterator[Link]:
        """A device that is opened with an image; what it says goes through `over`."""

        def facts(link: Link) -> object:
            return {"image": kind, "changes_baud": isinstance(link, ChangesBaud)}

        with self._section(opening, facts) as link:
            yield link

    @contextmanager
    def joined(self, opening: AbstractContextManager[Joined]) -> Iterator[Joined]:
        """A device that runs already; what it says goes through `over`."""

        def facts(joined: Joined) -> object:
            return {"baud": joined.baud, "boot": list(joined.boot)}

        with self._section(opening, facts) as joined:
            yield joined

    def over(self, link: Link) -> Link:
        """`link`, with every byte noted, and with `set_baud` if it has that."""
        noted = _Noted(link, self)
        return _NotedLine(noted, link, self) if isinstance(link, ChangesBaud) else noted

    @contextmanager
    def _section(self, opening: AbstractContextManager[T], facts: Callable[[T], object]) -> Iterator[T]:
        """What leaving adds to an error, or makes of it, is the device's to say, so it is noted too."""
        entered = False
        inside: BaseException | None = None
        known = 0
        try:
            with opening as thing:
                self.note("[", facts=facts(thing))
                entered = True
                try:
                    yield thing
                except BaseException as error:
                    inside, known = error, len(notes_of(error))
                    raise
        except TinyBenchError as error:
            if error is inside:
                self.note("]", facts=list(notes_of(error)[known:]))
            else:
                self.note("!]" if entered else "![", facts=told(error))
            raise
        self.note("]", facts=[])

    @contextmanager
    def failing(self, direction: Direction) -> Iterator[None]:
        """Notes what goes wrong, as `direction`."""
        try:
            yield
        except TinyBenchError as error:
            self.note(direction, facts=told(error))
            raise

    def note(self, direction: Direction, data: bytes = b"", facts: object = None) -> None:
        """Write an entry, with the time of now. Raises SetupError if the disk does not take it."""
        self._write(Entry(self._clock() - self._began_s, direction, data, facts))
        if self._file is not None and direction in ("[", "]"):
            with _written():
                self._file.flush()

    def _read(self, clock: Clock, since_s: float) -> float:
        now_s = reading(clock() - since_s)
        self._write(Entry(now_s, "="))
        return now_s

    def _write(self, entry: Entry) -> None:
        line = as_line(entry)
        if self._file is None:
            self._kept.append(line)
        else:
            with _written():
                self._file.write(line)


class _Noted:
    """A link that notes every byte that passes."""

    def __init__(self, link: Link, tape: Tape) -> None:
        self._link = link
        self._tape = tape

    def write(self, data: bytes) -> None:
        """Note `data`, then send it: what was tried is on record even if the link breaks."""
        self._tape.note(">", data)
        with self._tape.failing("!>"):
            self._link.write(data)

    def read(self, within_s: float) -> bytes:
        """As the link beneath; that nothing came is noted as well."""
        with self._tape.failing("!<"):
            data = self._link.read(within_s)
        self._tape.note("<", data)
        return data


class _NotedLine:
    """A noted link over a line whose speed can be changed."""

    def __init__(self, noted: _Noted, line: ChangesBaud, tape: Tape) -> None:
        self.write = noted.write
        self.read = noted.read
        self._line = line
        self._tape = tape

    def set_baud(self, baud: int) -> None:
        """Note the speed, then change it."""
        self._tape.note("~", facts=baud)
        with self._tape.failing("!~"):
            self._line.set_baud(baud)


def notes_of(error: BaseException) -> Sequence[str]:
    """The context that was added to an error on its way up."""
    found: Sequence[str] = getattr(error, "__notes__", ())
    return found


def told(error: TinyBenchError) -> dict[str, object]:
    """An error as a transcript has it: class, message, and hint and notes where there are some."""
    facts = {"error": type(error).__name__, "message": error.message}
    more = {"hint": error.hint, "notes": list(notes_of(error))}
    return facts | {name: value for name, value in more.items() if value}


@contextmanager
def _written() -> Iterator[None]:
    """A disk that is full is the user's to mend, wherever in a conversation that is found."""
    try:
        yield
    except OSError as error:
        raise not_written(Path(TRANSCRIPT), error) from error


def not_written(path: Path, error: OSError) -> SetupError:
    """The error for a recording that the disk does not take."""
    return SetupError(
        f"cannot write the log `{path}`: {error.strerror}", hint="make room, or leave it out: --no-logs"
    )
