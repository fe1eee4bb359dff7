"""Numbers as text and back: the only place where a quantity gets digits, a prefix and a unit.

Bytes and counts are exact and stay exact: they are shown to the last digit, with thousands separators.
Seconds, joules and hertz carry an SI prefix and a stated number of significant digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from tinybench.errors import UsageError

_PREFIXES = {"G": 9, "M": 6, "k": 3, "": 0, "m": -3, "µ": -6, "n": -9, "p": -12}
_SPELLINGS = {"us": "µs", "μs": "µs", "uj": "µJ", "uJ": "µJ", "μJ": "µJ", "K": "k", "KB": "kB"}
_BINARY = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_CENT = Decimal("0.01")
_SYMBOLS = ("Hz", "s", "J", "B")
_NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([^\s\d.,]*)")


@dataclass(frozen=True)
class Quantity:
    """A number in an SI unit without prefix: `B`, `s`, `J`, `Hz`, `1` for a plain count, `%` for a ratio.

    The value of a ratio is the ratio: 3 % is 0.03.
    """

    value: float
    unit: str


def show(value: float, unit: str, digits: int = 3) -> str:
    """`1.53 ms`, `333,288 B`, `41,231,007`, `216 MHz`, `3 %`.

    Whole bytes and counts are exact; everything else is rounded to `digits` significant digits.
    """
    if unit == "%":
        return f"{_significant(Decimal(repr(float(value))) * 100, digits)} %"
    if unit in ("1", "B") and float(value).is_integer():
        return _with_unit(f"{int(value):,}", unit)
    if unit == "1":
        return _significant(Decimal(repr(float(value))), digits)
    return brief(value, unit, digits)


def brief(value: float, unit: str, digits: int = 3) -> str:
    """`41.2 M`, `67.4 kB`, `1.53 ms`: for a sentence, where the exact figure stands in a table."""
    rounded = _rounded(Decimal(repr(value)), digits)
    exponent = _exponent(rounded, unit)
    symbol = _prefix(exponent) + ("" if unit == "1" else unit)
    return _with_unit(_significant(rounded.scaleb(-exponent), digits), symbol)


def show_binary(value: float) -> str:
    """`325.5 KiB`: a size as linker scripts and data sheets count it."""
    for suffix, size in reversed(_BINARY.items()):
        if abs(value) >= size:
            return f"{value / size:,.1f} {suffix}"
    return f"{value:,.0f} B"


def show_range(low: float, high: float, unit: str) -> str:
    """`123.9 to 124.1 ms`: both ends with one prefix and decimals enough to tell them apart."""
    if unit in ("1", "B") and float(low).is_integer() and float(high).is_integer():
        return f"{int(low):,} to {_with_unit(f'{int(high):,}', unit)}"
    largest = _rounded(Decimal(repr(max(abs(low), abs(high)))), 4)
    exponent = _exponent(largest, unit)
    apart = Decimal(repr(high)) - Decimal(repr(low))
    decimals = min(9, max(0, exponent - (apart.adjusted() - 1 if apart else largest.adjusted() - 2)))
    ends = [f"{Decimal(repr(end)).scaleb(-exponent):,.{decimals}f}" for end in (low, high)]
    return f"{ends[0]} to {_with_unit(ends[1], _prefix(exponent) + ('' if unit == '1' else unit))}"


def show_rate(value: float) -> str:
    """`5.10`: one quantity for each of another, with two decimals, so that a column of them lines up."""
    return f"{value:,.2f}"


def show_factor(ratio: float) -> str:
    """`2.41 ×`: how many times as much."""  # noqa: RUF002 - a multiplication sign
    return f"{ratio:,.2f} ×"  # noqa: RUF001 - a multiplication sign


def show_share(ratio: float) -> str:
    """`4.5 %`: a part of a whole, with one decimal, so that a column of them lines up."""
    return f"{ratio * 100:.1f} %"


def show_change(ratio: float) -> str:
    """`+12.3 %`, `-0.04 %`, `0 %`: a relative change, signed, finer where it is smaller."""
    if ratio == 0:
        return "0 %"
    percent = abs(Decimal(repr(ratio)) * 100)
    size = _rounded(percent, 2)
    number = (
        f"{percent:,.1f}" if size >= 1 else f"{percent:.2f}" if size >= _CENT else _significant(percent, 2)
    )
    return f"{'+' if ratio > 0 else '-'}{number} %"


def parse(text: str) -> Quantity:
    """`256B`, `4 KiB`, `3%`, `1.5ms`, `333,288 B` or `12` as a quantity; the inverse of `show`.

    Raises UsageError naming the text if it is no number, or carries a unit that is not known.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"`{text}` is not a quantity", hint="write it as `256B`, `3%`, `1.5ms` or `12`")
    number = Decimal(match[1].replace(",", ""))
    spelled = _SPELLINGS.get(match[2], match[2])
    if spelled == "%":
        return Quantity(float(number / 100), "%")
    if spelled in _BINARY:
        return Quantity(_number(number * _BINARY[spelled]), "B")
    for symbol in (*_SYMBOLS, ""):
        prefix = spelled.removesuffix(symbol)
        if not spelled.endswith(symbol) or prefix not in _PREFIXES:
            continue
        if symbol in ("s", "J", "Hz") or _PREFIXES[prefix] >= 0:  # `5 mB` is a typing error, not 0.005 bytes
            return Quantity(_number(number.scaleb(_PREFIXES[prefix])), symbol or "1")
    raise UsageError(
        f"`{match[2]}` in `{text}` is not a unit",
        hint="units are B, kB, KiB, MB, MiB, %, s, ms, us, J, mJ, uJ, Hz, kHz, MHz",
    )


def _exponent(value: Decimal, unit: str) -> int:
    """The power of ten of the SI prefix that leaves one to three digits before the point."""
    exponents = sorted(power for power in _PREFIXES.values() if power >= 0 or unit not in ("1", "B"))
    magnitude = value.adjusted() if value else 0
    return max((power for power in exponents if power <= magnitude), default=exponents[0])


def _prefix(exponent: int) -> str:
    return next(name for name, power in _PREFIXES.items() if power == exponent)


def _number(value: Decimal) -> float:
    """An int where the value is whole, so that bytes stay exact beyond 2**53."""
    return int(value) if value == value.to_integral_value() else float(value)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(value)


def _significant(value: Decimal, digits: int) -> str:
    """Plain notation with at most `digits` significant digits: no exponent, no trailing zeros."""
    return f"{_rounded(value, digits).normalize():,f}"


def _with_unit(number: str, unit: str) -> str:
    return number if unit in ("", "1") else f"{number} {unit}"
