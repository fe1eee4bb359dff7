"""What is done to elements one by one: sums, products, tables of any function of one int8, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinybench.codegen.fixed_point import (
    clamped,
    divided,
    exponential,
    high_product,
    hyperbolic_tangent,
    input_radius,
    logistic,
    quantised_multiplier,
    rounded,
    scaled,
    single,
)
from tinybench.codegen.lowering.parts import (
    INT8,
    Constant,
    Lowered,
    Numbers,
    Scale,
    Site,
    clamp,
    scale,
    structure,
    zero_point,
)
from tinybench.model import Tensor

_ADD_HEADROOM = 20
_INT8 = range(-128, 128)
_SOFTMAX_INTEGER_BITS = 5
_Q4 = 4
_INT16_BITS = 16


@dataclass(frozen=True)
class Operands:
    """Two operands in the order the kernel takes them: the second is repeated over the first."""

    a: Tensor
    b: Tensor
    slots: tuple[int, int]

    @property
    def period(self) -> int:
        return math.prod(self.b.shape)


def operands(site: Site, kind: Numbers) -> Operands:
    """The operands of ADD or MUL, after they were seen to fit; refuses what is not a repetition."""
    first, second = site.activation(site.input(0), kind), site.activation(site.input(1), kind)
    output = site.activation(site.output(), kind)
    for a, b, slots in ((first, second, (0, 1)), (second, first, (1, 0))):
        if a.data is None and math.prod(a.shape) == math.prod(output.shape) and _repeats(b, output.shape):
            return Operands(a, b, slots)
    raise site.refused(
        f"broadcasts `{first.name}` {list(first.shape)} with `{second.name}` {list(second.shape)}"
    )


def _repeats(operand: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether an operand fills `shape` by being repeated whole, its leading dimensions of 1 aside."""
    trailing = tuple(operand.shape)
    while trailing and trailing[0] == 1:
        trailing = trailing[1:]
    return len(trailing) <= len(shape) and tuple(shape[len(shape) - len(trailing) :]) == trailing


def _binary(site: Site, kernel: str, found: Operands, scales: tuple[tuple[str, Scale], ...]) -> Lowered:
    output = site.output()
    layer = structure(
        "layer",
        "tb_elementwise",
        (
            ("size", math.prod(output.shape)),
            ("period", found.period),
            ("zero_point_a", zero_point(found.a)),
            ("zero_point_b", zero_point(found.b)),
            ("zero_point", zero_point(output)),
            *scales,
        ),
    )
    a, b = found.slots
    # The first operand is read just before its element is written; so is the second where it is not repeated.
    in_place = found.slots if found.period == math.prod(output.shape) else (a,)
    return Lowered((), (*layer, f"{kernel}(&layer, $in{a}, $in{b}, $out0);", *clamp(site)), in_place)


def add(site: Site) -> Lowered:
    """ADD: both operands are brought to twice the larger scale, with 20 bits of headroom."""
    found = operands(site, INT8)
    twice_larger = 2 * max(scale(found.a), scale(found.b))
    real = twice_larger / ((1 << _ADD_HEADROOM) * scale(site.output()))
    if real >= 1:
        raise site.refused(f"has too small a scale for its inputs in tensor `{site.output().name}`")
    a, b = (_headroom(site, scale(operand) / twice_larger) for operand in (found.a, found.b))
    scales = (("scale_a", a), ("scale_b", b), ("scale", site.scale(real, 1 << 28)))
    return _binary(site, "tb_add", found, scales)


def _headroom(site: Site, real: float) -> Scale:
    multiplier, exponent = quantised_multiplier(real)
    found = site.fixed_scale(multiplier, exponent, 255 << _ADD_HEADROOM)
    return Scale(found.multiplier, found.lift + _ADD_HEADROOM, found.shift)


def mul(site: Site) -> Lowered:
    """MUL."""
    found = operands(site, INT8)
    real = scale(site.input(0)) * scale(site.input(1)) / scale(site.output())
    one = Scale(0, 1, 0)
    scales = (("scale_a", one), ("scale_b", one), ("scale", site.scale(real, 255 * 255)))
    return _binary(site, "tb_mul", found, scales)


