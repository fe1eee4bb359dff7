"""Models of one operator, of random shapes and scales: equal to TensorFlow Lite Micro to the bit."""

# ruff: noqa: PLR0917 - one argument for each value that is drawn

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models import tflite
from tinybench.models.tflite_schema import OPTIONS

RANDOM_INPUTS = 4
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3

thorough = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

zero_points = st.integers(-128, 127)
activations = st.sampled_from((NONE, RELU, RELU_N1_TO_1, RELU6))
paddings = st.sampled_from((SAME, VALID))
small = st.integers(1, 3)
one_or_two = st.integers(1, 2)
channel_counts = st.integers(1, 13)
scales = st.floats(0.003, 0.6)
seeds = st.integers(0, 1 << 16)


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def activation(shape: Sequence[int], scale: float, zero_point: int) -> Tensor:
    return Tensor(0, "", tuple(shape), "int8", None, Quantisation((single(scale),), (zero_point,)))


def weights(shape: Sequence[int], scales_: Sequence[float], axis: int, seed: int) -> Tensor:
    import random

    data = bytes(b if b != 128 else 127 for b in random.Random(seed).randbytes(math.prod(shape)))
    found = Quantisation(tuple(map(single, scales_)), (0,) * len(scales_), axis)
    return Tensor(0, "", tuple(shape), "int8", data, found)


def integers(*values: int) -> Tensor:
    return Tensor(0, "", (len(values),), "int32", struct.pack(f"<{len(values)}i", *values))


def biases(count: int, scales_: Sequence[float], seed: int) -> Tensor:
    import random

    generator = random.Random(seed)
    values = [generator.randint(-4000, 4000) for _ in range(count)]
    found = Quantisation(tuple(map(single, scales_)), (0,) * len(scales_))
    return Tensor(0, "", (count,), "int32", struct.pack(f"<{count}i", *values), found)


def model_of(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], **options: object) -> bytes:
    """A model whose first activation among `inputs` is its input and whose first output is its output."""
    tensors = tuple(
        Tensor(i, f"t{i}", t.shape, t.dtype, t.data, t.quantisation)
        for i, t in enumerate((*inputs, *outputs))
    )
    defaults = {field.name: field.default for field in OPTIONS[name].fields}
    operator = Operator(
        0, name, tuple(range(len(inputs))), tuple(range(len(inputs), len(tensors))), {**defaults, **options}
    )
    source = next(i for i, tensor in enumerate(tensors) if tensor.data is None)
    return tflite.write(Model(tensors, (operator,), (source,), (len(inputs),)))


@pytest.fixture(scope="module")
def check(host_build, tflm):
    """Asserts that both give the same bytes; returns how many different outputs were seen."""

    def equal(data: bytes, seed: int = 1) -> int:
        import random

        model = tflite.read(data)
        ours, theirs = host_build.run(model), tflm(data)
        size = tensor_bytes(model.tensors[model.inputs[0]])
        generator = random.Random(seed)
        cases = [bytes(size), b"\x80" * size, b"\x7f" * size]
        cases += [bytes(i % 256 for i in range(size))]
        cases += [generator.randbytes(size) for _ in range(RANDOM_INPUTS)]
        outputs = [ours(case) for case in cases]
        assert outputs == [theirs(case) for case in cases]
        return len(set(outputs))

    return equal


def windowed(size: int, filter_: int, stride: int, dilation: int, padding: int) -> int:
    reach = (filter_ - 1) * dilation + 1
    return (size + stride - (1 if padding == SAME else reach)) // stride


@st.composite
def windows(draw, filters=small, dilations=one_or_two):
    """(input, filter, stride, dilation, padding, output) of a window that fits, as height and width."""
    padding = draw(paddings)
    axes = []
    for _ in range(2):
        filter_, stride, dilation = draw(filters), draw(st.integers(1, 3)), draw(dilations)
        reach = (filter_ - 1) * dilation + 1
        size = draw(st.integers(reach if padding == VALID else 1, reach + 6))
        axes.append((size, filter_, stride, dilation, windowed(size, filter_, stride, dilation, padding)))
    size, filter_, stride, dilation, out = zip(*axes, strict=True)
    return size, filter_, stride, dilation, padding, out


