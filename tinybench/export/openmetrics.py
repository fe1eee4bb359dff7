"""OpenMetrics 1.0 text, for a Prometheus that scrapes a file or a push gateway."""

from __future__ import annotations

from types import MappingProxyType

from tinybench.export.rows import Row, rows_of
from tinybench.records import METRICS
from tinybench.results.runs import Runs

_UNITS = MappingProxyType({"B": "bytes", "s": "seconds", "J": "joules", "Hz": "hertz"})


def as_openmetrics(runs: Runs) -> str:
    """A gauge per metric with the median of each Case, at the time its Run began."""
    by_metric: dict[str, list[Row]] = {}
    for row in rows_of(runs):
        by_metric.setdefault(row.measurement.metric, []).append(row)
    lines: list[str] = []
    for metric, rows in sorted(by_metric.items()):
        unit = _UNITS.get(rows[0].measurement.unit)
        name = _name(f"tinybench_{metric}" + (f"_{unit}" if unit else ""))
        title = METRICS[metric].title if metric in METRICS else metric
        lines.append(f"# TYPE {name} gauge")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {_escaped(title)}, median of the samples.")
        lines += [
            f"{name}{{{_labels(row)}}} {float(row.summary.median)!r}"
            f" {row.run.provenance.started.timestamp():.3f}"
            for row in rows
        ]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(row: Row) -> str:
    labels = {
        "workload": row.case.workload,
        "engine": row.case.engine,
        "target": row.case.target,
        "options": " ".join(f"{name}={value}" for name, value in row.case.options),
        "board": row.run.provenance.unit or "",
        "kind": row.measurement.kind,
        "simulated": str(row.run.conditions.simulated).lower(),
    }
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _name(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text)
