"""Patch-based execution: what a model would need if its first operators ran patch by patch.

Method: J. Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning", NeurIPS 2021
(arXiv 2110.15352), section 3.1. The output of the first operators, the stage, is cut by a grid; each patch
needs of every tensor before it what lies in its receptive field. While the stage runs, the image and the
output of the stage lie in memory whole, and between them the patch's pieces. Where receptive fields overlap,
values are computed more than once. What follows the stage runs as ever.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

from tinybench.model import Model, Operator, Tensor, macs, total_macs
from tinybench.models.arena import InPlace, lower_bound, plan_smallest

_SAME = 0
_RANK = 4
# Rows and columns of a grid that are tried.
LARGEST_GRID = 8


@dataclass(frozen=True)
class Interval:
    """Positions `begin` to `end` along one axis, the end excluded."""

    begin: int
    end: int

    @property
    def length(self) -> int:
        """How many positions."""
        return max(self.end - self.begin, 0)

    def joined(self, other: Interval) -> Interval:
        """The shortest interval that holds both."""
        return Interval(min(self.begin, other.begin), max(self.end, other.end))


@dataclass(frozen=True)
class PatchPlan:
    """The first `operators` run on a grid of `rows` x `columns` patches.

    `bytes` are the peak of the whole inference: of the stage, or of what follows it. `macs` are those of one
    inference, `extra_macs` what recomputation adds to the model's own.
    """

    operators: int
    rows: int
    columns: int
    stage_bytes: int
    rest_bytes: int
    macs: int
    extra_macs: int

    @property
    def bytes(self) -> int:
        """Peak of the whole inference."""
        return max(self.stage_bytes, self.rest_bytes)


def worthwhile(
    model: Model, in_place: InPlace = lambda _operator: (), *, whole_input: bool = True
) -> tuple[PatchPlan, ...]:
    """Patch plans that need less memory than the best plan without, none beaten on both bytes and MACs.

    In order of bytes, the smallest first. `in_place` is that of `plan_smallest` and holds for what follows
    the stage. `whole_input` False leaves the image out: patches of it arrive when they are asked for.
    """
    best = plan_smallest(model, in_place).bytes
    rests: dict[int, int] = {}
    found = []
    for patches in sorted(_candidates(model), key=lambda c: (c.macs, c.stage.operators)):
        stage = patches.stage
        if stage.operators not in rests:
            rests[stage.operators] = stage.rest_bytes(in_place)
        if max(patches.live_bytes(whole_input=whole_input), rests[stage.operators]) >= best:
            continue
        plan = PatchPlan(
            operators=stage.operators,
            rows=len(patches.rows),
            columns=len(patches.columns),
            stage_bytes=patches.bytes(whole_input=whole_input),
            rest_bytes=rests[stage.operators],
            macs=patches.macs,
            extra_macs=patches.macs - total_macs(model),
        )
        if plan.bytes < best:
            best = plan.bytes
            found.append(plan)
    return tuple(reversed(found))


def _candidates(model: Model) -> Iterator[Patches]:
    for stage in stages(model):
        cuts = [
            [stage.cut(axis, parts) for parts in range(1, min(LARGEST_GRID, stage.extents[axis]) + 1)]
            for axis in (0, 1)
        ]
        for rows, columns in itertools.product(*cuts):
            if len(rows) * len(columns) > 1:
                yield Patches(stage, rows, columns)


def stages(model: Model) -> Iterator[Stage]:
    """Every run of first operators that may be executed patch by patch.

    All of them work on places of one image and what lies around them, and of what they have made only the
    output of the last is needed later.
    """
    if len(model.inputs) != 1 or not _is_image(model.tensors[model.inputs[0]]):
        return
    needed_until = {index: len(model.operators) for index in model.outputs}
    for operator in model.operators:
        for index in operator.inputs:
            needed_until[index] = max(operator.index, needed_until.get(index, 0))
    made = {model.inputs[0]}
    reaches: list[Reaches] = []
    for operator in model.operators:
        reach = _reaches(model, operator)
        if reach is None:
            return
        reaches.append(reach)
        (output,) = operator.outputs
        made.add(output)
        if all(index == output or needed_until.get(index, 0) <= operator.index for index in made):
            yield Stage(model, tuple(reaches))


def _is_image(tensor: Tensor) -> bool:
    return len(tensor.shape) == _RANK and tensor.shape[0] == 1 and math.prod(tensor.shape) > 0


# How an interval along an axis (0: rows, 1: columns) of an operator's output grows to what it reads.
Reach = Callable[[int, Interval], Interval]
Reaches = Mapping[int, Reach]
Needs = Mapping[int, Interval]


@dataclass(frozen=True)
class Stage:
    """The first operators of a model, to be run patch by patch; `reaches` has what each of them reads."""

    model: Model
    reaches: tuple[Reaches, ...]

    @property
    def operators(self) -> int:
        """How many operators."""
        return len(self.reaches)

    @property
    def output(self) -> Tensor:
        """The tensor that the patches make together."""
        return self.model.tensors[self.model.operators[self.operators - 1].outputs[0]]

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of the output."""
        return self.output.shape[1], self.output.shape[2]

    def needs(self, axis: int, asked: Interval) -> Needs:
        """What positions of the output need of each tensor along an axis: their receptive fields."""
        needs = {self.output.index: asked}
        for operator, reaches in reversed(list(zip(self.model.operators, self.reaches, strict=False))):
            interval = needs.get(operator.outputs[0])
            if interval is None:
                continue
            for index, reach in reaches.items():
                read = reach(axis, interval)
                needs[index] = read.joined(needs[index]) if index in needs else read
        return needs

    def cut(self, axis: int, parts: int) -> tuple[Needs, ...]:
        """What each part needs of an axis cut into parts that differ by at most one position."""
        edges = [self.extents[axis] * i // parts for i in range(parts + 1)]
        return tuple(self.needs(axis, Interval(*pair)) for pair in itertools.pairwise(edges))

    def rest_bytes(self, in_place: InPlace) -> int:
        """Peak of the arena behind the stage."""

        def allowed(operator: Operator) -> Iterable[int]:
            return in_place(self.model.operators[operator.index + self.operators])

        operators = self.model.operators[self.operators :]
        rest = replace(
            self.model,
            operators=tuple(replace(o, index=o.index - self.operators) for o in operators),
            inputs=(self.output.index,),
        )
        return plan_smallest(rest, allowed).bytes


@dataclass(frozen=True)
class Patches:
    """A stage cut by a grid: what its rows and its columns need of each tensor."""

    stage: Stage
    rows: tuple[Needs, ...]
    columns: tuple[Needs, ...]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference: of all patches, and of what follows."""
        model, total = self.stage.model, 0
        for operator in model.operators:
            own = macs(model, operator)
            if operator.index < self.stage.operators:
                output = operator.outputs[0]
                _, height, width, _ = model.tensors[output].shape
                computed = _sum_of(self.rows, output) * _sum_of(self.columns, output)
                own = own // (height * width) * computed
            total += own
        return total

    def bytes(self, *, whole_input: bool) -> int:
        """Peak of the arena while patches run: that of the patch which needs most."""
        return max(plan_smallest(model).bytes for model in self._models(whole_input=whole_input))

    def live_bytes(self, *, whole_input: bool) -> int:
        """The most bytes that a patch needs at once: no plan of the stage is smaller."""
        return max(lower_bound(model) for model in self._models(whole_input=whole_input))

    def _models(self, *, whole_input: bool) -> Iterator[Model]:
        """The stage as a model of one patch, once for each size that a patch and its pieces have."""
        for rows, columns in itertools.product(_sizes(self.rows), _sizes(self.columns)):
            yield self._model(dict(rows), dict(columns), whole_input=whole_input)

    def _model(self, rows: Mapping[int, int], columns: Mapping[int, int], *, whole_input: bool) -> Model:
        stage = self.stage
        # A variable lives through all operators, as the whole input and the whole output do.
        whole = {stage.output.index, *(stage.model.inputs if whole_input else ())}

        def piece(tensor: Tensor) -> Tensor:
            if tensor.index in whole:
                return replace(tensor, variable=True)
            if tensor.index in rows:
                return replace(tensor, shape=(1, rows[tensor.index], columns[tensor.index], tensor.shape[3]))
            return tensor

        return replace(
            stage.model,
            tensors=tuple(piece(tensor) for tensor in stage.model.tensors),
            operators=stage.model.operators[: stage.operators],
            outputs=(stage.output.index,),
        )


def _sum_of(parts: Sequence[Needs], tensor: int) -> int:
    return sum(needs[tensor].length for needs in parts if tensor in needs)


def _sizes(parts: Sequence[Needs]) -> set[tuple[tuple[int, int], ...]]:
    """The sizes that the parts' pieces have, none that another is at least as large as in everything."""
    sizes = {tuple(sorted((index, need.length) for index, need in needs.items())) for needs in parts}
    return {one for one in sizes if not any(one != other and _is_within(one, other) for other in sizes)}


def _is_within(one: tuple[tuple[int, int], ...], other: tuple[tuple[int, int], ...]) -> bool:
    larger = dict(other)
    return all(length <= larger.get(index, 0) for index, length in one)


def _reaches(model: Model, operator: Operator) -> Reaches | None:
    """What an area of the output needs of each activation that is read, None if it may need anything."""
    activations = [i for i in operator.inputs if i >= 0 and model.tensors[i].data is None]
    if len(operator.outputs) != 1 or not activations or operator.name not in _REACHES:
        return None
    tensors = [model.tensors[i] for i in (*activations, operator.outputs[0])]
    if not all(_is_image(t) for t in tensors) or any(t.variable for t in tensors):
        return None
    return _REACHES[operator.name](model, operator, activations)


def _same_places(model: Model, operator: Operator, read: Sequence[int]) -> Reaches | None:
    places = model.tensors[operator.outputs[0]].shape[1:3]
    if any(model.tensors[index].shape[1:3] != places for index in read):
        return None
    return dict.fromkeys(read, lambda _axis, asked: asked)


def _concatenation(model: Model, operator: Operator, read: Sequence[int]) -> Reaches | None:
    is_of_channels = operator.options["axis"] in {3, -1}
    return _same_places(model, operator, read) if is_of_channels else None


def _convolution(model: Model, operator: Operator, read: Sequence[int]) -> Reaches | None:
    if len(operator.inputs) < 2 or operator.inputs[1] < 0:  # noqa: PLR2004 - an image and a filter
        return None
    weights = model.tensors[operator.inputs[1]]
    if len(weights.shape) != _RANK:
        return None
    filter_ = weights.shape[1:3]
    dilation = (operator.options["dilation_h_factor"], operator.options["dilation_w_factor"])
    spans = [(int(size) - 1) * _whole(factor) + 1 for size, factor in zip(filter_, dilation, strict=True)]
    return _windows(model, operator, read, spans)


def _pooling(model: Model, operator: Operator, read: Sequence[int]) -> Reaches | None:
    spans = [_whole(operator.options[name]) for name in ("filter_height", "filter_width")]
    return _windows(model, operator, read, spans)


def _windows(model: Model, operator: Operator, read: Sequence[int], spans: Sequence[int]) -> Reaches | None:
    """Windows of these heights and widths; before the first lies half of the padding, rounded down."""
    if len(read) != 1:
        return None
    extents = model.tensors[read[0]].shape[1:3]
    counts = model.tensors[operator.outputs[0]].shape[1:3]
    strides = [_whole(operator.options[name]) for name in ("stride_h", "stride_w")]
    is_padded = operator.options["padding"] == _SAME
    if min(*strides, *spans) < 1:
        return None

    def along(axis: int, asked: Interval) -> Interval:
        missing = (counts[axis] - 1) * strides[axis] + spans[axis] - extents[axis]
        before = max(missing, 0) // 2 if is_padded else 0
        begin = asked.begin * strides[axis] - before
        end = (asked.end - 1) * strides[axis] - before + spans[axis]
        begin, end = (min(max(edge, 0), extents[axis]) for edge in (begin, end))
        return Interval(begin, end)

    return {read[0]: along}


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


_POINTWISE = (
    "ADD DEQUANTIZE HARD_SWISH LEAKY_RELU LOGISTIC MAXIMUM MINIMUM MUL PRELU QUANTIZE RELU RELU6 RELU_0_TO_1"
    " RELU_N1_TO_1 SUB TANH"
)
_REACHES: Mapping[str, Callable[[Model, Operator, Sequence[int]], Reaches | None]] = MappingProxyType(
    {
        **dict.fromkeys(_POINTWISE.split(), _same_places),
        "AVERAGE_POOL_2D": _pooling,
        "CONCATENATION": _concatenation,
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _convolution,
        "MAX_POOL_2D": _pooling,
    }
)
