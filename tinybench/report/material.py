"""What a report is made from: everything a section may look at, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tinybench.compare import Comparison
from tinybench.records import Gap, Run
from tinybench.report.page import Section
from tinybench.report.subjects import Subject, answered, failed, subjects
from tinybench.results.history import Series
from tinybench.results.published import Peers
from tinybench.results.runs import CaseKey, key_of


@dataclass(frozen=True)
class Material:
    """All `runs` that were handed over; the newest of each Case, with numbers (`subjects`) or without.

    `comparison` is of these Runs with `base_runs`; `against` is the engine that others are measured by.
    `published` is what others have published for the same tasks.
    """

    runs: tuple[Run, ...]
    base_runs: tuple[Run, ...]
    subjects: tuple[Subject, ...]
    failures: tuple[Subject, ...]
    gaps: tuple[Gap, ...]
    comparison: Comparison | None = None
    past: tuple[Series, ...] = ()
    against: str | None = None
    published: tuple[Peers, ...] = ()

    def changed(self, subject: Subject) -> bool | None:
        """Whether the subject's case improved or regressed; None where nothing was compared."""
        return None if self.comparison is None else key_of(subject.run.case) in self._changed_cases

    @cached_property
    def _changed_cases(self) -> frozenset[CaseKey]:
        verdicts = self.comparison.of("improved", "regressed") if self.comparison else ()
        return frozenset(verdict.case for verdict in verdicts)


BuildSection = Callable[[Material], Section | None]


def gather(
    runs: Sequence[Run],
    gaps: Sequence[Gap] = (),
    *,
    comparison: Comparison | None = None,
    base_runs: Sequence[Run] = (),
    past: Sequence[Series] = (),
    against: str | None = None,
    published: Sequence[Peers] = (),
) -> Material:
    """The newest Runs of each Case, named, beside everything they came from."""
    return Material(
        runs=tuple(runs),
        base_runs=tuple(base_runs),
        subjects=subjects(answered(runs)),
        failures=subjects(failed(runs), prefix="failure"),
        gaps=tuple(gaps),
        comparison=comparison,
        past=tuple(past),
        against=against,
        published=tuple(published),
    )
