"""From an operator of a model to C that calls one of our kernels (firmware/kernels), or a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.codegen.lowering import elementwise, movement, pooling, windows
from tinybench.codegen.lowering.parts import Constant, Lowered, Scale, Site
from tinybench.errors import ModelError
from tinybench.model import Model, Operator

__all__ = ["KERNELS", "Constant", "Lowered", "Scale", "Site", "lowered"]

KERNELS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        "ADD": elementwise.add,
        "AVERAGE_POOL_2D": pooling.average_pool_2d,
        "CONCATENATION": movement.concatenation,
        "CONV_2D": windows.conv_2d,
        "DEPTHWISE_CONV_2D": windows.depthwise_conv_2d,
        "EXPAND_DIMS": movement.reshape,
        "FULLY_CONNECTED": windows.fully_connected,
        "LEAKY_RELU": elementwise.leaky_relu,
        "LOGISTIC": elementwise.logistic_,
        "MAX_POOL_2D": pooling.max_pool_2d,
        "MEAN": pooling.mean,
        "MUL": elementwise.mul,
        "PAD": movement.pad,
        "PADV2": movement.pad,
        "QUANTIZE": elementwise.quantize,
        "RELU": elementwise.relu,
        "RELU6": elementwise.relu6,
        "RESHAPE": movement.reshape,
        "RESIZE_NEAREST_NEIGHBOR": movement.resize_nearest_neighbor,
        "SOFTMAX": elementwise.softmax,
        "SPLIT": movement.split,
        "SQUEEZE": movement.reshape,
        "STRIDED_SLICE": movement.strided_slice,
        "TANH": elementwise.tanh,
        "TRANSPOSE": movement.transpose,
    }
)


def lowered(
    model: Model, operator: Operator, kernels: Mapping[str, Callable[[Site], Lowered]] = KERNELS
) -> Lowered:
    """The operator as C; raises ModelError, naming operator and tensor, if there is no kernel for it."""
    lower = kernels.get(operator.name)
    if lower is None:
        raise ModelError(f"operator {operator.index} `{operator.name}` has no kernel")
    return lower(Site(model, operator))
