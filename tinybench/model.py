"""A model as operators and tensors, as values, and what can be counted from them alone.

`tflite.py` reads and writes models, `wellformed.py` says what makes one whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tinybench.errors import ModelError

Option = int | float | bool | tuple[int, ...] | tuple[float, ...]

# The schema's TensorType names in lower case, and the bits of one element; 0 where that is not fixed.
ELEMENT_BITS: Mapping[str, int] = MappingProxyType(
    {
        "float32": 32,
        "float16": 16,
        "int32": 32,
        "uint8": 8,
        "int64": 64,
        "string": 0,
        "bool": 8,
        "int16": 16,
        "complex64": 64,
        "int8": 8,
        "float64": 64,
        "complex128": 128,
        "uint64": 64,
        "resource": 0,
        "variant": 0,
        "uint32": 32,
        "uint16": 16,
        "int4": 4,
        "bfloat16": 16,
        "int2": 2,
        "uint4": 4,
        "float8_e4m3fn": 8,
        "float8_e5m2": 8,
    }
)


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (quantised - zero_point), per tensor (one pair) or per channel along `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Tensor:
    """One tensor: `data` holds the little-endian bytes of a constant, None for an activation.

    `dtype` is the schema's TensorType in lower case (`int8`, `float32`). A `variable` keeps its value from
    one inference to the next. `shape_signature` is `shape` with -1 where the author left it open.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes | None = None
    quantisation: Quantisation | None = None
    variable: bool = False
    shape_signature: tuple[int, ...] = ()


@dataclass(frozen=True)
class Operator:
    """One operator in execution order; tensors by index, -1 for an absent optional input.

    `options` are the schema's, by its field names, absent ones at the schema's default; enums stay integers
    (padding SAME=0 VALID=1).
    """

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 1
    intermediates: tuple[int, ...] = ()
    custom_options: bytes = b""


@dataclass(frozen=True)
class Model:
    """One subgraph, in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str = ""
    metadata: tuple[tuple[str, bytes], ...] = ()


def element_bytes(dtype: str) -> int:
    """Bytes of one element of `dtype`; ModelError where elements are packed (int4) or vary (string)."""
    bits = ELEMENT_BITS.get(dtype, 0)
    if bits == 0 or bits % 8:
        raise ModelError(f"an element of `{dtype}` is not a whole number of bytes")
    return bits // 8


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes a tensor occupies, packed types rounded up to a byte; 0 where the type says nothing (string)."""
    return (math.prod(tensor.shape) * ELEMENT_BITS[tensor.dtype] + 7) // 8


def macs(model: Model, operator: Operator) -> int:
    """Multiply-accumulates of one inference in this operator; 0 for operators that are not made of them.

    CONV_2D                       output elements * filter height * filter width * filter's input channels
    DEPTHWISE_CONV_2D             output elements * filter height * filter width
    TRANSPOSE_CONV                input elements * filter height * filter width * output channels
    FULLY_CONNECTED               output elements * filter columns
    BATCH_MATMUL                  output elements * contracted dimension
    SVDF                          batches * (elements of the feature filters + of the time filters)
    UNIDIRECTIONAL_SEQUENCE_LSTM  batches * time steps * elements of all weight matrices

    Products with padding are counted, as MLPerf Tiny's own figures do; elementwise multiplications are not.
    """
    count = _MACS.get(operator.name)
    if count is None:
        return 0
    inputs = [model.tensors[i].shape if i >= 0 else (0,) for i in operator.inputs]
    try:
        return count(inputs, model.tensors[operator.outputs[0]].shape, operator)
    except IndexError:
        raise ModelError(
            f"operator {operator.index} `{operator.name}` has inputs of a shape it cannot have"
        ) from None


Shape = tuple[int, ...]

# Inputs of the schema's UNIDIRECTIONAL_SEQUENCE_LSTM that are multiplied with a vector at each time step:
# input to gates, output to gates, projection (tflite-micro, kernels/lstm_shared.h).
_LSTM_MATRICES = (1, 2, 3, 4, 5, 6, 7, 8, 16)

_MACS: Mapping[str, Callable[[Sequence[Shape], Shape, Operator], int]] = MappingProxyType(
    {
        "CONV_2D": lambda i, o, _: math.prod(o) * math.prod(i[1][1:]),
        "DEPTHWISE_CONV_2D": lambda i, o, _: math.prod(o) * math.prod(i[1][1:3]),
        "TRANSPOSE_CONV": lambda i, _o, _: math.prod(i[2]) * math.prod(i[1][:3]),
        "FULLY_CONNECTED": lambda i, o, _: math.prod(o) * i[1][-1],
        "BATCH_MATMUL": lambda i, o, op: math.prod(o) * i[0][-2 if op.options["adj_x"] else -1],
        "SVDF": lambda i, _o, _: i[0][0] * (math.prod(i[1]) + math.prod(i[2])),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": lambda i, _o, _: (
            math.prod(i[0][:-1]) * sum(math.prod(i[m]) for m in _LSTM_MATRICES if m < len(i))
        ),
    }
)

_WEIGHTED = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "TRANSPOSE_CONV",
        "FULLY_CONNECTED",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)


def total_macs(model: Model) -> int:
    """Multiply-accumulates of one inference."""
    return sum(macs(model, operator) for operator in model.operators)


def parameters(model: Model) -> int:
    """Elements of all weights and biases: constant inputs of layers, each tensor once.

    Constants that only steer an operator (the shape of a RESHAPE, the paddings of a PAD) are not parameters.
    """
    # TRANSPOSE_CONV's first input is the shape of its output.
    used = {
        index
        for operator in model.operators
        if operator.name in _WEIGHTED
        for index in operator.inputs[1 if operator.name == "TRANSPOSE_CONV" else 0 :]
        if index >= 0 and model.tensors[index].data is not None
    }
    return sum(math.prod(model.tensors[index].shape) for index in used)
