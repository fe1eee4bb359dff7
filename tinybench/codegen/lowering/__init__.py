"""From an operator of a model to C that calls one of our kernels (firmware/kernels), or a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.codegen.lowering import conversion, elementwise, floating, movement, pooling, sixteen, windows
from tinybench.codegen.lowering.parts import Constant, Lowered, Scale, Site
from tinybench.errors import ModelError
from tinybench.model import Model, Operator

__all__ = ["FLOAT_KERNELS", "INT16_KERNELS", "KERNELS", "Constant", "Lowered", "Scale", "Site", "lowered"]

# What moves elements, whatever they are, and what makes one type of another.
_ANY_NUMBERS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        "CONCATENATION": movement.concatenation,
        "DEQUANTIZE": conversion.dequantize,
        "EXPAND_DIMS": movement.reshape,
        "PAD": movement.pad,
        "PADV2": movement.pad,
        "QUANTIZE": conversion.quantize,
        "RESHAPE": movement.reshape,
        "RESIZE_NEAREST_NEIGHBOR": movement.resize_nearest_neighbor,
        "SPLIT": movement.split,
        "SQUEEZE": movement.reshape,
        "STRIDED_SLICE": movement.strided_slice,
        "TRANSPOSE": movement.transpose,
    }
)

# Of int8 activations: what an engine with kernels of its own replaces.
KERNELS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        **_ANY_NUMBERS,
        "ADD": elementwise.add,
        "AVERAGE_POOL_2D": pooling.average_pool_2d,
        "CONV_2D": windows.conv_2d,
        "DEPTHWISE_CONV_2D": windows.depthwise_conv_2d,
        "FULLY_CONNECTED": windows.fully_connected,
        "HARD_SWISH": elementwise.hard_swish,
        "LEAKY_RELU": elementwise.leaky_relu,
        "LOGISTIC": elementwise.logistic_,
        "MAX_POOL_2D": pooling.max_pool_2d,
        "MEAN": pooling.mean,
        "MUL": elementwise.mul,
        "RELU": elementwise.relu,
        "RELU6": elementwise.relu6,
        "SOFTMAX": elementwise.softmax,
        "TANH": elementwise.tanh,
    }
)

INT16_KERNELS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        **_ANY_NUMBERS,
        "ADD": sixteen.add,
        "AVERAGE_POOL_2D": sixteen.average_pool_2d,
        "CONV_2D": sixteen.conv_2d,
        "DEPTHWISE_CONV_2D": sixteen.depthwise_conv_2d,
        "FULLY_CONNECTED": sixteen.fully_connected,
        "LEAKY_RELU": sixteen.leaky_relu,
        "LOGISTIC": sixteen.logistic,
        "MAX_POOL_2D": sixteen.max_pool_2d,
        "MEAN": sixteen.mean,
        "MUL": sixteen.mul,
        "RELU": sixteen.relu,
        "RELU6": sixteen.relu6,
        "SOFTMAX": sixteen.softmax,
        "TANH": sixteen.tanh,
    }
)

FLOAT_KERNELS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        **_ANY_NUMBERS,
        "ADD": floating.add,
        "AVERAGE_POOL_2D": floating.average_pool_2d,
        "CONV_2D": floating.conv_2d,
        "DEPTHWISE_CONV_2D": floating.depthwise_conv_2d,
        "FULLY_CONNECTED": floating.fully_connected,
        "HARD_SWISH": floating.hard_swish,
        "LEAKY_RELU": floating.leaky_relu,
        "LOGISTIC": floating.logistic,
        "MAX_POOL_2D": floating.max_pool_2d,
        "MEAN": floating.mean,
        "MUL": floating.mul,
        "RELU": floating.relu,
        "RELU6": floating.relu6,
        "SOFTMAX": floating.softmax,
        "TANH": floating.tanh,
    }
)

_OTHER_NUMBERS = MappingProxyType({"int16": INT16_KERNELS, "float32": FLOAT_KERNELS})


def lowered(
    model: Model, operator: Operator, kernels: Mapping[str, Callable[[Site], Lowered]] = KERNELS
) -> Lowered:
    """The operator as C; raises ModelError, naming operator and tensor, if there is no kernel for it.

    `kernels` are those for int8; what gives int16 or float32 runs in our own.
    """
    dtype = model.tensors[operator.outputs[0]].dtype if operator.outputs else ""
    lower = _OTHER_NUMBERS.get(dtype, kernels).get(operator.name)
    if lower is None:
        numbers = f" for {dtype}" if dtype in _OTHER_NUMBERS else ""
        raise ModelError(f"operator {operator.index} `{operator.name}` has no kernel{numbers}")
    site = Site(model, operator)
    if len(operator.outputs) != 1 and operator.name != "SPLIT":
        raise site.refused(f"has {len(operator.outputs)} outputs, not one")
    if any(model.tensors[i].variable for i in (*operator.inputs, *operator.outputs) if i >= 0):
        raise site.refused("keeps a value from one inference to the next, for which there is no kernel")
    return lower(site)
