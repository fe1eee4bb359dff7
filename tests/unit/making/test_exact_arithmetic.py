"""Arithmetic that has one result: whole numbers against plain Python, streams that never change."""

from __future__ import annotations

import hashlib
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.making import exact

SIZES = st.integers(1, 9)


def test_a_stream_depends_on_its_name_alone():
    seed = exact.Seed("s")
    first = seed.levels("a", 8)
    seed.levels("b", 100)
    assert list(first) == list(seed.levels("a", 8)) == list(hashlib.shake_128(b"s a 8").digest(8))
    assert list(first) != list(seed.levels("c", 8))


def test_weights_are_symmetric_and_never_minus_128():
    drawn = exact.Seed("s").weights("w", (64, 64))
    assert drawn.shape == (64, 64)
    assert (drawn.min(), drawn.max()) == (-127, 127)


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=50))
def test_moments_are_those_of_exact_arithmetic(values):
    mean, deviation = exact.moments(np.array(values, float)[:, None])
    # Beyond 2**25 the last bits are dropped before squaring.
    most = max(map(abs, values))
    assert mean[0] == pytest.approx(statistics.fmean(values), abs=most * 1e-6 + 1e-9)
    assert deviation[0] == pytest.approx(statistics.pstdev(values), abs=most * 1e-3 + 1e-6)


@given(size=SIZES, window=SIZES, stride=st.integers(1, 4))
def test_positions_of_a_window_are_tensorflows(size, window, stride):
    assert exact.output_size(size, window, stride, "same") == math.ceil(size / stride)
    if window <= size:
        starts = [i for i in range(0, size, stride) if i + window <= size]
        assert exact.output_size(size, window, stride, "valid") == len(starts)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(5, 3, 1), (6, 3, 2), (7, 4, 2), (8, 5, 3)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_convolution_is_the_sum_of_its_products(padding, size, kernel, stride, depthwise):
    seed = exact.Seed("t")
    values = seed.weights("x", (2, size, size, 3))
    shape = (1, kernel, kernel, 3) if depthwise else (4, kernel, kernel, 3)
    weights = seed.weights("w", shape)
    sums = exact.convolved(values, weights, (stride, stride), padding, depthwise=depthwise)
    positions = exact.output_size(size, kernel, stride, padding)
    missing = max((positions - 1) * stride + kernel - size, 0) if padding == "same" else 0
    assert sums.shape == (2, positions, positions, 3 if depthwise else 4)

    def at(image: int, row: int, column: int, channel: int) -> int:
        inside = 0 <= row < size and 0 <= column < size
        return int(values[image, row, column, channel]) if inside else 0

    for image, row, column, output in np.ndindex(*sums.shape):
        top, left = row * stride - missing // 2, column * stride - missing // 2
        expected = sum(
            at(image, top + i, left + j, output if depthwise else k)
            * int(weights[0, i, j, output] if depthwise else weights[output, i, j, k])
            for i in range(kernel)
            for j in range(kernel)
            for k in ([output] if depthwise else range(3))
        )
        assert sums[image, row, column, output] == expected
