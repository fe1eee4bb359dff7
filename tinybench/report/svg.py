"""Drawings as inline SVG: what is printed, and what a reader without JavaScript sees.

Colours come from the page's style sheet by class (`s0` … `s7` for series), so that light, dark and paper
need no second drawing. Lengths are user units of a picture that is WIDTH wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from tinybench.report.drawings import Bars, Drawing, Lines, Points, Spans
from tinybench.units import brief

WIDTH = 760
COLOURS = 8
_LABELS = 250
_BAR, _THIN_BAR, _GAP = 18, 9, 10
_MOST_LETTERS = 38
_LETTER, _LETTER_HEIGHT = 6.6, 14


def draw(drawing: Drawing, text: str) -> str:
    """The drawing as one `<svg>` element, labelled with `text` for readers who cannot see it."""
    match drawing:
        case Bars():
            body, height = _bars(drawing)
        case Spans():
            body, height = _spans(drawing)
        case Points():
            body, height = _points(drawing)
        case Lines():
            body, height = _lines(drawing)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(text)}">{"".join(body)}</svg>'


def height_of(drawing: Drawing) -> int:
    """The height of the drawing at its natural width, so that a livelier one can take its place."""
    match drawing:
        case Bars():
            return _bars_height(drawing)
        case _:
            return 330


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to the first at or beyond `high`, 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        high = low + 1
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def fits(label: str, wide: float, tall: float) -> bool:
    """Whether a label can be read inside a rectangle of this size."""
    return len(label) * _LETTER < wide and tall > _LETTER_HEIGHT


def log_range(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of a logarithmic axis: positive values with a little room on either side."""
    return min(values) / 1.25, max(values) * 1.25


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 or 5 times a power of ten within the bounds; only the powers where those are enough."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        within = [value for value in found if low <= value <= high]
        if len(within) > 2:  # noqa: PLR2004 - two do not show a scale
            break
    return within


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "") -> str:
    css = f' class="{css}"' if css else ""
    anchor = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.4g}" y="{y:.4g}"{anchor}{css}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<path class="{css}" d="M{x1:.4g} {y1:.4g}L{x2:.4g} {y2:.4g}"/>'


def _short(text: str, letters: int = _MOST_LETTERS) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], 0.0
    for index, name in enumerate(map(_short, names)):
        parts.append(f'<rect class="s{index % COLOURS}" x="{x:.4g}" y="3" width="11" height="11"/>')
        parts.append(_text(x + 16, 13, name))
        x += 34 + _LETTER * len(name)
    return parts


def _bars_height(bars: Bars) -> int:
    per_label = _BAR if bars.stacked else len(bars.series) * _THIN_BAR
    return 26 + len(bars.labels) * (per_label + _GAP) + 36


def _bars(bars: Bars) -> tuple[list[str], int]:
    height = _bars_height(bars)
    bottom, left, right = height - 34, _LABELS, WIDTH - 60
    columns = list(zip(*(series.values for series in bars.series), strict=True))
    totals = [
        sum(v or 0 for v in values) if bars.stacked else max(v or 0 for v in values) for values in columns
    ]
    marks = ticks(0, max(totals, default=0))
    scale = (right - left) / marks[-1]
    parts = _legend([series.name for series in bars.series])
    for mark in marks:
        x = left + mark * scale
        parts.append(_line(x, 22, x, bottom, "rule"))
        parts.append(_text(x, bottom + 15, brief(mark, bars.unit), "middle", "quiet"))
    parts.append(_text(right, bottom + 30, bars.axis, "end", "quiet"))
    y = 26.0
    for label, values, total in zip(bars.labels, columns, totals, strict=True):
        depth = _BAR if bars.stacked else _THIN_BAR * len(values)
        parts.append(_text(left - 8, y + depth / 2 + 4, _short(label), "end"))
        x = float(left)
        for index, value in enumerate(values):
            top = y if bars.stacked else y + index * _THIN_BAR
            wide = (value or 0) * scale
            if wide:
                parts.append(
                    f'<rect class="s{index % COLOURS}" x="{x:.5g}" y="{top:.4g}" '
                    f'width="{wide:.4g}" height="{_BAR if bars.stacked else _THIN_BAR - 1}"/>'
                )
            if bars.stacked:
                x += wide
        if bars.stacked:
            parts.append(_text(x + 6, y + 13, brief(total, bars.unit)))
        y += depth + _GAP
    return parts, height


