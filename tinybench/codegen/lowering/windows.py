"""Convolutions and fully connected layers: what multiplies weights with what lies under a window."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tinybench.codegen.fixed_point import quantised_multiplier, scaled, single
from tinybench.codegen.lowering.parts import (
    FLOAT,
    INT8,
    Constant,
    Lowered,
    Numbers,
    Scale,
    Site,
    clamp,
    fields,
    fits,
    quantisation,
    scale,
    signed,
    structure,
    zero_point,
)
from tinybench.model import Tensor

_SAME, _VALID = 0, 1
_MAX_TAPS = 1024
# What an int16 of `tb_window` holds.
_LARGEST = (1 << 15) - 1
# Fewer channels than this lie under a filter in pieces too short to multiply one by one.
_SHORT_RUN = 4


@dataclass(frozen=True)
class Window:
    """`tb_window` of tb_kernels.h."""

    input: tuple[int, int, int]
    output: tuple[int, int, int]
    filter: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]

    def __str__(self) -> str:
        sizes = ("height", "width", "channels")
        return fields(
            (
                *((f"input_{name}", value) for name, value in zip(sizes, self.input, strict=True)),
                *((f"output_{name}", value) for name, value in zip(sizes, self.output, strict=True)),
                *((f"filter_{name}", value) for name, value in zip(sizes[:2], self.filter, strict=True)),
                *((f"stride_{name}", value) for name, value in zip("yx", self.stride, strict=True)),
                *((f"dilation_{name}", value) for name, value in zip("yx", self.dilation, strict=True)),
                *((f"pad_{name}", value) for name, value in zip("yx", self.pad, strict=True)),
            )
        )

    @property
    def is_padded(self) -> bool:
        """Whether any position of the filter ever lies outside the image."""
        return any(self.pad) or any(
            (out - 1) * stride + (size - 1) * dilation >= extent
            for out, stride, size, dilation, extent in zip(
                self.output[:2], self.stride, self.filter, self.dilation, self.input[:2], strict=True
            )
        )

    @property
    def is_dense(self) -> bool:
        """Whether the filter lies over the whole image, once."""
        return not self.is_padded and self.output[:2] == (1, 1) and self.input[:2] == self.filter


def window_of(site: Site, filter_: tuple[int, int], dilation: tuple[int, int]) -> Window:
    """The window of a 2-D operator (ComputePaddingHeightWidth), after its shapes were seen to agree."""
    batch, *extent, channels = site.shape(site.input(0), 4)
    out_batch, *out, out_channels = site.shape(site.output(), 4)
    if batch != 1 or out_batch != 1:
        raise site.refused(f"has a batch of {batch}; tensor `{site.input(0).name}` must be one sample")
    stride = (site.whole("stride_h"), site.whole("stride_w"))
    padding = site.whole("padding")
    sizes = (*stride, *dilation, *filter_)
    if min(sizes) < 1 or max(sizes) > _LARGEST or padding not in (_SAME, _VALID):
        raise site.refused(
            f"has strides {stride}, dilations {dilation} and padding {padding} without meaning"
        )
    span = [(size - 1) * factor + 1 for size, factor in zip(filter_, dilation, strict=True)]
    expected = [
        (size + step - (1 if padding == _SAME else reach)) // step
        for size, step, reach in zip(extent, stride, span, strict=True)
    ]
    if out != expected:
        raise site.refused(f"should give {expected} positions; tensor `{site.output().name}` has {out}")
    pad = [
        max((count - 1) * step + reach - size, 0) // 2
        for count, step, reach, size in zip(out, stride, span, extent, strict=True)
    ]
    return Window(
        (extent[0], extent[1], channels),
        (out[0], out[1], out_channels),
        filter_,
        stride,
        dilation,
        (pad[0], pad[1]),
    )


@dataclass(frozen=True)
class Weights:
    """A layer's rows of weights (one for each output channel), its biases and its scales.

    The input's zero point is folded into `bias` and not into `plain_bias`; there is a scale for each channel,
    or a single one.
    """

    rows: tuple[bytes, ...]
    bias: tuple[int, ...]
    plain_bias: tuple[int, ...]
    scales: tuple[Scale, ...]

    def requantisation(self, site: Site) -> str:
        return fields(
            (
                ("scales", "${c}_scales"),
                ("scale_step", 1 if len(self.scales) > 1 else 0),
                ("zero_point", zero_point(site.output())),
            )
        )


@dataclass(frozen=True)
class Parts:
    """What a layer is made of, whatever its numbers, after everything about it was seen to agree.

    `rows` are the bytes of the weights of each output channel.
    """

    window: Window
    weights: Tensor
    rows: tuple[bytes, ...]

    def real_multipliers(self, site: Site) -> list[float]:
        """What sums are multiplied by, one for all or for each channel: products of doubles.

        Source: PopulateConvolutionQuantizationParams.
        """
        return [
            scale(site.input(0)) * filter_scale / scale(site.output())
            for filter_scale in quantisation(self.weights).scales
        ]


def _filter(site: Site, dimensions: int, axis: int, kind: Numbers) -> Tensor:
    weights = site.input(1)
    site.shape(weights, dimensions)
    wanted = "float32" if kind is FLOAT else "int8"
    if weights.data is None:
        raise site.refused(f"needs constant weights; tensor `{weights.name}` may vary")
    if weights.dtype != wanted:
        raise site.refused(f"needs {wanted} weights; tensor `{weights.name}` is {weights.dtype}")
    if kind is FLOAT:
        return weights
    found = weights.quantisation
    if found is None or not found.scales:
        raise site.refused(f"needs weights with a scale; tensor `{weights.name}` has none")
    if any(found.zero_points):
        raise site.refused(f"needs weights without a zero point; tensor `{weights.name}` has one")
    if len(found.scales) not in (1, weights.shape[axis]) or (len(found.scales) > 1 and found.axis != axis):
        raise site.refused(f"needs a scale for each output channel; tensor `{weights.name}` has others")
    return weights


def _weights(site: Site, rows: Sequence[bytes], reals: Sequence[float]) -> Weights:
    point = zero_point(site.input(0))
    one_scale = len(reals) == 1
    channels = [
        _channel(site, row, bias, point, real, fixed=one_scale)
        for row, bias, real in zip(
            rows, _biases(site, len(rows)), [reals[0]] * len(rows) if one_scale else reals, strict=True
        )
    ]
    bias = tuple(c.folded(point) for c in channels)
    bounds = [c.bound(point) for c in channels]
    if one_scale:
        scales: tuple[Scale, ...] = (site.scale(reals[0], max(bounds)),)
    else:
        scales = tuple(site.scale(c.real, bound) for c, bound in zip(channels, bounds, strict=True))
    return Weights(tuple(c.row for c in channels), bias, tuple(c.bias for c in channels), scales)


@dataclass(frozen=True)
class _Channel:
    """One output channel: its weights, its bias, and the real number its sums are multiplied by."""

    row: bytes
    bias: int
    real: float

    def bound(self, zero_point: int) -> int:
        """What no sum exceeds in magnitude, on its way or at its end."""
        magnitude = sum(map(abs, signed(self.row)))
        return max(abs(self.bias) + 255 * magnitude, abs(self.folded(zero_point)) + 128 * magnitude, 1)

    def folded(self, zero_point: int) -> int:
        """The bias with the input's zero point in it, so that kernels need not subtract it."""
        return self.bias - zero_point * sum(signed(self.row))

    def range(self, zero_point: int) -> tuple[int, int]:
        """The least and largest sum that any input can give."""
        weights = signed(self.row)
        low, high = -128 - zero_point, 127 - zero_point
        ends = [(w * low, w * high) if w >= 0 else (w * high, w * low) for w in weights]
        return self.bias + sum(e[0] for e in ends), self.bias + sum(e[1] for e in ends)


