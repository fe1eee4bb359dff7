"""The pipelines against every sequence whose cycles somebody published."""

from __future__ import annotations

import pytest

from tinybench.timing.core import cores, why_not
from tinybench.timing.pipeline import core_cycles
from tinybench.timing.program import Instruction, shape_of
from tinybench.timing.scoreboard import REASONS, Scoreboard
from tinybench.timing.sequences import Sequence, estimated, instructions, sequences

# Arm's manuals count a store behind a load as two cycles less one; measurements on silicon (jnk0le/random,
# cortex_m3m4) find one, and the model follows them.
MANUAL_AND_SILICON_DIFFER = "str r0, [r3, #20]"


@pytest.mark.parametrize("sequence", sequences(), ids=lambda s: f"{s.core}: {s.title}")
def test_a_published_sequence_takes_what_was_published(sequence: Sequence) -> None:
    expected = sequence.cycles - (1 if MANUAL_AND_SILICON_DIFFER in sequence.code else 0)
    assert estimated(sequence) == pytest.approx(expected)


def test_every_constant_has_a_source_and_every_core_says_what_it_assumes() -> None:
    assert set(cores()) == {"cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"}
    for core in cores().values():
        for table in (core.latency, core.busy, core.operand, core.branch, core.rule):
            assert all(constant.source for constant in table.values())
        assert core.assumptions


def test_a_core_without_a_model_says_why() -> None:
    assert "Helium" in why_not("cortex-m55")
    assert why_not("cortex-m99")


@pytest.mark.parametrize("core", sorted(cores()))
def test_reasons_add_up_to_the_cycles(core: str) -> None:
    board = Scoreboard(cores()[core])
    code = (
        "ldr r0, [r1]",
        "adds r2, r0, r3",
        "push {r4, r5, r6}",
        "muls r0, r2, r0",
        "subs r7, #1",
        "bne #0x1000",
    )
    block = instructions(code, 0x1000)
    for taken in (True, False):
        cost = board.cost(block, block, taken=taken)
        assert sum(cost.reasons) == cost.cycles
        assert len(cost.reasons) == len(REASONS)
        traced = [step for _, step in board.trace(block, block, taken=taken)]
        assert sum(step.cycles for step in traced) == cost.cycles


def test_a_load_from_the_other_memory_is_not_pipelined() -> None:
    block = instructions(("ldr r0, [r1]", "ldr r2, [r3]", "ldr r4, [r5]"), 0x1000)
    m4 = cores()["cortex-m4"]
    together = Scoreboard(m4).cost((), block, taken=False).cycles
    apart = Scoreboard(m4, frozenset({0x1002})).cost((), block, taken=False).cycles
    assert apart - together == 2


class _Code:
    def __init__(self, *blocks: tuple[Instruction, ...]) -> None:
        self._blocks = {(b[0].address, sum(i.shape.size for i in b)): b for b in blocks}

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        return self._blocks[address, size]


class _Block:
    def __init__(self, address: int, size: int) -> None:
        self.address, self.size = address, size


class _Edge:
    def __init__(self, source: _Block, to: _Block, runs: int, operator: int = 0) -> None:
        self.source, self.to, self.runs, self.operator = source, to, runs, operator


def test_a_loop_costs_its_rounds_and_mispredicts_once_where_there_is_prediction() -> None:
    block = instructions(("subs.w r0, r0, #1", "bne.w #0x1000"), 0x1000)
    after = instructions(("mov.w r1, r2",), 0x1008)
    loop, end, nothing = _Block(0x1000, 8), _Block(0x1008, 4), _Block(0, 0)
    edges = (_Edge(nothing, loop, 1), _Edge(loop, loop, 99), _Edge(loop, end, 1, operator=1))
    code = _Code(block, after)
    m4 = core_cycles(code, edges, cores()["cortex-m4"])
    assert m4.cycles == pytest.approx(2 + 99 * 3 + 1, abs=1)
    assert m4.instructions == 201
    m7 = core_cycles(code, edges, cores()["cortex-m7"])
    assert m7.reasons["mispredicted"] == 8
    for found in (m4, m7):
        assert sum(found.reasons.values()) == pytest.approx(found.cycles)
        assert sum(found.operators.values()) == pytest.approx(found.cycles)


def test_conditional_execution_reads_the_flags() -> None:
    shape = shape_of("addeq", "r0, r1", 2, conditional=True)
    assert shape.conditional
    assert shape.reads >> 16 & 1
    assert shape.kind == "add"
