"""How memories serve firmware is counted address by address: against a cache written down here once more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybench.errors import DeviceError, SetupError
from tinybench.timing.memory import ChipMemory, Counts, MemorySettings, Served, chips, stalls

if TYPE_CHECKING:
    from device_adapters.virtual.board import Board

pytestmark = pytest.mark.needs("python:unicorn")

PLENTY = 10**8
FLASH, SRAM = 0x0800_0000, 0x2001_0000
ITCM = 0x0020_0000
REQUESTS = 400
L4 = MemorySettings(wait_states=5, prefetch=False)
UNCACHED = MemorySettings(wait_states=5, prefetch=False, caches_off=frozenset({"code", "data"}))

# A function with a loop of 2 * HALFWORDS + 6 bytes that begins at a multiple of 32 and runs ten times.
LOOP = """
function reset
  bl tb_engine_invoke
  b done
  .balign 32
function tb_engine_invoke
  movs r1, #10
  .balign 32, 0
again:
  .rept {halfwords}
  adds r0, r0, #1
  .endr
  subs r1, #1
  bne.w again
  bx lr
function done
  b done
"""

# Reads offsets from RAM, where the test has put them, and the words at these offsets of a table in flash.
LOADS = f"""
function reset
  bl tb_engine_invoke
  b done
