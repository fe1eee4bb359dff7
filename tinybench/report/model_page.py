"""The analysis of a model as a page like a report's: the arena over time for each planner, and tables."""

from __future__ import annotations

from datetime import datetime

from tinybench import __version__
from tinybench.models.analysis import Analysis
from tinybench.models.arena import ArenaPlan
from tinybench.models.patches import PatchPlan
from tinybench.report.drawings import Bars, Series, Span, Spans
from tinybench.report.page import Block, Cell, Column, Figure, Paragraph, Report, Row, Section, Table
from tinybench.units import show, show_share


def model_page(name: str, analysis: Analysis, written: datetime) -> Report:
    """The page of one model."""
    peaks = analysis.peaks
    return Report(
        heading=f"{name}: {show(peaks.ours, 'B')} of activations, {analysis.macs:,} MACs, "
        f"{analysis.parameters:,} parameters",
        standfirst="Counted from the model alone; nothing was built or run. Code, stack and the engine's own "
        "memory come on top.",
        tone="plain",
        sections=(
            Section("arena", "Activations over time", _arena(analysis)),
            Section("operators", "Operators", (_operators(analysis),)),
            Section("patches", "Patch by patch", _patches(analysis)),
            Section("boards", "Boards", (_boards(analysis),)),
        ),
        written=written,
        tinybench=__version__,
    )


def _arena(analysis: Analysis) -> tuple[Block, ...]:
    peaks = analysis.peaks
    bars = Bars(
        labels=("our planner", "TFLM's planner", "alive at once"),
        series=(Series("Activations", (peaks.ours, peaks.tflm, peaks.least)),),
        unit="B",
        axis="Bytes at the peak",
    )
    return (
        Figure(
            id="peaks",
            caption="Peak activation memory by planner",
            text=f"{show(peaks.ours, 'B')} by our planner, {show(peaks.tflm, 'B')} by TFLM's.",
            drawing=bars,
        ),
        _plan("arena-ours", "Our plan", analysis.plan, len(analysis.operators)),
        _plan("arena-tflm", "TFLM's plan", analysis.plan_tflm, len(analysis.operators)),
    )


def _plan(id_: str, title: str, plan: ArenaPlan, steps: int) -> Figure:
    return Figure(
        id=id_,
        caption=f"{title}: {show(plan.bytes, 'B')} in {len(plan.buffers)} buffers",
        text="Each rectangle is a buffer: along, the operators during which it lives; upwards, the bytes it "
        "occupies.",
        drawing=Spans(
            spans=tuple(
                Span(b.name, b.first_operator, b.last_operator, b.offset, b.offset + b.bytes)
                for b in plan.buffers
                if b.bytes
            ),
            steps=max(steps, 1),
            unit="B",
            along="Operator",
            upwards="Offset in the arena",
        ),
    )


def _operators(analysis: Analysis) -> Table:
    return Table(
        id="operators-table",
        caption="Operators in the order of execution",
        columns=(
            Column("Operator"),
            Column("Output"),
            Column("MACs", unit="count"),
            Column("Parameters", unit="count"),
            Column("Alive", unit="B"),
        ),
        rows=tuple(
            Row(
                (
                    Cell(f"{operator.index} {operator.name}"),
                    Cell(" × ".join(map(str, operator.output_shape)), note=operator.output_type),  # noqa: RUF001
                    _count(operator.macs, analysis.macs),
                    _count(operator.parameters, analysis.parameters),
                    Cell(
                        show(operator.live_bytes, "B"),
                        value=operator.live_bytes,
                        share=operator.live_bytes / max(analysis.peaks.least, 1),
                    ),
                )
            )
            for operator in analysis.operators
        ),
    )


def _count(value: int, of: int) -> Cell:
    return Cell(f"{value:,}", value=value, share=value / max(of, 1))


def _patches(analysis: Analysis) -> tuple[Block, ...]:
    if not analysis.patches and not analysis.streamed:
        return (Paragraph("Running the first operators patch by patch would save nothing."),)
    plans = [(plan, "whole") for plan in analysis.patches]
    plans += [(plan, "in patches") for plan in analysis.streamed]
    table = Table(
        id="patches-table",
        caption="Plans that need less memory, none beaten on both memory and work",
        columns=(
            Column("Stage and grid"),
            Column("Image"),
            Column("Peak", unit="B"),
            Column("Recomputed MACs", unit="count"),
        ),
        rows=tuple(_patch_row(plan, image, analysis.peaks.ours) for plan, image in plans),
    )
    return (
        Paragraph(
            "The first operators, the stage, run on one patch of the image at a time (MCUNetV2, Lin et al. "
            "2021). The image lies in memory whole, or its patches arrive when they are asked for."
        ),
        table,
    )


def _patch_row(plan: PatchPlan, image: str, unpatched_bytes: int) -> Row:
    own = plan.macs - plan.extra_macs
    return Row(
        (
            Cell(f"{plan.operators} operators, {plan.rows} × {plan.columns}"),  # noqa: RUF001 - times
            Cell(image),
            Cell(
                show(plan.bytes, "B"),
                value=plan.bytes,
                note=f"{show_share(plan.bytes / unpatched_bytes)} of the plan without patches",
            ),
            Cell(
                f"{plan.extra_macs:,}",
                value=plan.extra_macs,
                note=f"{show_share(plan.extra_macs / own if own else 0.0)} of the model's own",
            ),
        )
    )


def _boards(analysis: Analysis) -> Table:
    return Table(
        id="boards-table",
        caption="Weights and activations beside the memory of each board",
        columns=(
            Column("Board"),
            Column("Room for weights", unit="B"),
            Column("Room for activations", unit="B"),
            Column("Fits"),
        ),
        rows=tuple(
            Row(
                (
                    Cell(fit.target),
                    Cell(show(fit.weights_room_bytes, "B"), value=fit.weights_room_bytes),
                    Cell(show(fit.activations_room_bytes, "B"), value=fit.activations_room_bytes),
                    Cell(fit.lacking or "yes", tone="plain" if fit.lacking is None else "bad"),
                )
            )
            for fit in analysis.fits
        ),
    )