def _spans(spans: Spans) -> tuple[list[str], int]:
    height, left, right, top = 330, 74, WIDTH - 8, 22
    bottom = height - 38
    marks = ticks(0, max((span.high for span in spans.spans), default=1))
    across, up = (right - left) / max(spans.steps, 1), (bottom - top) / marks[-1]
    parts = [_text(0, 13, spans.upwards, css="quiet")]
    for mark in marks:
        y = bottom - mark * up
        parts.append(_line(left, y, right, y, "rule"))
        parts.append(_text(left - 8, y + 4, brief(mark, spans.unit), "end", "quiet"))
    for index, span in enumerate(spans.spans):
        x, wide = left + span.first * across, (span.last - span.first + 1) * across
        y, tall = bottom - span.high * up, (span.high - span.low) * up
        parts.append(
            f'<rect class="span t{index % 2}" x="{x:.5g}" y="{y:.5g}" width="{wide:.4g}" height="{tall:.4g}">'
            f"<title>{escape(f'{span.name}: {span.high - span.low:,.0f} {spans.unit}')}</title></rect>"
        )
        label = brief(span.high - span.low, spans.unit)
        if fits(label, wide, tall):
            parts.append(_text(x + wide / 2, y + tall / 2 + 4, label, "middle"))
    every = max(1, round(spans.steps / 16))
    parts += [
        _text(left + (step + 0.5) * across, bottom + 15, str(step), "middle", "quiet")
        for step in range(0, spans.steps, every)
    ]
    parts.append(_text(right, bottom + 32, spans.along, "end", "quiet"))
    return parts, height


def _points(points: Points) -> tuple[list[str], int]:
    height, left, right, top = 330, 74, WIDTH - 120, 30
    bottom = height - 38
    x_low, x_high = log_range([point.x for point in points.points])
    y_low, y_high = log_range([point.y for point in points.points])

    def x_of(value: float) -> float:
        return left + (right - left) * math.log(value / x_low) / math.log(x_high / x_low)

    def y_of(value: float) -> float:
        return bottom - (bottom - top) * math.log(value / y_low) / math.log(y_high / y_low)

    groups = list(dict.fromkeys(point.group for point in points.points))
    parts = _legend(groups)
    for tick in log_ticks(x_low, x_high):
        x = x_of(tick)
        parts += [
            _line(x, top, x, bottom, "rule"),
            _text(x, bottom + 15, brief(tick, points.x_unit), "middle", "quiet"),
        ]
    for tick in log_ticks(y_low, y_high):
        y = y_of(tick)
        parts += [
            _line(left, y, right, y, "rule"),
            _text(left - 8, y + 4, brief(tick, points.y_unit), "end", "quiet"),
        ]
    for point in points.points:
        x, y, colour = x_of(point.x), y_of(point.y), groups.index(point.group) % COLOURS
        ring = ' class="front"' if point.front else ""
        parts.append(
            f'<g{ring}><circle class="s{colour}" cx="{x:.4g}" cy="{y:.4g}" r="5"/>'
            f"{_text(x + 9, y + 4, _short(point.name, 24))}</g>"
        )
    parts.append(_text(right, bottom + 32, points.x_axis, "end", "quiet"))
    parts.append(_text(WIDTH, 13, points.y_axis, "end", "quiet"))
    return parts, height


def _lines(lines: Lines) -> tuple[list[str], int]:
    height, left, right, top = 330, 74, WIDTH - 12, 30
    bottom = height - 38
    xs = [x for line in lines.lines for x in line.x]
    ys = [y for line in lines.lines for y in line.y]
    x_low, x_high = min(xs), max(*xs, min(xs) + 1e-9)
    marks = ticks(min(ys), max(ys))
    y_low, y_high = marks[0], marks[-1]

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * (x - x_low) / (x_high - x_low),
            bottom - (bottom - top) * (y - y_low) / (y_high - y_low),
        )

    parts = _legend([line.name for line in lines.lines])
    for mark in marks:
        y = at(x_low, mark)[1]
        parts += [
            _line(left, y, right, y, "rule"),
            _text(left - 8, y + 4, brief(mark, lines.y_unit), "end", "quiet"),
        ]
    parts += [_line(at(mark, y_low)[0], top, at(mark, y_low)[0], bottom, "mark") for mark in lines.marks]
    for index, line in enumerate(lines.lines):
        path = "L".join("{:.5g} {:.5g}".format(*at(x, y)) for x, y in zip(line.x, line.y, strict=True))
        parts.append(f'<path class="line l{index % COLOURS}" d="M{path}"/>')
    for x, anchor in ((x_low, "start"), (x_high, "end")):
        label = f"{datetime.fromtimestamp(x, UTC):%Y-%m-%d}" if lines.dates else f"{x:g}"
        parts.append(_text(at(x, y_low)[0], bottom + 15, label, anchor, "quiet"))
    parts.append(_text(right, bottom + 32, lines.x_axis, "end", "quiet"))
    parts.append(_text(WIDTH, 13, lines.y_axis, "end", "quiet"))
    return parts, height
