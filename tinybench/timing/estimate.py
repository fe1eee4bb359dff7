"""An estimate: the core's cycles, what it waits for memory, and the name of the models that said so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tinybench.target import CountedEdge
from tinybench.timing.core import CoreTiming
from tinybench.timing.memory import ChipMemory, MemorySettings, Served, Stalls, stalls, with_leads
from tinybench.timing.operators import by_operator
from tinybench.timing.pipeline import CoreCycles, core_cycles
from tinybench.timing.program import Program

NO_WAITS = "no wait states"


@dataclass(frozen=True)
class Waits:
    """How a chip's memories served the counted inference, and what is set on that board."""

    chip: ChipMemory
    settings: MemorySettings
    served: Served


@dataclass(frozen=True)
class Estimate:
    """Estimated cycles of what was counted. `stalls` is None where every memory is as fast as the core.

    `operators`: the same by the model's operators (negative: between them); not scaled.
    """

    core: CoreCycles
    stalls: Stalls | None
    models: Models
    operators: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    scale: float = 1.0

    @property
    def cycles(self) -> float:
        """The core's and those it waits for memory."""
        return sum(self.reasons.values())

    @property
    def reasons(self) -> dict[str, float]:
        """The same by what the cycles pass for: `scoreboard.REASONS`, `mispredicted`, and the memories."""
        found = {reason: cycles * self.scale for reason, cycles in self.core.reasons.items()}
        if self.stalls is not None:
            found |= {f"{memory} {cause}": cycles for (memory, cause), cycles in self.stalls.by_cause.items()}
        return {reason: cycles for reason, cycles in found.items() if cycles}

    def scaled(self, factor: float) -> Estimate:
        """The same if the core's part stands for `factor` times as many instructions as were priced."""
        return replace(self, scale=self.scale * factor)


@dataclass(frozen=True)
class Models:
    """The core model and the memory model of an estimate: together its class, whose error is validated."""

    core: str
    core_version: int
    chip: str | None
    chip_version: int | None

    @classmethod
    def of(cls, core: CoreTiming, chip: ChipMemory | None) -> Models:
        """Of these two models."""
        return cls(core.name, core.version, chip.name if chip else None, chip.version if chip else None)

    @property
    def name(self) -> str:
        """`cortex-m4 + stm32l4plus`: what errors are kept for."""
        return f"{self.core} + {self.chip or NO_WAITS}"

    @property
    def versions(self) -> str:
        """The same with the versions of the constants."""
        memory = f"{self.chip} {self.chip_version}" if self.chip else NO_WAITS
        return f"{self.core} {self.core_version} + {memory}"


def elsewhere(program: Program, edges: Iterable[CountedEdge], loads: Mapping[int, int]) -> frozenset[int]:
    """The instructions that go to the observed memories (flash) in most of their executions."""
    runs: Counter[int] = Counter()
    for edge in edges:
        for instruction in program.block(edge.to.address, edge.to.size):
            if instruction.address in loads:
                runs[instruction.address] += edge.runs * max(1, instruction.transfers)
    return frozenset(address for address, count in runs.items() if 2 * loads[address] > count)


def estimate(
    program: Program,
    edges: Iterable[CountedEdge],
    core: CoreTiming,
    waits: Waits | None = None,
    apart: Iterable[int] | None = None,
) -> Estimate:
    """Estimate what the counted edges cost, behind these memories (None: none is slower than the core).

    `apart`: the loads that go to flash, where that is known already.
    """
    edges = tuple(edges)
    if waits is None:
        alone = core_cycles(program, edges, core)
        return Estimate(alone, None, Models.of(core, None), alone.operators)
    served = waits.served
    if apart is None:
        apart = elsewhere(program, edges, served.loads)
    cycles = core_cycles(program, edges, core, frozenset(apart))
    if not served.leads:
        blocks = {(edge.to.address, edge.to.size) for edge in edges}
        served = with_leads(
            served, waits.chip, (i.address for block in blocks for i in program.block(*block))
        )
    waiting = stalls(
        served,
        waits.chip,
        waits.settings,
        cycles_per_instruction=cycles.cycles / max(1, cycles.instructions),
    )
    shared = by_operator(cycles, waiting, served=served, chip=waits.chip, program=program, edges=edges)
    return Estimate(cycles, waiting, Models.of(core, waits.chip), MappingProxyType(shared))
