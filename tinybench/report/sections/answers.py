"""The first table: what every case needs, with kinds and worlds kept apart."""

from __future__ import annotations

from collections.abc import Sequence

from tinybench.records import METRICS, Kind, Measurement
from tinybench.report.material import Material
from tinybench.report.page import Cell, Column, Paragraph, Row, Section, Table
from tinybench.report.quantities import cell, kind_badge
from tinybench.report.subjects import Subject

# What decides between two cases; where memory goes and how large the model is come further down.
DECIDING = ("latency", "energy", "accuracy", "cycles", "instructions", "flash", "ram_peak")
SUBJECT_COLUMNS = (Column("Workload"), Column("Engine"), Column("Device"))


def build(material: Material) -> Section | None:
    """One table for boards and one for virtual boards: what was simulated is never ranked with hardware."""
    if not material.subjects:
        return None
    boards = [subject for subject in material.subjects if not subject.simulated]
    virtual = [subject for subject in material.subjects if subject.simulated]
    blocks: list[Table | Paragraph] = []
    if boards:
        blocks.append(_table("answers-boards", "On boards", boards, material))
    if virtual:
        blocks.append(
            _table("answers-virtual", "On virtual boards: exact counts, not times", virtual, material)
        )
    return Section("answers", "What each case needs", tuple(blocks))


def _table(table_id: str, caption: str, subjects: Sequence[Subject], material: Material) -> Table:
    present = metric_kinds(subjects, DECIDING)
    return Table(
        id=table_id,
        caption=caption,
        columns=(*SUBJECT_COLUMNS, *(metric_column(metric, kind) for metric, kind in present)),
        rows=tuple(
            Row(
                (*names(subject), *(cell(of_kind(subject, metric, kind)) for metric, kind in present)),
                changed=material.changed(subject),
            )
            for subject in subjects
        ),
    )


def metric_kinds(subjects: Sequence[Subject], metrics: Sequence[str]) -> tuple[tuple[str, Kind], ...]:
    """Every (metric, kind) that occurs: a column holds one kind of number, so that sorting mixes none."""
    kinds: tuple[Kind, ...] = ("measured", "counted", "estimated")
    found = {(m.metric, m.kind) for subject in subjects for m in subject.run.measurements}
    return tuple((metric, kind) for metric in metrics for kind in kinds if (metric, kind) in found)


def metric_column(metric: str, kind: Kind) -> Column:
    """The column of one metric and kind."""
    return Column(METRICS[metric].title, unit=METRICS[metric].unit, badge=kind_badge(kind))


def of_kind(subject: Subject, metric: str, kind: Kind) -> Measurement | None:
    """The subject's measurement of this metric and kind; a Run may hold a measured and an estimated one."""
    wanted = (m for m in subject.run.measurements if m.metric == metric and m.kind == kind)
    return next(wanted, None)


def names(subject: Subject, *, link: bool = True) -> tuple[Cell, Cell, Cell]:
    """The three cells that name a subject; the first leads to its details."""
    return (
        Cell(
            subject.workload,
            note="synthetic weights" if subject.synthetic else "",
            link=subject.id if link else "",
        ),
        Cell(subject.engine),
        Cell(subject.device),
    )
