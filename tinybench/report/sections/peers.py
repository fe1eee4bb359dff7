"""One's own numbers beside those that others have published for the same task, core and clock; marked."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from tinybench.records import Measurement, Run
from tinybench.report.material import Material
from tinybench.report.page import EMPTY, Badge, Cell, Column, Paragraph, Row, Section, Table
from tinybench.report.quantities import cell, kind_badge
from tinybench.report.subjects import Subject
from tinybench.results.published import Peers, Published
from tinybench.units import show

PUBLISHED = Badge("published", "published")
SUSPECT = Badge("suspect", "published", "unsure")
SPEEDS = ("latency", "cycles", "instructions")


def build(material: Material) -> Section | None:
    """A table for each task, core and clock; None where nothing published was asked for or is comparable."""
    places: dict[tuple[str, str, int], list[tuple[Subject, Peers]]] = {}
    by_run = {peers.run.run_id: peers for peers in material.published}
    for subject in material.subjects:
        peers = by_run.get(subject.run.run_id)
        if peers is not None:
            conditions = subject.run.conditions
            place = (peers.task, conditions.core, conditions.clock_hz or 0)  # peers have a clock
            places.setdefault(place, []).append((subject, peers))
    if not places:
        return None
    blocks = [
        _table(number, place, found) for number, (place, found) in enumerate(sorted(places.items()), start=1)
    ]
    return Section("published", "Beside published results", (Paragraph(_reservation(material)), *blocks))


def _reservation(material: Material) -> str:
    text = (
        "Rows marked as published are others' measurements, from the public rounds of MLPerf Tiny; tinybench "
        "has repeated none of them. Board, memory, supply, compiler and flags differ, and flags alone move a "
        "result severalfold: a difference of some tens of percent says nothing."
    )
    if any(peers.run.conditions.simulated for peers in material.published):
        text += " What was counted on a virtual board is no time, and is not ranked with them."
    return text


def _table(number: int, place: tuple[str, str, int], found: Sequence[tuple[Subject, Peers]]) -> Table:
    task, core, clock_hz = place
    own = [(subject, peers, _speed(subject.run)) for subject, peers in found]
    timed = [(m, subject, peers) for subject, peers, m in own if m is not None and _is_time(m)]
    ranked: list[tuple[float, Row]] = [
        (statistics.median(m.samples), _own(subject, peers, m)) for m, subject, peers in timed
    ]
    ranked += [(row.latency_s, _theirs(row)) for row in found[0][1].rows]
    apart = [_own(subject, peers, m) for subject, peers, m in own if m is None or not _is_time(m)]
    return Table(
        id=f"published-{number}",
        caption=f"Task {task} on a {core} at {show(clock_hz, 'Hz', 6)}",
        columns=(
            Column("Engine"),
            Column("Board"),
            Column("Latency", unit="s", badge=kind_badge("measured")),
            Column("Energy", unit="J", badge=kind_badge("measured")),
            Column("Whose"),
            Column("Source and notes"),
        ),
        rows=(*apart, *(row for _, row in sorted(ranked, key=lambda pair: pair[0]))),
    )


def _is_time(measurement: Measurement) -> bool:
    return (measurement.metric, measurement.kind) == ("latency", "measured")


def _speed(run: Run) -> Measurement | None:
    """The measured latency if there is one, else what comes nearest to it."""
    found = [m for metric in SPEEDS for m in run.measurements if m.metric == metric and m.kind != "rehearsed"]
    return next((m for m in found if _is_time(m)), found[0] if found else None)


def _own(subject: Subject, peers: Peers, speed: Measurement | None) -> Row:
    timed = speed is not None and _is_time(speed)
    notes = []
    if not timed and speed is not None:
        what = show(statistics.median(speed.samples), speed.unit)
        what += "" if speed.unit == "s" else f" {speed.metric}"
        notes.append(f"{what}, {speed.kind}: not a measured latency, and not ranked")
    if not peers.same_model:
        notes.append(f"`{subject.run.case.workload}` is not the model of the published rows")
    return Row(
        (
            Cell(subject.engine),
            Cell(subject.device, note=subject.workload),
            cell(speed) if timed else EMPTY,
            cell(_measured_energy(subject.run.measurements)),
            Cell("yours", link=subject.id),
            Cell("; ".join(notes)),
        )
    )


def _measured_energy(measurements: Iterable[Measurement]) -> Measurement | None:
    return next((m for m in measurements if (m.metric, m.kind) == ("energy", "measured")), None)


def _theirs(row: Published) -> Row:
    built = ", ".join(part for part in (row.compiler, row.supply) if part)
    energy = EMPTY if row.energy_j is None else Cell(show(row.energy_j, "J"), value=row.energy_j)
    return Row(
        (
            Cell(row.engine, note=f"CMSIS-NN: {row.kernels}"),
            Cell(row.board),
            Cell(show(row.latency_s, "s"), value=row.latency_s, badge=SUSPECT if row.suspect else None),
            energy,
            Cell(f"{row.submitter}, {row.round}", badge=PUBLISHED),
            Cell(row.source, note="; ".join(part for part in (row.note, built) if part)),
        )
    )
