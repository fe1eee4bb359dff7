"""Which operators a change sits in: base and new side by side, where both ran the same operators."""

from __future__ import annotations

from tinybench.records import Run
from tinybench.report.material import Material
from tinybench.report.page import EMPTY, Cell, Column, Fold, Row, Section, Table
from tinybench.report.quantities import kind_badge
from tinybench.report.sections.cost import spent, spent_in
from tinybench.report.sections.origins import pairs_of
from tinybench.results.runs import key_of
from tinybench.units import show, show_change

MOST_PAIRS = 40


def build(material: Material) -> Section | None:
    """One fold for each pair of Runs whose operators cost differently, the largest change first."""
    pairs = [pair for pair in pairs_of(material) if _moved(*pair)]
    pairs.sort(key=lambda pair: abs(_total(pair[1]) - _total(pair[0])) / (_total(pair[0]) or 1), reverse=True)
    if not pairs:
        return None
    folds = tuple(_fold(number, *pair) for number, pair in enumerate(pairs[:MOST_PAIRS], start=1))
    return Section("operator-changes", "Which operators changed?", folds=folds)


def _moved(base: Run, new: Run) -> bool:
    alike = [(o.index, o.name) for o in base.operators] == [(o.index, o.name) for o in new.operators]
    unit = spent_in(new.operators)
    return alike and any(
        spent(before, unit) is not None
        and spent(after, unit) is not None
        and spent(before, unit) != spent(after, unit)
        for before, after in zip(base.operators, new.operators, strict=True)
    )


def _total(run: Run) -> int:
    return sum(spent(operator, spent_in(run.operators)) or 0 for operator in run.operators)


def _fold(number: int, base: Run, new: Run) -> Fold:
    unit = spent_in(new.operators)
    rows = []
    for before, after in zip(base.operators, new.operators, strict=True):
        old, now = spent(before, unit), spent(after, unit)
        index = Cell(show(after.index, "1"), value=after.index)
        rows.append(
            Row((index, Cell(after.name), _count(old), _count(now), _change(old, now)), changed=old != now)
        )
    table = Table(
        id=f"operator-changes-{number}-table",
        caption=f"{unit.capitalize()} per operator",
        columns=(
            Column("#", unit="1"),
            Column("Operator"),
            Column("Base", unit="1", badge=kind_badge("counted")),
            Column("New", unit="1", badge=kind_badge("counted")),
            Column("Change", unit="%"),
        ),
        rows=tuple(rows),
        foot=(
            Row(
                (
                    Cell("All"),
                    Cell(""),
                    _count(_total(base)),
                    _count(_total(new)),
                    _change(_total(base), _total(new)),
                )
            ),
        ),
    )
    change = _change(_total(base), _total(new)).text
    return Fold(f"operator-changes-{number}", str(key_of(new.case)), change, (table,), opened=number == 1)


def _count(value: int | None) -> Cell:
    return EMPTY if value is None else Cell(show(value, "1"), value=value)


def _change(old: int | None, now: int | None) -> Cell:
    if old is None or now is None:
        return EMPTY
    difference = f"{'+' if now > old else ''}{show(now - old, '1')}" if now != old else ""
    if not old:
        return Cell(difference or "0 %", value=float(now - old))
    return Cell(show_change((now - old) / old), value=(now - old) / old, note=difference)
