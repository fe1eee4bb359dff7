"""Small firmwares for the virtual nucleo-f746, built with whatever compiler is there, and boards for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_adapters.virtual.board import Board, make_hook, power_on
from device_adapters.virtual.profile import BlockHook
from device_adapters.virtual.symbols import Symbols
from device_adapters.virtual.table import VirtualTable, table_of
from tinybench import toolchain
from tinybench.config import Settings
from tinybench.plugins import discover
from tinybench.target import Core, Target

LINKER_SCRIPT = """
ENTRY(reset)
MEMORY { flash (rx) : ORIGIN = 0x08000000, LENGTH = 1M  ram (rw) : ORIGIN = 0x20010000, LENGTH = 256K }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.note.gnu.build-id) } > flash
  .data : { *(.data*) } > ram AT> flash
  .bss : { *(.bss*) *(COMMON) } > ram
}
"""

# A test writes the handlers it needs; every other exception hangs.
HANDLERS = (
    "nmi",
    "hard_fault",
    "mem_manage",
    "bus_fault",
    "usage_fault",
    "svc",
    "pendsv",
    "systick",
    "usart3",
)
VECTORS = """
.syntax unified
.thumb
.section .vectors, "a"
.word 0x20010000
.word reset
.word nmi, hard_fault, mem_manage, bus_fault, usage_fault
.word hang, hang, hang, hang, svc, hang, hang, pendsv, systick
.rept 39
.word hang
.endr
.word usart3
.macro function name
.global \\name
.type \\name, %function
.thumb_func
\\name:
.endm
.text
function hang
  b hang
"""


@dataclass(frozen=True)
class Firmware:
    """A linked image and its symbols."""

    elf: Path
    symbols: Symbols

    def address(self, name: str) -> int:
        """Where a function starts."""
        function = self.symbols.named(name)
        assert function is not None, name
        return function.start


@pytest.fixture(scope="session")
def nucleo() -> Target:
    return discover().target("nucleo-f746")


@pytest.fixture(scope="session")
def nucleo_table(nucleo: Target) -> VirtualTable:
    table = table_of(nucleo)
    assert table is not None
    return table


Build = Callable[..., Firmware]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, nucleo: Target) -> Build:
    """build(assembly, c="", core=None): the assembly follows the vectors above and begins in `reset`."""
    compiler = toolchain.find(None, Settings().cache_dir)

    def build(assembly: str, c: str = "", core: Core | None = None) -> Firmware:
        folder = tmp_path_factory.mktemp("firmware")
        missing = (name for name in HANDLERS if f"function {name}\n" not in assembly)
        hanging = "\n".join(f".thumb_set {name}, hang" for name in missing)
        (folder / "start.s").write_text(f"{VECTORS}\n{hanging}\n{assembly}\n")
        (folder / "rest.c").write_text(f"#include <stdint.h>\ntypedef int empty;\n{c}\n")
        (folder / "link.ld").write_text(LINKER_SCRIPT)
        core = core or nucleo.core
        steps = [
            (*compiler.compile_flags(core), "-c", source, "-o", f"{source}.o")
            for source in ("start.s", "rest.c")
        ]
        link = (*compiler.link_flags(core), "-T", "link.ld", "start.s.o", "rest.c.o", "-o", "image.elf")
        for step in (*steps, link):
            done = toolchain.run(compiler, step, cwd=folder)
            assert done.returncode == 0, done.stderr
        return Firmware(folder / "image.elf", Symbols.of(folder / "image.elf"))

    return build


PowerOn = Callable[..., Board]


@pytest.fixture
def start(nucleo: Target, nucleo_table: VirtualTable) -> Iterator[PowerOn]:
    """start(firmware, hook=None, core=None): a board out of reset; switched off when the test ends."""
    boards: list[Board] = []

    def start(firmware: Firmware, hook: BlockHook | None = None, core: Core | None = None) -> Board:
        target = nucleo if core is None else nucleo.model_copy(update={"core": core})
        board, _ = power_on(target, nucleo_table, firmware.elf, hook or make_hook())
        boards.append(board)
        return board

    yield start
    for board in boards:
        board.close()
