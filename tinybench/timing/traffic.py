"""What a program asks of its memories, counted: the whole of what a memory model may know of it.

A memory model is a function of this value and of a chip's settings, and gives stall cycles beyond a memory
without wait states (`memory.py`). Instruction fetches follow exactly from the executed edges. Data accesses
follow from them in number and width; where they go is known for literals (beside the code) and for the stack,
and for everything else from `Touch`es, that is from what a pass that sees addresses has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from tinybench.timing.program import Instruction, Program

AccessKind = Literal["load", "store", "literal"]
RegionAt = Callable[[int], str]
"""The name of the memory at an address, as the chip's memory model calls it; `?` where there is none."""

UNKNOWN = "?"
STACK = "stack"
Shape = tuple[AccessKind, str, int, int, int | None]
_ROUNDING = 1e-9


class CountedBlock(Protocol):
    """A run of code that was executed from its first instruction to its last (bytes)."""

    @property
    def address(self) -> int:
        """Of the first instruction."""

    @property
    def size(self) -> int:
        """In bytes; 0 for what came before the first block."""


class CountedEdge(Protocol):
    """How often one block ran right after another, as `device_adapters.virtual.profile.Edge` counts it."""

    @property
    def operator(self) -> int:
        """Index of the model's operator; negative outside of one."""

    @property
    def source(self) -> CountedBlock:
        """The block before."""

    @property
    def to(self) -> CountedBlock:
        """The block that ran."""

    @property
    def runs(self) -> int:
        """How often."""


class Touch(NamedTuple):
    """Where one load or store went: `share` of its executions went to `region`.

    `stride_bytes` is the distance from the same instruction's access before, where one distance dominates,
    else None. A site's shares sum to at most 1; the rest is unknown.
    """

    site: int
    region: str
    share: float
    stride_bytes: int | None


class LineMove(NamedTuple):
    """Fetching went from one line of code to another, `runs` times. Lines are numbered address // line bytes.

    `taken`: by a branch that was taken, or to where nothing is known of the way (then `source` is -1), rather
    than by running on. A branch back into its own line is a move from the line to itself.
    """

    source: int
    to: int
    taken: bool
    runs: int


class DataAccess(NamedTuple):
    """Loads or stores of one shape: `runs` instructions that each move `words` times `width_bytes`.

    `stride_bytes` as in Touch; `words` is more than 1 for LDM, STM, LDRD, PUSH, VLDM.
    """

    kind: AccessKind
    region: str
    width_bytes: int
    words: int
    stride_bytes: int | None
    runs: float


@dataclass(frozen=True)
class Traffic:
    """Everything counted for one inference. `line_bytes`: the grain in which instruction fetches are counted.

    Choose the chip's fetch width (64-bit, 128-bit flash words) or its cache line; from moves between small
    lines those between larger ones follow (`coarser`).
    """

    line_bytes: int
    instructions: int
    moves: tuple[LineMove, ...]
    data: tuple[DataAccess, ...]

    def sequential_fetches(self, region: str, region_at: RegionAt) -> int:
        """Lines entered by running on, in a region."""
        return sum(m.runs for m in self.moves if not m.taken and region_at(m.to * self.line_bytes) == region)

    def taken_fetches(self, region: str, region_at: RegionAt) -> int:
        """Lines entered by a taken branch, in a region, branches within one line included."""
        return sum(m.runs for m in self.moves if m.taken and region_at(m.to * self.line_bytes) == region)

    def lines(self) -> dict[int, int]:
        """How often each line was entered from another line (or from nowhere known)."""
        entered: Counter[int] = Counter()
        for move in self.moves:
            if move.source != move.to:
                entered[move.to] += move.runs
        return dict(entered)

    def accesses(self, kind: AccessKind, region: str) -> float:
        """Words moved by accesses of a kind, in a region."""
        return sum(a.runs * a.words for a in self.data if a.kind == kind and a.region == region)

    def coarser(self, line_bytes: int) -> Traffic:
        """The same traffic counted in larger lines, a multiple of these."""
        if line_bytes % self.line_bytes:
            raise ValueError(f"lines of `{line_bytes}` bytes are no multiple of `{self.line_bytes}`")
        factor = line_bytes // self.line_bytes
        runs: Counter[tuple[int, int, bool]] = Counter()
        for move in self.moves:
            source = move.source // factor if move.source >= 0 else -1
            to = move.to // factor
            if source != to or move.taken:
                runs[source, to, move.taken] += move.runs
        moves = tuple(LineMove(*key, count) for key, count in sorted(runs.items()))
        return Traffic(line_bytes, self.instructions, moves, self.data)


def count_traffic(
    program: Program,
    edges: Iterable[CountedEdge],
    *,
    line_bytes: int,
    region_at: RegionAt,
    touches: Sequence[Touch] = (),
) -> Traffic:
    """Count what the executed edges ask of memory.

    Accesses through the stack pointer are of region `stack` (the model knows where that is), literals of the
    region that their address lies in, others what `touches` say and else `?`.
    """
    moves: Counter[tuple[int, int, bool]] = Counter()
    runs_of_block: Counter[tuple[int, int]] = Counter()
    for edge in edges:
        to = edge.to
        source = edge.source
        runs_of_block[to.address, to.size] += edge.runs
        first = to.address // line_bytes
        end = source.address + source.size
        last = (end - 2) // line_bytes if source.size else -1
        taken = source.size == 0 or to.address != end
        if taken or first != last:
            moves[last, first, taken] += edge.runs
        for line in range(first, (to.address + max(to.size, 2) - 2) // line_bytes):
            moves[line, line + 1, False] += edge.runs
    seen: dict[int, list[Touch]] = {}
    for touch in touches:
        seen.setdefault(touch.site, []).append(touch)
    data: dict[Shape, float] = {}
    instructions = 0
    for (address, size), runs in runs_of_block.items():
        block = program.block(address, size)
        instructions += len(block) * runs
        for instruction in block:
            if instruction.access_bytes:
                _count_access(instruction, runs, region_at, seen, data)
    return Traffic(
        line_bytes=line_bytes,
        instructions=instructions,
        moves=tuple(LineMove(*key, count) for key, count in sorted(moves.items())),
        data=tuple(
            DataAccess(*shape, count)
            for shape, count in sorted(data.items(), key=lambda item: (str(item[0]), item[1]))
        ),
    )


def _count_access(
    instruction: Instruction,
    runs: int,
    region_at: RegionAt,
    seen: Mapping[int, Sequence[Touch]],
    data: dict[Shape, float],
) -> None:
    def add(kind: AccessKind, region: str, stride_bytes: int | None, count: float) -> None:
        shape = (kind, region, instruction.access_bytes, instruction.transfers, stride_bytes)
        data[shape] = data.get(shape, 0) + count

    if instruction.literal is not None:
        add("literal", region_at(instruction.literal), 0, runs)
        return
    kind: AccessKind = "store" if instruction.stores else "load"
    touches = seen.get(instruction.address, ())
    for touch in touches:
        add(kind, touch.region, touch.stride_bytes, touch.share * runs)
    left = 1.0 - sum(touch.share for touch in touches)
    if left > _ROUNDING:
        add(kind, STACK if instruction.on_stack else UNKNOWN, None, left * runs)
