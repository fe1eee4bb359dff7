"""int16 activations with int8 weights ("int16x8"), as TensorFlow Lite Micro's reference kernels run them.

Zero points are 0. Biases of int64 (or none) are added to sums of 64 bits, which a multiplier of 15 bits
scales with one rounding; biases of int32 mean sums of 32 bits, scaled like those of int8.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tinybench.codegen.fixed_point import clamped, quantised_multiplier, rounded, single
from tinybench.codegen.lowering.elementwise import operands
from tinybench.codegen.lowering.parts import (
    INT16,
    Constant,
    Lowered,
    Scale,
    Site,
    scale,
    signed,
    structure,
)
from tinybench.codegen.lowering.pooling import averaging, pooled_window
from tinybench.codegen.lowering.windows import (
    Window,
    conv_2d_parts,
    depthwise_conv_2d_parts,
    fully_connected_multipliers,
    fully_connected_parts,
)
from tinybench.model import Tensor

_MAGNITUDE = 1 << 15
_ADD_HEADROOM = 15
_WIDE_BITS = 15
_LARGEST_WIDE_SUM = 1 << 47
_LARGEST_WIDE_EXPONENT = 7
_BIAS_INT32 = 2  # enum TensorType: what `quantized_bias_type` names where there is no bias


@dataclass(frozen=True)
class _Layer:
    """Weights in the model's order, their biases, and a scale for each channel or for all."""

    weights: bytes
    bias: tuple[int, ...]
    scales: tuple[Scale, ...]

    def lowered(self, site: Site, kernel: str, window: Window) -> Lowered:
        lowest, highest = site.fused_range()
        body = structure(
            "layer",
            "tb_layer_16",
            (
                ("window", window),
                ("weights", "${c}_filter"),
                ("bias", "${c}_bias"),
                ("scales", "${c}_scales"),
                ("scale_step", 1 if len(self.scales) > 1 else 0),
                ("lowest", lowest),
                ("highest", highest),
            ),
        )
        constants = (
            Constant("filter", "int8_t", self.weights),
            Constant("bias", "int64_t", self.bias),
            Constant("scales", "tb_scale", self.scales),
        )
        return Lowered(constants, (*body, f"{kernel}(&layer, $in0, $out0);"))


def _layer(site: Site, weights: Tensor, rows: Sequence[bytes], reals: Sequence[float]) -> _Layer:
    assert weights.data is not None
    bias, is_wide = _biases(site, len(rows))
    bounds = [
        _MAGNITUDE * sum(map(abs, signed(row))) + abs(offset) for row, offset in zip(rows, bias, strict=True)
    ]
    scaled = _wide_scale if is_wide else Site.scale
    if len(reals) == 1:
        scales: tuple[Scale, ...] = (scaled(site, reals[0], max(*bounds, 1)),)
    else:
        scales = tuple(scaled(site, real, max(b, 1)) for real, b in zip(reals, bounds, strict=True))
    return _Layer(weights.data, bias, scales)


def _biases(site: Site, channels: int) -> tuple[tuple[int, ...], bool]:
    """The biases, and whether sums are of 64 bits."""
    tensor = site.optional_input(2)
    if tensor is None:
        has_int32 = site.operator.options.get("quantized_bias_type") == _BIAS_INT32
        return (0,) * channels, not has_int32
    formats = {"int32": "i", "int64": "q"}
    if tensor.data is None or tensor.dtype not in formats or math.prod(tensor.shape) != channels:
        raise site.refused(f"needs {channels} constant biases; tensor `{tensor.name}` is something else")
    values = struct.unpack(f"<{channels}{formats[tensor.dtype]}", tensor.data)
    return values, tensor.dtype == "int64"


def _wide_scale(site: Site, real: float, bound: int) -> Scale:
    """A multiplier of 15 bits for sums of 64 (MultiplyByQuantizedMultiplier for int64): lift 0 marks it."""
    multiplier, exponent = quantised_multiplier(real)
    reduced = min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)
    shift = _WIDE_BITS - exponent
    if (
        exponent > _LARGEST_WIDE_EXPONENT
        or bound >= _LARGEST_WIDE_SUM
        or (bound * reduced) >> shift >= 1 << 31
    ):
        raise site.refused(f"has sums beyond 47 bits; tensor `{site.output().name}` would overflow")
    return Scale(reduced, 0, shift)


