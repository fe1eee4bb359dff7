"""What an operator becomes: constants, the text of a function, and what it promises; and how it refuses."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tinybench.codegen.fixed_point import clamped, quantised_multiplier, rounded, single
from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Option, Quantisation, Tensor

# enum ActivationFunctionType of the schema.
_ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
_BOUNDS: Mapping[str, tuple[float | None, float | None]] = MappingProxyType(
    {"NONE": (None, None), "RELU": (0.0, None), "RELU_N1_TO_1": (-1.0, 1.0), "RELU6": (0.0, 6.0)}
)
_INT16_MAX = (1 << 15) - 1
_LARGEST_FLOAT = (2 - 2.0**-23) * 2.0**127
# A shift that leaves nothing but zeros of any sum below 2**30.
_ALL_BITS = 31


@dataclass(frozen=True)
class Numbers:
    """A type of numbers that kernels exist for: its C type, what its kernels' names end in, its limits."""

    dtype: str
    c: Literal["int8_t", "int16_t", "float"]
    suffix: str
    limits: tuple[float, float]
    bytes: int


INT8 = Numbers("int8", "int8_t", "", (-128, 127), 1)
INT16 = Numbers("int16", "int16_t", "_16", (-(1 << 15), (1 << 15) - 1), 2)
FLOAT = Numbers("float32", "float", "_f32", (-_LARGEST_FLOAT, _LARGEST_FLOAT), 4)
NUMBERS: Mapping[str, Numbers] = MappingProxyType({kind.dtype: kind for kind in (INT8, INT16, FLOAT)})


@dataclass(frozen=True)
class Constant:
    """A constant in flash: the last part of its name, its C type, its values (`bytes` for int8)."""

    name: str
    type: Literal["int8_t", "int16_t", "int32_t", "int64_t", "float", "tb_scale"]
    values: bytes | tuple[int, ...] | tuple[float, ...] | tuple[Scale, ...]


@dataclass(frozen=True)
class Scale:
    """`tb_scale` of tb_fixed_point.h."""

    multiplier: int
    lift: int
    shift: int

    def __str__(self) -> str:
        return f"{{{self.multiplier}, {self.lift}, {self.shift}}}"


@dataclass(frozen=True)
class Lowered:
    """An operator as C.

    `body` are the statements of its function, a `string.Template`: `$in0` and `$out0` stand for the
    addresses of its inputs and outputs, `${c}` for the prefix of its constants. `in_place` lists inputs whose
    memory the first output may take, element for element. `taps` is the size of the filter, for the kernels'
    array of pointers, `patch` the bytes under it where they are gathered; `padding` (zero point, length) asks
    for a row of zero points: `$padding` in the body. `scratch_bytes` of the arena are the operator's own
    while it runs: `$scratch`. `promises` are conditions in C that the image checks once at its start.
    `library` is whose kernel is called, if it is not one of ours.
    """

    constants: tuple[Constant, ...]
    body: tuple[str, ...]
    in_place: tuple[int, ...] = ()
    taps: int = 1
    patch: int = 1
    padding: tuple[int, int] | None = None
    scratch_bytes: int = 0
    promises: tuple[str, ...] = ()
    library: str = ""


