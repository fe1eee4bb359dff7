"""What a linked image says of itself: segments, sections, symbols, functions, build id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybench.errors import BuildError
from tinybench.records import MemoryMap, Section, Symbol
from tinybench.target import Region

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

ARENA_SECTION = ".tb_arena"
STACK_SECTION = ".tb_stack"
LARGEST = 10

_SHF_ALLOC = 2  # ELF specification, section header flags


@dataclass(frozen=True)
class Footprint:
    """Bytes of an image.

    `flash` is what is stored (GNU size: text + data), `ram_static` what is reserved for variables (data +
    bss), arena and stack apart.
    """

    flash_bytes: int
    ram_static_bytes: int
    memory: MemoryMap


@dataclass(frozen=True)
class Function:
    """A function's name and its addresses, `end` excluded; the Thumb bit is cleared."""

    name: str
    start: int
    end: int


def load_segments(path: Path) -> tuple[tuple[int, bytes], ...]:
    """Load address and bytes of everything that is stored in the device, in file order.

    Raises BuildError if the file is no ELF file, or ends before its segments do.
    """
    with opened(path) as elf:
        sized = tuple(
            (int(segment["p_paddr"]), bytes(segment.data()), int(segment["p_filesz"]))
            for segment in elf.iter_segments("PT_LOAD")
            if segment["p_filesz"]
        )
    if any(len(data) != size for _, data, size in sized):
        raise BuildError(f"`{path}` is cut off: it has fewer bytes than its segments", hint="tinybench build")
    return tuple((address, data) for address, data, _ in sized)


def build_id(path: Path) -> str:
    """The GNU build id as lower-case hex. Raises BuildError if the image has none."""
    with opened(path) as elf:
        for segment in (*elf.iter_sections(), *elf.iter_segments("PT_NOTE")):
            for note in segment.iter_notes() if hasattr(segment, "iter_notes") else ():
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
    raise BuildError(f"`{path.name}` has no build id", hint="link with --build-id=sha1")


def functions(path: Path) -> tuple[Function, ...]:
    """Every function with a size, by address. An alias (same address) is named once, by its shortest name."""
    with opened(path) as elf:
        found = {
            (int(symbol["st_value"]) & ~1, int(symbol["st_size"])): symbol.name
            for symbol in sorted(_symbols(elf, "STT_FUNC"), key=lambda s: (-len(s.name), s.name))
            if symbol["st_size"]
        }
    return tuple(Function(name, start, start + size) for (start, size), name in sorted(found.items()))


def spans(path: Path) -> dict[str, tuple[int, int]]:
    """Address and bytes of every allocated section, by name."""
    with opened(path) as elf:
        return {
            section.name: (int(section["sh_addr"]), int(section["sh_size"]))
            for section in elf.iter_sections()
            if section["sh_flags"] & _SHF_ALLOC
        }


def footprint(path: Path, regions: Sequence[Region]) -> Footprint:
    """Count the image's bytes by region, section and symbol."""
    with opened(path) as elf:
        allocated = [s for s in elf.iter_sections() if s["sh_flags"] & _SHF_ALLOC and s["sh_size"]]
        sections = tuple(
            Section(
                name=section.name,
                region=_region_of(int(section["sh_addr"]), regions),
                bytes=int(section["sh_size"]),
                flash_bytes=0 if section["sh_type"] == "SHT_NOBITS" else int(section["sh_size"]),
            )
            for section in allocated
        )
        rams = {region.name for region in regions if region.kind == "ram"}
        in_ram = {section.name for section in sections if section.region in rams}
        symbols = tuple(_sized_symbols(elf))
    reserved = {
        name: sum(s.bytes for s in sections if s.name == name) for name in (ARENA_SECTION, STACK_SECTION)
    }
    ram = [s for s in sections if s.name in in_ram and s.name not in reserved]
    return Footprint(
        flash_bytes=sum(section.flash_bytes for section in sections),
        ram_static_bytes=sum(section.bytes for section in ram),
        memory=MemoryMap(
            sections=sections,
            largest_flash_symbols=_largest(s for s in symbols if s.section not in in_ram),
            largest_ram_symbols=_largest(s for s in symbols if s.section in in_ram),
            arena_reserved_bytes=reserved[ARENA_SECTION],
            stack_reserved_bytes=reserved[STACK_SECTION],
        ),
    )


@contextmanager
def opened(path: Path) -> Iterator[ELFFile]:
    """The file as pyelftools reads it. Raises BuildError if it is not an ELF file."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        try:
            yield ELFFile(file)
        except ELFError as error:
            raise BuildError(f"`{path}` is not an ELF file that can be read: {error}") from error


def _symbols(elf: ELFFile, *kinds: str) -> Iterator[Any]:
    table: Any = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        if symbol["st_info"]["type"] in kinds and isinstance(symbol["st_shndx"], int):
            yield symbol


def _sized_symbols(elf: ELFFile) -> Iterator[Symbol]:
    for symbol in _symbols(elf, "STT_FUNC", "STT_OBJECT"):
        if symbol["st_size"]:
            section = elf.get_section(symbol["st_shndx"])
            yield Symbol(name=symbol.name, section=section.name, bytes=int(symbol["st_size"]))


def _largest(symbols: Iterable[Symbol]) -> tuple[Symbol, ...]:
    return tuple(sorted(symbols, key=lambda s: (-s.bytes, s.name))[:LARGEST])


def _region_of(address: int, regions: Sequence[Region]) -> str:
    return next((region.name for region in regions if region.origin <= address < region.end), "-")
