"""Models of one operator on int16 and float32, between types: equal to TensorFlow Lite Micro to the bit."""

# ruff: noqa: PLR0917 - one argument for each value that is drawn

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models import tflite
from tinybench.models.tflite_schema import OPTIONS

SAME, VALID = 0, 1
RANDOM_INPUTS = 4
INT64, INT32 = "int64", "int32"

thorough = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

numbers = st.sampled_from(("int16", "float32"))
activations = st.integers(0, 3)
channel_counts = st.integers(1, 9)
small = st.integers(1, 3)
one_or_two = st.integers(1, 2)
scales = st.floats(0.00002, 0.004)
seeds = st.integers(0, 1 << 16)


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def activation(shape: Sequence[int], dtype: str, scale: float = 0.0, zero_point: int = 0) -> Tensor:
    found = None if dtype == "float32" else Quantisation((single(scale),), (zero_point,))
    return Tensor(0, "", tuple(shape), dtype, None, found)


def floats(count: int, seed: int) -> bytes:
    generator = random.Random(seed)
    return struct.pack(f"<{count}f", *(single(generator.uniform(-2, 2)) for _ in range(count)))


def constant(shape: Sequence[int], dtype: str, seed: int, scale: float = 0.0) -> Tensor:
    count = math.prod(shape)
    if dtype == "float32":
        return Tensor(0, "", tuple(shape), dtype, floats(count, seed))
    values = [random.Random(seed).randint(-32767, 32767) for _ in range(count)]
    return Tensor(
        0, "", tuple(shape), dtype, struct.pack(f"<{count}h", *values), Quantisation((single(scale),), (0,))
    )


def weights(shape: Sequence[int], dtype: str, scales_: Sequence[float], axis: int, seed: int) -> Tensor:
    if dtype == "float32":
        return constant(shape, dtype, seed)
    data = bytes(b if b != 128 else 127 for b in random.Random(seed).randbytes(math.prod(shape)))
    found = Quantisation(tuple(map(single, scales_)), (0,) * len(scales_), axis)
    return Tensor(0, "", tuple(shape), "int8", data, found)


def biases(count: int, dtype: str, width: str, scales_: Sequence[float], seed: int) -> Tensor:
    if dtype == "float32":
        return constant((count,), dtype, seed + 1)
    values = [random.Random(seed).randint(-400_000, 400_000) for _ in range(count)]
    format_ = "q" if width == INT64 else "i"
    found = Quantisation(tuple(map(single, scales_)), (0,) * len(scales_))
    return Tensor(0, "", (count,), width, struct.pack(f"<{count}{format_}", *values), found)


def integers(*values: int) -> Tensor:
    return Tensor(0, "", (len(values),), "int32", struct.pack(f"<{len(values)}i", *values))


def model_of(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], **options: object) -> bytes:
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


def cases(tensor: Tensor, seed: int) -> list[bytes]:
    """Zeros, extremes and random values of a tensor's type."""
    size, count = tensor_bytes(tensor), math.prod(tensor.shape)
    if tensor.dtype == "float32":
        small = struct.pack(f"<{count}f", *(1e-41 * i for i in range(count)))
        return [bytes(size), small, *(floats(count, seed + i) for i in range(RANDOM_INPUTS))]
    generator = random.Random(seed)
    extremes = [b"\x00\x80" * count, b"\xff\x7f" * count] if tensor.dtype == "int16" else [b"\x80" * size]
    return [bytes(size), *extremes, *(generator.randbytes(size) for _ in range(RANDOM_INPUTS))]


@pytest.fixture(scope="module")
def check(host_build, tflm):
    """Asserts that both give the same bytes; returns how many different outputs were seen."""

    def equal(data: bytes, seed: int = 1) -> int:
        model = tflite.read(data)
        ours, theirs = host_build.run(model), tflm(data)
        inputs = cases(model.tensors[model.inputs[0]], seed)
        outputs = [ours(case) for case in inputs]
        assert outputs == [theirs(case) for case in inputs]
        return len(set(outputs))

    return equal


@st.composite
def windows(draw, filters=small, dilations=one_or_two):
    """(input, filter, stride, dilation, padding, output) of a window that fits, as height and width."""
    padding = draw(st.sampled_from((SAME, VALID)))
    axes = []
    for _ in range(2):
        filter_, stride, dilation = draw(filters), draw(st.integers(1, 3)), draw(dilations)
        reach = (filter_ - 1) * dilation + 1
        size = draw(st.integers(reach if padding == VALID else 1, reach + 6))
        out = (size + stride - (1 if padding == SAME else reach)) // stride
        axes.append((size, filter_, stride, dilation, out))
    size, filter_, stride, dilation, out = zip(*axes, strict=True)
    return size, filter_, stride, dilation, padding, out


