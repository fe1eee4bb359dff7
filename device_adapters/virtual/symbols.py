"""Names of functions in an ELF, by address."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        from elftools.elf.sections import SymbolTableSection

        found: dict[int, Function] = {}
        with elf.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if not isinstance(section, SymbolTableSection):
                    continue
                for symbol in section.iter_symbols():
                    if symbol["st_info"]["type"] != "STT_FUNC" or symbol["st_shndx"] == "SHN_UNDEF":
                        continue
                    start = symbol["st_value"] & ~1
                    function = Function(start, start + symbol["st_size"], symbol.name)
                    known = found.get(start)
                    if known is None or (known.end == known.start) > (function.end == function.start):
                        found[start] = function
        return cls(_bounded(sorted(found.values())))

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


def _bounded(functions: list[Function]) -> tuple[Function, ...]:
    """Assembly functions have no size: they reach to the next function."""
    bounded = []
    for index, function in enumerate(functions):
        end = function.end
        if end == function.start and index + 1 < len(functions):
            end = functions[index + 1].start
        bounded.append(Function(function.start, max(end, function.start + 2), function.name))
    return tuple(bounded)
