"""Comparisons and histories in words for a terminal, and as plain data. Prints nothing itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from tinybench.compare import Comparison, Verdict
from tinybench.results.history import Series
from tinybench.results.verdict import Effect
from tinybench.units import show

Table = tuple[Sequence[str], list[Sequence[str]]]

_WORTH_A_ROW = ("regressed", "improved", "incomparable", "missing", "new", "within noise")


def table(comparison: Comparison) -> Table:
    """A row for each verdict that says more than `unchanged`, then what failed."""
    head = ("verdict", "case", "metric", "base", "new", "change", "why")
    rows: list[Sequence[str]] = [_row(v) for v in comparison.verdicts if v.word in _WORTH_A_ROW]
    rows += [
        ("failed", str(failed.case), "-", "-", "-", "-", failed.failure.message)
        for failed in comparison.failures
    ]
    return head, rows


def facts(comparison: Comparison) -> dict[str, list[Any]]:
    """The comparison as plain data for JSON."""
    return {
        "sides": [{"base": comparison.base, "new": comparison.new, "heading": comparison.heading}],
        "verdicts": [{**dataclasses.asdict(v), "case": v.case._asdict()} for v in comparison.verdicts],
        "failures": [
            {"case": f.case._asdict(), "run_id": f.run_id, "failure": f.failure.model_dump(mode="json")}
            for f in comparison.failures
        ],
    }


def change(effect: Effect | None) -> str:
    """Effect and interval, always together: `+2.1 % [+1.8 %, +2.4 %]`."""
    if effect is None or effect.change is None:
        return "-"
    if effect.low is None or effect.high is None:
        return _signed(effect.change)
    return f"{_signed(effect.change)} [{_signed(effect.low)}, {_signed(effect.high)}]"


def series_table(series: Iterable[Series]) -> Table:
    """A row for each series: its first and last level, and the last lasting change."""
    head = ("case", "unit", "metric", "kind", "runs", "first", "last", "last change")
    rows: list[Sequence[str]] = []
    for one in series:
        last = one.change_points[-1] if one.change_points else None
        moved = "-"
        if last is not None:
            moved = f"{_signed(last.change) if last.change is not None else '?'} at {last.run_id}"
        rows.append(
            (
                str(one.case),
                one.unit or "-",
                one.metric,
                one.kind,
                str(len(one.medians)),
                show(one.medians[0], one.metric_unit),
                show(one.medians[-1], one.metric_unit),
                moved,
            )
        )
    return head, rows


def series_facts(series: Series) -> dict[str, Any]:
    """One series as plain data for JSON; times in ISO 8601."""
    return {
        **dataclasses.asdict(series),
        "case": series.case._asdict(),
        "started": [moment.isoformat() for moment in series.started],
        "change_points": [
            {**dataclasses.asdict(point), "started": point.started.isoformat()}
            for point in series.change_points
        ],
    }


def _row(verdict: Verdict) -> Sequence[str]:
    base = show(verdict.base.median, verdict.unit) if verdict.base else "-"
    new = show(verdict.new.median, verdict.unit) if verdict.new else "-"
    return (
        verdict.word,
        str(verdict.case),
        verdict.metric,
        base,
        new,
        change(verdict.effect),
        verdict.reason,
    )


def _signed(ratio: float) -> str:
    return f"{'+' if ratio > 0 else ''}{show(ratio, '%')}"