def window_options(stride, padding, fused, dilation=None):
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1]}
    if dilation is not None:
        options |= {"dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1]}
    return options | {"fused_activation_function": fused}


def channel_scales(count: int, per_channel: bool) -> list[float]:
    return [0.01 * (1 + i % 5 / 3) for i in range(count)] if per_channel else [0.01]


@thorough
@given(
    numbers,
    windows(),
    channel_counts,
    channel_counts,
    activations,
    st.booleans(),
    st.sampled_from((INT64, INT32, None)),
    scales,
    seeds,
)
def test_conv_2d(check, dtype, window, channels, out_channels, fused, per_channel, width, scale, seed):
    size, filter_, stride, dilation, padding, out = window
    scales_ = channel_scales(out_channels, per_channel)
    parts = [
        activation((1, *size, channels), dtype, scale),
        weights((out_channels, *filter_, channels), dtype, scales_, 0, seed),
        *([biases(out_channels, dtype, width, scales_, seed)] if width else []),
    ]
    wide = scale * math.sqrt(math.prod(filter_) * channels) * (0.2 + seed % 3)
    result = activation((1, *out, out_channels), dtype, wide)
    assert check(
        model_of("CONV_2D", parts, [result], **window_options(stride, padding, fused, dilation)), seed
    )


@thorough
@given(numbers, windows(), channel_counts, st.integers(1, 3), activations, st.booleans(), scales, seeds)
def test_depthwise_conv_2d(check, dtype, window, channels, multiplier, fused, has_bias, scale, seed):
    size, filter_, stride, dilation, padding, out = window
    out_channels = channels * multiplier
    scales_ = channel_scales(out_channels, True)
    parts = [
        activation((1, *size, channels), dtype, scale),
        weights((1, *filter_, out_channels), dtype, scales_, 3, seed),
        *([biases(out_channels, dtype, INT64, scales_, seed)] if has_bias else []),
    ]
    options = window_options(stride, padding, fused, dilation)
    result = activation((1, *out, out_channels), dtype, scale * (0.3 + seed % 3))
    check(model_of("DEPTHWISE_CONV_2D", parts, [result], depth_multiplier=multiplier, **options), seed)


@thorough
@given(
    numbers,
    st.integers(1, 3),
    st.integers(1, 40),
    channel_counts,
    activations,
    st.booleans(),
    st.sampled_from((INT64, INT32, None)),
    scales,
    seeds,
)
def test_fully_connected(check, dtype, batches, depth, channels, fused, per_channel, width, scale, seed):
    scales_ = channel_scales(channels, per_channel)
    parts = [
        activation((batches, depth), dtype, scale),
        weights((channels, depth), dtype, scales_, 0, seed),
        *([biases(channels, dtype, width, [scale * s for s in scales_], seed)] if width else []),
    ]
    result = activation((batches, channels), dtype, scale * math.sqrt(depth) * (0.3 + seed % 3))
    check(model_of("FULLY_CONNECTED", parts, [result], fused_activation_function=fused), seed)


@thorough
@given(
    numbers,
    st.sampled_from(("AVERAGE_POOL_2D", "MAX_POOL_2D")),
    windows(st.integers(1, 5), st.just(1)),
    channel_counts,
    activations,
    scales,
)
def test_pooling(check, dtype, name, window, channels, fused, scale):
    size, filter_, stride, _, padding, out = window
    data = model_of(
        name,
        [activation((1, *size, channels), dtype, scale)],
        [activation((1, *out, channels), dtype, scale)],
        filter_height=filter_[0],
        filter_width=filter_[1],
        **window_options(stride, padding, fused),
    )
    check(data)


@thorough
@given(
    numbers,
    st.sampled_from(("ADD", "MUL")),
    st.sampled_from(((2, 3, 4), (4,), (1, 1, 1, 4), (3, 4), (1,), ())),
    st.booleans(),
    activations,
    scales,
    scales,
    seeds,
)
def test_add_and_mul(check, dtype, name, other, first, fused, a_scale, b_scale, seed):
    shape = (1, 2, 3, 4)
    a, b = activation(shape, dtype, a_scale), constant(other, dtype, seed, b_scale)
    scale = a_scale + b_scale if name == "ADD" else 20_000 * a_scale * b_scale
    result = activation(shape, dtype, scale * (0.5 + seed % 2))
    check(model_of(name, [a, b] if first else [b, a], [result], fused_activation_function=fused), seed)


@pytest.mark.parametrize("value", [-32768, 32767])
def test_products_of_the_largest_int16(check, value):
    shape = (1, 2)
    b = Tensor(0, "", shape, "int16", struct.pack("<2h", value, -32768), Quantisation((0.5,), (0,)))
    check(model_of("MUL", [activation(shape, "int16", 0.5), b], [activation(shape, "int16", 16384.0)]))
    check(model_of("ADD", [activation(shape, "int16", 0.5), b], [activation(shape, "int16", 1.0)]))


@thorough
@given(numbers, st.integers(1, 4), st.integers(1, 60), st.floats(0.00001, 0.01), st.sampled_from((1.0, 0.5)))
def test_softmax(check, dtype, rows, channels, scale, beta):
    shape = (rows, channels)
    check(
        model_of("SOFTMAX", [activation(shape, dtype, scale)], [activation(shape, dtype, 2**-15)], beta=beta)
    )


UNITS = {"LOGISTIC": 2**-15, "TANH": 2**-15}


@thorough
@given(
    st.sampled_from(("LOGISTIC", "TANH", "LEAKY_RELU", "RELU", "RELU6")),
    st.one_of(st.floats(0.00002, 0.002), st.sampled_from((2.0**-12, 2.0**-11, 2.0**-10, 2.0**-13))),
    st.floats(0.3, 4),
    st.floats(0, 2),
    seeds,
)
def test_functions_of_one_int16(check, name, scale, ratio, alpha, seed):
    options = {"alpha": alpha} if name == "LEAKY_RELU" else {}
    scale = max(scale, 6.1 / 32767) if name == "RELU6" else scale
    out_scale = UNITS.get(name, scale if name == "RELU6" else scale * ratio)
    shape = (1, 256)
    result = activation(shape, "int16", out_scale)
    assert check(model_of(name, [activation(shape, "int16", scale)], [result], **options), seed) > 1


@thorough
@given(
    st.sampled_from(("LOGISTIC", "LEAKY_RELU", "RELU", "RELU6", "HARD_SWISH")),
    st.floats(-1, 2, width=32),
    seeds,
)
def test_functions_of_one_float(check, name, alpha, seed):
    options = {"alpha": alpha} if name == "LEAKY_RELU" else {}
    shape = (1, 256)
    assert check(
        model_of(name, [activation(shape, "float32")], [activation(shape, "float32")], **options), seed
    )


def test_exponentials_over_their_whole_range(host_build, tflm):
    """LOGISTIC from where it is 0 to where it is 1, through the exponentials of both signs."""
    shape = (1, 4096)
    data = model_of("LOGISTIC", [activation(shape, "float32")], [activation(shape, "float32")])
    case = struct.pack("<4096f", *((i - 2048) / 17 for i in range(4096)))
    assert host_build.run(tflite.read(data))(case) == tflm(data)(case)


@thorough
@given(
    st.sampled_from(("int8", "int16", "float32")),
    st.sampled_from(("int8", "int16")),
    st.floats(0.001, 0.05),
    st.floats(0.3, 3),
    st.integers(-128, 127),
    seeds,
)
def test_quantize(check, from_, to, scale, ratio, point, seed):
    shape = (1, 8, 9)
    per_step = {"int8": 1.0, "int16": 1 / 256}
    source = activation(shape, from_, scale * per_step.get(from_, 1), point if from_ == "int8" else 0)
    target = activation(shape, to, scale * ratio * per_step[to], -point if to == "int8" else 0)
    check(model_of("QUANTIZE", [source], [target]), seed)


@thorough
@given(st.sampled_from(("int8", "int16")), st.floats(1e-6, 10), st.integers(-128, 127), seeds)
def test_dequantize(check, dtype, scale, point, seed):
    shape = (3, 50)
    source = activation(shape, dtype, scale, point if dtype == "int8" else 0)
    assert check(model_of("DEQUANTIZE", [source], [activation(shape, "float32")]), seed) > 1


@thorough
@given(st.floats(0.01, 0.2), st.floats(0.3, 3), st.integers(-128, 127), st.integers(-128, 127), seeds)
def test_hard_swish(check, scale, ratio, point, out_point, seed):
    shape = (1, 256)
    source, target = (
        activation(shape, "int8", scale, point),
        activation(shape, "int8", scale * ratio, out_point),
    )
    assert check(model_of("HARD_SWISH", [source], [target]), seed) > 1


@thorough
@given(numbers, st.sampled_from(((1,), (2,), (1, 2), (0, 1, 2), (3,))), st.booleans(), scales)
def test_mean(check, dtype, axes, keep, scale):
    shape = (1, 5, 3, 6)
    out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    parts = [activation(shape, dtype, scale), integers(*axes)]
    check(model_of("MEAN", parts, [activation(out, dtype, scale * 0.7)], keep_dims=keep))


@pytest.mark.parametrize("dtype", ["int16", "float32"])
class TestMovement:
    """What only moves elements, whatever they are."""

    def test_concatenation(self, check, dtype):
        parts = [activation((1, 3, 2, 4), dtype, 0.1), constant((1, 3, 2, 5), dtype, 1, 0.1)]
        check(model_of("CONCATENATION", parts, [activation((1, 3, 2, 9), dtype, 0.1)], axis=3))

    def test_pad(self, check, dtype):
        edges = integers(0, 0, 1, 2, 3, 0, 1, 1)
        edges = Tensor(0, "", (4, 2), "int32", edges.data)
        parts = [activation((1, 3, 4, 2), dtype, 0.1), edges]
        check(model_of("PAD", parts, [activation((1, 6, 7, 4), dtype, 0.1)]))
        parts.append(constant((1,), dtype, 3, 0.1))
        check(model_of("PADV2", parts, [activation((1, 6, 7, 4), dtype, 0.1)]))

    def test_transpose(self, check, dtype):
        parts = [activation((2, 3, 4, 5), dtype, 0.1), integers(3, 1, 0, 2)]
        check(model_of("TRANSPOSE", parts, [activation((5, 3, 2, 4), dtype, 0.1)]))

    def test_split(self, check, dtype):
        part = activation((1, 3, 2, 4), dtype, 0.1)
        axis = Tensor(0, "", (), "int32", integers(3).data)
        check(model_of("SPLIT", [axis, activation((1, 3, 2, 12), dtype, 0.1)], [part] * 3, num_splits=3))

    def test_strided_slice(self, check, dtype):
        steps = (integers(0, 1, 0, 1), integers(1, 4, 5, 6), integers(1, 2, 1, 3))
        parts = [activation((1, 4, 5, 6), dtype, 0.1), *steps]
        check(model_of("STRIDED_SLICE", parts, [activation((1, 2, 5, 2), dtype, 0.1)]))

    def test_resize_nearest_neighbor(self, check, dtype):
        parts = [activation((1, 4, 3, 5), dtype, 0.1), integers(8, 6)]
        check(model_of("RESIZE_NEAREST_NEIGHBOR", parts, [activation((1, 8, 6, 5), dtype, 0.1)]))

    def test_reshape(self, check, dtype):
        parts = [activation((1, 4, 6), dtype, 0.1), integers(1, 24)]
        check(model_of("RESHAPE", parts, [activation((1, 24), dtype, 0.1)], new_shape=(1, 24)))


def refusal(host_build, data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        host_build.generate(tflite.read(data))
    return caught.value.message


def test_refusals(host_build):
    shape = (1, 4)
    shifted = model_of("RELU", [activation(shape, "int16", 0.1, 3)], [activation(shape, "int16", 0.1)])
    assert "zero point, which must be 0" in refusal(host_build, shifted)
    swish = model_of("HARD_SWISH", [activation(shape, "int16", 0.1)], [activation(shape, "int16", 0.1)])
    assert refusal(host_build, swish) == "operator 0 `HARD_SWISH` has no kernel for int16"
    mixed = model_of("RELU", [activation(shape, "int8", 0.1)], [activation(shape, "float32")])
    assert "tensor `t0` is int8" in refusal(host_build, mixed)
    logistic = model_of("LOGISTIC", [activation(shape, "int16", 0.1)], [activation(shape, "int16", 0.1)])
    assert "gives units of 2**-15" in refusal(host_build, logistic)
    tangent = model_of("TANH", [activation(shape, "float32")], [activation(shape, "float32")])
    assert "every library rounds tensor `t1` its own way" in refusal(host_build, tangent)
    layer = weights((2, 4), "float32", (), 0, 1)
    infinite = Tensor(0, "", (2,), "float32", struct.pack("<2f", math.inf, 0))
    parts = [activation(shape, "float32"), layer, infinite]
    connected = model_of("FULLY_CONNECTED", parts, [activation((1, 2), "float32")])
    assert "not finite in tensor `t2`" in refusal(host_build, connected)
    images = activation((2, 3, 3, 1), "float32")
    filter_ = weights((1, 1, 1, 1), "float32", (), 0, 1)
    options = window_options((1, 1), VALID, 0, (1, 1))
    batch = model_of("CONV_2D", [images, filter_], [images], **options)
    assert "has a batch of 2" in refusal(host_build, batch)
