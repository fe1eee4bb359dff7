"""Speed, energy, RAM and accuracy against each other: which cases no other beats."""

from __future__ import annotations

from collections.abc import Sequence

from tinybench.records import METRICS
from tinybench.report import speed
from tinybench.report.drawings import Point, Points
from tinybench.report.material import Material
from tinybench.report.page import Badge, Block, Cell, Column, Figure, Fold, Row, Section, Table
from tinybench.report.quantities import cell, kind_badge, lowered
from tinybench.report.subjects import Subject

FEWEST = 3
MOST_WORKLOADS = 8
ENERGY: tuple[speed.Measure, ...] = (("energy", "measured"), ("energy", "estimated"))
RAM: tuple[speed.Measure, ...] = (("ram_peak", "counted"), ("ram_peak", "measured"))
ACCURACY: tuple[speed.Measure, ...] = (("accuracy", "counted"), ("accuracy", "measured"))


def build(material: Material) -> Section | None:
    """For each workload with three cases or more: a scatter and a table, boards and virtual boards apart."""
    groups: dict[tuple[str, bool], list[Subject]] = {}
    for subject in material.subjects:
        groups.setdefault((subject.workload, subject.simulated), []).append(subject)
    folds: list[Fold] = []
    for (workload, simulated), group in groups.items():
        measures = [
            m for m in (speed.shared(group, wanted) for wanted in (speed.SPEED, ENERGY, RAM, ACCURACY)) if m
        ]
        if len(group) < FEWEST or len(measures) < 2 or len(folds) == MOST_WORKLOADS:  # noqa: PLR2004 - two axes
            continue
        place = f"{workload} on {'virtual boards' if simulated else 'boards'}"
        fold_id = f"tradeoffs-{len(folds) + 1}"
        blocks = _of_workload(fold_id, place, group, measures)
        folds.append(Fold(fold_id, place, f"{len(group)} cases", blocks, opened=not folds))
    return Section("tradeoffs", "What is traded for what?", folds=tuple(folds)) if folds else None


def front(subjects: Sequence[Subject], measures: Sequence[speed.Measure]) -> set[str]:
    """The ids of those that no other equals in every measure and beats in one (the Pareto front)."""
    scores = {subject.id: tuple(_cost(subject, measure) for measure in measures) for subject in subjects}
    return {
        one
        for one, score in scores.items()
        if not any(
            other != score and all(theirs <= ours for theirs, ours in zip(other, score, strict=True))
            for other in scores.values()
        )
    }


def _cost(subject: Subject, measure: speed.Measure) -> float:
    value = speed.median(subject, measure) or 0.0
    return -value if METRICS[measure[0]].better == "higher" else value


def _of_workload(
    block_id: str,
    place: str,
    group: list[Subject],
    measures: list[speed.Measure],
) -> tuple[Block, ...]:
    best = front(group, measures)
    ordered = sorted(group, key=lambda subject: (subject.id not in best, _cost(subject, measures[0])))
    table = Table(
        id=f"{block_id}-table",
        caption=f"{place}: cases that no other beats in all of these come first",
        columns=(
            Column("Engine"),
            Column("Device"),
            *(Column(METRICS[m].title, unit=METRICS[m].unit, badge=kind_badge(k)) for m, k in measures),
            Column("On the front"),
        ),
        rows=tuple(
            Row(
                (
                    Cell(subject.engine, link=subject.id),
                    Cell(subject.device),
                    *(cell(speed.of(subject, measure)) for measure in measures),
                    Cell("", badge=Badge("unbeaten", "verdict", "good"))
                    if subject.id in best
                    else Cell("beaten"),
                )
            )
            for subject in ordered
        ),
    )
    figures = [
        _scatter(f"{block_id}-{metric}", place, group, best, (measures[0], (metric, kind)))
        for metric, kind in measures[1:]
        if metric != "accuracy"
    ]
    return (*(figure for figure in figures if figure is not None), table)


def _scatter(
    figure_id: str,
    place: str,
    group: list[Subject],
    best: set[str],
    axes: tuple[speed.Measure, speed.Measure],
) -> Figure | None:
    along, upwards = axes
    points = tuple(
        Point(
            name=subject.device,
            group=subject.engine,
            x=x,
            y=y,
            front=subject.id in best,
        )
        for subject in group
        if (x := speed.median(subject, along) or 0) > 0 and (y := speed.median(subject, upwards) or 0) > 0
    )
    if len({point.x for point in points}) < 2 or len({point.y for point in points}) < 2:  # noqa: PLR2004 - a line
        return None
    return Figure(
        id=figure_id,
        caption=f"{place}: {lowered(speed.words(upwards))} over {lowered(speed.words(along))}; "
        "less is better",
        text="Each point is a case; ringed ones are beaten by no other. The table below has every number.",
        drawing=Points(
            points,
            x_axis=speed.words(along),
            x_unit=METRICS[along[0]].unit,
            y_axis=speed.words(upwards),
            y_unit=METRICS[upwards[0]].unit,
        ),
    )
