"""What a figure shows, as values: `svg.py` draws them for paper, `figures.py` for a reader with a mouse."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One value per label of its drawing, in the drawing's unit; None where there is none."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one per label: the series stacked end to end, or (`stacked` False) side by side."""

    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str
    axis: str
    stacked: bool = True


@dataclass(frozen=True)
class Span:
    """A rectangle: `low` to `high` upwards, steps `first` to `last` (both included) along."""

    name: str
    first: int
    last: int
    low: float
    high: float


@dataclass(frozen=True)
class Spans:
    """What occupies which part of a space during which steps: buffers in an arena."""

    spans: tuple[Span, ...]
    steps: int
    unit: str
    along: str
    upwards: str


@dataclass(frozen=True)
class Point:
    """One case in a scatter; `front` marks those that no other beats on both axes."""

    name: str
    group: str
    x: float
    y: float
    front: bool = False


@dataclass(frozen=True)
class Points:
    """A scatter on logarithmic axes, as quantities of different chips lie decades apart."""

    points: tuple[Point, ...]
    x_axis: str
    x_unit: str
    y_axis: str
    y_unit: str


@dataclass(frozen=True)
class Line:
    """One line: times in seconds since the epoch or values of an axis, and what was found there."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Lines:
    """Lines over time or along an axis; `marks` are upright rules (change points, window edges)."""

    lines: tuple[Line, ...]
    x_axis: str
    y_axis: str
    y_unit: str
    dates: bool = False
    marks: tuple[float, ...] = ()


Drawing = Bars | Spans | Points | Lines
