"""Drawings as Plotly figures: plain dictionaries, coloured by the page, loaded only when they are looked at.

A colour is written as the name of a custom property of the style sheet (`--s0`); `report.js` replaces it by
what that property is at the moment, so that the figure follows light and dark.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from tinybench.report.drawings import Bars, Drawing, Lines, Points, Spans
from tinybench.report.svg import COLOURS, WIDTH, fits, height_of, log_range, log_ticks
from tinybench.units import brief

Spec = dict[str, Any]
UNITS = frozenset({"B", "s", "J", "Hz"})


def plotly_source() -> str:
    """The text of plotly.js, as it lies in the plotly package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def plotly_spec(drawing: Drawing) -> Spec:
    """`data` and `layout` for `Plotly.react`."""
    match drawing:
        case Bars():
            spec = _bars(drawing)
        case Spans():
            spec = _spans(drawing)
        case Points():
            spec = _points(drawing)
        case Lines():
            spec = _lines(drawing)
    room = 30 if isinstance(drawing, Bars) else 0  # for the legend and the axis, which Plotly sets wider
    spec["layout"]["height"] = height_of(drawing) + room
    return spec


def _axis(title: str, unit: str, **more: object) -> Spec:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 11}},
        "ticklabelstandoff": 4,
        "ticksuffix": unit if unit in UNITS else "",
        "exponentformat": "SI",
        "gridcolor": "--rule",
        "zerolinecolor": "--rule",
        **more,
    }


def _log_axis(title: str, unit: str, values: list[float]) -> Spec:
    low, high = log_range(values)
    ticks = log_ticks(low, high)
    return {
        **_axis(title, ""),
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [brief(tick, unit) for tick in ticks],
    }


def _colour(index: int) -> str:
    return f"--s{index % COLOURS}"


def _bars(bars: Bars) -> Spec:
    suffix = f" {bars.unit}" if bars.unit in UNITS else ""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": series.name,
            "y": list(bars.labels),
            "x": list(series.values),
            "marker": {"color": _colour(index)},
            "hovertemplate": "%{y}<br>%{x:,}" + suffix + "<extra>%{fullData.name}</extra>",
        }
        for index, series in enumerate(bars.series)
    ]
    layout = {
        "bargap": 0.35,
        "barmode": "stack" if bars.stacked else "group",
        "xaxis": _axis(bars.axis, bars.unit),
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category", "ticklabelstandoff": 8},
        "legend": {"orientation": "h", "traceorder": "normal", "y": 1, "yanchor": "bottom", "x": 0},
        "showlegend": True,
    }
    return {"data": data, "layout": layout}


def _spans(spans: Spans) -> Spec:
    """Upright bars that start at the offset: one bar per buffer, as wide as its life."""
    data = [
        {
            "type": "bar",
            "base": [span.low for span in spans.spans],
            "y": [span.high - span.low for span in spans.spans],
            "x": [(span.first + span.last) / 2 for span in spans.spans],
            "width": [span.last - span.first + 1 for span in spans.spans],
            "customdata": [[span.first, span.last] for span in spans.spans],
            "text": _labels(spans),
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "textfont": {"color": "--ink"},
            "constraintext": "none",
            "cliponaxis": True,
            "hovertext": [span.name for span in spans.spans],
            "marker": {
                "color": [f"--t{index % 2}" for index in range(len(spans.spans))],
                "line": {"color": "--paper", "width": 1},
            },
            "hovertemplate": "%{hovertext}<br>%{y:,} B from offset %{base:,}<br>"
            "operators %{customdata[0]} to %{customdata[1]}<extra></extra>",
        }
    ]
    layout = {
        "barmode": "overlay",
        "xaxis": _axis(spans.along, "", range=[-0.5, spans.steps - 0.5]),
        "yaxis": _axis(spans.upwards, spans.unit),
        "showlegend": False,
    }
    return {"data": data, "layout": layout}


def _labels(spans: Spans) -> list[str]:
    """The size of each span, where there is room for it."""
    across = WIDTH / max(spans.steps, 1)
    up = height_of(spans) / (max((span.high for span in spans.spans), default=1) or 1)
    labels = []
    for span in spans.spans:
        label = brief(span.high - span.low, spans.unit)
        wide, tall = (span.last - span.first + 1) * across * 0.85, (span.high - span.low) * up * 0.7
        labels.append(label if fits(label, wide, tall) else "")
    return labels


def _points(points: Points) -> Spec:
    groups = list(dict.fromkeys(point.group for point in points.points))
    data = []
    for index, group in enumerate(groups):
        members = [point for point in points.points if point.group == group]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": group,
                "x": [point.x for point in members],
                "y": [point.y for point in members],
                "text": [point.name for point in members],
                "textposition": "middle right",
                "marker": {
                    "color": _colour(index),
                    "size": 10,
                    "line": {
                        "color": ["--ink" if point.front else "--paper" for point in members],
                        "width": [2 if point.front else 0 for point in members],
                    },
                },
                "hovertemplate": "%{text}<br>%{x:,}, %{y:,}<extra>%{fullData.name}</extra>",
                "cliponaxis": False,
            }
        )
    layout = {
        "xaxis": _log_axis(points.x_axis, points.x_unit, [point.x for point in points.points]),
        "yaxis": _log_axis(points.y_axis, points.y_unit, [point.y for point in points.points]),
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        "showlegend": True,
    }
    return {"data": data, "layout": layout}


def _lines(lines: Lines) -> Spec:
    def x_of(value: float) -> float | str:
        return datetime.fromtimestamp(value, UTC).isoformat() if lines.dates else value

    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if lines.dates else "lines",
            "name": line.name,
            "x": [x_of(x) for x in line.x],
            "y": list(line.y),
            "line": {"color": _colour(index), "width": 1.5},
        }
        for index, line in enumerate(lines.lines)
    ]
    marks = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": x_of(mark),
            "x1": x_of(mark),
            "y0": 0,
            "y1": 1,
            "line": {"color": "--bad", "width": 1, "dash": "dot"},
        }
        for mark in lines.marks
    ]
    layout = {
        "xaxis": _axis(lines.x_axis, "", **({"type": "date"} if lines.dates else {})),
        "yaxis": _axis(lines.y_axis, lines.y_unit),
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        "showlegend": len(lines.lines) > 1,
        "shapes": marks,
    }
    return {"data": data, "layout": layout}
