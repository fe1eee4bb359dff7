"""Our own flash algorithms for chips that pyOCD does not know: built from C on first use, and registered."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from device_adapters.pyocd_probe.facts import Algorithm
from tinybench import toolchain
from tinybench.errors import BuildError
from tinybench.target import Core
from tinybench.toolchain import Compiler

_SOURCES = Path(__file__).parent

_LINKER_SCRIPT = """\
ENTRY(Init)
SECTIONS
{
  PrgCode 0x0 : { KEEP(*(.text .text.* .rodata .rodata.*)) }
  DevDscr : { KEEP(*(DevDscr)) }
  /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) *(.comment) *(.note*) *(.debug*) }
}
"""


def register(name: str, algorithm: Algorithm, cache: Path) -> str:
    """Teach this process's pyOCD the target `name`: its flash by our algorithm, its RAM. Returns `name`.

    Raises SetupError if no compiler is there, BuildError if the algorithm does not compile.
    """
    from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
    from pyocd.coresight.coresight_target import CoreSightTarget
    from pyocd.target import TARGET

    flm = build(algorithm, cache)

    def make(session: object) -> CoreSightTarget:
        flash = FlashRegion(
            start=algorithm.flash_origin,
            length=algorithm.flash_bytes,
            page_size=algorithm.page_bytes,
            is_boot_memory=True,
            flm=str(flm),
        )
        ram = RamRegion(start=algorithm.ram_origin, length=algorithm.ram_bytes, is_default=True)
        return CoreSightTarget(session, MemoryMap(flash, ram))

    TARGET[name] = make
    return name


def build(algorithm: Algorithm, cache: Path) -> Path:
    """The algorithm as an ELF in the layout that debuggers read, from the cache or newly compiled."""
    compiler = toolchain.find(None, cache)
    core = Core(name="cortex-m0plus" if algorithm.armv6m else "cortex-m3")
    flags = (
        *compiler.compile_flags(core),
        "-ffreestanding",
        *toolchain.WARNINGS,
        f"-DTB_FLASH_ORIGIN=0x{algorithm.flash_origin:08x}u",
        f"-DTB_FLASH_BYTES=0x{algorithm.flash_bytes:x}u",
        f"-DTB_PAGE_BYTES={algorithm.page_bytes}u",
        f"-DTB_SECTORS={_sector_list(algorithm)}",
    )
    sources = (_SOURCES / algorithm.source, _SOURCES / "flash_device.c")
    whole = hashlib.sha256(repr((compiler.version, flags, _LINKER_SCRIPT)).encode())
    for path in (*sources, _SOURCES / "flash_algorithm.h"):
        whole.update(path.read_bytes())
    kept = cache / "flash-algorithms" / f"{Path(algorithm.source).stem}-{whole.hexdigest()[:16]}.flm"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _compile(compiler, core, flags, sources, Path(folder)).replace(kept)
    return kept


def _compile(
    compiler: Compiler, core: Core, flags: tuple[str, ...], sources: Sequence[Path], folder: Path
) -> Path:
    script, out = folder / "algorithm.ld", folder / "algorithm.flm"
    script.write_text(_LINKER_SCRIPT, encoding="utf-8")
    objects = []
    for source in sources:
        objects.append(str(folder / f"{source.stem}.o"))
        _call(compiler, (*flags, "-c", str(source), "-o", objects[-1]), source.name)
    machine = tuple(flag for flag in compiler.link_flags(core) if not flag.startswith(("-Wl", "--specs")))
    _call(compiler, (*machine, "-nostdlib", "-T", str(script), *objects, "-o", str(out)), "the linker script")
    return out


def _call(compiler: Compiler, words: tuple[str, ...], what: str) -> None:
    done = toolchain.run(compiler, words)
    if done.returncode:
        error = BuildError(f"the flash algorithm does not build ({what})")
        for line in done.stderr.splitlines()[:8]:
            error.add_note(line)
        raise error


def _sector_list(algorithm: Algorithm) -> str:
    """`{bytes,offset}` where the size of a sector changes, as struct FlashSectors has it."""
    offset, entries = 0, []
    for group in algorithm.sectors:
        entries.append(f"{{0x{group.bytes:x}u,0x{offset:x}u}}")
        offset += group.count * group.bytes
    return ",".join(entries)
