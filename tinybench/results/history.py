"""The past of each Case on each board: how noisy it is, and where it changed for good."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tinybench.compare import Answer, NoiseOf, Side
from tinybench.errors import SetupError
from tinybench.records import METRICS
from tinybench.results.runs import CaseKey, Entry, Runs, question_digest
from tinybench.results.verdict import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 31  # Runs looked back for the noise: a month of nights
SHORTEST = 11  # Runs before a case's own noise is believed: ten steps, of which one may be a real change
QUANTILE = 0.9  # of the steps between neighbouring Runs: real changes are rarer than one in ten
WIDER = 1.8  # from that quantile to three standard deviations of normal noise (3 / 1.645)
LEAST_NOISE = 0.001
FEWEST_POINTS = 8  # below, a line of medians has no shape
LEAST_STEP = 0.002  # a change point below 0.2 % is of no use to anyone


@dataclass(frozen=True)
class ChangePoint:
    """The first Run after a lasting change, with the level (median of medians) before and after."""

    position: int
    run_id: str
    started: datetime
    before: float
    after: float

    @property
    def change(self) -> float | None:
        """The relative change of the level; None from a level of zero."""
        return (self.after - self.before) / abs(self.before) if self.before else None


@dataclass(frozen=True)
class Series:
    """One metric of one Case on one board unit under equal conditions, oldest first, in the metric's unit."""

    case: CaseKey
    unit: str | None
    metric: str
    metric_unit: str
    kind: str
    started: tuple[datetime, ...]
    run_ids: tuple[str, ...]
    medians: tuple[float, ...]
    change_points: tuple[ChangePoint, ...] = ()


def history(runs: Runs, *, metrics: Sequence[str] | None = None, change_points: bool = True) -> list[Series]:
    """Every series in the store, of the named metrics or of all, ordered by Case, board unit and metric.

    Runs whose conditions or digests differ are in different series of the same Case. What was rehearsed on a
    virtual board has no history.

    Raises:
        SetupError: change points are wanted and ruptures (the extra `history`) is missing.
    """
    if change_points and not has_ruptures():
        raise SetupError(
            "change points need the package ruptures", hint="pip install 'tinybench-mcu[history]'"
        )
    found = []
    for (key, unit, metric, metric_unit, kind), members, medians in _grouped(runs, metrics):
        entries = [runs.entries[position] for position in members]
        found.append(
            Series(
                case=key,
                unit=unit,
                metric=metric,
                metric_unit=metric_unit,
                kind=kind,
                started=tuple(entry.started for entry in entries),
                run_ids=tuple(entry.run_id for entry in entries),
                medians=tuple(float(median) for median in medians),
                change_points=tuple(_change_points(entries, medians)) if change_points else (),
            )
        )
    return sorted(found, key=lambda series: (series.case, series.unit or "", _rank(series.metric)))


def has_ruptures() -> bool:
    """Whether change points can be found here."""
    return importlib.util.find_spec("ruptures") is not None


def _rank(metric: str) -> tuple[int, str]:
    known = list(METRICS)
    return (known.index(metric) if metric in known else len(known), metric)


Group = tuple[CaseKey, str | None, str, str, str]


def _grouped(runs: Runs, metrics: Sequence[str] | None) -> Iterator[tuple[Group, NDArray[Any], NDArray[Any]]]:
    """Positions and medians of the Runs of each series, oldest first."""
    import numpy as np

    columns = runs.source.columns(runs.entries)
    columns = columns.picked(columns.kind != "rehearsed")
    if metrics is not None:
        columns = columns.picked(np.isin(columns.metric.astype(str), list(metrics)))
    medians = columns.medians()
    numbers: dict[tuple[str, str | None], int] = {}
    questions = np.array(
        [numbers.setdefault((entry.question, entry.unit), len(numbers)) for entry in runs.entries],
        dtype=np.int64,
    )
    names: dict[tuple[str, str, str], int] = {}
    kinds = np.array(
        [
            names.setdefault(name, len(names))
            for name in zip(columns.metric, columns.unit, columns.kind, strict=True)
        ],
        dtype=np.int64,
    )
    group = questions[columns.owner] * max(1, len(names)) + kinds
    order = np.lexsort((columns.owner, group))
    edges = np.flatnonzero(np.diff(group[order])) + 1
    by_number = list(names)
    for chosen in np.split(order, edges):
        if len(chosen) == 0:
            continue
        first = runs.entries[columns.owner[chosen[0]]]
        metric, metric_unit, kind = by_number[kinds[chosen[0]]]
        yield (first.key, first.unit, metric, metric_unit, kind), columns.owner[chosen], medians[chosen]