def softmax(site: Site) -> Lowered:
    """SOFTMAX over the last dimension; the exponentials of all differences become a table."""
    input_, output = site.activation(site.input(0)), site.activation(site.output())
    if zero_point(output) != -128 or scale(output) != 1 / 256:  # noqa: PLR2004 - SoftmaxPrepare asks for these
        raise site.refused(f"gives shares of 1/256 from -128; tensor `{output.name}` is quantised otherwise")
    beta = site.option("beta")
    if not isinstance(beta, int | float):
        raise site.refused(f"has a beta that is not a number for tensor `{input_.name}`")
    real = min(beta * scale(input_) * (1 << (31 - _SOFTMAX_INTEGER_BITS)), float((1 << 31) - 1))
    if real <= 1:
        raise site.refused(f"has too small a scale in tensor `{input_.name}`")
    multiplier, left = quantised_multiplier(real)
    largest = min(input_radius(_SOFTMAX_INTEGER_BITS, left), 255)
    table = tuple(
        exponential(high_product(-difference << left, multiplier), _SOFTMAX_INTEGER_BITS)
        for difference in range(largest + 1)
    )
    site.element_by_element(input_, output)
    channels = input_.shape[-1] if input_.shape else 0
    # The sum of exponentials has 12 integer bits (kAccumulationIntegerBits).
    if not 0 < channels < 1 << 12:
        raise site.refused(f"has {channels} classes; tensor `{input_.name}` may have 1 to {(1 << 12) - 1}")
    layer = structure(
        "layer",
        "tb_softmax_layer",
        (
            ("rows", math.prod(input_.shape[:-1])),
            ("channels", channels),
            ("exponentials", "${c}_exponentials"),
            ("differences", len(table)),
        ),
    )
    constants = (Constant("exponentials", "int32_t", table),)
    return Lowered(constants, (*layer, "tb_softmax(&layer, $in0, $out0);"), (0,))


def _table(site: Site, function: Callable[[int], int]) -> Lowered:
    """Any function of the 256 values an int8 can take."""
    size = site.element_by_element(site.input(0), site.output())
    values = bytes(clamped(function(value)) & 0xFF for value in _INT8)
    return Lowered(
        (Constant("table", "int8_t", values),), (f"tb_lookup(${{c}}_table, {size}, $in0, $out0);",), (0,)
    )


def logistic_(site: Site) -> Lowered:
    """LOGISTIC, from Q4.27 to shares of 1/256."""
    input_, output = site.activation(site.input(0)), site.activation(site.output())
    if zero_point(output) != -128:  # noqa: PLR2004 - LogisticPrepare asks for it
        raise site.refused(f"gives shares from -128; tensor `{output.name}` starts elsewhere")
    multiplier, left = _q4(site)
    radius = input_radius(_Q4, left)

    def value(quantised: int) -> int:
        distance = quantised - zero_point(input_)
        if abs(distance) >= radius:
            return -128 if distance < 0 else 127
        return divided(logistic(scaled(distance, multiplier, left), _Q4), 31 - 8) - 128

    return _table(site, value)


def tanh(site: Site) -> Lowered:
    """TANH, from Q4.27 to 1/128ths."""
    input_, _ = site.activation(site.input(0)), site.activation(site.output())
    multiplier, left = _q4(site)
    radius = input_radius(_Q4, left)

    def value(quantised: int) -> int:
        distance = quantised - zero_point(input_)
        if abs(distance) >= radius:
            return -128 if distance < 0 else 127
        return divided(hyperbolic_tangent(scaled(distance, multiplier, left), _Q4), 31 - 7)

    return _table(site, value)


def _q4(site: Site) -> tuple[int, int]:
    fraction, left = math.frexp(scale(site.input(0)) * (1 << (31 - _Q4)))
    multiplier = rounded(fraction * (1 << 31))
    if left < 0 or multiplier == 1 << 31:
        raise site.refused(f"has a scale its kernel cannot read in tensor `{site.input(0).name}`")
    return multiplier, left