def channel_scales(count: int, per_channel: bool, scale: float) -> list[float]:
    return [scale * (1 + i % 5 / 3) for i in range(count)] if per_channel else [scale]


def window_options(stride, dilation, padding, fused):
    return {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "fused_activation_function": fused,
    }


@thorough
@given(
    windows(),
    channel_counts,
    channel_counts,
    activations,
    zero_points,
    zero_points,
    st.booleans(),
    scales,
    seeds,
)
def test_conv_2d(check, window, channels, out_channels, fused, point, out_point, per_channel, scale, seed):
    size, filter_, stride, dilation, padding, out = window
    scales_ = channel_scales(out_channels, per_channel, 0.01)
    depth = math.prod(filter_) * channels
    data = model_of(
        "CONV_2D",
        [
            activation((1, *size, channels), scale, point),
            weights((out_channels, *filter_, channels), scales_, 0, seed),
            biases(out_channels, [scale * s for s in scales_], seed),
        ],
        [activation((1, *out, out_channels), scale * math.sqrt(depth) * (0.2 + seed % 3), out_point)],
        **window_options(stride, dilation, padding, fused),
    )
    check(data, seed)


@thorough
@given(windows(), channel_counts, st.integers(1, 3), activations, zero_points, zero_points, scales, seeds)
def test_depthwise_conv_2d(check, window, channels, multiplier, fused, point, out_point, scale, seed):
    size, filter_, stride, dilation, padding, out = window
    out_channels = channels * multiplier
    scales_ = channel_scales(out_channels, True, 0.01)
    data = model_of(
        "DEPTHWISE_CONV_2D",
        [
            activation((1, *size, channels), scale, point),
            weights((1, *filter_, out_channels), scales_, 3, seed),
            biases(out_channels, [scale * s for s in scales_], seed),
        ],
        [activation((1, *out, out_channels), scale * (0.3 + seed % 3), out_point)],
        depth_multiplier=multiplier,
        **window_options(stride, dilation, padding, fused),
    )
    check(data, seed)


@thorough
@given(
    small,
    st.integers(1, 40),
    channel_counts,
    activations,
    zero_points,
    zero_points,
    st.booleans(),
    scales,
    seeds,
)
def test_fully_connected(check, batches, depth, channels, fused, point, out_point, per_channel, scale, seed):
    scales_ = channel_scales(channels, per_channel, 0.013)
    data = model_of(
        "FULLY_CONNECTED",
        [
            activation((batches, depth), scale, point),
            weights((channels, depth), scales_, 0, seed),
            biases(channels, [scale * s for s in scales_], seed),
        ],
        [activation((batches, channels), scale * math.sqrt(depth) * (0.3 + seed % 3), out_point)],
        fused_activation_function=fused,
    )
    check(data, seed)


@thorough
@given(
    st.sampled_from(("AVERAGE_POOL_2D", "MAX_POOL_2D")),
    windows(st.integers(1, 5), st.just(1)),
    channel_counts,
    activations,
    zero_points,
    scales,
)
def test_pooling(check, name, window, channels, fused, point, scale):
    size, filter_, stride, _, padding, out = window
    options = window_options(stride, (1, 1), padding, fused)
    del options["dilation_h_factor"], options["dilation_w_factor"]
    data = model_of(
        name,
        [activation((1, *size, channels), scale, point)],
        [activation((1, *out, channels), scale, point)],
        filter_height=filter_[0],
        filter_width=filter_[1],
        **options,
    )
    check(data)