def conv_2d(site: Site) -> Lowered:
    """CONV_2D."""
    parts = conv_2d_parts(site, INT16)
    layer = _layer(site, parts.weights, parts.rows, parts.real_multipliers(site))
    return layer.lowered(site, "tb_conv_2d_16", parts.window)


def depthwise_conv_2d(site: Site) -> Lowered:
    """DEPTHWISE_CONV_2D; biases are int64, whatever the model says of their type."""
    parts = depthwise_conv_2d_parts(site, INT16)
    bias = site.optional_input(2)
    if bias is not None and bias.dtype != "int64":
        raise site.refused(f"needs int64 biases; tensor `{bias.name}` is {bias.dtype}")
    layer = _layer(site, parts.weights, parts.rows, parts.real_multipliers(site))
    return layer.lowered(site, "tb_depthwise_conv_2d_16", parts.window)


def fully_connected(site: Site) -> Lowered:
    """FULLY_CONNECTED, as a convolution over a column of batches."""
    parts = fully_connected_parts(site, INT16)
    if parts.window.input[0] >= _MAGNITUDE:
        raise site.refused(f"has {parts.window.input[0]} batches in tensor `{site.input(0).name}`")
    layer = _layer(site, parts.weights, parts.rows, fully_connected_multipliers(site, parts))
    return layer.lowered(site, "tb_conv_2d_16", parts.window)


def average_pool_2d(site: Site) -> Lowered:
    """AVERAGE_POOL_2D."""
    return _pooling(site, "tb_average_pool_2d_16")


def max_pool_2d(site: Site) -> Lowered:
    """MAX_POOL_2D."""
    return _pooling(site, "tb_max_pool_2d_16")


def _pooling(site: Site, kernel: str) -> Lowered:
    body = (
        f"static const tb_window window = {pooled_window(site, INT16)};",
        f"{kernel}(&window, $in0, $out0);",
    )
    return Lowered((), (*body, *_clamp(site)))


def _clamp(site: Site) -> tuple[str, ...]:
    lowest, highest = site.fused_range()
    if (lowest, highest) == INT16.limits:
        return ()
    return (f"tb_clamp_16({lowest}, {highest}, {math.prod(site.output().shape)}, $out0);",)


def mean(site: Site) -> Lowered:
    """MEAN over neighbouring dimensions."""
    return Lowered((), (*averaging(site, INT16), "tb_mean_16(&layer, $in0, $out0);"))


def _binary(site: Site, kernel: str, scales: tuple[tuple[str, Scale], ...]) -> Lowered:
    found = operands(site, INT16)
    size = math.prod(site.output().shape)
    layer = structure("layer", "tb_elementwise", (("size", size), ("period", found.period), *scales))
    a, b = found.slots
    in_place = found.slots if found.period == size else (a,)
    return Lowered((), (*layer, f"{kernel}(&layer, $in{a}, $in{b}, $out0);", *_clamp(site)), in_place)


def add(site: Site) -> Lowered:
    """ADD: both operands are brought to twice the larger scale, with 15 bits of headroom."""
    found = operands(site, INT16)
    twice_larger = 2 * max(scale(found.a), scale(found.b))
    real = twice_larger / ((1 << _ADD_HEADROOM) * scale(site.output()))
    if real >= 1:
        raise site.refused(f"has too small a scale for its inputs in tensor `{site.output().name}`")
    a, b = (_headroom(site, scale(operand) / twice_larger) for operand in (found.a, found.b))
    scales = (("scale_a", a), ("scale_b", b), ("scale", site.scale(real, (1 << 30) - 1)))
    return _binary(site, "tb_add_16", scales)


def _headroom(site: Site, real: float) -> Scale:
    # The bound is that of the largest positive value; -2**15 just fits the sign's side.
    found = site.scale(real, (_MAGNITUDE - 1) << _ADD_HEADROOM)
    return Scale(found.multiplier, found.lift + _ADD_HEADROOM, found.shift)


