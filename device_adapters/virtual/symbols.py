"""Names of functions in an ELF, by address."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

UNKNOWN = "?"
_OPERATOR = re.compile(r"tb_op_(\d+)(?!\d)")


@dataclass(frozen=True, order=True)
class Function:
    """A function's half-open range of addresses, Thumb bit removed."""

    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Symbols:
    """The functions of an image, by ascending address; of aliases with one address the first name wins."""

    functions: tuple[Function, ...]

    @classmethod
    def of(cls, elf: Path) -> Symbols:
        """Read the STT_FUNC symbols of a file; raises elftools' ELFError if it is not an ELF."""
        from elftools.elf.elffile import ELFFile

        found: dict[int, Function] = {}
        ends: dict[int, int] = {}
        with elf.open("rb") as stream:
            file: Any = ELFFile(stream)
            for table in file.iter_sections("SHT_SYMTAB"):
                for symbol in table.iter_symbols():
                    if symbol["st_info"]["type"] != "STT_FUNC" or not isinstance(symbol["st_shndx"], int):
                        continue
                    start = symbol["st_value"] & ~1
                    section = file.get_section(symbol["st_shndx"])
                    ends[start] = section["sh_addr"] + section["sh_size"]
                    known = found.get(start)
                    if known is None or known.end == start:
                        found[start] = Function(start, start + symbol["st_size"], symbol.name)
        return cls(_bounded(sorted(found.values()), ends))

    def at(self, address: int) -> Function | None:
        """The function that contains `address`."""
        index = bisect_right(self.functions, address, key=lambda function: function.start) - 1
        if index >= 0 and address < self.functions[index].end:
            return self.functions[index]
        return None

    def name_at(self, address: int) -> str:
        """The name of the function that contains `address`, `?` if there is none."""
        function = self.at(address)
        return function.name if function else UNKNOWN

    def operators(self) -> Iterator[tuple[Function, int]]:
        """The functions `tb_op_<index>…`, each with its index."""
        for function in self.functions:
            match = _OPERATOR.match(function.name)
            if match:
                yield function, int(match[1])

    def named(self, name: str) -> Function | None:
        """The function of this name."""
        return next((function for function in self.functions if function.name == name), None)


def _bounded(functions: list[Function], section_ends: dict[int, int]) -> tuple[Function, ...]:
    """Assembly functions have no size: they reach to the next function, or to the end of their section."""
    following = [function.start for function in functions[1:]]
    bounded = []
    for function, after in zip_longest(functions, following):
        end = section_ends[function.start]
        if function.end == function.start:
            end = end if after is None else min(after, end)
            bounded.append(Function(function.start, end, function.name))
        else:
            bounded.append(function)
    return tuple(bounded)
