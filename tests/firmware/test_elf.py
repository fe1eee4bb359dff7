"""Bytes of an image as others count them: GNU size, LLVM's size, and a map checked by hand."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from tinybench import elf
from tinybench.errors import BuildError

# Bytes of weights, of initialised and of cleared variables; odd ones, for what alignment makes of them.
SHAPES = [(w, d, c) for w in (1, 3, 4096) for d in (1, 260) for c in (1, 1023)]
TOOLS = [pytest.param(tool, marks=pytest.mark.needs(tool)) for tool in ("arm-none-eabi-size", "llvm-size")]


def source(weights: int, data: int, cleared: int) -> str:
    return f"""
extern unsigned tb_stack_end[];
void tb_reset(void);
int divided(int a);
static const char *hidden(const char *p) {{ __asm volatile("" : "+r"(p)); return p; }}
__attribute__((used, section(".vectors"))) static const void *const vectors[16] = {{tb_stack_end, tb_reset}};
__attribute__((used, section(".tb_stack"))) static unsigned long long stack[64];
__attribute__((section(".tb_weights"))) const char weights[{weights}] = {{7}};
__attribute__((section(".tb_arena"))) volatile char arena[100];
volatile char initialised[{data}] = {{9}};
volatile char cleared[{cleared}];
__attribute__((noinline)) int divided(int a) {{ return (int)(1000000000000LL / (a | 1)); }}
void tb_reset(void) {{
    const char weight = *hidden(weights);
    for (;;) {{ cleared[0] = (char)(weight + initialised[0] + arena[0] + divided(weight)); }}
}}
"""


def berkeley(tool: str, path: Path) -> tuple[int, int, int]:
    """What `size` says: text, data, bss."""
    said = subprocess.run([tool, path], capture_output=True, text=True, check=True).stdout.splitlines()
    text, data, bss = said[1].split()[:3]
    return int(text), int(data), int(bss)


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_flash_and_ram_are_what_size_says(link_source, tiny, tool: str, shape: tuple[int, int, int]) -> None:
    path = link_source("gcc", source(*shape), tiny.board)
    text, data, bss = berkeley(tool, path)
    counted = elf.footprint(path, tiny.board.regions)
    stack = 512
    assert counted.flash_bytes == text + data == sum(len(piece) for _, piece in elf.load_segments(path))
    assert counted.ram_static_bytes == data + bss - stack - 100
    assert (counted.memory.arena_reserved_bytes, counted.memory.stack_reserved_bytes) == (100, stack)


@pytest.mark.needs("python:ziglang")
@pytest.mark.parametrize("tool", TOOLS)
def test_the_other_linkers_images_are_counted_alike(link_source, tiny, tool: str) -> None:
    path = link_source("zig", source(4099, 261, 5), tiny.board)
    text, data, bss = berkeley(tool, path)
    counted = elf.footprint(path, tiny.board.regions)
    assert counted.flash_bytes == text + data
    assert counted.ram_static_bytes == data + bss - 512 - 100


@pytest.mark.needs("arm-none-eabi-gcc")
def test_a_map_checked_by_hand(link_source, tiny) -> None:
    counted = elf.footprint(link_source("gcc", source(4096, 260, 1024), tiny.board), tiny.board.regions)
    sections = {section.name: section for section in counted.memory.sections}
    assert {name: (s.region, s.bytes, s.flash_bytes) for name, s in sections.items() if name != ".text"} == {
        ".vectors": ("flash", 64, 64),
        ".note.gnu.build-id": ("flash", 36, 36),
        ".tb_weights": ("flash", 4096, 4096),
        ".data": ("sram", 260, 260),
        ".bss": ("sram", 1024, 0),
        ".tb_arena": ("sram", 100, 0),
        ".tb_stack": ("dtcm", 512, 0),
    }
    largest = {symbol.name: symbol.bytes for symbol in counted.memory.largest_flash_symbols}
    assert next(iter(largest.items())) == ("weights", 4096)
    assert counted.memory.largest_ram_symbols[0].name == "cleared"
    assert len(counted.memory.largest_flash_symbols) <= 10


@pytest.mark.needs("arm-none-eabi-gcc")
def test_functions_have_ranges_that_do_not_overlap(link_source, tiny) -> None:
    path = link_source("gcc", source(1, 1, 1), tiny.board)
    functions = elf.functions(path)
    assert {"tb_reset", "divided"} <= {function.name for function in functions}
    assert all(function.start % 2 == 0 and function.start < function.end for function in functions)
    assert all(a.end <= b.start for a, b in itertools.pairwise(functions))


def test_what_is_not_an_elf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.elf"
    path.write_bytes(b"\x7fELF nonsense")
    with pytest.raises(BuildError, match="not an ELF file"):
        elf.build_id(path)
