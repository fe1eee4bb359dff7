"""Files of lines that are only ever appended to, by several processes at once, and read while they grow."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinybench import locking

_TAIL_BLOCK = 64 * 1024
_READ_BLOCK = 4 * 1024 * 1024


def append_line(path: Path, line: bytes) -> None:
    """Append `line` (ending in a newline) in a single write under the file's lock, and make it durable.

    A writer that was killed may have left an unfinished last line; it was never acknowledged. It is moved
    to `<name>.torn` beside the file, so that nothing is lost and no line is torn in the middle of the file.

    Raises:
        OSError: the line could not be written whole; the file is then as it was before.
    """
    created = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        with locking.exclusive(descriptor):
            size = _finish_last_line(path, descriptor)
            try:
                _write_whole(descriptor, line)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
    finally:
        os.close(descriptor)
    if created:
        _sync_folder(path.parent)


def _write_whole(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written < len(line):
        raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes fitted")


def _finish_last_line(path: Path, descriptor: int) -> int:
    """The size of the file once it ends with a newline; an unfinished line is completed or moved away."""
    size = os.fstat(descriptor).st_size
    tail = _last_line(descriptor, size)
    if not tail:
        return size
    if is_document(tail):  # only the newline was missing
        os.write(descriptor, b"\n")
        return size + 1
    with path.with_name(path.name + ".torn").open("ab") as torn:
        torn.write(tail + b"\n")
        torn.flush()
        os.fsync(torn.fileno())
    os.ftruncate(descriptor, size - len(tail))
    return size - len(tail)


def _last_line(descriptor: int, size: int) -> bytes:
    """The bytes after the last newline: none, unless a writer died."""
    tail = b""
    while size > len(tail):
        start = max(0, size - len(tail) - _TAIL_BLOCK)
        tail = _read_at(descriptor, start, size - len(tail) - start) + tail
        newline = tail.rfind(b"\n")
        if newline >= 0:
            return tail[newline + 1 :]
    return tail


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # an O_APPEND write ignores the position
    parts: list[bytes] = []
    while length > 0 and (part := os.read(descriptor, length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable, where folders can be synchronised at all (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_document(line: bytes) -> bool:
    """Whether `line` is a whole JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


class LineFile(Protocol):
    """Bytes that end where the last acknowledged line ended when they were opened."""

    name: str
    size: int
    path: Path | None

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end."""


class LocalFile:
    """A file on this computer, as large as it was when no writer was busy."""

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self.name = path.name
        self._where = path
        with path.open("rb") as file, locking.shared(file.fileno()):
            self.size = os.fstat(file.fileno()).st_size

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end."""
        with self._where.open("rb") as file:
            file.seek(offset)
            return file.read(length)


class FetchedFile:
    """A file that was fetched whole from somewhere else."""

    def __init__(self, name: str, content: bytes) -> None:
        self.path: Path | None = None
        self.name = name
        self.size = len(content)
        self._content = content

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end."""
        return self._content[offset : offset + length]


@dataclass(frozen=True)
class Line:
    """One line without its newline; `finished` is False only for a last line that lacks it."""

    number: int
    offset: int
    data: bytes
    finished: bool


def lines_of(file: LineFile, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines from `offset` on, `number` lines having come before; reads in blocks, not line by line."""
    pending = b""
    position = offset
    while position < file.size:
        block = file.read(position, min(_READ_BLOCK, file.size - position))
        if not block:
            break
        position += len(block)
        *whole, pending = (pending + block).split(b"\n")
        for data in whole:
            number += 1
            yield Line(number, offset, data, finished=True)
            offset += len(data) + 1
    if pending:
        yield Line(number + 1, offset, pending, finished=False)