def _channel(site: Site, row: bytes, bias: int, point: int, real: float, *, fixed: bool) -> _Channel:
    """A channel as the kernels can take it.

    Converters give a channel that died in training a bias of 2**30, beyond what the kernels scale. No input
    changes its output (the end points of its range scale to the same number, and scaling is monotonic), so it
    becomes a constant: that number as its bias, no weights, a scale of 1.
    """
    channel = _Channel(row, bias, real)
    multiplier, exponent = quantised_multiplier(real)
    if fixed or fits(multiplier, exponent, channel.bound(point)):
        return channel
    lowest, highest = channel.range(point)
    ends = {scaled(end, multiplier, exponent) for end in (lowest, highest)}
    if len(ends) > 1 or exponent > 0 or not -(1 << 31) <= lowest <= highest < 1 << 31:
        raise site.refused(f"has sums beyond 30 bits; tensor `{site.output().name}` would overflow")
    return _Channel(bytes(len(row)), ends.pop(), 1.0)


def _biases(site: Site, channels: int) -> tuple[int, ...]:
    tensor = site.optional_input(2)
    if tensor is None:
        return (0,) * channels
    if tensor.data is None or tensor.dtype != "int32" or math.prod(tensor.shape) != channels:
        raise site.refused(
            f"needs {channels} constant int32 biases; tensor `{tensor.name}` is something else"
        )
    return struct.unpack(f"<{channels}i", tensor.data)


