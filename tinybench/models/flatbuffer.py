"""FlatBuffers: reading one that may be damaged, every offset checked before it is followed; writing one.

Format: FlatBuffers documentation, chapter "Internals". A table starts with a signed offset back to its
vtable; the vtable holds its own length, the table's length, and for each field its distance into the table.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinybench.errors import ModelError

# A file may name the same bytes many times, so that a small one unfolds into a huge one. An honest one is
# read about once; this many times its size is where reading stops.
_MOST_PASSES = 8

# Both a vtable's own two lengths and a table's way back to it take this much, before any field.
_PREFIX_BYTES = 4

# Written files are padded to this, so that they can be laid end to end without losing their alignment.
_FILE_ALIGNMENT = 16


class Flatbuffer:
    """The bytes of one file, and how many more of them may be read."""

    def __init__(self, data: bytes, root: str) -> None:
        self.data = data
        self._left_bytes = _MOST_PASSES * len(data)
        self.root = self.table(0, root)

    def span(self, at: int, count: int, what: str) -> int:
        """`at`, once it is certain that `count` bytes from there on are in the file."""
        if at < 0 or count < 0 or at + count > len(self.data):
            raise ModelError(
                f"truncated: {what} needs {count} bytes at offset {at} of a file of `{len(self.data)}` bytes"
            )
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise ModelError(f"damaged: up to {what} the same bytes are referred to again and again")
        return at

    def number(self, code: str, at: int, what: str) -> int | float:
        """One little-endian scalar; `code` is a format character of `struct`."""
        value: int | float = struct.unpack_from("<" + code, self.data, self.span(at, _size(code), what))[0]
        return value

    def offset(self, at: int, what: str) -> int:
        """Where the forward offset stored at `at` leads."""
        return at + int(self.number("I", at, what))

    def table(self, at: int, what: str) -> Table:
        """The table that the offset stored at `at` leads to."""
        start = self.offset(at, what)
        vtable = start - int(self.number("i", start, what))
        vtable_length = int(self.number("H", vtable, what))
        length = int(self.number("H", vtable + 2, what))
        if vtable_length < _PREFIX_BYTES or vtable_length % 2 or length < _PREFIX_BYTES:
            raise ModelError(f"damaged: {what} has no valid table of fields")
        self.span(vtable, vtable_length, what)
        self.span(start, length, what)
        fields = struct.unpack_from(f"<{vtable_length // 2 - 2}H", self.data, vtable + _PREFIX_BYTES)
        return Table(self, start, length, fields, what)


@dataclass(frozen=True)
class Table:
    """One table: its fields by their ids in the schema. `what` names it in messages."""

    file: Flatbuffer
    start: int
    length: int
    fields: tuple[int, ...]
    what: str

    def _find(self, field: int, size: int) -> int | None:
        distance = self.fields[field] if field < len(self.fields) else 0
        if distance == 0:
            return None
        if distance < _PREFIX_BYTES or distance + size > self.length:
            raise ModelError(f"damaged: field {field} of {self.what} lies outside its table")
        return self.start + distance

    def _vector(self, field: int, what: str, item_size: int) -> tuple[int, int]:
        at = self._find(field, 4)
        if at is None:
            return 0, 0
        start = self.file.offset(at, what)
        count = int(self.file.number("I", start, what))
        return self.file.span(start + 4, count * item_size, what), count

    def has(self, field: int) -> bool:
        """Whether the field is present at all."""
        return self._find(field, 0) is not None

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """An integer field, or its default where it is absent."""
        return int(self.number(field, code, default))

    def number(self, field: int, code: str, default: float = 0) -> int | float:
        """A scalar field, or its default where it is absent."""
        at = self._find(field, _size(code))
        return default if at is None else self.file.number(code, at, self.what)

    def numbers(self, field: int, code: str, name: str) -> tuple[int | float, ...]:
        """A vector of scalars; empty where it is absent."""
        start, count = self._vector(field, f"{name} of {self.what}", _size(code))
        return struct.unpack_from(f"<{count}{code}", self.file.data, start)

    def integers(self, field: int, name: str) -> tuple[int, ...]:
        """A vector of int32; empty where it is absent."""
        return tuple(int(value) for value in self.numbers(field, "i", name))

    def bytes(self, field: int, name: str) -> bytes:
        """A vector of bytes; empty where it is absent."""
        start, count = self._vector(field, f"{name} of {self.what}", 1)
        return self.file.data[start : start + count]

    def text(self, field: int, name: str) -> str:
        """A string; empty where it is absent."""
        try:
            return self.bytes(field, name).decode("utf-8")
        except UnicodeDecodeError:
            raise ModelError(f"damaged: {name} of {self.what} is not text") from None

    def table(self, field: int, what: str) -> Table | None:
        """A table, or None where it is absent."""
        at = self._find(field, 4)
        return None if at is None else self.file.table(at, what)

    def tables(self, field: int, name: str) -> tuple[Table, ...]:
        """A vector of tables, named `<name> 0` and so on in messages; empty where it is absent."""
        start, count = self._vector(field, f"{name}s of {self.what}", 4)
        return tuple(self.file.table(start + 4 * i, f"{name} {i}") for i in range(count))


def _size(code: str) -> int:
    return struct.calcsize("<" + code)


@dataclass(frozen=True)
class Number:
    """A scalar to write; a field that equals its default is left out."""

    code: str
    value: float
    default: float = 0


@dataclass(frozen=True)
class Numbers:
    """A vector of scalars to write."""

    code: str
    items: Sequence[float]


@dataclass(frozen=True)
class Blob:
    """A vector of bytes to write, its first one at a multiple of `alignment` from the start of the file."""

    data: bytes
    alignment: int = 4


@dataclass(frozen=True)
class Fields:
    """A table to write: its fields by their ids in the schema."""

    by_id: Mapping[int, Value]


Placed = Numbers | Blob | Fields | Sequence[Fields]  # what lies behind the table that refers to it
Value = Number | Placed


def text(value: str) -> Blob:
    """A string to write. The terminator that the format wants is not part of its length."""
    return Blob(value.encode())


def encode(root: Fields, identifier: bytes) -> bytes:
    """The bytes of a file with this root: same values, same bytes, on every machine and for good.

    The `flatbuffers` package would do, but its releases differ in the bytes they write, and a model is known
    by the digest of its bytes.
    """
    encoder = _Encoder(identifier)
    encoder.place_at(0, root)
    encoder.align(_FILE_ALIGNMENT)
    return bytes(encoder.out)


class _Encoder:
    """A file that grows forwards: each value is placed behind the one that refers to it."""

    def __init__(self, identifier: bytes) -> None:
        self.out = bytearray(4) + identifier
        self._vtables: dict[bytes, int] = {}

    def align(self, alignment: int, ahead: int = 0) -> int:
        """Pad so that what starts `ahead` bytes from here is aligned; where the file now ends."""
        self.out += bytes(-(len(self.out) + ahead) % alignment)
        return len(self.out)

    def place_at(self, slot: int, value: Placed) -> None:
        """Append a value, and make the offset stored at `slot` lead to it."""
        match value:
            case Numbers():
                start = self._vector(value.code, value.items)
            case Blob():
                start = self.align(value.alignment, ahead=4)
                self.out += struct.pack("<I", len(value.data)) + value.data + b"\0"
            case Fields():
                start = self._table(value)
            case _:
                start = self._vector("I", [0] * len(value))
                for i, item in enumerate(value):
                    self.place_at(start + 4 + 4 * i, item)
        struct.pack_into("<I", self.out, slot, start - slot)

    def _vector(self, code: str, items: Sequence[float]) -> int:
        start = self.align(max(4, _size(code)), ahead=4)
        self.out += struct.pack(f"<I{len(items)}{code}", len(items), *items)
        return start

    def _table(self, table: Fields) -> int:
        present = {
            field: value
            for field, value in sorted(table.by_id.items())
            if not (isinstance(value, Number) and value.value == value.default)
        }
        sizes = {f: _size(v.code) if isinstance(v, Number) else 4 for f, v in present.items()}
        length = _PREFIX_BYTES
        distances = {}
        for field in sorted(sizes, key=lambda f: -sizes[f]):  # large ones first leave no holes
            length += -length % sizes[field]
            distances[field] = length
            length += sizes[field]
        count = max(present, default=-1) + 1
        vtable = self._vtable(
            struct.pack(f"<{2 + count}H", 4 + 2 * count, length, *(distances.get(f, 0) for f in range(count)))
        )
        start = self.align(max([_PREFIX_BYTES, *sizes.values()]))
        self.out += bytes(length)
        struct.pack_into("<i", self.out, start, start - vtable)
        for field, value in present.items():
            slot = start + distances[field]
            if isinstance(value, Number):
                struct.pack_into("<" + value.code, self.out, slot, value.value)
            else:
                self.place_at(slot, value)
        return start

    def _vtable(self, content: bytes) -> int:
        if content not in self._vtables:
            self._vtables[content] = self.align(2)
            self.out += content
        return self._vtables[content]
