"""Bencher Metric Format: a JSON object of benchmarks, each an object of measures."""

from __future__ import annotations

import json

from tinybench.export.rows import rows_of
from tinybench.results.runs import Runs

_NANOSECONDS = 1e9  # Bencher's own measure `latency` is in nanoseconds


def as_bencher(runs: Runs) -> str:
    """The median of each metric, with the extremes as lower and upper value.

    `latency` is in nanoseconds, as Bencher's built-in measure of that name; everything else in SI units.
    An estimate is a measure of its own (`latency-estimated`), so that it never shares a line with a
    measurement.
    """
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows_of(runs):
        kind = row.measurement.kind
        factor = _NANOSECONDS if row.measurement.metric == "latency" else 1
        slug = row.measurement.metric.replace("_", "-") + ("-estimated" if kind == "estimated" else "")
        benchmarks.setdefault(row.name, {})[slug] = {
            "value": row.summary.median * factor,
            "lower_value": row.summary.low * factor,
            "upper_value": row.summary.high * factor,
        }
    return json.dumps(benchmarks, indent=1, sort_keys=True) + "\n"