def interleaved(rows: tuple[bytes, ...], lanes: int) -> bytes:
    """Groups of `lanes` rows with their elements side by side; the rest row by row."""
    grouped = len(rows) // lanes * lanes
    out = bytearray()
    for first in range(0, grouped, lanes):
        block = bytearray(lanes * len(rows[first]))
        for lane in range(lanes):
            block[lane::lanes] = rows[first + lane]
        out += block
    return bytes(out) + b"".join(rows[grouped:])


def _rows(data: bytes, count: int) -> tuple[bytes, ...]:
    length = len(data) // count
    return tuple(data[i * length : (i + 1) * length] for i in range(count))


def _layer_constants(weights: bytes, layer: Weights) -> tuple[Constant, ...]:
    return (
        Constant("filter", "int8_t", weights),
        Constant("bias", "int32_t", layer.bias),
        Constant("scales", "tb_scale", layer.scales),
    )


def conv_2d_parts(site: Site, kind: Numbers) -> Parts:
    """What a CONV_2D of these numbers is made of."""
    site.activation(site.input(0), kind), site.activation(site.output(), kind)
    weights = _filter(site, 4, 0, kind)
    out_channels, height, width, in_channels = weights.shape
    dilation = (site.whole("dilation_h_factor"), site.whole("dilation_w_factor"))
    window = window_of(site, (height, width), dilation)
    if window.input[2] != in_channels:
        raise site.refused(f"has groups ({window.input[2]} channels in, {in_channels} in `{weights.name}`)")
    if window.output[2] != out_channels:
        raise site.refused(
            f"gives {out_channels} channels; tensor `{site.output().name}` has {window.output[2]}"
        )
    assert weights.data is not None
    return Parts(window, weights, _rows(weights.data, out_channels))


def conv_2d_layer(site: Site) -> tuple[Window, Weights]:
    """What an int8 CONV_2D is made of."""
    parts = conv_2d_parts(site, INT8)
    return parts.window, _weights(site, parts.rows, parts.real_multipliers(site))


def conv_2d(site: Site) -> Lowered:
    """CONV_2D; a filter over the whole image at once is a fully connected layer."""
    window, layer = conv_2d_layer(site)
    if window.is_dense:
        return dense(site, layer, 1, interleaved(layer.rows, 4), "tb_fully_connected")
    gathered = window.input[2] < _SHORT_RUN and math.prod(window.filter) > 1
    return convolution(site, window, layer, interleaved(layer.rows, 2), "tb_conv_2d", gathered=gathered)


def depthwise_conv_2d_parts(site: Site, kind: Numbers) -> Parts:
    """What a DEPTHWISE_CONV_2D of these numbers is made of; no rows for floats."""
    site.activation(site.input(0), kind), site.activation(site.output(), kind)
    weights = _filter(site, 4, 3, kind)
    one, height, width, out_channels = weights.shape
    dilation = (site.whole("dilation_h_factor"), site.whole("dilation_w_factor"))
    window = window_of(site, (height, width), dilation)
    multiplied = window.input[2] * site.whole("depth_multiplier")
    if one != 1 or not window.output[2] == out_channels == multiplied:
        raise site.refused(
            f"has channels that do not fit its input; tensor `{weights.name}` is {weights.shape}"
        )
    assert weights.data is not None
    count = 0 if kind is FLOAT else out_channels
    return Parts(window, weights, tuple(weights.data[channel::out_channels] for channel in range(count)))


def depthwise_conv_2d_layer(site: Site) -> tuple[Window, Weights]:
    """What an int8 DEPTHWISE_CONV_2D is made of."""
    parts = depthwise_conv_2d_parts(site, INT8)
    return parts.window, _weights(site, parts.rows, parts.real_multipliers(site))