@thorough
@given(
    st.sampled_from(("ADD", "MUL")),
    st.sampled_from(((2, 3, 4), (4,), (1, 1, 1, 4), (3, 4), (1,), ())),
    st.booleans(),
    activations,
    zero_points,
    zero_points,
    zero_points,
    scales,
    scales,
    seeds,
)
def test_add_and_mul(check, name, other, first, fused, a_point, b_point, point, a_scale, b_scale, seed):
    shape = (1, 2, 3, 4)
    a = activation(shape, a_scale, a_point)
    constant = weights(other, [b_scale], 0, seed)
    b = Tensor(0, "", constant.shape, "int8", constant.data, Quantisation((single(b_scale),), (b_point,)))
    scale = a_scale + b_scale if name == "ADD" else 100 * a_scale * b_scale
    data = model_of(
        name,
        [a, b] if first else [b, a],
        [activation(shape, scale * (0.5 + seed % 2), point)],
        fused_activation_function=fused,
    )
    check(data, seed)


@thorough
@given(
    st.integers(1, 4),
    st.integers(1, 60),
    zero_points,
    st.floats(0.001, 3),
    st.sampled_from((1.0, 0.5)),
)
def test_softmax(check, rows, channels, point, scale, beta):
    shape = (rows, channels)
    check(
        model_of("SOFTMAX", [activation(shape, scale, point)], [activation(shape, 1 / 256, -128)], beta=beta)
    )


@thorough
@given(
    st.sampled_from(("LOGISTIC", "TANH", "QUANTIZE", "LEAKY_RELU", "RELU", "RELU6")),
    zero_points,
    zero_points,
    st.floats(0.002, 0.5),
    st.floats(0.3, 4),
    st.floats(0, 2),
)
def test_functions_of_one_value(check, name, point, out_point, scale, ratio, alpha):
    options = {"alpha": alpha} if name == "LEAKY_RELU" else {}
    out_scale = {"LOGISTIC": 1 / 256, "TANH": 1 / 128, "RELU6": scale}.get(name, scale * ratio)
    if name == "RELU6" and point + 6 / single(scale) > 127:
        out_scale = scale = 0.1
        point = 0
    out_point = {"LOGISTIC": -128, "TANH": 0, "RELU6": point}.get(name, out_point)
    data = model_of(
        name, [activation((1, 256), scale, point)], [activation((1, 256), out_scale, out_point)], **options
    )
    assert check(data) > 1 or name not in ("LOGISTIC", "TANH")


@thorough
@given(
    st.sampled_from(((1,), (2,), (1, 2), (-3, -2), (0, 1, 2), (3,))),
    st.booleans(),
    zero_points,
    zero_points,
    scales,
)
def test_mean(check, axes, keep, point, out_point, scale):
    shape = (1, 5, 3, 6)
    reduced = {axis % 4 for axis in axes}
    out = [1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced]
    data = model_of(
        "MEAN",
        [activation(shape, scale, point), integers(*axes)],
        [activation(out, scale * 0.7, out_point)],
        keep_dims=keep,
    )
    check(data)


@thorough
@given(st.integers(1, 3), st.lists(channel_counts, min_size=1, max_size=3), zero_points, scales, seeds)
def test_concatenation(check, axis, sizes, point, scale, seed):
    def shape(size):
        return tuple(size if i == axis else n for i, n in enumerate((1, 3, 2, 5)))

    parts = [activation(shape(4), scale, point)]
    for i, size in enumerate(sizes):
        part = weights(shape(size), [scale], 0, seed + i)
        parts.append(Tensor(0, "", part.shape, "int8", part.data, Quantisation((single(scale),), (point,))))
    out = activation(shape(4 + sum(sizes)), scale, point)
    check(model_of("CONCATENATION", parts, [out], axis=axis, fused_activation_function=NONE))


@thorough
@given(st.lists(st.integers(0, 3), min_size=8, max_size=8), zero_points, scales)
def test_pad(check, edges, point, scale):
    shape = (1, 3, 4, 2)
    out = [n + edges[2 * i] + edges[2 * i + 1] for i, n in enumerate(shape)]
    paddings_ = integers(*edges)
    paddings_ = Tensor(0, "", (4, 2), "int32", paddings_.data)
    check(model_of("PAD", [activation(shape, scale, point), paddings_], [activation(out, scale, point)]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1::3], ids=str)
def test_transpose(check, order):
    shape = (2, 3, 4, 5)
    out = [shape[i] for i in order]
    data = model_of("TRANSPOSE", [activation(shape, 0.1, 3), integers(*order)], [activation(out, 0.1, 3)])
    check(data)


