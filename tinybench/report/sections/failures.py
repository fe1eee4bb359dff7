"""What has no numbers, and why; a broken bench is kept apart from a wrong or oversized model."""

from __future__ import annotations

from collections.abc import Sequence

from tinybench.errors import AccuracyTooLow, BuildError, MeasurementError
from tinybench.records import Failure
from tinybench.report.material import Material
from tinybench.report.page import Cell, Column, Row, Section, Table
from tinybench.report.sections.answers import SUBJECT_COLUMNS, names
from tinybench.report.subjects import Subject

# These say something about the model, the engine or the image; every other exit code is the bench's.
SPEAKS_OF_THE_MODEL = frozenset({MeasurementError.exit_code, AccuracyTooLow.exit_code, BuildError.exit_code})
MOST_DETAILS = 8


def of_the_bench(failure: Failure) -> bool:
    """Whether the failure says nothing about the model."""
    return failure.exit_code not in SPEAKS_OF_THE_MODEL


def build(material: Material) -> Section | None:
    """Two tables: what the model is to blame for, and what the bench is."""
    groups = (
        ("failures-model", "No numbers because of the model, the engine or the image", False),
        ("failures-bench", "Failures of the bench: they say nothing about the model", True),
    )
    tables = []
    for table_id, caption, bench in groups:
        chosen = [
            subject
            for subject in material.failures
            if subject.run.failure is not None and of_the_bench(subject.run.failure) is bench
        ]
        if chosen:
            tables.append(_table(table_id, caption, chosen))
    return Section("failures", "What failed", tuple(tables)) if tables else None


def _table(table_id: str, caption: str, chosen: Sequence[Subject]) -> Table:
    return Table(
        id=table_id,
        caption=caption,
        columns=(*SUBJECT_COLUMNS, Column("Error"), Column("What happened"), Column("What to do")),
        rows=tuple(
            Row((*names(subject, link=False), *_told(subject.run.failure)))
            for subject in chosen
            if subject.run.failure is not None
        ),
    )


def _told(failure: Failure) -> tuple[Cell, Cell, Cell]:
    more = len(failure.details) - MOST_DETAILS
    details = [
        *failure.details[:MOST_DETAILS],
        *([f"and {more:,} more lines in the record"] if more > 0 else []),
    ]
    return (
        Cell(failure.error, note=f"exit code {failure.exit_code}"),
        Cell(_clipped(failure.message, 2000), note="\n".join(_clipped(line) for line in details)),
        Cell(_clipped(failure.hint or "")),
    )


def _clipped(line: str, most: int = 300) -> str:
    """One line of a transcript that may be megabytes long."""
    return line if len(line) <= most else f"{line[:most]}… ({len(line):,} characters)"


def gaps(material: Material) -> Section | None:
    """Cases that were asked for and will not be run."""
    if not material.gaps:
        return None
    return Section(
        "gaps",
        "What was not run",
        (
            Table(
                id="gaps-table",
                caption="Gaps, each with its reason",
                columns=(*SUBJECT_COLUMNS, Column("Reason")),
                rows=tuple(
                    Row((Cell(gap.workload), Cell(gap.engine), Cell(gap.target), Cell(gap.reason)))
                    for gap in material.gaps
                ),
            ),
        ),
    )
