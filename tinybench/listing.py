"""What can be named on the command line, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from tinybench.plugins import Catalogue
from tinybench.records import METRICS
from tinybench.target import Target

Table = tuple[Sequence[str], list[Sequence[str]]]


def table(what: str, catalogue: Catalogue) -> Table:
    """Head and rows for `suites`, `pipelines`, `workloads`, `engines`, `devices`, `adapters` or `metrics`."""
    return {
        "suites": _suites,
        "pipelines": _pipelines,
        "workloads": _workloads,
        "engines": _engines,
        "devices": _devices,
        "adapters": _adapters,
        "metrics": _metrics,
    }[what](catalogue)


def _suites(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (name, found.part.title, ", ".join(entry.task for entry in found.part.entries), found.origin)
        for name, found in sorted(catalogue.suites.items())
    ]
    return ("name", "title", "tasks", "from"), rows


def _pipelines(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (name, found.part.title, f"{found.part.first}, {found.part.second}", found.origin)
        for name, found in sorted(catalogue.pipelines.items())
    ]
    return ("name", "title", "workloads", "from"), rows


def _workloads(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (
            name,
            found.part.task,
            found.part.title,
            found.part.weights,
            found.part.model.sha256[:12],
            found.origin,
        )
        for name, found in sorted(catalogue.workloads.items())
    ]
    return ("name", "task", "title", "weights", "model", "from"), rows


def _engines(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (name, found.part.exactness, found.origin) for name, found in sorted(catalogue.engines.items())
    ]
    return ("name", "answers", "from"), rows


def _devices(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (name, found.part.title, found.part.mcu, found.part.core.name, _reached(found.part), found.origin)
        for name, found in sorted(catalogue.targets.items())
    ]
    return ("name", "board", "chip", "core", "reached by", "from"), rows


def _reached(target: Target) -> str:
    """How a board of this type can be had: through a probe, or as a virtual twin; or if it is no board."""
    if target.core.name == "host":
        return "always there"
    ways = [("probe", target.probe), ("--simulate", target.virtual or target.qemu)]
    return ", ".join(way for way, table in ways if table is not None) or "serial port"


def _adapters(catalogue: Catalogue) -> Table:
    rows: list[Sequence[str]] = [
        (name, "simulated" if found.part.simulated else "real", found.origin)
        for name, found in sorted(catalogue.adapters.items())
    ]
    return ("name", "devices", "from"), rows


def _metrics(_: Catalogue) -> Table:
    rows: list[Sequence[str]] = [(m.name, m.unit, m.better, m.title) for m in METRICS.values()]
    return ("name", "unit", "better", "title"), rows