def mul(site: Site) -> Lowered:
    """MUL."""
    multiplier, exponent = quantised_multiplier(
        scale(site.activation(site.input(0), INT16))
        * scale(site.activation(site.input(1), INT16))
        / scale(site.activation(site.output(), INT16))
    )
    if exponent > 0:
        raise site.refused(f"has too small a scale for its inputs in tensor `{site.output().name}`")
    one = Scale(0, 1, 0)
    product = one if exponent <= -31 else Scale(multiplier, 1, -exponent)  # noqa: PLR2004 - nothing is left
    return _binary(site, "tb_mul_16", (("scale_a", one), ("scale_b", one), ("scale", product)))


def relu(site: Site) -> Lowered:
    """RELU."""
    ratio = scale(site.activation(site.input(0), INT16)) / scale(site.activation(site.output(), INT16))
    slope = site.scale(ratio, _MAGNITUDE)
    return _slopes(site, slope, slope, site.activation_range("RELU")[0])


def relu6(site: Site) -> Lowered:
    """RELU6: clamps without rescaling, on the input's scale."""
    input_ = site.activation(site.input(0), INT16)
    site.activation(site.output(), INT16)
    six = clamped(rounded(single(6.0 / scale(input_))), 0, int(INT16.limits[1]))
    size = site.element_by_element(input_, site.output())
    same = Scale(1 << 30, 2, 0)
    body = _slopes(site, same, same, 0)
    return Lowered((), (*body.body, f"tb_clamp_16(0, {six}, {size}, $out0);"), (0,))


def leaky_relu(site: Site) -> Lowered:
    """LEAKY_RELU with alpha >= 0."""
    input_, output = site.activation(site.input(0), INT16), site.activation(site.output(), INT16)
    alpha = site.option("alpha")
    if not isinstance(alpha, int | float) or alpha < 0:
        raise site.refused(
            f"has the slope `{alpha}` for tensor `{input_.name}`; its kernel takes none below 0"
        )
    below = site.scale(scale(input_) * alpha / scale(output), _MAGNITUDE)
    above = site.scale(scale(input_) / scale(output), _MAGNITUDE)
    return _slopes(site, below, above, int(INT16.limits[0]))


def _slopes(site: Site, below: Scale, above: Scale, lowest: int) -> Lowered:
    size = site.element_by_element(site.input(0), site.output())
    fields = (("size", size), ("below", below), ("above", above), ("lowest", lowest))
    layer = structure("layer", "tb_slopes_16", fields)
    return Lowered((), (*layer, "tb_two_slopes_16(&layer, $in0, $out0);"), (0,))


def logistic(site: Site) -> Lowered:
    """LOGISTIC by a table."""
    return _curve(site, "tb_logistic_16", exact_shifts=(0,))


def tanh(site: Site) -> Lowered:
    """TANH by the same table."""
    return _curve(site, "tb_tanh_16", exact_shifts=(0, 1))


def _curve(site: Site, kernel: str, exact_shifts: tuple[int, ...]) -> Lowered:
    """Inputs in units of 1 / 12288 (LogisticPrepare, TanhPrepare); outputs in units of 2**-15."""
    input_, output = site.activation(site.input(0), INT16), site.activation(site.output(), INT16)
    if scale(output) != 2.0**-15:
        raise site.refused(f"gives units of 2**-15; tensor `{output.name}` has the scale `{scale(output)}`")
    fraction, exponent = math.frexp(scale(input_))
    left = 12 + exponent - 1
    if fraction == 0.5 and left in exact_shifts:  # noqa: PLR2004 - a power of two
        multiplier, shift = 3 << left, 0
    else:
        real, shift = scale(input_) * 4096.0 * 3.0, 0
        while real <= 32767.0 / 2.0 and shift <= 30:  # noqa: PLR2004 - as the reference has it
            real, shift = real * 2, shift + 1
        multiplier = int(real)
    if multiplier > INT16.limits[1]:
        raise site.refused(f"has too large a scale in tensor `{input_.name}`")
    layer = structure(
        "layer",
        "tb_curve_16",
        (
            ("size", site.element_by_element(input_, output)),
            ("table", "${c}_curve"),
            ("multiplier", multiplier),
            ("shift", shift),
        ),
    )
    constants = (Constant("curve", "int32_t", logistic_curve()),)
    return Lowered(constants, (*layer, f"{kernel}(&layer, $in0, $out0);"), (0,))


