"""What the block hook of a virtual board counts, and how that becomes a profile by function and operator.

There are two hooks with one meaning: `profile_native` (profile.c) and `profile_python` (slow, for a machine
without any C compiler). Both count executions of edges between translated blocks; a block's instructions
are the static count of its code, so that predicated-false instructions count, as they do on silicon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from device_adapters.virtual.symbols import Symbols
from tinybench.target import ExecutionProfile, Invocation

OUTSIDE = -1
BETWEEN_OPERATORS = -2
FOREVER = 2**64 - 1


class Cause(IntEnum):
    """Why the hook stopped the core; the values of profile.c."""

    NONE = 0
    BUDGET = 1
    INTERRUPT = 2
    TRAP = 3
    FULL = 4


class Trait(IntEnum):
    """What a block contains that a core may have to refuse; the bits of profile.c."""

    FPU = 1
    DOUBLE = 2


class Permission(IntEnum):
    """Bits of Unicorn's `uc_prot`."""

    READ = 1
    WRITE = 2
    EXEC = 4


class Access(IntEnum):
    """Values of Unicorn's `uc_mem_type` for a page that is not in the translation buffer."""

    READ = 16
    WRITE = 17
    FETCH = 18


class Block(NamedTuple):
    """A translated block; address and size in bytes. The first of a run has a predecessor of size 0."""

    address: int
    size: int
    instructions: int


class Edge(NamedTuple):
    """How often `to` ran right after `source`, inside an operator, `BETWEEN_OPERATORS` or `OUTSIDE`."""

    operator: int
    source: Block
    to: Block
    runs: int


class Watch(NamedTuple):
    """A function whose every call is measured, and what `Edge.operator` is while it executes.

    `OUTSIDE` as a watch's operator means that its calls change nothing: they are only measured.
    """

    symbol: str
    address: int
    operator: int


class BlockHook(Protocol):
    """The core's view of the hook. Counts are of instructions."""

    kind: str
    stop_at: int
    interrupt: int
    traps: int
    quiet: bool
    cause: int
    refused_kind: int

    @property
    def executed(self) -> int:
        """Instructions since power-on; inside a callback, with all of the running block."""

    @property
    def refused_page(self) -> int:
        """The page of the last access that was refused; `refused_kind` says what it was (`Access`), or 0."""

    @property
    def running(self) -> tuple[int, int]:
        """Address and size of the block that ran last; (0, 0) if that is not known."""

    def attach(self, uc: Any) -> None:
        """Install the hooks on a Unicorn engine."""

    def add_range(self, start: int, end: int, target: int, permissions: int) -> None:
        """Let the core touch [start, end), found at the physical address `target`."""

    def remove_range(self, start: int, permissions: int) -> None:
        """Take back what `add_range` granted with the same start and permissions."""

    def watch(self, watch: Watch) -> None:
        """Measure every call of a function."""

    def account(self, address: int, size: int) -> None:
        """Count instructions that ran outside the hook."""

    def truncate(self, pc: int) -> None:
        """The running block broke off before the instruction at `pc`."""

    def break_chain(self) -> None:
        """What runs next did not come from the running block."""

    def forget(self, start: int, end: int) -> None:
        """The bytes in [start, end) were changed from outside."""

    def restart(self) -> None:
        """The core was reset: no function is being executed. Counts are kept."""

    def reset(self) -> None:
        """Count from zero."""

    def edges(self) -> list[Edge]:
        """What was counted since the last reset, without edges that never ran."""

    def invocations(self) -> list[tuple[int, int]]:
        """(index of the watch, inclusive instructions) of each finished call, in the order of returns."""

    def close(self) -> None:
        """Free what the hook holds; the engine must not run any more."""


@dataclass(frozen=True)
class EdgeProfile:
    """Counts by edge, the raw material of every other view."""

    edges: tuple[Edge, ...]
    invocations: tuple[Invocation, ...]

    def by_function(self, symbols: Symbols) -> ExecutionProfile:
        """The exact profile by function and operator; code without a symbol is `?`."""
        operators: Counter[int] = Counter()
        for edge in self.edges:
            if edge.operator >= 0:
                operators[edge.operator] += edge.to.instructions * edge.runs
        functions = _by_function(self.edges, symbols)
        return ExecutionProfile(
            instructions=sum(functions.values()),
            functions=functions,
            operators=dict(sorted(operators.items())),
            invocations=self.invocations,
            inference=_by_function((edge for edge in self.edges if edge.operator != OUTSIDE), symbols),
        )


def edge_profile(hook: BlockHook, watches: Sequence[Watch]) -> EdgeProfile:
    """Read out a hook; edges in a fixed order, whatever the order in which they were met."""
    return EdgeProfile(
        edges=tuple(sorted(hook.edges())),
        invocations=tuple(Invocation(watches[index].symbol, count) for index, count in hook.invocations()),
    )


def _by_function(edges: Iterable[Edge], symbols: Symbols) -> dict[str, int]:
    """Exclusive instructions of each function, most expensive first.

    A block belongs to the function in which it starts: it ends at a branch or a page, so it leaves its
    function only by running off the function's end.
    """
    blocks: Counter[Block] = Counter()
    for edge in edges:
        blocks[edge.to] += edge.runs
    functions: Counter[str] = Counter()
    for block, count in blocks.items():
        functions[symbols.name_at(block.address)] += block.instructions * count
    return dict(sorted(functions.items(), key=lambda item: (-item[1], item[0])))
