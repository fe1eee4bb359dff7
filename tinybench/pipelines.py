"""Two models and a rule: the first runs in every window, the second when the first says so.

A pipeline is never built: its cost in an hour is put together from a Run of each model on the same device,
and from how often each runs by a stated profile of activities. What is not known of both is not said.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import Field, model_validator

from tinybench.errors import UsageError
from tinybench.records import METRICS, Kind, Measurement, Record, Run

HOUR_S = 3600.0
MINUTES = 60.0

# Added up over an hour, as these kinds of number and no other; a rehearsed time is of no board.
_ADDED: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {"latency": ("measured", "estimated"), "energy": ("measured", "estimated"), "instructions": ("counted",)}
)
_SHARED = ("flash", "ram_peak")


class Profile(Record):
    """What somebody does in an hour: minutes of each activity, by the labels of the first model."""

    title: str
    minutes: dict[str, float] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_an_hour(self) -> Profile:
        total = sum(self.minutes.values())
        if min(self.minutes.values()) < 0 or abs(total - MINUTES) > 1e-9:  # noqa: PLR2004 - rounding
            raise ValueError(f"`minutes` are of one hour: they add up to {total:g}")
        return self


class Pipeline(Record):
    """Two workloads, and after which answers of the first the second runs, as in `pipelines/<name>.toml`."""

    name: str
    title: str
    first: str
    second: str
    window_s: float = Field(gt=0, description="from one run of the first model to the next")
    trigger: tuple[str, ...] = Field(min_length=1, description="labels of the first model")
    profile: Profile

    def inferences_per_hour(self) -> tuple[float, float]:
        """Of the first and of the second model, where the first one answers right."""
        windows = HOUR_S / self.window_s
        return windows, windows * sum(
            self.profile.minutes.get(label, 0.0) for label in self.trigger
        ) / MINUTES

    def check_labels(self, labels: Iterable[str]) -> None:
        """UsageError if the rule or the profile names what the first model never answers."""
        unknown = sorted({*self.trigger, *self.profile.minutes} - set(labels))
        if unknown:
            raise UsageError(
                f"pipeline `{self.name}` names `{unknown[0]}`, which `{self.first}` never answers"
            )


class Added(Record):
    """What both models need in an hour, of one metric and kind; `error` is the larger of two estimates'."""

    metric: str
    kind: Kind
    unit: str
    per_hour: float
    error: float | None = None


class Between(Record):
    """Memory of both models in one image: at least what one needs alone, at most what two images need."""

    metric: str
    unit: Literal["B"] = "B"
    at_least: int
    at_most: int


class PerHour(Record):
    """A pipeline's cost in an hour of its profile, and the Runs that it was put together from.

    `longest_window_s`: both models in one window, None where no time is known.
    """

    pipeline: str
    profile: str
    engine: str
    target: str
    device: str
    simulated: bool
    synthetic: bool
    runs: tuple[str, str]
    inferences: tuple[float, float]
    added: tuple[Added, ...]
    memory: tuple[Between, ...]
    longest_window_s: float | None
    window_s: float

    def of(self, metric: str) -> Added | None:
        """What was added up of this metric; None if it is not known of both models."""
        return next((added for added in self.added if added.metric == metric), None)


@dataclass(frozen=True)
class _Place:
    """What two Runs must share before their costs may be added."""

    engine: str
    target: str
    options: tuple[tuple[str, str], ...]
    conditions: str
    device: str

    @classmethod
    def of(cls, run: Run) -> _Place:
        return cls(
            run.case.engine,
            run.case.target,
            tuple(sorted(run.case.options.items())),
            run.conditions.model_dump_json(),
            run.provenance.device,
        )


def per_hour(pipeline: Pipeline, runs: Iterable[Run]) -> tuple[PerHour, ...]:
    """The pipeline on every device and with every engine of which `runs` hold both models; the newest count.

    Raises UsageError naming what to run if there is none.
    """
    newest: dict[str, dict[_Place, Run]] = {pipeline.first: {}, pipeline.second: {}}
    for run in sorted(runs, key=lambda run: run.provenance.started):
        if run.failure is None and run.case.workload in newest:
            newest[run.case.workload][_Place.of(run)] = run
    firsts, seconds = newest[pipeline.first], newest[pipeline.second]
    found = tuple(_together(pipeline, firsts[place], seconds[place]) for place in firsts if place in seconds)
    if not found:
        raise UsageError(
            f"no device has Runs of both `{pipeline.first}` and `{pipeline.second}`",
            hint=f"tinybench run --workload {pipeline.first},{pipeline.second} --device NAME",
        )
    return found


def _together(pipeline: Pipeline, first: Run, second: Run) -> PerHour:
    inferences = pipeline.inferences_per_hour()
    added = (_added(metric, first, second, inferences) for metric in _ADDED)
    times = _alike(first, second, "latency", _ADDED["latency"])
    return PerHour(
        pipeline=pipeline.name,
        profile=pipeline.profile.title,
        engine=first.case.engine,
        target=first.case.target,
        device=first.provenance.device,
        simulated=first.conditions.simulated,
        synthetic="synthetic" in {first.provenance.weights, second.provenance.weights},
        runs=(first.run_id, second.run_id),
        inferences=inferences,
        added=tuple(item for item in added if item is not None),
        memory=tuple(_between(first, second)),
        longest_window_s=sum(statistics.median(m.samples) for m in times) if times else None,
        window_s=pipeline.window_s,
    )


def _added(metric: str, first: Run, second: Run, inferences: tuple[float, float]) -> Added | None:
    pair = _alike(first, second, metric, _ADDED[metric])
    if pair is None:
        return None
    amounts = (
        count * statistics.median(found.samples) for count, found in zip(inferences, pair, strict=True)
    )
    return Added(
        metric=metric,
        kind=pair[0].kind,
        unit=METRICS[metric].unit,
        per_hour=sum(amounts),
        error=max((found.error for found in pair if found.error is not None), default=None),
    )


def _alike(
    first: Run, second: Run, metric: str, kinds: tuple[Kind, ...]
) -> tuple[Measurement, Measurement] | None:
    """The metric of both Runs, of the first kind that both have."""
    for kind in kinds:
        one, other = (
            next((m for m in run.measurements if (m.metric, m.kind) == (metric, kind)), None)
            for run in (first, second)
        )
        if one is not None and other is not None:
            return one, other
    return None


def _between(first: Run, second: Run) -> Iterable[Between]:
    """One image holds both models and one firmware, and one arena serves both, as they never run at once."""
    for metric in _SHARED:
        one, other = first.measurement(metric), second.measurement(metric)
        if one is not None and other is not None:
            alone = (int(one.samples[0]), int(other.samples[0]))
            yield Between(metric=metric, at_least=max(alone), at_most=sum(alone))
