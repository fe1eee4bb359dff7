"""Names for addresses, from an image's symbols."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from tinybench import elf

UNKNOWN = "?"


class Names:
    """The functions of an image, and which of them an address is in."""

    def __init__(self, functions: Iterable[elf.Function]) -> None:
        self._functions = sorted(functions, key=lambda function: function.start)

    @classmethod
    def of(cls, image: Path) -> Names:
        """Read the symbols of an image. Raises BuildError if it is not an ELF file."""
        return cls(elf.functions(image))

    def at(self, address: int) -> str:
        """The function that contains `address`; `?` where no symbol says."""
        index = bisect_right(self._functions, address, key=lambda function: function.start) - 1
        if index >= 0 and address < self._functions[index].end:
            return self._functions[index].name
        return UNKNOWN
