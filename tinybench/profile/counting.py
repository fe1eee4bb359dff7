"""Views of a counted inference: the places of `places.py`, summed by operator and by function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tinybench.model import macs
from tinybench.profile.places import Place, Spent
from tinybench.profile.profile import BETWEEN, FunctionShare, OperatorShare
from tinybench.profile.roofline import Roof
from tinybench.profile.symbols import Names
from tinybench.workload import Workload


def operator_shares(
    names: Sequence[str],
    workload: Workload,
    spent: Mapping[Place, Spent],
    *,
    timed: bool,
) -> tuple[OperatorShare, ...]:
    """Each operator in order, and last what runs between them."""
    instructions: defaultdict[int, int] = defaultdict(int)
    reasons: defaultdict[int, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for place, cost in spent.items():
        operator = place.operator if 0 <= place.operator < len(names) else -1
        instructions[operator] += cost.runs
        for why, cycles in cost.reasons.items():
            reasons[operator][why] += cycles
    work = macs_of(names, workload)
    return tuple(
        OperatorShare(
            index=index if index >= 0 else None,
            name=names[index] if index >= 0 else BETWEEN,
            macs=work.get(index),
            instructions=instructions[index],
            cycles=sum(reasons[index].values()) if timed else None,
            reasons=dict(reasons[index]),
        )
        for index in (*range(len(names)), -1)
    )


def macs_of(names: Sequence[str], workload: Workload) -> dict[int, int]:
    """Multiply-accumulates by operator, where the engine runs the model's own operators."""
    if len(names) != len(workload.model.operators):
        return {}
    return {operator.index: macs(workload.model, operator) for operator in workload.model.operators}


def under_the_roof(operators: Iterable[OperatorShare], roof: Roof | None) -> tuple[OperatorShare, ...]:
    """The same with multiply-accumulates per cycle."""
    return tuple(
        replace(
            operator,
            macs_per_cycle=operator.macs / operator.cycles,
            of_roof=operator.macs / operator.cycles / roof.macs_per_cycle if roof is not None else None,
        )
        if operator.macs and operator.cycles
        else operator
        for operator in operators
    )


def function_shares(names: Names, spent: Mapping[Place, Spent], *, timed: bool) -> tuple[FunctionShare, ...]:
    """Each function in each operator, the most expensive first."""
    runs: defaultdict[tuple[str, int], int] = defaultdict(int)
    cycles: defaultdict[tuple[str, int], float] = defaultdict(float)
    for place, cost in spent.items():
        key = names.at(place.address), max(place.operator, -1)
        runs[key] += cost.runs
        cycles[key] += cost.cycles
    order = sorted(runs, key=lambda key: (-(cycles[key] if timed else runs[key]), key))
    return tuple(
        FunctionShare(
            name=name,
            operator=operator if operator >= 0 else None,
            instructions=runs[name, operator],
            cycles=cycles[name, operator] if timed else None,
        )
        for name, operator in order
    )
