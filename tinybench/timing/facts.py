"""The counted facts of a validation row, as the repository keeps them: enough to estimate again, no program.

A row's program was built by hand from public sources and is not in the repository. What is kept is what was
counted when it ran: how often which block followed which, and of each block that matters the shapes of its
instructions (class, width, which registers feed which), without operations, immediates or addresses of data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

from pydantic import Field

from tinybench.records import Record
from tinybench.target import CountedEdge
from tinybench.timing.memory import Counts, MemorySettings, Served
from tinybench.timing.program import KINDS, Instruction, Program, Shape

_KEPT = 0.9999
_FLAGS_FROM = 10  # the position in a Shape of the first of its truth values


class Published(Record):
    """What somebody measured: cycles of the counted stretch, where it was published, and of what build."""

    cycles: float = Field(gt=0)
    figure: str
    source: str
    build: str


class Build(Record):
    """The program that was counted: its public source, our compiler and flags, the digest of the ELF file."""

    source: str
    compiler: str
    flags: str
    elf_sha256: str
    stretch: str = Field(description="what one count covers")


class PortCounts(Record):
    """`memory.Counts` of one memory and port, and `memory.Served.leads` of the memory for its code port."""

    memory: str
    port: str
    counts: tuple[int, ...]
    leads: dict[int, int] = Field(default_factory=dict)


class Facts(Record):
    """One row. `blocks`: address and shapes (indices into `shapes`); `edges`: source, to (indices), runs."""

    row: str
    board: str
    engine: str
    task: str
    core: str
    clock_hz: int
    chip: str | None = None
    chip_version: int | None = None
    wait_states: int = 0
    prefetch: bool = False
    role: str = Field(description="`validation`, or why the row does not count")
    published: Published
    build: Build
    instructions: int = Field(description="all of them; what is left out below is under a ten-thousandth")
    shapes: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[int, tuple[int, ...]], ...]
    edges: tuple[tuple[int, int, int], ...]
    elsewhere: tuple[int, ...] = Field(
        default=(), description="addresses of the loads that went to flash while others go to RAM"
    )
    served: tuple[PortCounts, ...] = ()

    @property
    def settings(self) -> MemorySettings:
        """What was set on the board that was measured."""
        return MemorySettings(wait_states=self.wait_states, prefetch=self.prefetch)

    def memory_served(self) -> Served | None:
        """The memory's counts as the memory model takes them."""
        if self.chip is None or self.chip_version is None:
            return None
        return Served(
            chip=self.chip,
            chip_version=self.chip_version,
            caches_off=frozenset(),
            counts={
                (p.memory, "code" if p.port == "code" else "data"): Counts(*p.counts) for p in self.served
            },
            leads={p.memory: MappingProxyType(p.leads) for p in self.served if p.leads},
        )


class _Block(NamedTuple):
    address: int
    size: int


class _Edge(NamedTuple):
    operator: int
    source: _Block
    to: _Block
    runs: int


class Recounted:
    """A row's blocks as a program, and its edges as they were counted."""

    def __init__(self, facts: Facts) -> None:
        shapes = [_shape(numbers) for numbers in facts.shapes]
        self._blocks: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        keys: list[_Block] = []
        for address, indices in facts.blocks:
            made, at = [], address
            for index in indices:
                made.append(Instruction(at, shapes[index]))
                at += shapes[index].size
            keys.append(_Block(address, at - address))
            self._blocks[keys[-1]] = tuple(made)
        nothing = _Block(0, 0)
        self.edges = tuple(
            _Edge(-2, keys[source] if source >= 0 else nothing, keys[to], runs)
            for source, to, runs in facts.edges
        )

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        """The instructions of a block that was kept."""
        return self._blocks.get((address, size), ())


class Tables(NamedTuple):
    """What `Facts` keeps of a program."""

    instructions: int
    shapes: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[int, tuple[int, ...]], ...]
    edges: tuple[tuple[int, int, int], ...]

    def addresses(self) -> frozenset[int]:
        """Of every instruction that is kept."""
        sizes = [shape[1] for shape in self.shapes]
        found = set()
        for address, indices in self.blocks:
            at = address
            for index in indices:
                found.add(at)
                at += sizes[index]
        return frozenset(found)


def tables_of(program: Program, edges: Iterable[CountedEdge]) -> Tables:
    """The edges that make up nearly all instructions, their blocks, and the shapes of those, in order."""
    merged: Counter[tuple[tuple[int, int], tuple[int, int]]] = Counter()
    for edge in edges:
        merged[(edge.source.address, edge.source.size), (edge.to.address, edge.to.size)] += edge.runs
    weights = {pair: runs * len(program.block(*pair[1])) for pair, runs in merged.items()}
    total = sum(weights.values())
    kept, covered = [], 0
    for pair, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        if covered >= _KEPT * total:
            break
        kept.append(pair)
        covered += weight
    named = sorted({block for pair in kept for block in pair if block[1]})
    number = {block: index for index, block in enumerate(named)}
    shapes: dict[tuple[int, ...], int] = {}
    blocks = []
    for block in named:
        indices = [
            shapes.setdefault(_numbers(instruction.shape), len(shapes))
            for instruction in program.block(*block)
        ]
        blocks.append((block[0], tuple(indices)))
    return Tables(
        instructions=total,
        shapes=tuple(shapes),
        blocks=tuple(blocks),
        edges=tuple(sorted((number.get(source, -1), number[to], merged[source, to]) for source, to in kept)),
    )


def ports_of(served: Served) -> tuple[PortCounts, ...]:
    """What `Facts` keeps of the memory's counts."""
    return tuple(
        PortCounts(
            memory=memory,
            port=port,
            counts=tuple(counts),
            leads=dict(served.leads.get(memory, {})) if port == "code" else {},
        )
        for (memory, port), counts in sorted(served.counts.items())
    )


@cache
def rows() -> tuple[Facts, ...]:
    """Every row of the repository, by name."""
    folder = files("tinybench.timing").joinpath("validation")
    return tuple(
        Facts.model_validate_json(path.read_text(encoding="utf-8"))
        for path in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if path.name.endswith(".facts.json")
    )


def kept_text(facts: Facts) -> str:
    """A row as the repository keeps it: one list a line."""
    plain = facts.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).replace("],[", "],\n[") + "\n"


def _numbers(shape: Shape) -> tuple[int, ...]:
    kind, *rest = astuple(shape)
    return (KINDS.index(kind), *(int(value) for value in rest))


def _shape(numbers: Sequence[int]) -> Shape:
    kind, size, reads, writes, addressing, accumulates, stored, early, width, transfers = numbers[
        :_FLAGS_FROM
    ]
    conditional, shifted, register_offset, writeback = map(bool, numbers[_FLAGS_FROM:])
    return Shape(
        KINDS[kind],
        size,
        reads,
        writes,
        addressing,
        accumulates,
        stored,
        early,
        access_bytes=width,
        transfers=transfers,
        conditional=conditional,
        shifted=shifted,
        register_offset=register_offset,
        writeback=writeback,
    )
