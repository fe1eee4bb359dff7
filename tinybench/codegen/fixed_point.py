"""Fixed-point arithmetic on the host, to the bit as TensorFlow Lite Micro's reference kernels do it.

A real multiplier is `multiplier * 2**(exponent - 31)` with 31 significant bits. Scaling rounds twice: the
high half of the doubled product to nearest, then a division by a power of two, halves away from zero. Source:
tflite-micro, tensorflow/lite/kernels/internal/{common.cc,quantization_util.cc,common.h}; the functions on the
unit interval are gemmlowp's (fixedpoint.h), whose published Taylor and Newton-Raphson constants they keep.
"""

from __future__ import annotations

import math
import struct

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)

_EXP_OF_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
# exp(-2**k) for k = -2 to 4, Q0.31.
_EXPONENTIALS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540


def single(value: float) -> float:
    """Round to what a 32-bit float holds."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def rounded(value: float) -> int:
    """The nearest integer, halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def quantised_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, exponent) of a real multiplier >= 0; (0, 0) where it is too small to matter."""
    if real == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    multiplier = rounded(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier >>= 1
        exponent += 1
    return (0, 0) if exponent < -31 else (multiplier, exponent)  # noqa: PLR2004 - all bits of an int32 shifted out


def high_product(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: a * b / 2**31, rounded to nearest."""
    return INT32_MAX if a == b == INT32_MIN else (a * b + (1 << 30)) >> 31


def divided(value: int, shift: int) -> int:
    """RoundingDivideByPOT: value / 2**shift, rounded to nearest, halves away from zero."""
    half = (1 << shift) >> 1
    return (value + half - (1 if value < 0 and shift else 0)) >> shift


def scaled(value: int, multiplier: int, exponent: int) -> int:
    """MultiplyByQuantizedMultiplier, with its double rounding."""
    return divided(high_product(value << max(exponent, 0), multiplier), max(-exponent, 0))


def clamped(value: int, lowest: int = -128, highest: int = 127) -> int:
    """Keep `value` within [lowest, highest]."""
    return min(max(value, lowest), highest)


def lifted(value: int, shift: int) -> int:
    """Multiply by 2**shift, saturated to 32 bits."""
    return clamped(value << shift, INT32_MIN, INT32_MAX)


def exponential(value: int, integer_bits: int) -> int:
    """The exponential of a negative or zero Q`integer_bits` number, as Q0.31 (integer_bits <= 5)."""
    if value == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (value & (quarter - 1)) - quarter
    result = _exponential_of_quarter(lifted(rest, integer_bits))
    remainder = rest - value
    for k, factor in enumerate(_EXPONENTIALS, start=-2):
        if k < integer_bits and remainder & (1 << (fraction_bits + k)):
            result = high_product(result, factor)
    return result


def _exponential_of_quarter(value: int) -> int:
    """The exponential on [-1/4, 0), Q0.31: a Taylor series around -1/8."""
    x = value + (1 << 28)
    x2 = high_product(x, x)
    x3 = high_product(x2, x)
    x4_over_4 = divided(high_product(x2, x2), 2)
    rest = divided(high_product(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return _EXP_OF_MINUS_EIGHTH + high_product(_EXP_OF_MINUS_EIGHTH, x + rest)


def _reciprocal_of_half(half_denominator: int) -> int:
    """1 / (2 h) in Q2.29 for h in [1/2, 1), Q0.31: three Newton-Raphson steps."""
    guess = _48_OVER_17 + high_product(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - high_product(half_denominator, guess)
        guess += lifted(high_product(guess, error), 2)
    return guess


def _half_denominator(value: int) -> int:
    return (value + INT32_MAX + 1) // 2


def logistic(value: int, integer_bits: int) -> int:
    """1 / (1 + exp(-value)) of a Q`integer_bits` number, as Q0.31."""
    if value == 0:
        return 1 << 30
    share = lifted(_reciprocal_of_half(_half_denominator(exponential(-abs(value), integer_bits))), 1)
    return share if value > 0 else INT32_MAX - share


def hyperbolic_tangent(value: int, integer_bits: int) -> int:
    """The hyperbolic tangent of a Q`integer_bits` number, as Q0.31."""
    if value == 0:
        return 0
    # exp(-2|x|): the same bits read with one more integer bit are twice the number.
    decayed = exponential(-abs(value), integer_bits + 1)
    twice = _reciprocal_of_half(_half_denominator(decayed))
    magnitude = lifted(twice - (1 << 29), 2)
    return magnitude if value > 0 else -magnitude


def input_radius(integer_bits: int, left_shift: int) -> int:
    """CalculateInputRadius with 31 signed bits: inputs at least this far from zero saturate."""
    return math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << left_shift))
