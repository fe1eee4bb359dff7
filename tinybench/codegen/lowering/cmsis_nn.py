"""Operators as calls of Arm's `arm_*_s8` kernels (CMSIS-NN, Include/arm_nnfunctions.h).

Every operator is first seen to agree as the portable kernels ask for it. What Arm's kernels have not got is
left to the portable ones. Scratch memory is what the largest of Arm's variants for cores without MVE asks
for; the image checks at its start that its version of CMSIS-NN asks for no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinybench.codegen.fixed_point import quantised_multiplier
from tinybench.codegen.lowering import elementwise, pooling, windows
from tinybench.codegen.lowering.parts import (
    Constant,
    Lowered,
    Scale,
    Site,
    fields,
    scale,
    structure,
    zero_point,
)
from tinybench.codegen.lowering.windows import Weights, Window

LIBRARY = "CMSIS-NN"

_ADD_HEADROOM = 20
_INT16_BYTES, _INT32_BYTES = 2, 4
_BLOCK = 4
# The structure's pointers are not to constants; the kernels only read what they point to.
_SCALES = "{(int32_t *)${c}_multipliers, (int32_t *)${c}_shifts}"


def _dims(n: int, h: int, w: int, c: int) -> str:
    return fields((("n", n), ("h", h), ("w", w), ("c", c)))


def _tile(pair: tuple[int, int]) -> str:
    return fields((("w", pair[1]), ("h", pair[0])))


def _activation(site: Site) -> str:
    lowest, highest = site.fused_range()
    return fields((("min", lowest), ("max", highest)))


def _exponent(found: Scale) -> int:
    return found.lift - 1 - found.shift


def _per_channel(layer: Weights) -> tuple[Constant, ...]:
    """Multipliers and shifts, one for each channel also where the model has a single one."""
    each = layer.scales if len(layer.scales) == len(layer.rows) else layer.scales * len(layer.rows)
    return (
        Constant("multipliers", "int32_t", tuple(one.multiplier for one in each)),
        Constant("shifts", "int32_t", tuple(_exponent(one) for one in each)),
    )


@dataclass(frozen=True)
class _Call:
    """The call of a convolution: kernel, scratch memory, parameters, and the dimensions of all tensors."""

    kernel: str
    scratch_bytes: int
    parameters_type: str
    parameters: tuple[tuple[str, object], ...]
    input: str
    filter: str
    output: str

    def promise(self) -> str:
        """That the kernel asks for no more scratch than was set aside, in C."""
        parameters = f"&(const {self.parameters_type}){fields(self.parameters)}"
        tensors = (f"&(const cmsis_nn_dims){dims}" for dims in (self.input, self.filter, self.output))
        return f"{self.kernel}_get_buffer_size({', '.join((parameters, *tensors))}) <= {self.scratch_bytes}"


def _windowed(window: Window, layer: Weights, call: _Call, weights: bytes) -> Lowered:
    channels = window.output[2]
    body = (
        *structure("parameters", call.parameters_type, call.parameters),
        f"static const cmsis_nn_dims input = {call.input};",
        f"static const cmsis_nn_dims filter = {call.filter};",
        f"static const cmsis_nn_dims bias = {_dims(1, 1, 1, channels)};",
        f"static const cmsis_nn_dims output = {call.output};",
        f"const cmsis_nn_per_channel_quant_params scales = {_SCALES};",
        _context(call.scratch_bytes),
        f"{call.kernel}(&context, &parameters, &scales, &input, $in0, &filter, ${{c}}_filter,",
        "    &bias, ${c}_bias, &output, $out0);",
    )
    constants = (
        Constant("filter", "int8_t", weights),
        Constant("bias", "int32_t", layer.plain_bias),
        *_per_channel(layer),
    )
    return Lowered(
        constants,
        body,
        scratch_bytes=call.scratch_bytes,
        promises=(call.promise(),),
        library=LIBRARY,
    )


def _context(scratch_bytes: int) -> str:
    buffer = "$scratch" if scratch_bytes else "0"
    return f"const cmsis_nn_context context = {{{buffer}, {scratch_bytes}}};"


def _parameters(site: Site, window: Window, *own: tuple[str, object]) -> tuple[tuple[str, object], ...]:
    return (
        ("input_offset", -zero_point(site.input(0))),
        ("output_offset", zero_point(site.output())),
        *own,
        ("stride", _tile(window.stride)),
        ("padding", _tile(window.pad)),
        ("dilation", _tile(window.dilation)),
        ("activation", _activation(site)),
    )


def conv_2d(site: Site) -> Lowered:
    """CONV_2D by arm_convolve_wrapper_s8, which chooses among Arm's variants."""
    window, layer = windows.conv_2d_layer(site)
    patch = len(layer.rows[0])
    is_1x1 = window.filter == (1, 1) and window.pad == (0, 0) and window.dilation == (1, 1)
    # Two columns of int16, rounded up to words of four as later versions do.
    scratch_bytes = 0 if is_1x1 else 2 * _INT16_BYTES * (patch + -patch % _BLOCK)
    call = _Call(
        "arm_convolve_wrapper_s8",
        scratch_bytes,
        "cmsis_nn_conv_params",
        _parameters(site, window),
        _dims(1, *window.input),
        _dims(window.output[2], *window.filter, window.input[2]),
        _dims(1, *window.output),
    )
    return _windowed(window, layer, call, b"".join(layer.rows))


