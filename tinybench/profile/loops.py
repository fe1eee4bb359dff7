"""Hot loops: which stretches of code ran again and again, what an iteration costs, and what it waits for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinybench.profile.disassembly import disassembled
from tinybench.profile.places import Place, Spent
from tinybench.profile.symbols import Names
from tinybench.target import CountedEdge
from tinybench.timing.program import ImageProgram


@dataclass(frozen=True)
class Line:
    """One instruction of a loop: executions, and estimated cycles by what they pass for."""

    address: int
    text: str
    runs: int
    reasons: Mapping[str, float]


@dataclass(frozen=True)
class Loop:
    """Code from `start` to `end` that a branch at its end repeats, without the loops inside of it.

    `iterations`: how often its first instruction ran; `operators`: in which of the model's, the most
    expensive first; `instructions`: executed; `reasons`: its estimated cycles.
    """

    function: str
    start: int
    end: int
    operators: tuple[int, ...]
    iterations: int
    instructions: int
    reasons: Mapping[str, float]
    lines: tuple[Line, ...]


def hot_loops(
    edges: Sequence[CountedEdge], spent: Mapping[Place, Spent], names: Names, program: ImageProgram, most: int
) -> tuple[Loop, ...]:
    """At most so many loops, the most expensive first: by cycles where they were estimated."""
    addresses = sorted({place.address for place in spent})
    inside = _innermost(addresses, _stretches(edges, names))
    by_loop: defaultdict[tuple[int, int], list[Place]] = defaultdict(list)
    for place in spent:
        if place.address in inside:
            by_loop[inside[place.address]].append(place)
    timed = any(cost.reasons for cost in spent.values())

    def cost(places: Iterable[Place]) -> float:
        return sum(spent[place].cycles if timed else spent[place].runs for place in places)

    hottest = sorted(by_loop, key=lambda stretch: (-cost(by_loop[stretch]), stretch))[:most]
    return tuple(_loop(stretch, by_loop[stretch], spent, names, program, cost) for stretch in hottest)


def _stretches(edges: Iterable[CountedEdge], names: Names) -> set[tuple[int, int]]:
    """[start, end) of every loop: a block's end that goes back to an address of the same function."""
    return {
        (edge.to.address, edge.source.address + edge.source.size)
        for edge in edges
        if edge.source.size
        and edge.to.address <= edge.source.address
        and names.at(edge.to.address) == names.at(edge.source.address)
    }


def _innermost(addresses: Iterable[int], stretches: Iterable[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """For each address in a loop, the shortest that contains it; loops with one head are one."""
    ends: dict[int, int] = {}
    for start, end in stretches:
        ends[start] = max(end, ends.get(start, 0))
    by_length = sorted(ends.items(), key=lambda stretch: (stretch[1] - stretch[0], stretch))
    found = {}
    for address in addresses:
        stretch = next((s for s in by_length if s[0] <= address < s[1]), None)
        if stretch is not None:
            found[address] = stretch
    return found


def _loop(  # noqa: PLR0917 - what `hot_loops` knows
    stretch: tuple[int, int],
    places: Sequence[Place],
    spent: Mapping[Place, Spent],
    names: Names,
    program: ImageProgram,
    cost: Callable[[Iterable[Place]], float],
) -> Loop:
    runs: Counter[int] = Counter()
    reasons: defaultdict[int, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    total: defaultdict[str, float] = defaultdict(float)
    shares: defaultdict[int, list[Place]] = defaultdict(list)
    for place in places:
        runs[place.address] += spent[place].runs
        for why, cycles in spent[place].reasons.items():
            reasons[place.address][why] += cycles
            total[why] += cycles
        shares[place.operator].append(place)
    texts = disassembled(program, *stretch)
    named = [operator for operator in shares if operator >= 0]
    return Loop(
        function=names.at(stretch[0]),
        start=stretch[0],
        end=stretch[1],
        operators=tuple(sorted(named, key=lambda operator: (-cost(shares[operator]), operator))),
        iterations=runs[stretch[0]],
        instructions=sum(runs.values()),
        reasons=dict(total),
        lines=tuple(
            Line(address, texts.get(address, ""), runs[address], dict(reasons[address]))
            for address in sorted(runs)
        ),
    )
