"""Counted edges and an estimate, taken apart to single instructions: every other view is a sum of these.

Because operators, functions and loops are sums of the same parts, each of them sums to the whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinybench.target import CountedEdge
from tinybench.timing.core import CoreTiming
from tinybench.timing.estimate import Estimate, Waits, elsewhere
from tinybench.timing.operators import waiting_by_operator
from tinybench.timing.pipeline import MISPREDICTED, mispredicted
from tinybench.timing.program import Instruction, Program
from tinybench.timing.scoreboard import REASONS, Scoreboard


class Place(NamedTuple):
    """An instruction, as it ran inside one operator (negative: between operators)."""

    operator: int
    address: int


@dataclass(frozen=True)
class Spent:
    """What one inference spends at a place: executions, and estimated cycles by what they pass for."""

    runs: int
    reasons: Mapping[str, float]

    @property
    def cycles(self) -> float:
        """All of them; 0 where nothing was estimated."""
        return sum(self.reasons.values())


@dataclass(frozen=True)
class Timed:
    """What `estimate` was made of, to take it apart again."""

    answer: Estimate
    core: CoreTiming
    waits: Waits


class _Block(NamedTuple):
    address: int
    size: int


class _Edge(NamedTuple):
    operator: int
    source: _Block
    to: _Block
    runs: int


_NOTHING = _Block(0, 0)


def counted_runs(program: Program, edges: Iterable[CountedEdge]) -> dict[Place, int]:
    """How often each instruction ran in each operator."""
    runs: Counter[Place] = Counter()
    for edge in edges:
        for instruction in program.block(edge.to.address, edge.to.size):
            runs[Place(edge.operator, instruction.address)] += edge.runs
    return dict(runs)


def spent_at(program: Program, edges: Sequence[CountedEdge], timed: Timed | None) -> dict[Place, Spent]:
    """What each place costs; the cycles sum to those of the estimate, the runs to what was counted."""
    runs = counted_runs(program, edges)
    reasons: dict[Place, defaultdict[str, float]] = {place: defaultdict(float) for place in runs}
    if timed is not None:
        _price(program, edges, timed, reasons)
        _mispredict(program, edges, timed, reasons)
        _wait(_Singles(program, edges), runs, timed, reasons)
    return {
        place: Spent(runs[place], {why: cycles for why, cycles in reasons[place].items() if cycles})
        for place in sorted(runs)
    }


_Reasons = Mapping[Place, defaultdict[str, float]]


def _price(program: Program, edges: Sequence[CountedEdge], timed: Timed, reasons: _Reasons) -> None:
    """The scoreboard's own cycles: an edge is traced once, and counted for each operator it ran in."""
    board = Scoreboard(timed.core, elsewhere(program, edges, timed.waits.served.loads))
    traces: dict[tuple[_Block, _Block], tuple[tuple[int, tuple[tuple[str, int], ...]], ...]] = {}
    for edge in edges:
        source = _Block(edge.source.address, edge.source.size)
        to = _Block(edge.to.address, edge.to.size)
        trace = traces.get((source, to))
        if trace is None:
            before = program.block(*source) if source.size else ()
            taken = bool(source.size) and to.address != source.address + source.size
            trace = traces[source, to] = tuple(
                (
                    at.address,
                    tuple((why, cycles) for why, cycles in zip(REASONS, cost.reasons, strict=True) if cycles),
                )
                for at, cost in board.trace(before, program.block(*to), taken=taken)
            )
        for address, shares in trace:
            here = reasons[Place(edge.operator, address)]
            for why, cycles in shares:
                here[why] += cycles * edge.runs


def _mispredict(program: Program, edges: Iterable[CountedEdge], timed: Timed, reasons: _Reasons) -> None:
    """Wrong predictions, at the branch that was predicted; where it is no part of this, where it went on."""
    labels = _Labels()
    relabelled = []
    for edge in edges:
        source = _Block(edge.source.address, edge.source.size)
        block = program.block(*source) if source.size else ()
        place = Place(edge.operator, block[-1].address if block else edge.to.address)
        if place not in reasons:
            place = Place(edge.operator, edge.to.address)
        to = _Block(edge.to.address, edge.to.size)
        relabelled.append(_Edge(labels.of(place), source, to, edge.runs))
    for label, cycles in mispredicted(program, relabelled, timed.core).items():
        reasons[labels.place(label)][MISPREDICTED] += cycles


def _wait(singles: _Singles, runs: Mapping[Place, int], timed: Timed, reasons: _Reasons) -> None:
    """Waiting for memory, at the instructions whose fetch or load missed."""
    if timed.answer.stalls is None:
        return
    labels = _Labels()
    pieces = [
        _Edge(labels.of(place), _NOTHING, _Block(place.address, 0), count) for place, count in runs.items()
    ]
    shared = waiting_by_operator(
        timed.answer.stalls,
        {labels.of(place): sum(reasons[place].values()) for place in runs},
        served=timed.waits.served,
        chip=timed.waits.chip,
        program=singles,
        edges=pieces,
    )
    for (memory, cause), by_label in shared.items():
        for label, cycles in by_label.items():
            reasons[labels.place(label)][f"{memory} {cause}"] += cycles


class _Labels:
    """Numbers for places, for what shares cycles out among numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Place, int] = {}
        self._places: list[Place] = []

    def of(self, place: Place) -> int:
        known = self._numbers.get(place)
        if known is None:
            known = self._numbers[place] = len(self._places)
            self._places.append(place)
        return known

    def place(self, label: int) -> Place:
        return self._places[label]


class _Singles:
    """The instructions of a program, each as a block of its own."""

    def __init__(self, program: Program, edges: Iterable[CountedEdge]) -> None:
        blocks = {(edge.to.address, edge.to.size) for edge in edges}
        self._at = {found.address: found for block in blocks for found in program.block(*block)}

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        del size
        return (self._at[address],)