@pytest.mark.parametrize(
    ("begin", "end", "stride", "masks"),
    [
        ((0, 1, 0, 1), (1, 4, 5, 6), (1, 2, 1, 3), {}),
        ((0, 1, 2, 1), (1, 4, 4, 6), (1, 1, 1, 1), {"begin_mask": 5, "end_mask": 6}),
        ((0, -1, 4, 0), (1, -5, 0, 6), (1, -1, -2, 1), {}),
        ((0, 2, 0, 0), (1, 3, 5, 6), (1, 1, 1, 1), {"shrink_axis_mask": 2}),
    ],
)
def test_strided_slice(check, begin, end, stride, masks):
    shape = (1, 4, 5, 6)
    extent = []
    for axis in range(4):
        first = None if masks.get("begin_mask", 0) >> axis & 1 else begin[axis]
        last = None if masks.get("end_mask", 0) >> axis & 1 else end[axis]
        if not masks.get("shrink_axis_mask", 0) >> axis & 1:
            extent.append(len(range(shape[axis])[first : last : stride[axis]]))
    inputs = [activation(shape, 0.1, 3), integers(*begin), integers(*end), integers(*stride)]
    check(model_of("STRIDED_SLICE", inputs, [activation(extent, 0.1, 3)], **masks))


def test_split(check):
    part = activation((1, 3, 2, 4), 0.1, 3)
    axis = integers(3)
    axis = Tensor(0, "", (), "int32", axis.data)
    data = model_of("SPLIT", [axis, activation((1, 3, 2, 12), 0.1, 3)], [part, part, part], num_splits=3)
    check(data)


@pytest.mark.parametrize("half_pixel_centers", [False, True])
@pytest.mark.parametrize("times", [(1, 2), (2, 2), (3, 1), (4, 3)])
def test_resize_nearest_neighbor(check, times, half_pixel_centers):
    out = (4 * times[0], 3 * times[1])
    data = model_of(
        "RESIZE_NEAREST_NEIGHBOR",
        [activation((1, 4, 3, 5), 0.1, 3), integers(*out)],
        [activation((1, *out, 5), 0.1, 3)],
        half_pixel_centers=half_pixel_centers,
    )
    check(data)


def test_reshape(check):
    inputs = [activation((1, 4, 6), 0.1, 3), integers(1, 24)]
    check(model_of("RESHAPE", inputs, [activation((1, 24), 0.1, 3)], new_shape=(1, 24)))


def test_a_dead_channel_becomes_the_constant_it_is(check):
    """Converters give channels that died in training a bias of 2**30: beyond the kernels, but constant."""
    scales_ = [0.01, 1e-9, 0.02]
    layer = weights((3, 1, 1, 4), scales_, 0, 7)
    assert layer.data is not None
    dead = Tensor(0, "", layer.shape, "int8", layer.data[:4] + bytes(4) + layer.data[8:], layer.quantisation)
    bias = Tensor(0, "", (3,), "int32", struct.pack("<3i", 100, 1 << 30, -100))
    options = window_options((1, 1), (1, 1), VALID, NONE)
    data = model_of(
        "CONV_2D",
        [activation((1, 2, 2, 4), 0.1, 3), dead, bias],
        [activation((1, 2, 2, 3), 0.05, -7)],
        **options,
    )
    assert check(data) > 1


def test_sums_that_would_overflow_are_refused(host_build):
    layer = weights((2, 1, 1, 4), [0.01, 0.01], 0, 7)
    bias = Tensor(0, "", (2,), "int32", struct.pack("<2i", 100, (1 << 31) - 1))
    options = window_options((1, 1), (1, 1), VALID, NONE)
    inputs = [activation((1, 2, 2, 4), 0.1, 3), layer, bias]
    data = model_of("CONV_2D", inputs, [activation((1, 2, 2, 2), 0.05, -7)], **options)
    with pytest.raises(ModelError, match=r"operator 0 `CONV_2D` has sums beyond 30 bits; tensor `t3`"):
        host_build.generate(tflite.read(data))