def quantize(site: Site) -> Lowered:
    """QUANTIZE from int8 to int8."""
    return _rescaled(site, scale(site.activation(site.input(0))) / scale(site.activation(site.output())))


def relu(site: Site) -> Lowered:
    """RELU."""
    ratio = scale(site.activation(site.input(0))) / scale(site.activation(site.output()))
    return _rescaled(site, ratio, *site.activation_range("RELU"))


def relu6(site: Site) -> Lowered:
    """RELU6: clamps without rescaling, on the input's scale."""
    input_ = site.activation(site.input(0))
    site.activation(site.output())
    six = clamped(zero_point(input_) + rounded(single(6.0 / scale(input_))))
    return _table(site, lambda value: clamped(value, zero_point(input_), six))


def hard_swish(site: Site) -> Lowered:
    """HARD_SWISH in int16 fixed point: x * relu6(x + 3) / 6."""
    input_, output = site.activation(site.input(0)), site.activation(site.output())
    fine = single(scale(input_) / 128)
    to_output, shift = quantised_multiplier(single(fine / scale(output)))
    to_unit, unit_exponent = quantised_multiplier(single(fine / single(3 / 32768)))
    if not -_INT16_BITS < shift <= 0:
        raise site.refused(f"has too small or too large a scale for its input in tensor `{output.name}`")
    to_output, to_unit = _sixteen_bits(to_output), _sixteen_bits(to_unit)

    def value(quantised: int) -> int:
        distance = (quantised - zero_point(input_)) * 128
        unit = distance if unit_exponent <= 0 else _within_16(distance << (unit_exponent - 1))
        unit = _high_product_16(unit, to_unit)
        unit = divided(unit, -unit_exponent) if unit_exponent <= 0 else _within_16(2 * unit)
        share = (unit + (1 << 15)) >> 1
        product = share * _high_product_16(distance, to_output)
        towards_zero = abs(product) >> 15
        return divided(towards_zero if product >= 0 else -towards_zero, -shift) + zero_point(output)

    return _table(site, value)


def _sixteen_bits(multiplier: int) -> int:
    """DownScaleInt32ToInt16Multiplier."""
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _high_product_16(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul of 16 bits, which rounds halves away from zero."""
    product = a * b
    nudged = abs(product + ((1 << 14) if product >= 0 else 1 - (1 << 14)))
    return nudged >> 15 if product >= 0 else -(nudged >> 15)


def _within_16(value: int) -> int:
    return clamped(value, -(1 << 15), (1 << 15) - 1)


def _rescaled(site: Site, real: float, lowest: int = -128, highest: int = 127) -> Lowered:
    multiplier, exponent = _multiplier(site, real)
    from_, to = zero_point(site.input(0)), zero_point(site.output())
    return _table(
        site, lambda value: clamped(scaled(value - from_, multiplier, exponent) + to, lowest, highest)
    )


def _multiplier(site: Site, real: float) -> tuple[int, int]:
    """A real multiplier in fixed point, after it was seen that differences of int8 stay within 32 bits."""
    site.scale(real, 255)
    return quantised_multiplier(real)


def leaky_relu(site: Site) -> Lowered:
    """LEAKY_RELU with alpha >= 0."""
    input_, output = site.activation(site.input(0)), site.activation(site.output())
    alpha = site.option("alpha")
    if not isinstance(alpha, int | float) or alpha < 0:
        raise site.refused(
            f"has the slope `{alpha}` for tensor `{input_.name}`; its kernel takes none below 0"
        )
    slope = _multiplier(site, scale(input_) * alpha / scale(output))
    identity = _multiplier(site, scale(input_) / scale(output))

    def value(quantised: int) -> int:
        distance = quantised - zero_point(input_)
        return scaled(distance, *(identity if distance >= 0 else slope)) + zero_point(output)

    return _table(site, value)
