"""Numbers keep their value on the way to text and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import UsageError
from tinybench.units import Quantity, brief, parse, show, show_binary, show_change, show_range


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00153, "s", "1.53 ms"),
        (1.53e-6, "s", "1.53 µs"),
        (333288, "B", "333,288 B"),
        (41231007, "1", "41,231,007"),
        (216_000_000, "Hz", "216 MHz"),
        (0.8512, "1", "0.851"),
        (0.03, "%", "3 %"),
        (0, "s", "0 s"),
        (12.5, "B", "12.5 B"),
        (0.9999e-3, "s", "1 ms"),
    ],
)
def test_show(value, unit, text):
    assert show(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (41231007, "1", "41.2 M"),
        (67_432, "B", "67.4 kB"),
        (512, "B", "512 B"),
        (999_600, "B", "1 MB"),
        (7.5e9, "1", "7.5 G"),
        (0.25, "1", "0.25"),
        (-1500, "B", "-1.5 kB"),
    ],
)
def test_brief(value, unit, text):
    assert brief(value, unit) == text


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("256B", Quantity(256, "B")),
        ("4 KiB", Quantity(4096, "B")),
        ("73.7 kB", Quantity(73700, "B")),
        ("3%", Quantity(0.03, "%")),
        ("1.5ms", Quantity(0.0015, "s")),
        ("10us", Quantity(1e-5, "s")),
        ("10 μs", Quantity(1e-5, "s")),
        ("480MHz", Quantity(480_000_000, "Hz")),
        ("1,000", Quantity(1000, "1")),
        ("41.2 M", Quantity(41_200_000, "1")),
    ],
)
def test_parse(text, quantity):
    assert parse(text) == quantity


@pytest.mark.parametrize("text", ["", "ms", "3 parsec", "1.2.3", "1,00", "5 mB", "nan", "--3%", "3 %%"])
def test_what_is_not_a_quantity_is_named(text):
    with pytest.raises(UsageError, match="is not a") as caught:
        parse(text)
    assert f"`{text}`" in caught.value.message
    assert caught.value.hint


@given(st.integers(min_value=-(10**18), max_value=10**18), st.sampled_from(["1", "B"]))
def test_bytes_and_counts_survive_to_the_digit(value, unit):
    assert parse(show(value, unit)) == Quantity(value, unit)


@given(st.floats(min_value=1e-12, max_value=1e12), st.sampled_from(["s", "J", "Hz", "%"]), st.integers(3, 15))
def test_rounded_quantities_survive_to_the_shown_digits(value, unit, digits):
    read = parse(show(value, unit, digits))
    assert read.unit == unit
    assert math.isclose(read.value, value, rel_tol=0.5000001 * 10 ** (1 - digits))


@given(st.floats(min_value=-1e15, max_value=1e15), st.sampled_from(["1", "B", "s", "J", "Hz"]))
def test_brief_never_shows_more_than_three_digits_before_the_point(value, unit):
    number = brief(value, unit).split()[0].lstrip("-")
    if 1e-12 <= abs(value) < 1e12:
        assert len(number.split(".")[0]) <= 3
    assert parse(brief(value, unit)).unit == unit


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (0.1239, 0.1241, "s", "123.90 to 124.10 ms"),
        (0.9, 1.1, "s", "0.90 to 1.10 s"),
        (16.4e-3, 16.44e-3, "J", "16.400 to 16.440 mJ"),
        (3, 4, "1", "3 to 4"),
        (2_000, 3_500, "B", "2,000 to 3,500 B"),
    ],
)
def test_ranges_share_a_prefix(low, high, unit, text):
    assert show_range(low, high, unit) == text


def test_sizes_in_binary_units_are_secondary_text():
    assert show_binary(333288) == "325.5 KiB"
    assert show_binary(512) == "512 B"
    assert show_binary(1 << 20) == "1.0 MiB"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.04, "+4.0 %"),
        (-0.0023, "-0.23 %"),
        (-0.0004, "-0.04 %"),
        (2e-7, "+0.00002 %"),
        (0, "0 %"),
        (1.5, "+150.0 %"),
    ],
)
def test_changes_are_signed(ratio, text):
    assert show_change(ratio) == text
