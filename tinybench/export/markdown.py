"""Tables for people: GitHub-flavoured Markdown, with whatever came from outside escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tinybench import units
from tinybench.compare import Comparison, FailedCase, Verdict
from tinybench.export.rows import Row, rows_of
from tinybench.records import METRICS, Run
from tinybench.results.runs import Runs, key_of
from tinybench.results.verdict import Effect, Summary, Word

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_LONGEST_TEXT = 300
_SECTIONS: tuple[tuple[str, tuple[Word, ...]], ...] = (
    ("Regressed", ("regressed",)),
    ("Improved", ("improved",)),
    ("Not comparable", ("incomparable",)),
    ("Missing", ("missing",)),
)


def as_markdown(runs: Runs, comparison: Comparison | None = None) -> str:
    """The comparison if there is one, then every number of the Runs."""
    parts = [comparison_markdown(comparison)] if comparison else []
    rows = [_number(row) for row in rows_of(runs, rehearsed=True)]
    if rows:
        header = ("Workload", "Engine", "Target", "Metric", "Median", "n", "Kind")
        parts.append("## Numbers\n\n" + _table(header, rows))
    failed = [(str(key_of(run.case)), run) for run in runs if run.failure]
    if failed:
        parts.append("## Failed\n\n" + _failed_runs(failed))
    return "\n".join(parts) or "No Runs.\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The verdict as heading, then a table per word that asks for attention; the rest is folded away."""
    parts = [f"# {comparison.heading}\n\n{escape(comparison.new)} against {escape(comparison.base)}.\n"]
    for title, words in _SECTIONS:
        verdicts = comparison.of(*words)
        if verdicts:
            parts.append(f"## {title}\n\n{_verdicts(verdicts)}")
    if comparison.failures:
        parts.append(f"## Failed, which says nothing about speed\n\n{_failures(comparison.failures)}")
    rest = comparison.of("within noise", "unchanged", "new")
    if rest:
        summary = f"<details><summary>{len(rest)} unchanged, within noise or new</summary>"
        parts.append(f"{summary}\n\n{_verdicts(rest)}\n</details>\n")
    return "\n".join(parts)


def change_text(effect: Effect | None, unit: str) -> str:
    """`+2 % [+1.6 %, +2.4 %]`, or the difference where the base is zero; empty where nothing was compared."""
    if effect is None:
        return ""
    if effect.change is None:
        return f"{'+' if effect.difference > 0 else '-'}{units.show(abs(effect.difference), unit)}"
    if effect.low is None or effect.high is None:
        return units.show_change(effect.change)
    if effect.low == effect.high:
        return f"{units.show_change(effect.change)} (exact)"
    low, high = units.show_change(effect.low), units.show_change(effect.high)
    return f"{units.show_change(effect.change)} [{low}, {high}]"


def escape(text: str) -> str:
    """Text from outside as plain text in one table cell; long text is cut."""
    line = " ".join(text.split())
    if len(line) > _LONGEST_TEXT:
        line = line[:_LONGEST_TEXT] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return _SPECIAL.sub(r"\\\1", line)


def _verdicts(verdicts: Iterable[Verdict]) -> str:
    header = ("Workload", "Engine", "Target", "Metric", "Verdict", "Change", "Before", "Now", "Kind", "Why")
    rows = [
        (
            *map(escape, verdict.case[:3]),
            _title(verdict.metric),
            verdict.word,
            change_text(verdict.effect, verdict.unit),
            _value(verdict.base, verdict.unit),
            _value(verdict.new, verdict.unit),
            verdict.kind,
            escape("; ".join((verdict.reason, *verdict.notes))),
        )
        for verdict in verdicts
    ]
    return _table(header, rows)


def _number(row: Row) -> tuple[str, ...]:
    measurement = row.measurement
    error = f" ± {units.show(measurement.error, '%')}" if measurement.error is not None else ""
    value = units.show(row.summary.median, measurement.unit)
    kind = measurement.kind + error
    return (*map(escape, row.case[:3]), _title(measurement.metric), value, str(row.summary.n), kind)


def _failures(failures: Iterable[FailedCase]) -> str:
    rows = [
        (escape(str(failed.case)), escape(failed.failure.error), escape(failed.failure.message))
        for failed in failures
    ]
    return _table(("Case", "Error", "What happened"), rows)


def _failed_runs(failed: Iterable[tuple[str, Run]]) -> str:
    rows = [
        (escape(case), escape(run.failure.error), escape(run.failure.message))
        for case, run in failed
        if run.failure
    ]
    return _table(("Case", "Error", "What happened"), rows)


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else escape(metric)


def _value(summary: Summary | None, unit: str) -> str:
    return f"{units.show(summary.median, unit)} (n = {summary.n})" if summary else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
