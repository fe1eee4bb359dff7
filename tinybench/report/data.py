"""Runs in, report out: plain values that say everything the page will say. No HTML here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import tinybench
from tinybench.compare import Comparison
from tinybench.errors import UsageError
from tinybench.records import Gap, Run
from tinybench.report import heading
from tinybench.report.material import BuildSection, Material, gather
from tinybench.report.page import Report
from tinybench.report.sections import (
    answers,
    cases,
    changes,
    failures,
    golden,
    matrix,
    memory,
    operator_changes,
    origins,
    past,
    peers,
    provenance,
    side_by_side,
    tradeoffs,
)
from tinybench.results.history import Series
from tinybench.results.published import Peers

# A section is a function from Material to what it has to say, or None. The page is these, in this order.
SECTIONS: tuple[BuildSection, ...] = (
    changes.build,
    operator_changes.build,
    origins.build,
    answers.build,
    failures.build,
    golden.build,
    matrix.build,
    tradeoffs.build,
    peers.build,
    past.build,
    memory.build,
    side_by_side.build,
    cases.build,
    failures.gaps,
    provenance.build,
)


def build_report(
    runs: Sequence[Run],
    *,
    written: datetime,
    gaps: Sequence[Gap] = (),
    comparison: Comparison | None = None,
    base_runs: Sequence[Run] = (),
    past: Sequence[Series] = (),
    against: str | None = None,
    published: Sequence[Peers] = (),
) -> Report:
    """The report of the newest Run of each Case; UsageError where there is nothing at all to report.

    With a `comparison` the verdict is the heading, and the difference to `base_runs` comes first. `past` is
    the history of the cases, `against` the engine by which others are measured (`reference`, if it ran),
    `published` what others have published for the same tasks.
    """
    if not runs and not gaps and comparison is None:
        raise UsageError(
            "there are no runs to report",
            hint="tinybench run --suite vww --device nucleo-f746 --simulate",
        )
    material = gather(
        runs,
        gaps,
        comparison=comparison,
        base_runs=base_runs,
        past=past,
        against=against,
        published=published,
    )
    return compose(material, written)


def compose(material: Material, written: datetime) -> Report:
    """The page that this material makes."""
    built = (build(material) for build in SECTIONS)
    return Report(
        heading=heading.heading(material),
        standfirst=heading.standfirst(material),
        tone=heading.tone(material),
        sections=tuple(section for section in built if section is not None),
        written=written,
        tinybench=tinybench.__version__,
    )
