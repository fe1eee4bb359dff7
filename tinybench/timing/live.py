"""Estimates of what a link runs: watch one inference, and say how many cycles it takes on the real core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinybench.errors import SetupError
from tinybench.records import METRICS, Measurement
from tinybench.target import OUTSIDE, CountsEdges, Target
from tinybench.timing.core import CoreTiming, core_timing, why_not
from tinybench.timing.estimate import Estimate, Waits, estimate
from tinybench.timing.memory import ChipMemory, MemorySettings, ObservesMemory, chip_of, settings_of
from tinybench.timing.program import read_program
from tinybench.timing.validate import error_of


@dataclass(frozen=True)
class Estimated:
    """An estimate as measurements, and how memory served it; or why there is none, as a note."""

    answer: Estimate | None = None
    waits: Waits | None = None
    measurements: tuple[Measurement, ...] = ()
    notes: tuple[str, ...] = ()


def watch(link: object, target: Target) -> Callable[[Path], Estimated]:
    """Watch how the link serves the next inference; call what comes back after it, with the image.

    Counting has to begin at the same time (`reset_profile`). A link that does not count by edge, a core or a
    chip that nobody described give no estimate, and a note that says so.
    """
    if not isinstance(link, CountsEdges):
        return lambda _: Estimated(notes=("no estimate: this simulator does not count by edge",))
    core = core_timing(target.core.name)
    if core is None:
        note = f"no estimate: `{target.core.name}` is not modelled: {why_not(target.core.name)}"
        return lambda _: Estimated(notes=(note,))
    chip = chip_of(target.mcu)
    if chip is None or not isinstance(link, ObservesMemory):
        note = f"no estimate: nobody has described the memories of `{target.mcu}`"
        return lambda _: Estimated(notes=(note,))
    try:
        settings = settings_of(target, chip)
        link.observe_memory(chip, settings)
    except SetupError as error:
        note = f"no estimate: {error}"
        return lambda _: Estimated(notes=(note,))
    return lambda elf: _estimated(link, link, core, chip, settings, target.clock_hz, elf)


def _estimated(  # noqa: PLR0917 - what `watch` found out, once
    counts: CountsEdges,
    memory: ObservesMemory,
    core: CoreTiming,
    chip: ChipMemory,
    settings: MemorySettings,
    clock_hz: int,
    elf: Path,
) -> Estimated:
    waits = Waits(chip, settings, memory.memory_served())
    edges = [edge for edge in counts.edges().edges if edge.operator != OUTSIDE]
    answer = estimate(read_program(elf), edges, core, waits)
    return Estimated(answer, waits, measurements_of(answer, clock_hz))


def measurements_of(answer: Estimate, clock_hz: int) -> tuple[Measurement, ...]:
    """Cycles and latency, of kind estimated, with the models' versions and their class's largest error."""
    validated = error_of(answer.models)
    error = validated.largest if validated is not None else None
    cycles = round(answer.cycles)
    return tuple(
        Measurement(
            metric=metric,
            kind="estimated",
            unit=METRICS[metric].unit,
            samples=(value,),
            estimator=f"tinybench timing: {answer.models.versions}",
            error=error,
        )
        for metric, value in (("cycles", cycles), ("latency", cycles / clock_hz))
    )
