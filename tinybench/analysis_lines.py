"""An analysis as lines and tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinybench.models.analysis import Analysis, Fit, OperatorNeeds, alive_at
from tinybench.models.arena import ArenaPlan
from tinybench.models.patches import PatchPlan
from tinybench.units import show, show_share

Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]

_STRIP = 48
_WRITTEN, _KEPT, _FREE = "#", "=", "."
_MOST_PLANS = 6


def summary(name: str, analysis: Analysis) -> Iterator[str]:
    """What the model is, and the three peaks."""
    peaks = analysis.peaks
    yield (
        f"{name}: {len(analysis.operators)} operators, {analysis.macs:,} MACs, {analysis.parameters:,} "
        f"parameters, {show(analysis.weights_bytes, 'B')} of constants"
    )
    yield (
        f"activations at their peak: {show(peaks.ours, 'B')} by our planner, "
        f"{show(peaks.tflm, 'B')} by TFLM's, {show(peaks.least, 'B')} alive at once"
    )


def operators(analysis: Analysis) -> Table:
    """Every operator with the arena while it runs, from its first byte to its last."""
    head = ("", "operator", "output", "MACs", "parameters", "alive", f"arena, a place is {_place(analysis)}")
    rows = [
        (
            str(operator.index),
            operator.name,
            _shape(operator),
            f"{operator.macs:,}",
            f"{operator.parameters:,}",
            show(operator.live_bytes, "B"),
            strip(analysis.plan, operator),
        )
        for operator in analysis.operators
    ]
    return head, rows


LEGEND = f"`{_WRITTEN}` is written by the operator, `{_KEPT}` is read or waits for later, `{_FREE}` is free"


def _place(analysis: Analysis) -> str:
    return show(round(analysis.plan.bytes / _STRIP), "B")


def _shape(operator: OperatorNeeds) -> str:
    return "x".join(map(str, operator.output_shape)) + f" {operator.output_type}"


def strip(plan: ArenaPlan, operator: OperatorNeeds) -> str:
    """The arena while an operator runs, in `_STRIP` characters."""
    cells = [_FREE] * _STRIP
    # What is written is drawn last, over what it may share memory with.
    for position in sorted(alive_at(plan, operator.index), key=lambda p: plan.tensors[p] in operator.outputs):
        buffer = plan.buffers[position]
        begin = buffer.offset * _STRIP // plan.bytes
        end = max((buffer.offset + buffer.bytes) * _STRIP // plan.bytes, begin + 1)
        is_written = plan.tensors[position] in operator.outputs
        for cell in range(begin, min(end, _STRIP)):
            cells[cell] = _WRITTEN if is_written else _KEPT
    return "".join(cells)


def patches(analysis: Analysis) -> Table:
    """The plans of patch-based execution that save memory, the smallest first."""
    head = ("the first", "on patches", "image", "peak", "of", "recomputed MACs")
    rows = [
        *(_patch_row(plan, analysis, "whole") for plan in _shown(analysis.patches)),
        *(_patch_row(plan, analysis, "in patches") for plan in _shown(analysis.streamed)),
    ]
    return head, rows


def _shown(plans: Sequence[PatchPlan]) -> Sequence[PatchPlan]:
    """Some of the plans, from the smallest to the cheapest."""
    if len(plans) <= _MOST_PLANS:
        return plans
    return [plans[i * (len(plans) - 1) // (_MOST_PLANS - 1)] for i in range(_MOST_PLANS)]


def _patch_row(plan: PatchPlan, analysis: Analysis, image: str) -> tuple[str, ...]:
    own = plan.macs - plan.extra_macs
    return (
        f"{plan.operators} operators",
        f"{plan.rows} x {plan.columns}",
        image,
        show(plan.bytes, "B"),
        show_share(plan.bytes / analysis.peaks.ours),
        f"{plan.extra_macs:,} ({show_share(plan.extra_macs / own if own else 0.0)})",
    )


def boards(fits: Sequence[Fit]) -> Table:
    """Which boards the weights and the activations fit, the code and the stack aside."""
    head = ("board", "weights", "of", "activations", "of", "")
    rows = [
        (
            fit.target,
            show(fit.weights_bytes, "B"),
            show(fit.weights_room_bytes, "B"),
            show(fit.activations_bytes, "B"),
            show(fit.activations_room_bytes, "B"),
            "fits" if fit.lacking is None else fit.lacking,
        )
        for fit in fits
    ]
    return head, rows
