"""Counted edges and a core's scoreboard → cycles of the core alone, by reason and by operator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinybench.target import CountedEdge
from tinybench.timing.core import CoreTiming
from tinybench.timing.program import FLAGS, Instruction, Program
from tinybench.timing.scoreboard import REASONS, Scoreboard

MISPREDICTED = "mispredicted"
_EARLY_FLAGS_INSTRUCTIONS = 5
_Block = tuple[int, int]


@dataclass(frozen=True)
class CoreCycles:
    """Cycles of a core whose memories have no wait states; `reasons` and `operators` each sum to `cycles`.

    `operators` has negative indices for what runs outside of the model's operators.
    """

    cycles: float
    instructions: int
    reasons: Mapping[str, float]
    operators: Mapping[int, float]


def core_cycles(
    program: Program,
    edges: Iterable[CountedEdge],
    core: CoreTiming,
    elsewhere: frozenset[int] = frozenset(),
) -> CoreCycles:
    """What the counted edges cost on a core. Each edge is priced once, in the context of its source block.

    `elsewhere`: addresses of the loads that go to flash rather than RAM, where that is known.
    """
    board = Scoreboard(core, elsewhere)
    prices: dict[tuple[_Block, _Block], tuple[int, tuple[int, ...], int]] = {}
    reasons = [0.0] * len(REASONS)
    operators: defaultdict[int, float] = defaultdict(float)
    instructions = 0
    total = 0
    branches = _Branches()
    for edge in edges:
        source = (edge.source.address, edge.source.size)
        to = (edge.to.address, edge.to.size)
        price = prices.get((source, to))
        if price is None:
            before = program.block(*source) if source[1] else ()
            block = program.block(*to)
            taken = bool(source[1]) and to[0] != source[0] + source[1]
            cost = board.cost(before, block, taken=taken)
            price = prices[source, to] = (cost.cycles, cost.reasons, len(block))
        cycles, by_reason, count = price
        total += cycles * edge.runs
        instructions += count * edge.runs
        operators[edge.operator] += cycles * edge.runs
        for index, share in enumerate(by_reason):
            if share:
                reasons[index] += share * edge.runs
        branches.saw(edge)
    named = dict(zip(REASONS, reasons, strict=True))
    wrong = branches.mispredicted(program, core)
    for operator, cycles_lost in wrong.items():
        operators[operator] += cycles_lost
    lost = sum(wrong.values())
    if "mispredicted" in core.branch:
        named[MISPREDICTED] = lost
    return CoreCycles(total + lost, instructions, named, dict(sorted(operators.items())))


def mispredicted(program: Program, edges: Iterable[CountedEdge], core: CoreTiming) -> dict[int, float]:
    """Cycles lost to wrong predictions, by the edges' operators; none for a core that does not predict."""
    branches = _Branches()
    for edge in edges:
        branches.saw(edge)
    return branches.mispredicted(program, core)


class _Branches:
    """Where each block went next, by operator."""

    def __init__(self) -> None:
        self._to: defaultdict[_Block, Counter[int]] = defaultdict(Counter)
        self._in: defaultdict[_Block, Counter[int]] = defaultdict(Counter)

    def saw(self, edge: CountedEdge) -> None:
        if edge.source.size:
            site = (edge.source.address, edge.source.size)
            self._to[site][edge.to.address] += edge.runs
            self._in[site][edge.operator] += edge.runs

    def mispredicted(self, program: Program, core: CoreTiming) -> dict[int, float]:
        """Cycles lost to wrong predictions, by operator; nothing for a core that does not predict."""
        late, early = core.branch.get("mispredicted"), core.branch.get("mispredicted_early_flags")
        if late is None or early is None:
            return {}
        lost: defaultdict[int, float] = defaultdict(float)
        for site, went in self._to.items():
            block = program.block(*site)
            if not block or not block[-1].shape.jumps:
                continue
            runs = sum(went.values())
            wrong = _wrong(block[-1], site, went, runs)
            penalty = (early if _flags_are_early(block) else late).cycles
            for operator, share in self._in[site].items():
                lost[operator] += wrong * penalty * share / runs
        return lost


def _wrong(branch: Instruction, site: _Block, went: Mapping[int, int], runs: int) -> float:
    """How often the branch at the end of a block is expected to be predicted wrong.

    A conditional one each time it goes the rarer way, which is right for loops; on CoreMark, outcome by
    outcome, a two-bit counter (J. E. Smith, "A study of branch prediction strategies", ISCA 1981) is wrong
    1 to 5 % less often. A branch to an address in a register whenever it does not go where it went before,
    were each time independent of the one before.
    """
    if branch.shape.kind == "branch":
        not_taken = went.get(site[0] + site[1], 0)
        return min(not_taken, runs - not_taken)
    if branch.shape.kind == "call":
        return 0.0
    return runs - sum(count * count for count in went.values()) / runs


def _flags_are_early(block: Sequence[Instruction]) -> bool:
    """Whether the flags were set some three cycles, so about five instructions, before the branch."""
    for distance, instruction in enumerate(reversed(block[:-1])):
        if instruction.shape.writes & FLAGS:
            return distance >= _EARLY_FLAGS_INSTRUCTIONS
    return True
