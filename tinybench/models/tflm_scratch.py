"""Scratch memory that TensorFlow Lite Micro's reference kernels ask for beside their tensors.

Source: tflite-micro, tensorflow/lite/micro/kernels, the calls of RequestScratchBufferInArena in each file
named below, in their order. CMSIS-NN and other accelerated kernels ask for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.model import Model, Operator, Tensor, tensor_bytes

_INT32_BYTES = 4
_INT64_BYTES = 8
_LSTM_CELL_STATE = 19  # lstm_shared.h
_LSTM_GATES = 4


def scratch_bytes(model: Model, operator: Operator) -> tuple[int, ...]:
    """Sizes of the scratch buffers of this operator, unaligned, in the order of their requests."""
    ask = _REQUESTS.get(operator.name)
    if ask is None:
        return ()
    inputs = [model.tensors[i] if i >= 0 else None for i in operator.inputs]
    present = {slot: tensor for slot, tensor in enumerate(inputs) if tensor is not None}
    try:
        return ask(present, model.tensors[operator.outputs[0]])
    except (IndexError, KeyError):  # too few inputs, or of too low a rank: no kernel would run it
        return ()


def _unpacked_filter(inputs: Mapping[int, Tensor], _output: Tensor) -> tuple[int, ...]:
    """conv_common.cc, depthwise_conv_common.cc, fully_connected.cc: int4 weights are unpacked."""
    return (math.prod(inputs[1].shape),) if inputs[1].dtype == "int4" else ()


def _transpose_conv(inputs: Mapping[int, Tensor], output: Tensor) -> tuple[int, ...]:
    """transpose_conv.cc: sums of all outputs, and for int16 the bias as int64."""
    if inputs[2].dtype == "int8":
        return (math.prod(output.shape) * _INT32_BYTES,)
    if inputs[2].dtype != "int16":
        return ()
    sums = math.prod(output.shape) * _INT64_BYTES
    bias = inputs.get(3)
    if bias is not None and bias.dtype == "int16":
        return sums, math.prod(bias.shape) * _INT64_BYTES
    return (sums,)


def _svdf(inputs: Mapping[int, Tensor], output: Tensor) -> tuple[int, ...]:
    """svdf_common.cc: one sum for each filter, and for int8 one for each unit."""
    batches, filters, units = inputs[0].shape[0], inputs[1].shape[0], output.shape[-1]
    sums = batches * filters * _INT32_BYTES
    return (sums,) if inputs[0].dtype == "float32" else (sums, batches * units * _INT32_BYTES)


def _lstm(inputs: Mapping[int, Tensor], _output: Tensor) -> tuple[int, ...]:
    """unidirectional_sequence_lstm.cc: the state of four gates."""
    return (tensor_bytes(inputs[_LSTM_CELL_STATE]),) * _LSTM_GATES


def _reduced(inputs: Mapping[int, Tensor], _output: Tensor) -> tuple[int, ...]:
    """reduce_common.cc, PrepareMinMaxHelper: the position in the input, the axes."""
    return len(inputs[0].shape) * _INT32_BYTES, math.prod(inputs[1].shape) * _INT32_BYTES


def _summed(inputs: Mapping[int, Tensor], output: Tensor) -> tuple[int, ...]:
    """reduce_common.cc, PrepareMeanOrSumHelper: the same, and before it sums of all outputs."""
    sums = (math.prod(output.shape) * _INT32_BYTES,) if inputs[0].dtype in {"int8", "int16"} else ()
    return *sums, *_reduced(inputs, output)


def _mirror_pad(inputs: Mapping[int, Tensor], _output: Tensor) -> tuple[int, ...]:
    """mirror_pad.cc: strides of output and input."""
    return (len(inputs[0].shape) * _INT32_BYTES,) * 2


_REQUESTS: Mapping[str, Callable[[Mapping[int, Tensor], Tensor], tuple[int, ...]]] = MappingProxyType(
    {
        "CONV_2D": _unpacked_filter,
        "DEPTHWISE_CONV_2D": _unpacked_filter,
        "FULLY_CONNECTED": _unpacked_filter,
        "TRANSPOSE_CONV": _transpose_conv,
        "SVDF": _svdf,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
        "MEAN": _summed,
        "SUM": _summed,
        "REDUCE_MAX": _reduced,
        "REDUCE_MIN": _reduced,
        "MIRROR_PAD": _mirror_pad,
    }
)
