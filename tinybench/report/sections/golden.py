"""Were the answers right? Every golden input, and who judged it."""

from __future__ import annotations

from tinybench.report.material import Material
from tinybench.report.page import Badge, Cell, Column, Paragraph, Row, Section, Table
from tinybench.report.sections.answers import SUBJECT_COLUMNS, names
from tinybench.report.subjects import Subject


def build(material: Material) -> Section | None:
    """Failed runs are here too: a wrong answer is the first thing to know."""
    checked = [subject for subject in (*material.subjects, *material.failures) if subject.run.golden]
    if not checked:
        return None
    return Section(
        "golden",
        "Are the answers right?",
        (
            Paragraph(
                "Before anything is counted or timed, the golden inputs are run and the bytes of the output "
                "compared with the judge's. A wrong answer gets no numbers."
            ),
            Table(
                id="golden-table",
                caption="Golden check",
                columns=(*SUBJECT_COLUMNS, Column("Inputs"), Column("Judged by"), Column("Answer")),
                rows=tuple(_row(subject, link=subject.run.failure is None) for subject in checked),
            ),
        ),
    )


def _row(subject: Subject, *, link: bool) -> Row:
    golden = subject.run.golden
    differing = [check for check in golden if not check.equal]
    if not differing:
        answer = Cell("", badge=Badge("equal", "verdict", "good"))
    else:
        worst = max(check.largest_difference for check in differing)
        off = f"{', '.join(check.input for check in differing)}: off by up to {worst}"
        passed = subject.run.failure is None
        badge = Badge("close", "verdict") if passed else Badge("wrong", "verdict", "bad")
        same = "; the best class is the judge's" if all(check.top1 for check in differing) else ""
        answer = Cell("", badge=badge, note=off + same)
    return Row(
        (
            *names(subject, link=link),
            Cell(", ".join(check.input for check in golden)),
            Cell(subject.run.provenance.oracle),
            answer,
        )
    )
