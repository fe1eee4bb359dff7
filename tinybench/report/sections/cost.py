"""Where one inference spends itself: by operator of the model and by function of the image."""

from __future__ import annotations

from tinybench.records import OperatorCost
from tinybench.report.page import EMPTY, Block, Cell, Column, Row, Table
from tinybench.report.quantities import kind_badge
from tinybench.report.subjects import Subject
from tinybench.units import show, show_rate, show_share

MOST_FUNCTIONS = 20


def of_case(subject: Subject) -> tuple[Block, ...]:
    """Operators in the order of execution, functions by what they cost."""
    blocks: list[Block] = []
    if subject.run.operators:
        blocks.append(_operators(subject))
    if subject.run.functions:
        blocks.append(_functions(subject))
    return tuple(blocks)


def _operators(subject: Subject) -> Table:
    operators = subject.run.operators
    unit = spent_in(operators)
    total = sum(spent(operator, unit) or 0 for operator in operators)
    largest = max((spent(operator, unit) or 0 for operator in operators), default=0)
    columns = [Column("#", unit="1"), Column("Operator"), Column("MACs", unit="1")]
    if total:
        columns += [
            Column(unit.capitalize(), unit="1", badge=kind_badge("counted")),
            Column("Share", unit="%"),
            Column(f"{unit.capitalize()} per MAC", unit="1"),
        ]
    estimated = sum(operator.estimated_cycles or 0 for operator in operators)
    if estimated:
        columns += [
            Column("Cycles", unit="1", badge=kind_badge("estimated", subject.run.measurement("cycles"))),
            Column("MACs per cycle", unit="1"),
        ]
    rows = []
    for operator in operators:
        cells = [_count(operator.index), Cell(operator.name), _count(operator.macs)]
        cost = spent(operator, unit)
        if total and cost is not None:
            share = cost / total
            per_mac = cost / operator.macs if operator.macs else None
            cells += [
                _count(cost),
                Cell(show_share(share), value=share, share=cost / largest),
                EMPTY if per_mac is None else Cell(show_rate(per_mac), value=per_mac),
            ]
        elif total:
            cells += [EMPTY] * 3
        cells += _estimate(operator) if estimated else []
        rows.append(Row(tuple(cells)))
    macs = sum(operator.macs for operator in operators)
    foot = [Cell("All"), Cell(""), _count(macs)]
    if total:
        foot += [_count(total), Cell(""), Cell(show_rate(total / macs)) if macs else EMPTY]
    if estimated:
        foot += [_count(estimated), Cell(show_rate(macs / estimated))]
    return Table(
        id=f"{subject.id}-operators",
        caption="Operators, in the order of execution",
        columns=tuple(columns),
        rows=tuple(rows),
        foot=(Row(tuple(foot)),),
    )


def _estimate(operator: OperatorCost) -> list[Cell]:
    """Estimated cycles, and how many multiply-accumulates each of them does."""
    cycles = operator.estimated_cycles
    if cycles is None:
        return [EMPTY, EMPTY]
    rate = operator.macs / cycles if cycles and operator.macs else None
    return [_count(cycles), EMPTY if rate is None else Cell(show_rate(rate), value=rate)]


def spent_in(operators: tuple[OperatorCost, ...]) -> str:
    """The quantity in which operators are compared: cycles where a device counted them, else instructions."""
    return "cycles" if any(operator.cycles is not None for operator in operators) else "instructions"


def spent(operator: OperatorCost, unit: str) -> int | None:
    """What one inference spends in the operator, in cycles or instructions."""
    return operator.cycles if unit == "cycles" else operator.instructions


def _functions(subject: Subject) -> Table:
    functions = sorted(subject.run.functions, key=lambda f: (-f.instructions, f.name))
    total = sum(function.instructions for function in functions) or 1
    shown, rest = functions[:MOST_FUNCTIONS], functions[MOST_FUNCTIONS:]
    foot = []
    if rest:
        left = sum(function.instructions for function in rest)
        foot.append(Row((Cell(f"{len(rest)} more functions"), _count(left), Cell(show_share(left / total)))))
    return Table(
        id=f"{subject.id}-functions",
        caption="Functions, by the instructions spent in themselves",
        columns=(
            Column("Function"),
            Column("Instructions", unit="1", badge=kind_badge("counted")),
            Column("Share", unit="%"),
        ),
        rows=tuple(
            Row(
                (
                    Cell(f"`{function.name}`"),
                    _count(function.instructions),
                    Cell(
                        show_share(function.instructions / total),
                        value=function.instructions / total,
                        share=function.instructions / functions[0].instructions,
                    ),
                )
            )
            for function in shown
        ),
        foot=tuple(foot),
    )


def _count(value: int) -> Cell:
    return Cell(show(value, "1"), value=value)
