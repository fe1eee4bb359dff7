"""A Measurement as a cell: its median and spread, how often it was sampled, and its kind of number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tinybench.records import Kind, Measurement
from tinybench.report.page import EMPTY, Badge, Cell
from tinybench.units import brief, show, show_binary, show_range

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """The median of n samples between `low` and `high`.

    `confidence` is the coverage of the interval for the median of the population, from order statistics
    (no assumption on the distribution; Hahn & Meeker, Statistical Intervals, 5.2); None where n is too
    small for it and the interval is the range of the samples.
    """

    n: int
    median: float
    low: float
    high: float
    confidence: float | None


def spread(samples: Sequence[float]) -> Spread:
    """The median and the narrowest symmetric pair of order statistics that covers it at CONFIDENCE."""
    ordered = sorted(samples)
    n = len(ordered)
    median = statistics.median(ordered)
    depth, below = -1, 0.0  # P(fewer than `depth + 1` samples lie below the population's median)
    while depth + 1 < n // 2:
        following = below + _fair_coin(n, depth + 1)
        if 1 - 2 * following < CONFIDENCE:
            break
        depth, below = depth + 1, following
    if depth < 0:
        return Spread(n, median, ordered[0], ordered[-1], None)
    return Spread(n, median, ordered[depth], ordered[-1 - depth], CONFIDENCE)


def _fair_coin(n: int, heads: int) -> float:
    """P(exactly `heads` in `n` tosses), through logarithms: 0.5**n vanishes beyond a thousand samples."""
    log_ways = math.lgamma(n + 1) - math.lgamma(heads + 1) - math.lgamma(n - heads + 1)
    return math.exp(log_ways - n * math.log(2))


def cell(measurement: Measurement | None) -> Cell:
    """The median with its unit; n and interval where there are several samples; an estimate's badge."""
    if measurement is None:
        return EMPTY
    found = spread(measurement.samples)
    notes = []
    if found.n > 1:
        notes.append(describe(found, measurement.unit))
    elif measurement.unit == "B" and found.median >= 1024:  # noqa: PLR2004 - the size of a KiB
        notes.append(show_binary(found.median))
    return Cell(
        show(found.median, measurement.unit),
        value=found.median,
        note="; ".join(notes),
        badge=kind_badge("estimated", measurement) if measurement.kind == "estimated" else None,
    )


def describe(found: Spread, unit: str) -> str:
    """`n = 12, 95 %: 1.51 to 1.55 ms`, or the range, or that all are equal."""
    if found.low == found.high:
        return f"n = {found.n}, all equal"
    what = "range" if found.confidence is None else f"{found.confidence * 100:g} %"
    return f"n = {found.n}, {what}: {show_range(found.low, found.high, unit)}"


def kind_badge(kind: Kind, measurement: Measurement | None = None) -> Badge:
    """The badge of a kind; an estimate's carries its error, or says that none was validated."""
    if kind != "estimated" or measurement is None:
        return Badge(kind, kind)
    error = "error not validated" if measurement.error is None else f"±{show(measurement.error, '%')}"
    return Badge(f"estimated {error}", "estimated")


def lowered(title: str) -> str:
    """A title inside a sentence: `Peak RAM` as `peak RAM`, `MACs` as it is."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def in_words(measurement: Measurement) -> str:
    """`41.2 M instructions`, `67.4 kB RAM`, `1.53 ms`: for a heading."""
    nouns = {"instructions": "instructions", "cycles": "cycles", "ram_peak": "RAM", "flash": "flash"}
    number = brief(statistics.median(measurement.samples), measurement.unit)
    return f"{number} {nouns.get(measurement.metric, '')}".strip()