def depthwise_conv_2d(site: Site) -> Lowered:
    """DEPTHWISE_CONV_2D by arm_depthwise_conv_wrapper_s8."""
    window, layer = windows.depthwise_conv_2d_layer(site)
    channels, taps = window.output[2], math.prod(window.filter)
    is_plain = window.input[2] == channels and window.dilation == (1, 1)
    call = _Call(
        "arm_depthwise_conv_wrapper_s8",
        _INT16_BYTES * channels * taps if is_plain else 0,
        "cmsis_nn_dw_conv_params",
        _parameters(site, window, ("ch_mult", channels // window.input[2])),
        _dims(1, *window.input),
        _dims(1, *window.filter, channels),
        _dims(1, *window.output),
    )
    return _windowed(window, layer, call, windows.interleaved(layer.rows, channels))


def fully_connected(site: Site) -> Lowered:
    """FULLY_CONNECTED by arm_fully_connected_s8; with a scale for each channel, by the portable kernel."""
    layer, batches = windows.fully_connected_layer(site)
    if len(layer.scales) != 1:
        return windows.fully_connected(site)
    depth, channels = len(layer.rows[0]), len(layer.rows)
    parameters = (
        ("input_offset", -zero_point(site.input(0))),
        ("filter_offset", 0),
        ("output_offset", zero_point(site.output())),
        ("activation", _activation(site)),
    )
    scales = (("multiplier", layer.scales[0].multiplier), ("shift", _exponent(layer.scales[0])))
    filter_ = _dims(depth, 1, 1, channels)
    body = (
        *structure("parameters", "cmsis_nn_fc_params", parameters),
        *structure("scale", "cmsis_nn_per_tensor_quant_params", scales),
        f"static const cmsis_nn_dims input = {_dims(batches, 1, 1, depth)};",
        f"static const cmsis_nn_dims filter = {filter_};",
        f"static const cmsis_nn_dims bias = {_dims(1, 1, 1, channels)};",
        f"static const cmsis_nn_dims output = {_dims(batches, 1, 1, channels)};",
        _context(0),
        "arm_fully_connected_s8(&context, &parameters, &scale, &input, $in0, &filter, ${c}_filter,",
        "    &bias, ${c}_bias, &output, $out0);",
    )
    constants = (
        Constant("filter", "int8_t", b"".join(layer.rows)),
        Constant("bias", "int32_t", layer.plain_bias),
    )
    promise = f"arm_fully_connected_s8_get_buffer_size(&(const cmsis_nn_dims){filter_}) <= 0"
    return Lowered(constants, body, promises=(promise,), library=LIBRARY)


def average_pool_2d(site: Site) -> Lowered:
    """AVERAGE_POOL_2D by arm_avgpool_s8, which sums into a row of int32."""
    window = pooling.window(site)
    scratch_bytes = _INT32_BYTES * window.input[2]
    asked = f"arm_avgpool_s8_get_buffer_size({window.output[1]}, {window.input[2]})"
    return _pooling(site, window, "arm_avgpool_s8", scratch_bytes, (f"{asked} <= {scratch_bytes}",))


def max_pool_2d(site: Site) -> Lowered:
    """MAX_POOL_2D by arm_max_pool_s8."""
    return _pooling(site, pooling.window(site), "arm_max_pool_s8", 0, ())


def _pooling(
    site: Site, window: Window, kernel: str, scratch_bytes: int, promises: tuple[str, ...]
) -> Lowered:
    parameters = (
        ("stride", _tile(window.stride)),
        ("padding", _tile(window.pad)),
        ("activation", _activation(site)),
    )
    body = (
        *structure("parameters", "cmsis_nn_pool_params", parameters),
        f"static const cmsis_nn_dims input = {_dims(1, *window.input)};",
        f"static const cmsis_nn_dims filter = {_dims(1, *window.filter, 1)};",
        f"static const cmsis_nn_dims output = {_dims(1, *window.output)};",
        _context(scratch_bytes),
        f"{kernel}(&context, &parameters, &input, $in0, &filter, &output, $out0);",
    )
    return Lowered((), body, scratch_bytes=scratch_bytes, promises=promises, library=LIBRARY)


def add(site: Site) -> Lowered:
    """ADD by arm_elementwise_add_s8; where one operand is repeated, by the portable kernel."""
    portable = elementwise.add(site)
    one, other, output = site.input(0), site.input(1), site.output()
    if not math.prod(one.shape) == math.prod(other.shape) == math.prod(output.shape):
        return portable
    twice_larger = 2 * max(scale(one), scale(other))
    words: list[object] = ["$in0", "$in1"]
    for operand in (one, other):
        words += [-zero_point(operand), *quantised_multiplier(scale(operand) / twice_larger)]
    real = twice_larger / ((1 << _ADD_HEADROOM) * scale(output))
    words += [_ADD_HEADROOM, "$out0", zero_point(output), *quantised_multiplier(real)]
    words += [*site.fused_range(), math.prod(output.shape)]
    call = f"arm_elementwise_add_s8({', '.join(map(str, words))});"
    return Lowered((), (call,), portable.in_place, library=LIBRARY)