def depthwise_conv_2d(site: Site) -> Lowered:
    """DEPTHWISE_CONV_2D."""
    window, layer = depthwise_conv_2d_layer(site)
    if window.input[2] != window.output[2]:
        return convolution(site, window, layer, b"".join(layer.rows), "tb_depthwise_conv_2d_multiplied")
    return convolution(site, window, layer, interleaved(layer.rows, 4), "tb_depthwise_conv_2d")


def convolution(
    site: Site, window: Window, layer: Weights, weights: bytes, kernel: str, *, gathered: bool = False
) -> Lowered:
    """The call of a kernel that takes a `tb_convolution`, with its weights in the order it reads them."""
    taps = math.prod(window.filter)
    if taps > _MAX_TAPS:
        raise site.refused(
            f"has a filter of {taps} positions; tensor `{site.input(1).name}` may have {_MAX_TAPS}"
        )
    padding = (zero_point(site.input(0)), window.input[2]) if window.is_padded else None
    body = structure(
        "layer",
        "tb_convolution",
        (
            ("window", window),
            ("weights", "${c}_filter"),
            ("bias", "${c}_bias"),
            *((("padding", "$padding"),) if padding else ()),
            ("gathered", int(gathered)),
            ("out", layer.requantisation(site)),
        ),
    )
    taps, patch = (1, len(layer.rows[0])) if gathered else (taps, 1)
    call = f"{kernel}(&layer, $in0, $out0);"
    return Lowered(
        _layer_constants(weights, layer), (*body, call, *clamp(site)), taps=taps, patch=patch, padding=padding
    )


def fully_connected_parts(site: Site, kind: Numbers) -> Parts:
    """What a FULLY_CONNECTED of these numbers is made of, as a convolution of 1 x 1 over its batches."""
    input_, output = site.activation(site.input(0), kind), site.activation(site.output(), kind)
    weights = _filter(site, 2, 0, kind)
    out_channels, depth = weights.shape
    elements = math.prod(input_.shape)
    fits = math.prod(output.shape) == elements // depth * out_channels
    if elements % depth or not fits or tuple(output.shape[-1:]) != (out_channels,):
        raise site.refused(f"does not fit its weights; tensor `{weights.name}` is {list(weights.shape)}")
    if site.whole("weights_format") != 0:
        raise site.refused(f"has shuffled weights; tensor `{weights.name}` must be in rows")
    assert weights.data is not None
    batches = elements // depth
    window = Window((batches, 1, depth), (batches, 1, out_channels), (1, 1), (1, 1), (1, 1), (0, 0))
    return Parts(window, weights, _rows(weights.data, out_channels))


def fully_connected_multipliers(site: Site, parts: Parts) -> list[float]:
    """What sums are multiplied by: with one scale for all, made from a product of floats, not of doubles."""
    scales = quantisation(parts.weights).scales
    if len(scales) == 1:
        return [single(scale(site.input(0)) * scales[0]) / scale(site.output())]
    return parts.real_multipliers(site)


def fully_connected_layer(site: Site) -> tuple[Weights, int]:
    """Weights and batches of an int8 FULLY_CONNECTED."""
    parts = fully_connected_parts(site, INT8)
    return _weights(site, parts.rows, fully_connected_multipliers(site, parts)), parts.window.input[0]


def fully_connected(site: Site) -> Lowered:
    """FULLY_CONNECTED."""
    layer, batches = fully_connected_layer(site)
    return dense(site, layer, batches, interleaved(layer.rows, 4), "tb_fully_connected")


def dense(site: Site, layer: Weights, batches: int, weights: bytes, kernel: str) -> Lowered:
    """The call of a kernel that takes a `tb_dense`, with its weights in the order it reads them."""
    body = structure(
        "layer",
        "tb_dense",
        (
            ("batches", batches),
            ("input_channels", len(layer.rows[0])),
            ("output_channels", len(layer.rows)),
            ("weights", "${c}_filter"),
            ("bias", "${c}_bias"),
            ("out", layer.requantisation(site)),
        ),
    )
    constants = _layer_constants(weights, layer)
    return Lowered(constants, (*body, f"{kernel}(&layer, $in0, $out0);", *clamp(site)))
