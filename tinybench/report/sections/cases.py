"""Each case by itself: its memory, its operators and functions, how it came about."""

from __future__ import annotations

from collections.abc import Sequence

from tinybench.records import METRICS, Measurement
from tinybench.report.material import Material
from tinybench.report.page import Block, Cell, Facts, Fold, Paragraph, Section
from tinybench.report.quantities import cell, kind_badge
from tinybench.report.sections import cost, memory, provenance
from tinybench.report.sections.answers import DECIDING
from tinybench.report.subjects import Subject
from tinybench.units import brief

OPEN_UP_TO = 3
MOST_CASES = 120


def build(material: Material) -> Section | None:
    """One fold for each case; where there are too many for one page, the page says which are left out."""
    shown = material.subjects[:MOST_CASES]
    if not shown:
        return None
    blocks: list[Block] = []
    left_out = len(material.subjects) - len(shown)
    if left_out:
        blocks.append(
            Paragraph(
                f"Details of the first {len(shown)} of {len(material.subjects):,} cases; for the others, "
                "type `tinybench show RUN` or report fewer cases at once."
            )
        )
    alone = len(material.subjects) == 1
    folds = tuple(
        Fold(
            subject.id,
            subject.label,
            _headline(subject.run.measurements),
            of_case(subject, alone=alone),
            opened=len(material.subjects) <= OPEN_UP_TO,
        )
        for subject in shown
    )
    return Section("cases", "In detail" if alone else "Case by case", tuple(blocks), folds)


def of_case(subject: Subject, *, alone: bool) -> tuple[Block, ...]:
    """Cost first, as the reader asks why before where. With a single case its provenance stands elsewhere."""
    return (
        *_model(subject),
        *cost.of_case(subject),
        *memory.of_case(subject),
        *(() if alone else provenance.of_case(subject)),
    )


def _model(subject: Subject) -> tuple[Block, ...]:
    run, pairs = subject.run, list[tuple[str, Cell]]()
    for metric in ("macs", "parameters"):
        if (found := run.measurement(metric)) is not None:
            pairs.append((METRICS[metric].title, cell(found)))
    if run.memory is not None:
        for title, metric, reserved in (
            ("Arena reserved", "ram_arena", run.memory.arena_reserved_bytes),
            ("Stack reserved", "ram_stack", run.memory.stack_reserved_bytes),
        ):
            used = run.measurement(metric)
            note = f"{cell(used).text} used" if used is not None else ""
            pairs.append((title, Cell(f"{reserved:,} B", value=reserved, note=note)))
    return (Facts(f"{subject.id}-model", "Model and reserves", tuple(pairs)),) if pairs else ()


def _headline(measurements: Sequence[Measurement]) -> str:
    """`41.2 M instructions, 330 kB flash, 67 kB RAM`: enough to find one's case in the list of folds."""
    found = {(m.metric, m.kind): m for m in measurements if m.kind != "rehearsed"}
    order = sorted(found, key=lambda key: DECIDING.index(key[0]) if key[0] in DECIDING else len(DECIDING))
    words = []
    for metric, kind in order:
        if metric in ("latency", "instructions", "flash", "ram_peak"):
            title = {"ram_peak": "RAM", "latency": "", "flash": "flash"}.get(metric, metric)
            measurement = found[metric, kind]
            amount = f"{brief(cell(measurement).value or 0, measurement.unit)} {title}".strip()
            badge = kind_badge("estimated", measurement).text
            words.append(f"{badge}: {amount}" if kind == "estimated" else amount)
    return ", ".join(words)