function tb_engine_invoke
  ldr r1, ={SRAM:#x}
  ldr r2, =table
  ldr r3, ={REQUESTS}
again:
  ldr r4, [r1], #4
  ldr r5, [r2, r4]
  subs r3, #1
  bne again
  bx lr
function done
  b done
  .ltorg
  .balign 32
table:
  .space 4096
"""

# Stores words at offsets that the test has put into the DTCM, which is not watched.
STORES = f"""
function reset
  bl tb_engine_invoke
  b done
function tb_engine_invoke
  ldr r1, =0x20001000
  ldr r2, ={SRAM:#x}
  ldr r3, ={REQUESTS}
again:
  ldr r4, [r1], #4
  str r3, [r2, r4]
  subs r3, #1
  bne again
  bx lr
function done
  b done
"""


class Model:
    """A cache whose least recently used line goes, with lines in parts."""

    def __init__(self, sets: int, ways: int, line_bytes: int, part_bytes: int) -> None:
        self.sets = [OrderedDict[int, set[int]]() for _ in range(sets)]
        self.ways, self.line_bytes, self.part_bytes = ways, line_bytes, part_bytes
        self.modified: set[int] = set()
        self.written_back = 0

    def asks(self, address: int, write: bool = False) -> bool:
        """Whether it is there; afterwards it is."""
        line, part = address // self.line_bytes, address % self.line_bytes // self.part_bytes
        lines = self.sets[line % len(self.sets)]
        hit = part in lines.get(line, set())
        if line not in lines and len(lines) == self.ways:
            gone, _ = lines.popitem(last=False)
            self.written_back += gone in self.modified
            self.modified.discard(gone)
        lines.setdefault(line, set()).add(part)
        lines.move_to_end(line)
        if write:
            self.modified.add(line)
        return hit


@contextmanager
def observed(board: Board, chip: ChipMemory, set_to: MemorySettings, entry: int) -> Iterator[list[Served]]:
    """Runs what follows under observation; the counts are in the list afterwards."""
    observer = board.core.observe_memory(chip, set_to, entry)
    found: list[Served] = []
    try:
        yield found
        found.append(observer.served())
    finally:
        observer.close()


def served(
    board: Board, firmware, chip: ChipMemory, set_to: MemorySettings, entry: int | None = None
) -> Served:
    """One run of the firmware from reset."""
    board.reset()
    board.core.break_at(frozenset({firmware.address("done")}))
    with observed(board, chip, set_to, entry or firmware.address("tb_engine_invoke")) as found:
        board.run(PLENTY)
    return found[0]


def moved(chip: ChipMemory, name: str, start: int) -> ChipMemory:
    """The chip with one memory at another address."""
    memory = chip.memory(name)
    there = memory.model_copy(update={"start": start, "end": start + memory.end - memory.start})
    return chip.model_copy(update={"memories": (there,)})


@pytest.mark.parametrize(("halfwords", "fits"), [(100, True), (505, True), (700, False)])
def test_a_loop_that_fits_the_cache_is_fetched_once_and_a_larger_one_each_time(
    build, start, halfwords: int, fits: bool
) -> None:
    firmware = build(LOOP.format(halfwords=halfwords))
    board = start(firmware)
    chip = chips()["stm32l4plus"]
    words = -(-(2 * halfwords + 6) // 8)
    counts = served(board, firmware, chip, L4).counts["flash", "code"]
    once = counts.next + counts.jumped
    if fits:
        assert words <= once <= words + 5  # and the words before and after the loop
    else:
        assert 10 * words <= once <= 10 * words + 5
    bare = served(board, firmware, chip, UNCACHED).counts["flash", "code"]
    assert bare.hits == 0
    assert 10 * words <= bare.next + bare.jumped <= 10 * words + 5
    assert bare.jumped >= 9  # each way back to the beginning


def test_the_word_at_hand_is_not_read_again(build, start) -> None:
    firmware = build(LOOP.format(halfwords=1).replace("adds r0, r0, #1", "nop"))
    counts = served(start(firmware), firmware, chips()["stm32l4plus"], UNCACHED).counts["flash", "code"]
    assert counts.next + counts.jumped == 6  # the function's words, each once
    assert counts.held == 9  # the loop's one word, nine more times


# A load that is watched, inside an IT block, at the end of a block of code: what follows must not be skipped.
CONDITIONAL = """
function reset
  bl tb_engine_invoke
  b done
function tb_engine_invoke
  push {{r4, lr}}
  ldr r1, =table
  movs r4, #0
  movs r0, #{flag}
  bl maybe
  adds r4, r4, #1
  adds r4, r4, #1
  bl maybe
  adds r4, r4, #1
  mov r8, r4
  pop {{r4, pc}}
function maybe
  cmp r0, #0
  ite ne
  ldrne r2, [r1]
  moveq r2, #7
  bx lr
function done
  b done
  .ltorg
  .balign 32
table:
  .word 5
"""


@pytest.mark.parametrize("flag", [0, 1])
def test_a_watched_load_in_an_it_block_skips_nothing_after_it(build, start, flag: int) -> None:
    firmware = build(CONDITIONAL.format(flag=flag))
    board = start(firmware)
    served(board, firmware, chips()["stm32l4plus"], L4)
    assert board.core.registers.read("r8") == 3
    assert board.core.registers.read("r2") == (5 if flag else 7)


@pytest.fixture(scope="module")
def loads(build):
    return build(LOADS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_loads_miss_when_a_cache_of_that_shape_does(loads, start, data) -> None:
    span = data.draw(st.sampled_from([64, 256, 320, 1024, 4096]))
    offsets = data.draw(
        st.lists(st.integers(0, span - 4), min_size=REQUESTS, max_size=REQUESTS).map(
            lambda found: [offset & ~3 for offset in found]
        )
    )
    chip = chips()["stm32l4plus"]
    board = start(loads)
    board.core.space.write(SRAM, b"".join(offset.to_bytes(4, "little") for offset in offsets))
    found = served(board, loads, chip, L4)
    table = _table(loads)
    expected = _expected_loads(table, offsets, chip)
    counts = found.counts["flash", "data"]
    assert abs(counts.next + counts.jumped - expected.next - expected.jumped) <= 3  # literals of the prologue
    assert sum(m.next + m.jumped for m in found.misses if m.port == "data") == counts.next + counts.jumped


def _table(firmware) -> int:
    from elftools.elf.elffile import ELFFile

    with firmware.elf.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab")
        return int(symbols.get_symbol_by_name("table")[0]["st_value"])


def _expected_loads(table: int, offsets: Sequence[int], chip: ChipMemory) -> Counts:
    facts = next(cache for cache in chip.caches if cache.name == "data")
    model = Model(facts.sets, facts.ways, facts.line_bytes, facts.part_bytes)
    last, missed = None, 0
    for offset in offsets:
        word = (table + offset) // 8
        if word != last:
            missed += not model.asks(word * 8)
        last = word
    return Counts(jumped=missed)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_stores_are_kept_and_modified_lines_written_back(build, start, data) -> None:
    firmware = build(STORES)
    span = data.draw(st.sampled_from([1024, 8192, 32768]))
    offsets = [
        4 * n
        for n in data.draw(st.lists(st.integers(0, span // 4 - 1), min_size=REQUESTS, max_size=REQUESTS))
    ]
    board = start(firmware)
    board.core.space.write(0x2000_1000, b"".join(offset.to_bytes(4, "little") for offset in offsets))
    counts = served(board, firmware, chips()["stm32f74"], MemorySettings(7)).counts["sram", "data"]
    model = Model(32, 4, 32, 32)
    missed = sum(not model.asks(SRAM + offset, write=True) for offset in offsets)
    assert (counts.written, counts.write_misses, counts.written_back) == (
        REQUESTS,
        missed,
        model.written_back,
    )


def test_code_behind_a_serial_flash_is_slow_once(build, start) -> None:
    firmware = build(LOOP.format(halfwords=1000))
    chip = moved(chips()["rp2040"], "flash", FLASH)
    set_to = MemorySettings()
    board = start(firmware)
    cold = served(board, firmware, chip, set_to)
    lines = cold.counts["flash", "code"].next + cold.counts["flash", "code"].jumped
    assert 2006 // 8 <= lines <= 2006 // 8 + 6
    # boot2 reads a line of 8 bytes in 96 bits of a clock four times slower than the core's.
    assert stalls(cold, chip, set_to).cycles == lines * 384

    board.reset()
    board.core.break_at(frozenset({firmware.address("done")}))
    observer = board.core.observe_memory(chip, set_to, firmware.address("tb_engine_invoke"))
    board.run(PLENTY)
    observer.reset()
    board.reset()
    board.run(PLENTY)
    warm = observer.served()
    observer.close()
    assert stalls(warm, chip, set_to).cycles == 0


@pytest.mark.parametrize("halfwords", [200, 900])
def test_flash_through_art_serves_as_well_as_through_the_caches(build, start, halfwords: int) -> None:
    # AN4667: on the STM32F7, code in flash runs alike through ITCM with ART and through AXI with the caches.
    firmware = build(LOOP.format(halfwords=halfwords))
    chip = chips()["stm32f74"]
    through_axi = served(start(firmware), firmware, chip, MemorySettings(7, prefetch=True))

    there = firmware.address("tb_engine_invoke") - FLASH + ITCM
    alias = build(
        LOOP.format(halfwords=halfwords).replace(
            "bl tb_engine_invoke", "ldr r3, =tb_engine_invoke - 0x07e00000 + 1\n  blx r3"
        )
    )
    there = alias.address("tb_engine_invoke") - FLASH + ITCM
    board = start(alias)
    through_art = served(board, alias, chip, MemorySettings(7, prefetch=True), there)
    assert through_art.counts["flash-itcm", "code"].asked > 0
    assert through_axi.counts["flash-itcm", "code"].asked == 0

    instructions = 10 * (halfwords + 2)
    axi, art = (stalls(s, chip, MemorySettings(7, prefetch=True)).cycles for s in (through_axi, through_art))
    assert axi / instructions < 0.25
    assert art / instructions < 0.25

    # With the caches off each 8 bytes of code wait, through ITCM each 32 for the wait states alone.
    off = frozenset({"instruction", "data", "art"})
    bare = MemorySettings(7, prefetch=False, caches_off=off)
    slow_axi = stalls(served(start(firmware), firmware, chip, bare), chip, bare).cycles
    slow_art = stalls(served(board, alias, chip, bare, there), chip, bare).cycles
    # Stratify Labs, 2019-05-25: five times slower from flash through AXI with the caches off (STM32F723).
    assert 2 < 1 + slow_axi / instructions < 6
    assert slow_art < slow_axi / 4


def test_an_image_without_an_inference_is_not_observed(build, start) -> None:
    board = start(build("function reset\n  b reset"))
    with pytest.raises(SetupError, match="tb_engine_invoke"):
        board.observe_memory(chips()["stm32l4plus"], L4)
    with pytest.raises(DeviceError, match="nobody observes"):
        board.memory_served()


def test_nothing_outside_the_watched_function_is_counted_and_all_runs_free_again(build, start) -> None:
    firmware = build(LOOP.format(halfwords=100))
    board = start(firmware)
    elsewhere = served(board, firmware, chips()["stm32l4plus"], L4, firmware.address("hang"))
    assert elsewhere.counts["flash", "code"] == Counts()
    assert elsewhere.misses == ()
    again = served(board, firmware, chips()["stm32l4plus"], L4)
    assert again == served(board, firmware, chips()["stm32l4plus"], L4)
