"""Workloads by engines on each device: how much faster than one of them, and the geometric mean of that."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinybench.records import METRICS
from tinybench.report import speed
from tinybench.report.material import Material
from tinybench.report.page import EMPTY, Cell, Column, Row, Section, Table
from tinybench.report.quantities import lowered
from tinybench.report.subjects import Subject
from tinybench.units import show, show_factor

PREFERRED = "reference"


def build(material: Material) -> Section | None:
    """One table for each device on which several engines ran, over one metric of one kind."""
    tables = []
    for number, group in enumerate(by_device(material.subjects), start=1):
        engines = sorted({subject.engine for subject in group})
        measure = speed.shared(group)
        if len(engines) > 1 and measure is not None:
            tables.append(_table(f"matrix-{number}", group, engines, measure, material.against))
    return Section("matrix", "Which engine is faster?", tuple(tables)) if tables else None


def by_device(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """The subjects of each device; a board and its virtual twin are two."""
    devices: dict[tuple[str, bool], list[Subject]] = {}
    for subject in subjects:
        devices.setdefault((subject.device, subject.simulated), []).append(subject)
    return list(devices.values())


def _table(
    table_id: str, group: list[Subject], engines: list[str], measure: speed.Measure, against: str | None
) -> Table:
    chosen = next((name for name in (against, PREFERRED) if name in engines), engines[0])
    cells = {(s.workload, s.engine): speed.median(s, measure) for s in group}
    workloads = sorted({subject.workload for subject in group})
    ordered = [chosen, *(engine for engine in engines if engine != chosen)]
    rows, ratios = [], dict[str, list[float]]()
    for workload in workloads:
        reference = cells.get((workload, chosen))
        row = [Cell(workload)]
        for engine in ordered:
            value = cells.get((workload, engine))
            ratio = reference / value if value and reference else None
            if ratio is not None:
                ratios.setdefault(engine, []).append(ratio)
            row.append(_cell(value, ratio if engine != chosen else None, measure))
        rows.append(Row(tuple(row)))
    unit = METRICS[measure[0]].unit
    return Table(
        id=table_id,
        caption=f"{group[0].device}: {lowered(speed.words(measure))}, and how many times "
        f"{'fewer' if unit == '1' else 'faster'} than {chosen}{_made_by(group, chosen)}",
        columns=(Column("Workload"), *(Column(engine, unit=unit) for engine in ordered)),
        rows=tuple(rows),
        foot=(
            Row(
                (
                    Cell("Geometric mean"),
                    *(_mean(ratios.get(engine, []), len(workloads), engine == chosen) for engine in ordered),
                )
            ),
        ),
    )


def _made_by(group: Sequence[Subject], engine: str) -> str:
    """Compiler and optimisation of what the others are held against: flags alone move it eightfold."""
    chains = [s.run.provenance.toolchain for s in group if s.engine == engine]
    made = {
        " ".join((c.name, c.version, *(flag for flag in c.compile_flags if flag.startswith("-O"))))
        for c in chains
        if c is not None
    }
    return f" ({' and '.join(sorted(made))})" if made else ""


def _cell(value: float | None, ratio: float | None, measure: speed.Measure) -> Cell:
    if value is None:
        return EMPTY
    note = "" if ratio is None else show_factor(ratio)
    return Cell(show(value, METRICS[measure[0]].unit), value=value, note=note)


def _mean(ratios: list[float], workloads: int, chosen: bool) -> Cell:
    if not ratios or chosen:
        return Cell(show_factor(1)) if chosen else EMPTY
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    note = "" if len(ratios) == workloads else f"over {len(ratios)} of {workloads} workloads"
    return Cell(show_factor(mean), note=note)