def _change_points(entries: Sequence[Entry], medians: NDArray[Any]) -> Iterator[ChangePoint]:
    """PELT (Killick, Fearnhead, Eckley 2012) of ruptures on the medians in units of their own noise.

    The penalty is 3 ln n, a little above BIC's; the noise is that of the steps between neighbouring
    Runs, so that a level that changes seldom is not taken for noise.
    """
    import numpy as np

    if len(medians) < FEWEST_POINTS:
        return
    steps = np.abs(np.diff(medians))
    if not steps.any():
        return
    largest = float(np.max(np.abs(medians)))
    noise = max(1.4826 * float(np.median(steps)) / np.sqrt(2), largest * LEAST_STEP / 3)
    from ruptures import KernelCPD  # the linear kernel is the same cost as Pelt(model="l2"), in C

    breaks = (
        KernelCPD(kernel="linear", min_size=2, jump=1)
        .fit(medians / noise)
        .predict(pen=3 * np.log(len(medians)))
    )
    edges = [0, *breaks]
    for start, middle, end in zip(edges, edges[1:], edges[2:], strict=False):
        before, after = float(np.median(medians[start:middle])), float(np.median(medians[middle:end]))
        if abs(after - before) > LEAST_STEP * abs(before):
            yield ChangePoint(middle, entries[middle].run_id, entries[middle].started, before, after)


def learnt_noise(runs: Runs, *sides: Side) -> NoiseOf:
    """How noisy each metric of the sides' Cases is, learnt from the store per board unit.

    What is learnt is the step between neighbouring Runs under equal conditions: what a comparison of two
    Runs sees when nothing changed. The Runs of the sides themselves teach nothing.
    """
    judged = {answer.run_id for side in sides for answer in side.answers}
    wanted = {
        (question_digest(answer.case, answer.conditions), answer.unit)
        for side in sides
        for answer in side.answers
    }
    recent: dict[tuple[str, str | None], list[Entry]] = {}
    for entry in reversed(runs.entries):
        place = (entry.question, entry.unit)
        if place in wanted and entry.failure is None and entry.run_id not in judged:
            kept = recent.setdefault(place, [])
            if len(kept) < LONGEST:
                kept.append(entry)
    entries = sorted(
        (entry for kept in recent.values() for entry in kept), key=lambda entry: (entry.started, entry.run_id)
    )
    past = Runs(tuple(entries), runs.source)
    learnt: dict[tuple[str, str | None, str, str], Noise] = {}
    if entries:
        for (_, unit, metric, _, kind), members, medians in _grouped(past, None):
            noise = noise_of(medians, unit)
            if noise is not None:
                learnt[entries[members[0]].question, unit, metric, kind] = noise

    def noise_for(answer: Answer, metric: str) -> Noise:
        question = question_digest(answer.case, answer.conditions)
        return learnt.get((question, answer.unit, metric, answer.measurements[metric].kind), Noise())

    return noise_for


def noise_of(medians: NDArray[Any], unit: str | None) -> Noise | None:
    """The noise of a line of medians, oldest first; None if it is too short or not above zero."""
    import numpy as np

    if len(medians) < SHORTEST or (medians <= 0).any():
        return None
    steps = np.abs(np.diff(np.log(medians)))
    relative = max(LEAST_NOISE, WIDER * float(np.quantile(steps, QUANTILE, method="lower")))
    where = f"of board {unit}" if unit else "of this Case"
    return Noise(relative, f"learnt from {len(medians)} Runs {where}")
