"""Where the bytes are: RAM and flash of every case side by side, and each image by section and symbol."""

from __future__ import annotations

from tinybench.records import MemoryMap, Run, Symbol
from tinybench.report.drawings import Bars, Series, Span, Spans
from tinybench.report.material import Material
from tinybench.report.page import Block, Cell, Column, Figure, Row, Section, Table
from tinybench.report.quantities import cell
from tinybench.report.sections.answers import SUBJECT_COLUMNS, metric_column, metric_kinds, names, of_kind
from tinybench.report.subjects import Subject
from tinybench.units import show, show_binary

METRICS_OF_MEMORY = ("flash", "ram_static", "ram_arena", "ram_stack", "ram_heap", "ram_peak")
RAM_PARTS = {"ram_static": "Static", "ram_arena": "Arena", "ram_stack": "Stack", "ram_heap": "Heap"}
MOST_BARS = 24
MOST_SYMBOLS = 10


def build(material: Material) -> Section | None:
    """The memory of every case, and a drawing of its RAM where the cases are few enough to be read."""
    present = metric_kinds(material.subjects, METRICS_OF_MEMORY)
    if not present:
        return None
    table = Table(
        id="memory-table",
        caption="Flash and RAM",
        columns=(*SUBJECT_COLUMNS, *(metric_column(metric, kind) for metric, kind in present)),
        rows=tuple(
            Row(
                (*names(subject), *(cell(of_kind(subject, metric, kind)) for metric, kind in present)),
                changed=material.changed(subject),
            )
            for subject in material.subjects
        ),
    )
    drawn = [subject for subject in material.subjects if _ram(subject.run)][:MOST_BARS]
    blocks: list[Block] = [_ram_figure(drawn, len(material.subjects))] if drawn else []
    return Section("memory", "Memory", (*blocks, table))


def _ram(run: Run) -> dict[str, float]:
    found = {metric: run.measurement(metric) for metric in RAM_PARTS}
    return {metric: max(m.samples) for metric, m in found.items() if m is not None}


def _ram_figure(drawn: list[Subject], of: int) -> Figure:
    series = tuple(
        Series(title, tuple(_ram(subject.run).get(metric) for subject in drawn))
        for metric, title in RAM_PARTS.items()
        if any(_ram(subject.run).get(metric) for subject in drawn)
    )
    rest = f", the first {len(drawn)} of {of} cases" if of > len(drawn) else ""
    largest = max(drawn, key=lambda subject: sum(_ram(subject.run).values()))
    return Figure(
        id="ram-figure",
        caption=f"Peak RAM by what holds it{rest}",
        text=f"Stacked bars of RAM; the largest is {largest.label}. The table below has every number.",
        drawing=Bars(tuple(subject.label for subject in drawn), series, unit="B", axis="RAM"),
    )


def of_case(subject: Subject) -> tuple[Block, ...]:
    """The image's sections and largest symbols, and its arena over time."""
    memory, blocks = subject.run.memory, list[Block]()
    if memory is not None:
        blocks += [_sections(subject, memory)]
        if memory.largest_flash_symbols:
            blocks.append(_symbols(subject, "flash", memory.largest_flash_symbols))
        if memory.largest_ram_symbols:
            blocks.append(_symbols(subject, "RAM", memory.largest_ram_symbols))
    if subject.run.arena:
        blocks.append(_arena(subject))
    return tuple(blocks)


def _sections(subject: Subject, memory: MemoryMap) -> Table:
    flash = sum(section.flash_bytes for section in memory.sections)
    largest = max((section.flash_bytes for section in memory.sections), default=0) or 1
    return Table(
        id=f"{subject.id}-sections",
        caption="Sections of the image",
        columns=(
            Column("Section"),
            Column("Region"),
            Column("Size", unit="B"),
            Column("In flash", unit="B"),
        ),
        rows=tuple(
            Row(
                (
                    Cell(section.name),
                    Cell(section.region),
                    _bytes(section.bytes),
                    _bytes(section.flash_bytes, share=section.flash_bytes / largest),
                )
            )
            for section in memory.sections
        ),
        foot=(Row((Cell("Flash in all"), Cell(""), Cell(""), _bytes(flash))),),
    )


def _symbols(subject: Subject, where: str, symbols: tuple[Symbol, ...]) -> Table:
    shown = symbols[:MOST_SYMBOLS]
    return Table(
        id=f"{subject.id}-{where.lower()}-symbols",
        caption=f"Largest symbols in {where}",
        columns=(Column("Symbol"), Column("Section"), Column("Size", unit="B")),
        rows=tuple(
            Row(
                (
                    Cell(f"`{symbol.name}`"),
                    Cell(symbol.section),
                    _bytes(symbol.bytes, share=symbol.bytes / (shown[0].bytes or 1)),
                )
            )
            for symbol in shown
        ),
    )


def _arena(subject: Subject) -> Figure:
    buffers = subject.run.arena
    top = max(buffer.offset + buffer.bytes for buffer in buffers)
    steps = max(buffer.last_operator for buffer in buffers) + 1
    live = [
        sum(b.bytes for b in buffers if b.first_operator <= step <= b.last_operator) for step in range(steps)
    ]
    fullest = max(range(steps), key=live.__getitem__)
    title = next((f" ({o.name})" for o in subject.run.operators if o.index == fullest), "")
    return Figure(
        id=f"{subject.id}-arena",
        caption=f"The arena over one inference: {show(top, 'B')} in {len(buffers)} buffers, "
        f"fullest at operator {fullest}{title}",
        text=f"Each rectangle is a buffer: along, the operators during which it lives; upwards, the bytes it "
        f"occupies. At operator {fullest} {show(live[fullest], 'B')} of {show(top, 'B')} are in use.",
        drawing=Spans(
            spans=tuple(
                Span(b.name, b.first_operator, b.last_operator, b.offset, b.offset + b.bytes) for b in buffers
            ),
            steps=steps,
            unit="B",
            along="Operator",
            upwards="Offset in the arena",
        ),
    )


def _bytes(value: int, share: float | None = None) -> Cell:
    note = show_binary(value) if value >= 1024 else ""  # noqa: PLR2004 - the size of a KiB
    return Cell(show(value, "B"), value=value, note=note, share=share)
