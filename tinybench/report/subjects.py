"""Which Runs a report speaks of, and under which names: the newest answer to each Case, each told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from tinybench.records import Run
from tinybench.units import show

CUT = "cut"  # an option of the Case that is about its model


@dataclass(frozen=True)
class Subject:
    """A Run with the names it goes by in this report, no longer than it takes to tell it from the others."""

    run: Run
    id: str
    workload: str
    engine: str
    device: str

    @property
    def label(self) -> str:
        """All three names on one line."""
        return f"{self.workload} · {self.engine} · {self.device}"

    @property
    def simulated(self) -> bool:
        """Whether the Run happened on a virtual board."""
        return self.run.conditions.simulated

    @property
    def synthetic(self) -> bool:
        """Whether the model's weights were drawn rather than trained."""
        return self.run.provenance.weights == "synthetic"


def case_key(run: Run) -> Hashable:
    """Runs with equal keys answer the same question under the same conditions, on the same unit."""
    case, conditions = run.case, run.conditions
    return (
        (case.workload, case.model_sha256, case.inputs_sha256, case.engine, case.target),
        tuple(sorted(case.options.items())),
        tuple(conditions.model_dump().values()),
        (run.provenance.adapter, run.provenance.unit),
    )


def by_case(runs: Iterable[Run]) -> dict[Hashable, tuple[Run, ...]]:
    """The Runs of each Case, oldest first; cases in order of first appearance."""
    grouped: dict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[case_key(run)].append(run)
    return {
        key: tuple(sorted(group, key=lambda run: (run.provenance.started, run.run_id)))
        for key, group in grouped.items()
    }


def answered(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The newest Run with numbers of each Case."""
    newest = (
        next((run for run in reversed(group) if run.failure is None), None)
        for group in by_case(runs).values()
    )
    return tuple(run for run in newest if run is not None)


def failed(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The newest Run of each Case, where it failed."""
    return tuple(group[-1] for group in by_case(runs).values() if group[-1].failure is not None)


def subjects(runs: Sequence[Run], prefix: str = "case") -> tuple[Subject, ...]:
    """The Runs by workload, device and engine, named; digests, options and units only where needed."""
    ordered = sorted(
        runs, key=lambda run: (run.case.workload, run.case.target, run.case.engine, run.provenance.started)
    )
    models = _distinct((_workload(run), run.case.model_sha256) for run in ordered)
    options = _distinct((run.case.engine, str(_engine_options(run))) for run in ordered)
    places = {
        target: _telling([_place(run) for run in ordered if run.case.target == target])
        for target in {run.case.target for run in ordered}
    }
    named = []
    for number, run in enumerate(ordered, start=1):
        workload, engine, device = _workload(run), run.case.engine, run.case.target
        if models[workload] > 1:
            workload += f" @{run.case.model_sha256[:8]}"
        if options[engine] > 1:
            engine += "".join(f" {name}={value}" for name, value in _engine_options(run))
        if telling := [part for part, tells in zip(_place(run), places[device], strict=True) if tells]:
            device += f" ({', '.join(telling)})"
        named.append(Subject(run, f"{prefix}-{number}", workload, engine, device))
    return tuple(named)


def _workload(run: Run) -> str:
    """A cut model is another workload: all engines of a comparison run it."""
    return run.case.workload + (" without SOFTMAX" if run.case.options.get(CUT) == "softmax" else "")


def _engine_options(run: Run) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in run.case.options.items() if name != CUT)


def _place(run: Run) -> tuple[str, ...]:
    """What may tell two devices of one target apart."""
    conditions = run.conditions
    return (
        run.provenance.unit or ("virtual" if conditions.simulated else run.provenance.adapter),
        show(conditions.clock_hz, "Hz", 6) if conditions.clock_hz else "clock unknown",
        f"caches {conditions.caches}",
        f"arena in {conditions.arena_region}",
        f"weights in {conditions.weights_region}",
        f"{conditions.supply_mv} mV",
    )


def _telling(places: Sequence[tuple[str, ...]]) -> tuple[bool, ...]:
    """Which parts differ between these places."""
    return tuple(len(set(parts)) > 1 for parts in zip(*places, strict=True))


def _distinct(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    seen: dict[str, set[str]] = defaultdict(set)
    for name, variant in pairs:
        seen[name].add(variant)
    return {name: len(variants) for name, variants in seen.items()}
