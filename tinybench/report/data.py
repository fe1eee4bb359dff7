"""Runs in, report out: plain values that say everything the page will say. No HTML here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import tinybench
from tinybench.errors import UsageError
from tinybench.records import Gap, Run
from tinybench.report import heading
from tinybench.report.material import BuildSection, Material, gather
from tinybench.report.page import Report
from tinybench.report.sections import answers, cases, failures, golden, memory, provenance

# A section is a function from Material to what it has to say, or None. The page is these, in this order.
SECTIONS: tuple[BuildSection, ...] = (
    answers.build,
    failures.build,
    golden.build,
    memory.build,
    cases.build,
    failures.gaps,
    provenance.build,
)


def build_report(runs: Sequence[Run], *, written: datetime, gaps: Sequence[Gap] = ()) -> Report:
    """The report of the newest Run of each Case; UsageError where there is nothing at all to report."""
    if not runs and not gaps:
        raise UsageError(
            "there are no runs to report",
            hint="tinybench run --suite vww --device nucleo-f746 --simulate",
        )
    return compose(gather(runs, gaps), written)


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
