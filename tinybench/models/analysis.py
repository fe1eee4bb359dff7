"""What a model needs, found out without running it: work, parameters, memory over time, what would save some.

Every number is counted from the model alone. Memory is that of activations; weights, code and stack come on
top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinybench.model import Model, Operator, Tensor, macs, parameters, tensor_bytes, total_macs
from tinybench.models.arena import ArenaPlan, InPlace, Lifetime, lifetimes, lower_bound, plan_tflm
from tinybench.models.patches import PatchPlan, worthwhile
from tinybench.target import Target


@dataclass(frozen=True)
class OperatorNeeds:
    """One operator: its outputs (shape and type of the first), its work, the bytes alive while it runs."""

    index: int
    name: str
    outputs: tuple[int, ...]
    output_shape: tuple[int, ...]
    output_type: str
    macs: int
    parameters: int
    live_bytes: int


@dataclass(frozen=True)
class TensorLife:
    """An activation, and the operators from the first to the last that need it."""

    tensor: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    first_operator: int
    last_operator: int


@dataclass(frozen=True)
class Peaks:
    """Bytes of activations at the fullest moment, by who plans them.

    `tflm`: TensorFlow Lite Micro's planner, the head of its arena. `ours`: in place where kernels allow it.
    `least`: what is alive at once, which no plan undercuts unless operators work in place.
    """

    tflm: int
    ours: int
    least: int


@dataclass(frozen=True)
class Fit:
    """Whether weights and activations fit a board. Code and stack, which come on top, are not counted."""

    target: str
    weights_bytes: int
    weights_room_bytes: int
    activations_bytes: int
    activations_room_bytes: int

    @property
    def fits(self) -> bool:
        """Whether both fit."""
        return self.lacking is None

    @property
    def lacking(self) -> str | None:
        """What does not fit, in words; None if everything does."""
        if self.weights_bytes > self.weights_room_bytes:
            return f"weights are {self.weights_bytes - self.weights_room_bytes} bytes too large"
        if self.activations_bytes > self.activations_room_bytes:
            return f"activations are {self.activations_bytes - self.activations_room_bytes} bytes too large"
        return None


@dataclass(frozen=True)
class Analysis:
    """What a model needs. `patches` holds the image whole, for `streamed` it arrives patch by patch."""

    operators: tuple[OperatorNeeds, ...]
    tensors: tuple[TensorLife, ...]
    macs: int
    parameters: int
    weights_bytes: int
    peaks: Peaks
    plan: ArenaPlan
    plan_tflm: ArenaPlan
    patches: tuple[PatchPlan, ...]
    streamed: tuple[PatchPlan, ...]
    fits: tuple[Fit, ...]


def analyse(model: Model, plan: ArenaPlan, in_place: InPlace, targets: Sequence[Target] = ()) -> Analysis:
    """Count everything. `plan` is ours, made with `in_place`. Raises ModelError for shapes that cannot be."""
    spans = lifetimes(model)
    tflm = plan_tflm(model)
    weights = sum(tensor_bytes(tensor) for tensor in _constants(model))
    return Analysis(
        operators=tuple(_needs(model, operator, spans) for operator in model.operators),
        tensors=tuple(_life(model, span) for span in spans),
        macs=total_macs(model),
        parameters=parameters(model),
        weights_bytes=weights,
        peaks=Peaks(tflm=tflm.bytes, ours=plan.bytes, least=lower_bound(model)),
        plan=plan,
        plan_tflm=tflm,
        patches=worthwhile(model, in_place),
        streamed=worthwhile(model, in_place, whole_input=False),
        fits=tuple(_fit(t, weights, plan.bytes) for t in targets if t.core.name != "host"),
    )


def alive_at(plan: ArenaPlan, operator: int) -> tuple[int, ...]:
    """Positions in `plan.buffers` of the buffers that are in use while an operator runs."""
    return tuple(
        position
        for position, buffer in enumerate(plan.buffers)
        if buffer.bytes and buffer.first_operator <= operator <= buffer.last_operator
    )


def _constants(model: Model) -> list[Tensor]:
    """Constants that operators read, each once."""
    read = {index for operator in model.operators for index in operator.inputs if index >= 0}
    return [model.tensors[index] for index in sorted(read) if model.tensors[index].data is not None]


def _needs(model: Model, operator: Operator, spans: Sequence[Lifetime]) -> OperatorNeeds:
    output = model.tensors[operator.outputs[0]] if operator.outputs else None
    return OperatorNeeds(
        index=operator.index,
        name=operator.name,
        outputs=operator.outputs,
        output_shape=output.shape if output else (),
        output_type=output.dtype if output else "",
        macs=macs(model, operator),
        parameters=parameters(replace(model, operators=(operator,))),
        live_bytes=sum(span.bytes for span in spans if span.first <= operator.index <= span.last),
    )


def _life(model: Model, span: Lifetime) -> TensorLife:
    tensor = model.tensors[span.tensor]
    return TensorLife(
        span.tensor, tensor.name, tensor.shape, tensor.dtype, tensor_bytes(tensor), span.first, span.last
    )


def _fit(target: Target, weights_bytes: int, activations_bytes: int) -> Fit:
    weights, arena = target.region_for("weights"), target.region_for("arena")
    shared = weights_bytes if weights is arena else 0
    return Fit(target.name, weights_bytes, weights.size, activations_bytes, arena.size - shared)
