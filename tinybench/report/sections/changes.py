"""What changed against a baseline: largest first, effect and interval together; and what is incomparable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinybench.compare import Comparison, Verdict
from tinybench.records import METRICS
from tinybench.report.material import Material
from tinybench.report.page import (
    EMPTY,
    Badge,
    Block,
    Cell,
    Column,
    Fold,
    Paragraph,
    Row,
    Section,
    Table,
    Tone,
)
from tinybench.report.quantities import kind_badge, lowered
from tinybench.results.runs import CaseKey
from tinybench.results.verdict import Effect, Summary, Word
from tinybench.units import show, show_change, show_range

TONES: dict[Word, Tone] = {
    "regressed": "bad",
    "improved": "good",
    "incomparable": "unsure",
    "missing": "unsure",
}
MOST_UNCHANGED = 400
CASE_COLUMNS = (Column("Workload"), Column("Engine"), Column("Target"), Column("Metric"))


def build(material: Material) -> Section | None:
    """Four tables: changed, not comparable, on one side only, and the rest."""
    comparison = material.comparison
    if comparison is None:
        return None
    changed = comparison.of("regressed", "improved")
    folds: tuple[Fold, ...] = ()
    blocks: list[Block] = [
        Paragraph(
            f"NEW is `{comparison.new}`, BASE is `{comparison.base}`. Every change stands with its "
            "interval. An exact number has changed if it differs; any other only if its whole interval "
            "clears both zero and the noise of its case."
        )
    ]
    if changed:
        blocks.append(_compared("changes-table", "What changed, largest first", changed))
    if incomparable := comparison.of("incomparable"):
        blocks.append(_reasons("changes-incomparable", "Not comparable, and why", incomparable))
    if one_sided := comparison.of("new", "missing"):
        blocks.append(_reasons("changes-one-sided", "On one side only", one_sided))
    if rest := comparison.of("within noise", "unchanged"):
        rest = tuple(sorted(rest, key=lambda verdict: verdict.word == "unchanged"))
        caption = "Unchanged, or within the noise"
        if len(rest) > MOST_UNCHANGED:
            caption += f": the first {MOST_UNCHANGED} of {len(rest):,}"
        table = _compared("changes-rest", caption, rest[:MOST_UNCHANGED])
        folds = (Fold("changes-unchanged", caption, f"{len(rest):,} verdicts", (table,), opened=False),)
    return Section("changes", "What changed", tuple(blocks), folds)


def _compared(table_id: str, caption: str, verdicts: Sequence[Verdict]) -> Table:
    return Table(
        id=table_id,
        caption=caption,
        columns=(
            *CASE_COLUMNS,
            Column("Base"),
            Column("New"),
            Column("Change", unit="%"),
            Column("Verdict"),
        ),
        rows=tuple(
            Row(
                (
                    *_case(verdict),
                    _summary(verdict.base, verdict.unit),
                    _summary(verdict.new, verdict.unit),
                    effect_cell(verdict.effect, verdict.unit, TONES.get(verdict.word, "plain")),
                    Cell("", badge=word_badge(verdict.word), note=_why(verdict)),
                ),
                changed=verdict.word in ("regressed", "improved"),
            )
            for verdict in verdicts
        ),
    )


def _reasons(table_id: str, caption: str, verdicts: Iterable[Verdict]) -> Table:
    """One row for each case and reason, with the metrics it holds for."""
    grouped: dict[tuple[CaseKey, Word, str], list[str]] = {}
    for verdict in verdicts:
        grouped.setdefault((verdict.case, verdict.word, verdict.reason), []).append(_title(verdict.metric))
    return Table(
        id=table_id,
        caption=caption,
        columns=(Column("Workload"), Column("Engine"), Column("Target"), Column("Verdict"), Column("Reason")),
        rows=tuple(
            Row(
                (
                    *_key(key),
                    Cell("", badge=word_badge(word)),
                    Cell(reason, note=f"for {', '.join(map(lowered, metrics))}"),
                ),
                changed=True,
            )
            for (key, word, reason), metrics in grouped.items()
        ),
    )


def _case(verdict: Verdict) -> tuple[Cell, ...]:
    return (*_key(verdict.case), Cell(_title(verdict.metric), badge=kind_badge(verdict.kind)))


def _key(key: CaseKey) -> tuple[Cell, Cell, Cell]:
    options = " ".join(f"{name}={value}" for name, value in key.options)
    return Cell(key.workload), Cell(key.engine, note=options), Cell(key.target)


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric


def _summary(summary: Summary | None, unit: str) -> Cell:
    if summary is None:
        return EMPTY
    note = ""
    if summary.n > 1:
        spread = "all equal" if summary.low == summary.high else show_range(summary.low, summary.high, unit)
        note = f"n = {summary.n}, {spread}"
    return Cell(show(summary.median, unit, 4), value=summary.median, note=note)


def effect_cell(effect: Effect | None, unit: str, tone: Tone = "plain") -> Cell:
    """The relative change, with its interval and the difference in the metric's unit beneath."""
    if effect is None:
        return EMPTY
    sign = "+" if effect.difference > 0 else ""
    difference = f"{sign}{show(effect.difference, unit)}"
    if effect.change is None:
        return Cell(difference, note="from zero", tone=tone)
    if effect.low is None or effect.high is None or effect.low == effect.high:
        interval = "exact"
    else:
        ends = f"[{show_change(effect.low)}, {show_change(effect.high)}]"
        interval = ends.replace(" %", "\N{NO-BREAK SPACE}%")
    return Cell(show_change(effect.change), value=effect.change, note=f"{interval}\n{difference}", tone=tone)


def word_badge(word: Word) -> Badge:
    """The verdict as a badge."""
    return Badge(word, "verdict", TONES.get(word, "plain"))


def _why(verdict: Verdict) -> str:
    """What the reason adds to the effect, which stands beside it."""
    _, _, judged = verdict.reason.partition(": ")
    return "; ".join(part for part in (judged, *verdict.notes) if part)


def heading(comparison: Comparison) -> str:
    """`2 regressed, 1 improved, 40 unchanged: latest against nightly; worst is flash of vww01 …, +3.9 %`."""
    text = f"{comparison.heading} — {comparison.new} against {comparison.base}"
    if regressed := comparison.of("regressed"):
        worst = regressed[0]
        change = effect_cell(worst.effect, worst.unit)
        interval = change.note.split("\n")[0].replace("\N{NO-BREAK SPACE}", " ")
        interval = f" {interval}" if interval.startswith("[") else ""
        return f"{text}; worst: {lowered(_title(worst.metric))} of {worst.case}, {change.text}{interval}"
    compared = sum(comparison.counts.get(word, 0) for word in ("improved", "within noise", "unchanged"))
    if compared and not comparison.failures:
        return f"No regression: {text}"
    return text


def tone(comparison: Comparison) -> Tone:
    """Bad if anything regressed, unsure if not all could be compared, else good."""
    if comparison.of("regressed"):
        return "bad"
    return "unsure" if comparison.of("incomparable", "missing") or comparison.failures else "good"