@dataclass(frozen=True)
class Site:
    """An operator within its model, and the checks that every kernel makes of it."""

    model: Model
    operator: Operator

    def __str__(self) -> str:
        return f"operator {self.operator.index} `{self.operator.name}`"

    def refused(self, reason: str) -> ModelError:
        """The error that says why this operator cannot be lowered."""
        return ModelError(f"{self} {reason}")

    def optional_input(self, slot: int) -> Tensor | None:
        """The tensor in an input slot, None where it is absent."""
        inputs = self.operator.inputs
        return self.model.tensors[inputs[slot]] if slot < len(inputs) and inputs[slot] >= 0 else None

    def input(self, slot: int) -> Tensor:
        """The tensor in an input slot."""
        tensor = self.optional_input(slot)
        if tensor is None:
            raise self.refused(f"lacks its input {slot}")
        return tensor

    def output(self, slot: int = 0) -> Tensor:
        """The tensor in an output slot."""
        if slot >= len(self.operator.outputs):
            raise self.refused(f"lacks its output {slot}")
        return self.model.tensors[self.operator.outputs[slot]]

    def activation(self, tensor: Tensor, kind: Numbers = INT8) -> Tensor:
        """`tensor`, after it was seen to be of this type, and quantised as its kernels take it.

        Integers need one scale and one zero point, which is 0 for int16.
        """
        if tensor.dtype != kind.dtype:
            raise ModelError(f"tensor `{tensor.name}` is {tensor.dtype}; {self} runs {kind.dtype} here")
        if kind is FLOAT:
            return tensor
        if tensor.quantisation is None or len(tensor.quantisation.scales) != 1:
            raise ModelError(f"tensor `{tensor.name}` has no single scale; the kernels run {kind.dtype}")
        if tensor.quantisation.scales[0] <= 0:
            raise ModelError(f"tensor `{tensor.name}` has the scale `{tensor.quantisation.scales[0]}`")
        if kind is INT16 and any(tensor.quantisation.zero_points):
            raise ModelError(f"tensor `{tensor.name}` is int16 with a zero point, which must be 0")
        return tensor

    def kind(self, tensor: Tensor) -> Numbers:
        """The type of an activation, after it was seen to be one that there are kernels for."""
        kind = NUMBERS.get(tensor.dtype)
        if kind is None:
            raise ModelError(
                f"tensor `{tensor.name}` is {tensor.dtype}; the kernels run {', '.join(NUMBERS)}"
            )
        self.activation(tensor, kind)
        return kind

    def shape(self, tensor: Tensor, dimensions: int) -> tuple[int, ...]:
        """The shape of `tensor`, after it was seen to have this many dimensions and none of size 0."""
        if len(tensor.shape) != dimensions or 0 in tensor.shape:
            raise self.refused(
                f"needs {dimensions} dimensions; tensor `{tensor.name}` is {list(tensor.shape)}"
            )
        if max(tensor.shape) > _INT16_MAX:
            raise self.refused(
                f"has a dimension beyond {_INT16_MAX}; tensor `{tensor.name}` is {list(tensor.shape)}"
            )
        return tensor.shape

    def element_by_element(self, input_: Tensor, output: Tensor) -> int:
        """The number of elements of both, after it was seen to be one number."""
        size = math.prod(output.shape)
        if math.prod(input_.shape) != size:
            raise self.refused(
                f"changes the number of elements; tensor `{output.name}` is {list(output.shape)}"
            )
        return size

    def axis(self, value: int, tensor: Tensor) -> int:
        """A dimension of a tensor, counted from the front."""
        rank = len(tensor.shape)
        if not -rank <= value < rank:
            raise self.refused(f"names dimension {value} of tensor `{tensor.name}` {list(tensor.shape)}")
        return value % rank

    def whole(self, name: str) -> int:
        """An integer option."""
        value = self.option(name)
        if not isinstance(value, int):
            raise self.refused(f"has the option `{name}` = {value}, not an integer")
        return value

    def option(self, name: str) -> Option:
        """An option of the operator."""
        if name not in self.operator.options:
            raise self.refused(f"lacks the option `{name}`")
        return self.operator.options[name]

    def integers(self, tensor: Tensor) -> tuple[int, ...]:
        """The values of a constant int32 or int64 tensor that steers this operator."""
        formats = {"int32": "i", "int64": "q"}
        if tensor.data is None or tensor.dtype not in formats:
            raise self.refused(
                f"needs a constant int32 tensor; `{tensor.name}` is {tensor.dtype} and may vary"
            )
        return struct.unpack(f"<{math.prod(tensor.shape)}{formats[tensor.dtype]}", tensor.data)

    def fused_activation(self) -> str:
        """The name of the fused activation; refuses one without a kernel."""
        kind = self.whole("fused_activation_function")
        name = _ACTIVATIONS[kind] if 0 <= kind < len(_ACTIVATIONS) else str(kind)
        if name not in _BOUNDS:
            raise self.refused(f"has a fused activation without a kernel (`{name}`)")
        return name

    def fused_range(self) -> tuple[int, int]:
        """The range an output is clamped to by the fused activation (CalculateActivationRangeQuantized)."""
        return self.activation_range(self.fused_activation())

    def activation_range(self, name: str) -> tuple[int, int]:
        """The integers of the output between which an activation function keeps it."""
        output = self.output()
        least, most = map(int, self.kind(output).limits)
        lowest, highest = (
            bound
            if limit is None
            else clamped(zero_point(output) + rounded(single(limit / scale(output))), least, most)
            for limit, bound in zip(_BOUNDS[name], (least, most), strict=True)
        )
        return lowest, highest

    def fused_bounds(self) -> tuple[float, float]:
        """The real numbers between which the fused activation keeps an output of floats."""
        lowest, highest = _BOUNDS[self.fused_activation()]
        least, most = FLOAT.limits
        return least if lowest is None else lowest, most if highest is None else highest

    def scale(self, real: float, bound: int) -> Scale:
        """The scale by a real number of accumulators no larger than `bound`."""
        return self.fixed_scale(*quantised_multiplier(real), bound)

    def fixed_scale(self, multiplier: int, exponent: int, bound: int) -> Scale:
        """The same for a multiplier in fixed point; refuses where the kernels' 32 bits would not hold it."""
        if not fits(multiplier, exponent, bound):
            raise self.refused(f"has sums beyond 30 bits; tensor `{self.output().name}` would overflow")
        return (
            Scale(0, 1, 0)
            if exponent <= -_ALL_BITS
            else Scale(multiplier, max(exponent, 0) + 1, max(-exponent, 0))
        )


