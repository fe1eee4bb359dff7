"""How a number got where it is: one line per case and board, with the points where it changed for good."""

from __future__ import annotations

from tinybench.records import METRICS
from tinybench.report.drawings import Line, Lines
from tinybench.report.material import Material
from tinybench.report.page import EMPTY, Block, Cell, Column, Figure, Row, Section, Table
from tinybench.report.sections.answers import DECIDING
from tinybench.results.history import Series
from tinybench.units import show, show_change

MOST_DRAWN = 12
MOST_ROWS = 500


def build(material: Material) -> Section | None:
    """Every series of several Runs in a table; those that changed, or the first few, as lines."""
    series = [s for s in material.past if len(s.medians) > 1 and s.metric in DECIDING]
    if not series:
        return None
    series.sort(key=_largest_change, reverse=True)
    moved = [s for s in series if s.change_points]
    drawn = (moved or [s for s in series if min(s.medians) != max(s.medians)])[:MOST_DRAWN]
    blocks: list[Block] = [_figure(number, one) for number, one in enumerate(drawn, start=1)]
    caption = "Levels over time, largest change first"
    if len(series) > MOST_ROWS:
        caption += f": the first {MOST_ROWS} of {len(series):,}"
    blocks.append(_table(caption, series[:MOST_ROWS]))
    return Section("past", "How it got here", tuple(blocks))


def _largest_change(series: Series) -> float:
    return max((abs(point.change or 0.0) for point in series.change_points), default=0.0)


def _title(series: Series) -> str:
    unit = f" on {series.unit}" if series.unit else ""
    return f"{METRICS[series.metric].title} of {series.case}{unit} ({series.kind})"


def _figure(number: int, series: Series) -> Figure:
    changes = "; ".join(
        f"{'from zero' if point.change is None else show_change(point.change)} on {point.started:%Y-%m-%d}"
        for point in series.change_points
    )
    return Figure(
        id=f"past-{number}",
        caption=f"{_title(series)}{f': {changes}' if changes else ''}",
        text=f"{len(series.medians)} Runs from {series.started[0]:%Y-%m-%d} to "
        f"{series.started[-1]:%Y-%m-%d}, between {show(min(series.medians), series.metric_unit)} and "
        f"{show(max(series.medians), series.metric_unit)}.",
        drawing=Lines(
            lines=(
                Line(
                    METRICS[series.metric].title,
                    tuple(moment.timestamp() for moment in series.started),
                    series.medians,
                ),
            ),
            x_axis="",
            y_axis="",
            y_unit=series.metric_unit,
            dates=True,
            marks=tuple(point.started.timestamp() for point in series.change_points),
        ),
    )


def _table(caption: str, series: list[Series]) -> Table:
    return Table(
        id="past-table",
        caption=caption,
        columns=(
            Column("Case"),
            Column("Board"),
            Column("Metric"),
            Column("Runs", unit="1"),
            Column("First"),
            Column("Last"),
            Column("Last lasting change", unit="%"),
        ),
        rows=tuple(_row(one) for one in series),
    )


def _row(series: Series) -> Row:
    last = series.change_points[-1] if series.change_points else None
    change = EMPTY
    if last is not None and last.change is not None:
        change = Cell(
            show_change(last.change),
            value=last.change,
            note=f"{last.started:%Y-%m-%d}, `{last.run_id}`",
        )
    return Row(
        (
            Cell(str(series.case)),
            Cell(series.unit or "virtual"),
            Cell(METRICS[series.metric].title, note=series.kind),
            Cell(show(len(series.medians), "1"), value=len(series.medians)),
            Cell(show(series.medians[0], series.metric_unit, 4)),
            Cell(show(series.medians[-1], series.metric_unit, 4)),
            change,
        )
    )
