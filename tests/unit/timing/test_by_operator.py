"""An estimate's cycles fall on the operators that caused them."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import pytest

from tinybench.timing.core import cores
from tinybench.timing.estimate import Waits, elsewhere, estimate
from tinybench.timing.memory import Counts, MemorySettings, Miss, Port, Served, chips
from tinybench.timing.program import Instruction
from tinybench.timing.sequences import instructions

CHIP = chips()["stm32l4plus"]
SETTINGS = MemorySettings(wait_states=5, prefetch=False)


class Block(NamedTuple):
    """A run of code."""

    address: int
    size: int


class Edge(NamedTuple):
    """One block after another."""

    operator: int
    source: Block
    to: Block
    runs: int


class Code:
    """Two functions, one for each operator."""

    first = instructions(("ldr r0, [r1]", "adds r2, r0, r3", "b #0x8000100"), 0x8000000)
    second = instructions(("ldr r0, [r4]", "adds r2, r0, r3", "b #0x8000000"), 0x8000100)

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        """One of the two."""
        del size
        return self.first if address == 0x8000000 else self.second


ONE, TWO = Block(0x8000000, 6), Block(0x8000100, 6)
EDGES = (Edge(0, TWO, ONE, 100), Edge(1, ONE, TWO, 100))


def served(**changes: int) -> Served:
    """Ten misses of data in the first operator, thirty in the second, and four of code that both ran."""
    misses = (
        Miss("flash", "data", 0x8000000, 0, changes.get("first", 10)),
        Miss("flash", "data", 0x8000100, 0, changes.get("second", 30)),
        Miss("flash", "code", 0x8000000, 0, 4),
    )
    data = changes.get("first", 10) + changes.get("second", 30)
    counts: dict[tuple[str, Port], Counts] = {
        ("flash", "data"): Counts(jumped=data),
        ("flash", "code"): Counts(jumped=4),
    }
    return Served(CHIP.name, CHIP.version, frozenset(), counts, misses, MappingProxyType({0x8000100: 100}))


def test_waiting_falls_on_the_operator_that_missed() -> None:
    found = estimate(Code(), EDGES, cores()["cortex-m4"], Waits(CHIP, SETTINGS, served()))
    assert found.stalls is not None
    assert sum(found.operators.values()) == pytest.approx(found.cycles)
    waited = {operator: found.operators[operator] - found.core.operators[operator] for operator in (0, 1)}
    data, code = found.stalls.of("data"), found.stalls.of("code")
    assert waited == {0: pytest.approx(data / 4 + code), 1: pytest.approx(data * 3 / 4)}


def test_without_places_waiting_falls_like_the_core_s_own_cycles() -> None:
    bare = Served(CHIP.name, CHIP.version, frozenset(), {("flash", "data"): Counts(jumped=40)})
    found = estimate(Code(), EDGES, cores()["cortex-m4"], Waits(CHIP, SETTINGS, bare))
    assert sum(found.operators.values()) == pytest.approx(found.cycles)
    ratio = found.cycles / found.core.cycles
    for operator, cycles in found.core.operators.items():
        assert found.operators[operator] == pytest.approx(cycles * ratio)


def test_a_load_is_elsewhere_if_most_of_its_executions_went_to_flash() -> None:
    assert elsewhere(Code(), EDGES, {0x8000000: 50, 0x8000100: 51}) == {0x8000100}
