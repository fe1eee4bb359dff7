"""Which number stands for speed: one metric of one kind that all of a group have; nothing is mixed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tinybench.records import METRICS, Kind, Measurement
from tinybench.report.subjects import Subject

Measure = tuple[str, Kind]

# The first of these that a Run has is what its speed is called; what was measured goes before what was not.
SPEED: tuple[Measure, ...] = (
    ("latency", "measured"),
    ("cycles", "measured"),
    ("cycles", "counted"),
    ("instructions", "counted"),
    ("latency", "estimated"),
)


def of(subject: Subject, measure: Measure) -> Measurement | None:
    """The subject's measurement of this metric and kind."""
    metric, kind = measure
    wanted = (m for m in subject.run.measurements if m.metric == metric and m.kind == kind)
    return next(wanted, None)


def median(subject: Subject, measure: Measure) -> float | None:
    """Its median in the metric's unit."""
    found = of(subject, measure)
    return None if found is None else statistics.median(found.samples)


def shared(subjects: Sequence[Subject], measures: Sequence[Measure] = SPEED) -> Measure | None:
    """The first of `measures` that every one of these subjects has."""
    for measure in measures:
        if subjects and all(of(subject, measure) is not None for subject in subjects):
            return measure
    return None


def words(measure: Measure) -> str:
    """`latency (measured)`: as an axis or a caption names it."""
    metric, kind = measure
    return f"{METRICS[metric].title} ({kind})"