def clamp(site: Site) -> tuple[str, ...]:
    """The call that applies the fused activation, if the range of int8 does not apply it already."""
    lowest, highest = site.fused_range()
    if (lowest, highest) == (-128, 127):
        return ()
    return (f"tb_clamp({lowest}, {highest}, {math.prod(site.output().shape)}, $out0);",)


def fits(multiplier: int, exponent: int, bound: int) -> bool:
    """Whether tb_scaled holds sums up to `bound` in 32 bits on their way through this multiplier."""
    left, shift = max(exponent, 0), max(-exponent, 0)
    largest = ((bound << left) * multiplier >> 31) + 1
    return bound << (left + 1) < 1 << 31 and (shift >= _ALL_BITS or 2 * largest + 1 < 1 << 31)


def quantisation(tensor: Tensor) -> Quantisation:
    """The quantisation of a tensor that was seen to have one."""
    assert tensor.quantisation is not None
    return tensor.quantisation


def scale(tensor: Tensor) -> float:
    """The one scale of an activation."""
    return quantisation(tensor).scales[0]


def zero_point(tensor: Tensor) -> int:
    """The one zero point of an activation."""
    points = quantisation(tensor).zero_points
    return points[0] if points else 0


def signed(data: bytes) -> Sequence[int]:
    """int8 values of little-endian bytes."""
    return memoryview(data).cast("b")


def float_text(value: float) -> str:
    """A C constant that is this 32-bit float exactly: nine significant digits tell any two apart."""
    text = f"{value:.9g}"
    return f"{text}F" if any(c in text for c in ".e") else f"{text}.0F"


def structure(name: str, type_: str, fields: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """A `static const` C structure, one field a line."""
    lines = tuple(f"    .{field} = {value}," for field, value in fields)
    return (f"static const {type_} {name} = {{", *lines, "};")


def fields(values: Iterable[tuple[str, object]]) -> str:
    """The text of a nested C structure."""
    return "{" + ", ".join(f".{name} = {value}" for name, value in values) + "}"
