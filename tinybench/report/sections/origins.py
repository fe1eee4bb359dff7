"""Provenance old and new: what was not the same when the two sides were made, whatever the verdicts say."""

from __future__ import annotations

from tinybench.records import Run
from tinybench.report.material import Material
from tinybench.report.page import Cell, Column, Paragraph, Row, Section, Table
from tinybench.report.sections.provenance import FIELDS
from tinybench.results.runs import key_of

# Different for any two Runs, or a consequence of the rest.
ALWAYS_DIFFERENT = frozenset({"Run", "Started", "Host time to simulate one inference"})


def build(material: Material) -> Section | None:
    """One row for each field and pair of values, with the cases in which it differs."""
    pairs = pairs_of(material)
    if material.comparison is None or not pairs:
        return None
    differing: dict[tuple[str, str, str], list[str]] = {}
    for base, new in pairs:
        for name, tell in FIELDS.items():
            if name not in ALWAYS_DIFFERENT and tell(base) != tell(new):
                differing.setdefault((name, tell(base), tell(new)), []).append(str(key_of(new.case)))
    if not differing:
        sentence = "Compiler, flags, engine, model, device and host are the same on both sides."
        return Section("origins", "Made alike?", (Paragraph(sentence),))
    table = Table(
        id="origins-table",
        caption="What differs in how the two sides were made",
        columns=(Column("What"), Column("Base"), Column("New"), Column("In")),
        rows=tuple(
            Row(
                (Cell(name), Cell(base or "none"), Cell(new or "none"), Cell(_where(cases, len(pairs)))),
                changed=True,
            )
            for (name, base, new), cases in differing.items()
        ),
    )
    return Section("origins", "Made alike?", (table,))


def _where(cases: list[str], of: int, most: int = 3) -> str:
    if len(cases) == of:
        return "every case"
    return (
        ", ".join(cases) if len(cases) <= most else f"{', '.join(cases[:most])} and {len(cases) - most} more"
    )


def pairs_of(material: Material) -> tuple[tuple[Run, Run], ...]:
    """The Runs that were compared, base and new; a baseline's Run may no longer be at hand."""
    if material.comparison is None:
        return ()
    known = {run.run_id: run for run in (*material.base_runs, *material.runs)}
    ids = dict.fromkeys((v.base_run, v.new_run) for v in material.comparison.verdicts)
    return tuple(
        (known[base], known[new]) for base, new in ids if base in known and new in known and base and new
    )
