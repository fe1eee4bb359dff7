"""What a report is made from: everything a section may look at, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinybench.records import Gap, Run
from tinybench.report.page import Section
from tinybench.report.subjects import Subject, answered, failed, subjects


@dataclass(frozen=True)
class Material:
    """All `runs` that were handed over; the newest of each Case, with numbers (`subjects`) or without."""

    runs: tuple[Run, ...]
    subjects: tuple[Subject, ...]
    failures: tuple[Subject, ...]
    gaps: tuple[Gap, ...]


BuildSection = Callable[[Material], Section | None]


def gather(runs: Sequence[Run], gaps: Sequence[Gap] = ()) -> Material:
    """The newest Runs of each Case, named, beside everything they came from."""
    return Material(
        runs=tuple(runs),
        subjects=subjects(answered(runs)),
        failures=subjects(failed(runs), prefix="failure"),
        gaps=tuple(gaps),
    )