@cache
def logistic_curve() -> tuple[int, ...]:
    """65536 / (1 + exp(-i / 24)), raised by half of what a straight line to the next entry lies too low.

    The last one counts as 65535. These are the entries of TFLM's `sigmoid_table_uint16` (common.h).
    """

    def value(x: float) -> float:
        return 65536 / (1 + math.exp(-x / 24))

    def entry(i: int) -> int:
        return round(value(i) + (value(i + 0.5) - (value(i) + value(i + 1)) / 2) / 2)

    return (*(entry(i) for i in range(255)), 65535)


def softmax(site: Site) -> Lowered:
    """SOFTMAX over the last dimension, by tables of exponentials and reciprocals."""
    input_, output = site.activation(site.input(0), INT16), site.activation(site.output(), INT16)
    if abs(scale(output) * 32768 - 1) > 0.001:  # noqa: PLR2004 - as the reference allows
        raise site.refused(f"gives shares of 2**-15; tensor `{output.name}` has the scale `{scale(output)}`")
    beta = site.option("beta")
    if not isinstance(beta, int | float) or beta <= 0:
        raise site.refused(f"has the beta `{beta}` for tensor `{input_.name}`")
    site.element_by_element(input_, output)
    channels = input_.shape[-1] if input_.shape else 0
    if not 0 < channels < _MAGNITUDE:
        raise site.refused(f"has {channels} classes; tensor `{input_.name}` may have 1 to {_MAGNITUDE - 1}")
    real = scale(input_) * beta / (10.0 / 65535.0)
    layer = structure(
        "layer",
        "tb_softmax_layer_16",
        (
            ("rows", math.prod(input_.shape[:-1])),
            ("channels", channels),
            ("exponentials", "${c}_exponentials"),
            ("reciprocals", "${c}_reciprocals"),
            ("scale", site.scale(real, 65535)),
        ),
    )
    constants = (
        Constant("exponentials", "int16_t", _exponentials()),
        Constant("reciprocals", "int16_t", _reciprocals()),
    )
    return Lowered(constants, (*layer, "tb_softmax_16(&layer, $in0, $out0);"), (0,))


@cache
def _exponentials() -> tuple[int, ...]:
    return _looked_up("exp", 10.0, INT16.limits[1])


@cache
def _reciprocals() -> tuple[int, ...]:
    return _looked_up("reciprocal", 1.0, INT16.limits[0])


def _looked_up(function: str, width: float, zero_point_: float) -> tuple[int, ...]:
    """513 values of a function for a table that is read between its entries (LUTPopulateInt16), in floats."""
    import numpy as np

    f32, two = np.float32, np.float32(2)
    step_of_input, step_of_output = f32(f32(width) / f32(65535)), f32(two / f32(65535))
    lowest = f32(step_of_input * f32(-32768 - zero_point_))
    highest = f32(step_of_input * f32(32767 - zero_point_))
    inverse = f32(f32(65536) / (f32(step_of_output * f32(32767)) - f32(step_of_output * f32(-32768))))
    step = f32((highest - lowest) / f32(512))

    def value(x: np.float32) -> np.float32:
        return f32(np.exp(x)) if function == "exp" else f32(1) / (f32(1) + x)

    def nearest(x: np.float32) -> np.float32:
        return f32(rounded(float(x)))

    def entry(i: int) -> int:
        here = value(f32(lowest + f32(i) * step))
        middle = value(f32(f32(lowest + f32(i) * step) + f32(step / two)))
        there = value(f32(lowest + f32(i + 1) * step))
        sample = nearest(here * inverse)
        between = nearest(f32(there * inverse + sample) / two)
        bias = nearest((between - nearest(middle * inverse)) / two)
        return clamped(int(sample - bias), -32768, 32767)

    last = clamped(rounded(float(value(highest) * inverse)), -32768, 32767)
    return (*(entry(i) for i in range(512)), last)
