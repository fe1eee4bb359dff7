"""The same operators under several engines: where one of them loses its time."""

from __future__ import annotations

from tinybench.report.drawings import Bars, Series
from tinybench.report.material import Material
from tinybench.report.page import EMPTY, Cell, Column, Figure, Fold, Row, Section, Table
from tinybench.report.quantities import kind_badge
from tinybench.report.sections.cost import spent, spent_in
from tinybench.report.subjects import Subject
from tinybench.units import show, show_factor

MOST_GROUPS = 24
MOST_OPENED = 2


def build(material: Material) -> Section | None:
    """One fold for each workload and device on which several engines ran the same operators."""
    groups: dict[tuple[object, ...], list[Subject]] = {}
    for subject in material.subjects:
        if subject.run.operators:
            operators = subject.run.operators
            topology = tuple(operator.name for operator in operators)
            key = (subject.workload, subject.device, subject.simulated, spent_in(operators), topology)
            groups.setdefault(key, []).append(subject)
    several = [group for group in groups.values() if len(group) > 1][:MOST_GROUPS]
    if not several:
        return None
    folds = tuple(
        _fold(f"operators-{number}", group, opened=len(several) <= MOST_OPENED)
        for number, group in enumerate(several, start=1)
    )
    return Section("operators", "Which operators make the difference?", folds=folds)


def _fold(fold_id: str, group: list[Subject], *, opened: bool) -> Fold:
    unit = spent_in(group[0].run.operators)
    names = tuple(f"{operator.index} {operator.name}" for operator in group[0].run.operators)
    costs = [[spent(operator, unit) for operator in subject.run.operators] for subject in group]
    place = f"{group[0].workload} on {group[0].device}"
    figure = Figure(
        id=f"{fold_id}-figure",
        caption=f"{unit.capitalize()} per operator, {place}",
        text="Bars side by side, one for each engine. The table below has every number.",
        drawing=Bars(
            names,
            tuple(
                Series(subject.engine, tuple(values)) for subject, values in zip(group, costs, strict=True)
            ),
            unit="1",
            axis=unit.capitalize(),
            stacked=False,
        ),
    )
    table = Table(
        id=f"{fold_id}-table",
        caption=f"{unit.capitalize()} per operator, and how many times fewer than {group[0].engine}",
        columns=(
            Column("#", unit="1"),
            Column("Operator"),
            *(Column(subject.engine, unit="1", badge=kind_badge("counted")) for subject in group),
        ),
        rows=tuple(
            Row(
                (
                    Cell(str(operator.index), value=operator.index),
                    Cell(operator.name),
                    *(_cell(values[number], costs[0][number]) for values in costs),
                )
            )
            for number, operator in enumerate(group[0].run.operators)
        ),
        foot=(
            Row(
                (
                    Cell("All"),
                    Cell(""),
                    *(_cell(_total(values), _total(costs[0])) for values in costs),
                )
            ),
        ),
    )
    engines = ", ".join(subject.engine for subject in group)
    return Fold(fold_id, place, engines, (figure, table), opened)


def _total(values: list[int | None]) -> int:
    return sum(value or 0 for value in values)


def _cell(value: int | None, reference: int | None) -> Cell:
    if value is None:
        return EMPTY
    note = show_factor(reference / value) if reference and value and reference != value else ""
    return Cell(show(value, "1"), value=value, note=note)
