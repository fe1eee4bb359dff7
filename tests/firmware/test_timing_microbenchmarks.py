"""Our own micro-benchmarks, assembled, run on a bare virtual core, and timed as Arm's manuals say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from device_adapters.virtual.bare import count, count_row, facts_of
from tinybench.errors import UsageError
from tinybench.timing.core import core_timing
from tinybench.timing.facts import Build, Facts, Published, kept_text
from tinybench.timing.memory import MemorySettings, chips
from tinybench.timing.pipeline import CoreCycles, core_cycles
from tinybench.timing.validate import estimate_of

pytestmark = [pytest.mark.needs("arm-none-eabi-gcc"), pytest.mark.needs("python:unicorn")]

ROUNDS, REPEATS = 100, 16
FLASH, RAM = 0x08000000, 0x20000000

# r0, r1, r3 to r6 point at a word that holds its own address; r2 is 0; r7 counts rounds.
PROGRAM = """
    .syntax unified
    .cpu {cpu}
    .thumb
    .section .vectors, "a"
    .word 0x20004000, reset + 1
    .text
    .globl reset, tb_engine_invoke, sim_done
    .thumb_func
reset:
    ldr r1, =0x20000100
    str r1, [r1]
    mov r0, r1
    mov r3, r1
    mov r4, r1
    mov r5, r1
    mov r6, r1
    movs r2, #0
    movs r7, #{rounds}
    bl tb_engine_invoke
    .thumb_func
sim_done:
    b sim_done
    .balign 16
    .thumb_func
tb_engine_invoke:
    {before}
    .balign 16
1:
    .rept {repeats}
    {body}
    .endr
    subs r7, r7, #1
    bne 1b
    bx lr
"""

SCRIPT = "SECTIONS {{ .vectors {flash} : {{ *(.vectors) }} .text : {{ *(.text*) }} }}"

# What one pass of the body takes, by the manuals that tinybench/timing/cores names.
BODIES = {
    "ldr r0, [r1]\nadds r3, r4, r5": {"cortex-m0plus": 3, "cortex-m3": 3, "cortex-m4": 3, "cortex-m33": 2},
    "ldr r0, [r1]\nldr r3, [r4]": {"cortex-m0plus": 4, "cortex-m33": 2},
    "str r2, [r1, #4]": {"cortex-m0plus": 2, "cortex-m3": 1, "cortex-m4": 1, "cortex-m33": 1, "cortex-m7": 1},
    "push {r3, r4}\npop {r3, r4}": {"cortex-m0plus": 6, "cortex-m3": 6, "cortex-m4": 6, "cortex-m33": 4},
    "muls r0, r2, r0": {"cortex-m0plus": 1, "cortex-m3": 1, "cortex-m4": 1, "cortex-m33": 2, "cortex-m7": 2},
    "smlad r0, r3, r4, r0": {"cortex-m4": 1, "cortex-m33": 1, "cortex-m7": 1},
    "mla r0, r3, r4, r0": {"cortex-m3": 2, "cortex-m4": 1, "cortex-m33": 1, "cortex-m7": 1},
    "ldrd r0, r3, [r1]": {"cortex-m3": 3, "cortex-m4": 3, "cortex-m33": 2, "cortex-m7": 1},
    "adds r3, r1, r2\nldr r0, [r3]": {"cortex-m3": 4, "cortex-m4": 4, "cortex-m33": 2},
}  # fmt: skip


def assembled(folder: Path, core: str, body: str, before: str = "") -> Path:
    """A bare program that runs `body` REPEATS times in each of ROUNDS."""
    source, script, elf = folder / "program.S", folder / "program.ld", folder / "program.elf"
    source.write_text(PROGRAM.format(cpu=core, rounds=ROUNDS, repeats=REPEATS, body=body, before=before))
    script.write_text(SCRIPT.format(flash=hex(FLASH)))
    command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-nostdlib", "-T", str(script), str(source)]
    subprocess.run([*command, "-o", str(elf)], check=True)
    return elf


def cycles(elf: Path, core: str) -> CoreCycles:
    """Of the whole stretch."""
    timing = core_timing(core)
    assert timing is not None
    counted = count(elf, core, None, MemorySettings())
    return core_cycles(counted.program, counted.edges, timing)


@pytest.mark.parametrize(
    ("core", "body", "expected"),
    [(core, body, expected) for body, by_core in BODIES.items() for core, expected in by_core.items()],
)
def test_a_built_and_executed_sequence_takes_what_the_manual_says(
    tmp_path: Path, core: str, body: str, expected: float
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with_body = cycles(assembled(tmp_path, core, body), core)
    without = cycles(assembled(empty, core, ""), core)
    passes = ROUNDS * REPEATS
    assert with_body.instructions - without.instructions == passes * len(body.splitlines())
    # the loop's own end overlaps with the body's: a cycle or two a round
    assert (with_body.cycles - without.cycles) / passes == pytest.approx(expected, abs=3 / REPEATS)


def test_loads_from_flash_are_told_from_loads_from_ram(tmp_path: Path) -> None:
    """On a Cortex-M4 behind ART: a load from flash next to one from RAM is not pipelined with it."""
    elf = assembled(tmp_path, "cortex-m4", "ldr r0, [r6]\nldr r3, [r1]", before="ldr r6, =0x08000000")
    chip = chips()["stm32l4plus"]
    settings = MemorySettings(wait_states=5)
    counted = count(elf, "cortex-m4", chip, settings)
    assert counted.served is not None
    assert max(counted.served.loads.values()) == ROUNDS
    facts = facts_of(counted, chip)
    assert len(facts["elsewhere"]) == REPEATS


def test_a_row_is_counted_again_from_its_program(tmp_path: Path) -> None:
    elf = assembled(tmp_path, "cortex-m4", "ldr r0, [r1]\nadds r3, r4, r5")
    build = Build(source="this test", compiler="gcc", flags="", elf_sha256="0" * 64, stretch="a loop")
    published = Published(cycles=ROUNDS * REPEATS * 3, figure="-", source="Arm DDI 0439B", build="-")
    row = Facts(
        row="loop", board="none", engine="none", task="loop", core="cortex-m4", clock_hz=1, role="validation",
        published=published, build=build, instructions=1, shapes=(), blocks=(), edges=(),
    )  # fmt: skip
    counted = count_row(row, elf)
    assert counted.build.elf_sha256 != row.build.elf_sha256
    assert counted.instructions == ROUNDS * (2 * REPEATS + 2) + 1
    assert Facts.model_validate(json.loads(kept_text(counted))) == counted
    assert estimate_of(counted).cycles == pytest.approx(published.cycles, rel=0.1)


def test_a_program_without_the_symbols_is_refused(tmp_path: Path) -> None:
    source, elf = tmp_path / "nothing.S", tmp_path / "nothing.elf"
    source.write_text(".thumb\nnop\n")
    subprocess.run(["arm-none-eabi-gcc", "-nostdlib", "-r", str(source), "-o", str(elf)], check=True)
    with pytest.raises(UsageError, match="tb_engine_invoke"):
        count(elf, "cortex-m4", None, MemorySettings())
