"""Whose cycles are they? An estimate shared out among the model's operators, waiting for memory included."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from tinybench.target import CountedEdge
from tinybench.timing.memory import ChipMemory, Served, Stalls
from tinybench.timing.pipeline import CoreCycles
from tinybench.timing.program import Program

_Weights = Mapping[int, float]


def by_operator(
    core: CoreCycles,
    stalls: Stalls,
    *,
    served: Served,
    chip: ChipMemory,
    program: Program,
    edges: Iterable[CountedEdge],
) -> dict[int, float]:
    """Cycles of each operator (negative: between operators); they sum to those of the core and of the stalls.

    What a memory's port cost is shared out by where its misses happened, and a missed address by how often
    each operator ran it; stores, whose places are not counted, like the core's own cycles.
    """
    found = defaultdict(float, core.operators)
    shared = waiting_by_operator(
        stalls, core.operators, served=served, chip=chip, program=program, edges=edges
    )
    for waits in shared.values():
        for operator, cycles in waits.items():
            found[operator] += cycles
    return dict(sorted(found.items()))


def waiting_by_operator(
    stalls: Stalls,
    otherwise: Mapping[int, float],
    *,
    served: Served,
    chip: ChipMemory,
    program: Program,
    edges: Iterable[CountedEdge],
) -> dict[tuple[str, str], dict[int, float]]:
    """Cycles that each operator waits, by memory and cause; `otherwise` shares out what has no places."""
    shares = _Places(program, edges, served, chip)
    found = {}
    for (memory, cause), cycles in stalls.by_cause.items():
        weights = shares.of(memory, cause) or otherwise
        total = sum(weights.values())
        found[memory, cause] = {
            operator: cycles * weight / total if total else 0.0 for operator, weight in weights.items()
        }
    return found


class _Places:
    """How the misses of each memory and port fall on operators."""

    def __init__(
        self, program: Program, edges: Iterable[CountedEdge], served: Served, chip: ChipMemory
    ) -> None:
        grains = {
            (memory.name, port): facts.word_bytes if port == "code" else 1
            for memory in chip.memories
            for port in ("code", "data")
            if (facts := memory.code if port == "code" else memory.data) is not None
        }
        missed: dict[int, dict[int, list[tuple[tuple[str, str], int]]]] = defaultdict(dict)
        for miss in served.misses:
            grain = grains[miss.memory, miss.port]
            where = missed[grain].setdefault(miss.address // grain, [])
            where.append(((miss.memory, miss.port), miss.next + miss.jumped))
        runs: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        for edge in edges:
            for instruction in program.block(edge.to.address, edge.to.size):
                for grain, places in missed.items():
                    if instruction.address // grain in places:
                        runs[grain, instruction.address // grain][edge.operator] += edge.runs
        self._weights: dict[tuple[str, str], defaultdict[int, float]] = {}
        for grain, places in missed.items():
            for place, misses in places.items():
                self._add(runs[grain, place], misses)

    def _add(self, runs: Counter[int], misses: Iterable[tuple[tuple[str, str], int]]) -> None:
        total = sum(runs.values())
        for port, count in misses:
            weights = self._weights.setdefault(port, defaultdict(float))
            for operator, share in runs.items():
                weights[operator] += count * share / total

    def of(self, memory: str, cause: str) -> _Weights:
        """Misses by operator; empty where they were not counted by address."""
        return self._weights.get((memory, cause), {})
