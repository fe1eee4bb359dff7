"""float32, operation for operation as TensorFlow Lite Micro's reference kernels run it."""

from __future__ import annotations

import math
import struct

from tinybench.codegen.lowering.elementwise import operands
from tinybench.codegen.lowering.parts import FLOAT, Constant, Lowered, Site, float_text, structure
from tinybench.codegen.lowering.pooling import averaged_block, pooled_window
from tinybench.codegen.lowering.windows import (
    Parts,
    conv_2d_parts,
    depthwise_conv_2d_parts,
    fully_connected_parts,
)
from tinybench.model import Tensor

_INT16_MAX = (1 << 15) - 1


def conv_2d(site: Site) -> Lowered:
    """CONV_2D."""
    return _layer(site, "tb_conv_2d_f32", conv_2d_parts(site, FLOAT), 0)


def depthwise_conv_2d(site: Site) -> Lowered:
    """DEPTHWISE_CONV_2D."""
    return _layer(site, "tb_depthwise_conv_2d_f32", depthwise_conv_2d_parts(site, FLOAT), 3)


def fully_connected(site: Site) -> Lowered:
    """FULLY_CONNECTED, as a convolution over a column of batches."""
    parts = fully_connected_parts(site, FLOAT)
    if parts.window.input[0] > _INT16_MAX:
        raise site.refused(f"has {parts.window.input[0]} batches in tensor `{site.input(0).name}`")
    return _layer(site, "tb_conv_2d_f32", parts, 0)


def _layer(site: Site, kernel: str, parts: Parts, axis: int) -> Lowered:
    channels = parts.weights.shape[axis]
    bias = site.optional_input(2)
    if bias is not None and math.prod(bias.shape) != channels:
        raise site.refused(f"needs {channels} biases; tensor `{bias.name}` is {list(bias.shape)}")
    lowest, highest = site.fused_bounds()
    body = structure(
        "layer",
        "tb_layer_f32",
        (
            ("window", parts.window),
            ("weights", "${c}_filter"),
            ("bias", "${c}_bias"),
            ("lowest", float_text(lowest)),
            ("highest", float_text(highest)),
        ),
    )
    constants = (
        Constant("filter", "float", _floats(site, parts.weights)),
        Constant("bias", "float", (0.0,) * channels if bias is None else _floats(site, bias)),
    )
    return Lowered(constants, (*body, f"{kernel}(&layer, $in0, $out0);"))


def _floats(site: Site, tensor: Tensor) -> tuple[float, ...]:
    if tensor.data is None or tensor.dtype != "float32":
        raise site.refused(f"needs constant floats; tensor `{tensor.name}` is something else")
    values = struct.unpack(f"<{math.prod(tensor.shape)}f", tensor.data)
    if not all(map(math.isfinite, values)):
        raise site.refused(f"has constants that are not finite in tensor `{tensor.name}`")
    return values


def average_pool_2d(site: Site) -> Lowered:
    """AVERAGE_POOL_2D."""
    return _pooling(site, "tb_average_pool_2d_f32")


def max_pool_2d(site: Site) -> Lowered:
    """MAX_POOL_2D."""
    return _pooling(site, "tb_max_pool_2d_f32")


def _pooling(site: Site, kernel: str) -> Lowered:
    body = (
        f"static const tb_window window = {pooled_window(site, FLOAT)};",
        f"{kernel}(&window, $in0, $out0);",
    )
    lowest, highest = site.fused_bounds()
    if (lowest, highest) == FLOAT.limits:
        return Lowered((), body)
    size = math.prod(site.output().shape)
    return Lowered((), (*body, f"tb_clamp_f32({float_text(lowest)}, {float_text(highest)}, {size}, $out0);"))


def mean(site: Site) -> Lowered:
    """MEAN over neighbouring dimensions."""
    names = ("batches", "rows", "channels")
    layer = structure("layer", "tb_averaging_f32", zip(names, averaged_block(site, FLOAT), strict=True))
    return Lowered((), (*layer, "tb_mean_f32(&layer, $in0, $out0);"))


def add(site: Site) -> Lowered:
    """ADD."""
    return _binary(site, "tb_add_f32")


def mul(site: Site) -> Lowered:
    """MUL."""
    return _binary(site, "tb_mul_f32")


def _binary(site: Site, kernel: str) -> Lowered:
    found = operands(site, FLOAT)
    size = math.prod(site.output().shape)
    lowest, highest = site.fused_bounds()
    layer = structure(
        "layer",
        "tb_elementwise_f32",
        (
            ("size", size),
            ("period", found.period),
            ("lowest", float_text(lowest)),
            ("highest", float_text(highest)),
        ),
    )
    a, b = found.slots
    in_place = found.slots if found.period == size else (a,)
    return Lowered((), (*layer, f"{kernel}(&layer, $in{a}, $in{b}, $out0);"), in_place)


def relu(site: Site) -> Lowered:
    """RELU."""
    return _one_to_one(site, f"tb_bound_f32(0, {float_text(FLOAT.limits[1])}, $size, $in0, $out0);")


def relu6(site: Site) -> Lowered:
    """RELU6."""
    return _one_to_one(site, "tb_bound_f32(0, 6, $size, $in0, $out0);")


def leaky_relu(site: Site) -> Lowered:
    """LEAKY_RELU."""
    slope = site.option("alpha")
    if not isinstance(slope, int | float):
        raise site.refused(f"has a slope that is not a number for tensor `{site.input(0).name}`")
    return _one_to_one(site, f"tb_leaky_relu_f32({float_text(float(slope))}, $size, $in0, $out0);")


def hard_swish(site: Site) -> Lowered:
    """HARD_SWISH."""
    return _one_to_one(site, "tb_hard_swish_f32($size, $in0, $out0);")


def logistic(site: Site) -> Lowered:
    """LOGISTIC."""
    return _one_to_one(site, "tb_logistic_f32($size, $in0, $out0);")


def tanh(site: Site) -> Lowered:
    """TANH is refused: libraries round it differently, so that no kernel equals the oracle everywhere."""
    raise site.refused(
        f"cannot be exact for float32: every library rounds tensor `{site.output().name}` its own way"
    )


def _one_to_one(site: Site, call: str) -> Lowered:
    input_, output = site.activation(site.input(0), FLOAT), site.activation(site.output(), FLOAT)
    size = site.element_by_element(input_, output)
    return Lowered((), (call.replace("$size", str(size)),), (0,))


def softmax(site: Site) -> Lowered:
    """SOFTMAX over the last dimension."""
    input_ = site.activation(site.input(0), FLOAT)
    site.element_by_element(input_, site.activation(site.output(), FLOAT))
    beta = site.option("beta")
    if not isinstance(beta, int | float):
        raise site.refused(f"has a beta that is not a number for tensor `{input_.name}`")
    if not input_.shape or input_.shape[-1] == 0:
        raise site.refused(f"has no classes; tensor `{input_.name}` is {list(input_.shape)}")
    layer = structure(
        "layer",
        "tb_softmax_layer_f32",
        (
            ("rows", math.prod(input_.shape[:-1])),
            ("channels", input_.shape[-1]),
            ("beta", float_text(float(beta))),
        ),
    )
    return Lowered((), (*layer, "tb_softmax_f32(&layer, $in0, $out0);"), (0,))
