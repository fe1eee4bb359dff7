"""The linker script places by use, with both linkers, and nothing overlaps or is stored twice."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tinybench import elf
from tinybench.target import Region

# Something in every section that the script knows, and a start that keeps it.
EVERYTHING = """
#include <stdint.h>
extern uint32_t tb_stack_end[];
void tb_reset(void);
static const int8_t *hidden(const int8_t *p) { __asm volatile("" : "+r"(p)); return p; }
__attribute__((used, section(".vectors"))) static const void *const vectors[16] = {tb_stack_end, tb_reset};
__attribute__((used, section(".tb_stack"))) static uint64_t stack[64];
__attribute__((section(".tb_weights"))) const int8_t weights[1000] = {1};
__attribute__((section(".tb_arena"))) volatile int8_t arena[777];
volatile uint32_t initialised[5] = {1, 2, 3, 4, 5};
volatile uint32_t cleared[7];
static void construct(void) { cleared[0] = 1; }
__attribute__((used, section(".init_array"))) static void (*const constructor)(void) = construct;
void tb_reset(void) {
    for (;;) { cleared[1] = initialised[2] + (uint32_t)*hidden(weights) + (uint32_t)arena[4]; }
}
"""

COMPILERS = [
    pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")),
    pytest.param("zig", marks=pytest.mark.needs("python:ziglang")),
]


def symbols(path):
    with elf.opened(path) as file:
        return {s.name: s["st_value"] for s in file.get_section_by_name(".symtab").iter_symbols()}


@pytest.mark.parametrize("name", COMPILERS)
def test_everything_lies_where_the_target_says(name, tiny, link_source) -> None:
    path = link_source(name, EVERYTHING, tiny.board)
    spans, at = elf.spans(path), symbols(path)
    flash, dtcm, sram = (tiny.board.region_for(use) for use in ("text", "stack", "data"))
    assert spans[".vectors"] == (flash.origin, 64)
    for section in (".note.gnu.build-id", ".text", ".tb_weights"):
        assert flash.origin < spans[section][0] < flash.end
    for section in (".data", ".bss", ".tb_arena"):
        assert sram.origin <= spans[section][0] < sram.end
    assert spans[".tb_stack"] == (dtcm.origin, 512)
    assert spans[".tb_arena"][0] % 32 == 0
    assert (at["tb_stack_start"], at["tb_stack_end"]) == (dtcm.origin, dtcm.origin + 512)
    assert at["tb_data_end"] - at["tb_data_start"] == 5 * 4
    assert at["tb_bss_end"] - at["tb_bss_start"] == 7 * 4
    assert at["tb_constructors_end"] - at["tb_constructors_start"] == 4
    assert at["tb_build_id_note"] == spans[".note.gnu.build-id"][0]


@pytest.mark.parametrize("name", COMPILERS)
def test_what_is_stored_is_in_flash_and_data_is_stored_where_start_up_looks(name, tiny, link_source) -> None:
    path = link_source(name, EVERYTHING, tiny.board)
    stored = elf.load_segments(path)
    flash = tiny.board.region_for("text")
    assert all(flash.origin <= at and at + len(data) <= flash.end for at, data in stored)
    load = symbols(path)["tb_data_load"]
    (piece,) = (data[load - at :] for at, data in stored if at <= load < at + len(data))
    assert piece[:20] == b"".join(value.to_bytes(4, "little") for value in (1, 2, 3, 4, 5))


@pytest.mark.parametrize("name", COMPILERS)
def test_the_note_that_the_firmware_reads_is_the_build_id(name, tiny, link_source) -> None:
    path = link_source(name, EVERYTHING, tiny.board)
    at = symbols(path)["tb_build_id_note"]
    (note,) = (
        data[at - start :] for start, data in elf.load_segments(path) if start <= at < start + len(data)
    )
    assert note[16:36].hex() == elf.build_id(path)


@pytest.mark.parametrize("name", COMPILERS)
def test_with_one_ram_the_stack_lies_lowest_so_that_overflow_faults(name, tiny, link_source) -> None:
    flash = tiny.board.region_for("text")
    ram = Region(name="ram", kind="ram", origin=0x20000000, size=0x50000, uses=("data", "arena", "stack"))
    board = tiny.board.model_copy(update={"regions": (flash, ram)})
    spans = elf.spans(link_source(name, EVERYTHING, board))
    assert spans[".tb_stack"][0] == ram.origin
    placed = sorted(spans[section] for section in (".tb_stack", ".data", ".bss", ".tb_arena"))
    assert all(start + size <= following for (start, size), (following, _) in itertools.pairwise(placed))


@pytest.mark.needs("arm-none-eabi-gcc")
def test_weights_may_have_a_flash_of_their_own(tiny, link_source) -> None:
    flash = tiny.board.region_for("text")
    first = flash.model_copy(update={"size": 0x80000, "uses": ("vectors", "text")})
    second = Region(name="bank2", kind="flash", origin=0x08080000, size=0x80000, uses=("weights",))
    rams = tuple(region for region in tiny.board.regions if region.kind == "ram")
    board = tiny.board.model_copy(update={"regions": (first, second, *rams)})
    path = link_source("gcc", EVERYTHING, board)
    assert elf.spans(path)[".tb_weights"] == (second.origin, 1000)
    said = subprocess.run(
        ["arm-none-eabi-objdump", "-h", "-j", ".data", path], capture_output=True, text=True, check=True
    ).stdout
    assert first.origin <= int(said.split(".data")[1].split()[2], 16) < first.end
