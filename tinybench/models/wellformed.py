"""What makes a model whole, so that everything behind the reader may rely on it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinybench.errors import ModelError
from tinybench.model import ELEMENT_BITS, Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models.tflite_schema import CUSTOM_PREFIX, OPTIONS

LARGEST_TENSOR_BYTES = 2**31 - 1
HIGHEST_RANK = 8
_SMALLEST_SCALE = 2.0**-149  # of float32, subnormal
_LARGEST_SCALE = (2 - 2.0**-23) * 2.0**127
_LARGEST_INT = 2**31 - 1


def check(model: Model) -> None:
    """Raise ModelError, naming the first thing that is wrong, unless the model is whole.

    Whole: indices exist; sizes are bounded and agree with constants; scales are positive and finite; every
    tensor is written at most once and before it is read.
    """
    for position, tensor in enumerate(model.tensors):
        if tensor.index != position:
            raise ModelError(f"tensor {position} calls itself `{tensor.index}`")
        _check_tensor(tensor)
    for position, operator in enumerate(model.operators):
        if operator.index != position:
            raise ModelError(f"operator {position} calls itself `{operator.index}`")
        _check_references(model, operator)
        _check_options(operator)
    _check_exist(model, model.inputs, "the model's inputs")
    _check_exist(model, model.outputs, "the model's outputs")
    _check_order(model)


def _check_tensor(tensor: Tensor) -> None:
    what = f"tensor {tensor.index} `{tensor.name}`"
    if len(tensor.shape) > HIGHEST_RANK:
        raise ModelError(f"{what} has `{len(tensor.shape)}` dimensions; the most is {HIGHEST_RANK}")
    if any(extent < 0 for extent in tensor.shape):
        raise ModelError(f"{what} has a negative extent in its shape `{list(tensor.shape)}`")
    if tensor.dtype not in ELEMENT_BITS:
        raise ModelError(f"{what} is of an unknown type `{tensor.dtype}`")
    # Zero extents do not excuse absurd ones: engines multiply some of them on their own.
    if math.prod(max(extent, 1) for extent in tensor.shape) * max(ELEMENT_BITS[tensor.dtype], 8) > (
        8 * LARGEST_TENSOR_BYTES
    ):
        raise ModelError(f"{what} would be larger than 2 GiB: shape `{list(tensor.shape)}`")
    signature = tensor.shape_signature
    if signature and len(signature) != len(tensor.shape):
        raise ModelError(f"{what} has a shape and a shape signature of different rank")
    if not all(-1 <= extent <= _LARGEST_INT for extent in signature):
        raise ModelError(f"{what} has a shape signature of `{list(signature)}`")
    if tensor.data is not None and ELEMENT_BITS[tensor.dtype] and len(tensor.data) != tensor_bytes(tensor):
        raise ModelError(
            f"{what} holds `{len(tensor.data)}` bytes; its shape `{list(tensor.shape)}` of {tensor.dtype}"
            f" needs {tensor_bytes(tensor)}"
        )
    if tensor.quantisation is not None:
        _check_quantisation(what, tensor, tensor.quantisation)


def _check_quantisation(what: str, tensor: Tensor, quantisation: Quantisation) -> None:
    scales, zero_points = quantisation.scales, quantisation.zero_points
    if not scales or len(scales) != len(zero_points):
        raise ModelError(f"{what} has `{len(scales)}` scales and `{len(zero_points)}` zero points")
    for scale in scales:
        if not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE:
            raise ModelError(f"{what} has a scale of `{scale}`")
    low, high = _range(tensor.dtype)
    for zero_point in zero_points:
        if not low <= zero_point <= high:
            raise ModelError(f"{what} has a zero point of `{zero_point}`, outside {tensor.dtype}")
    if len(scales) > 1:
        axis = quantisation.axis
        if not 0 <= axis < len(tensor.shape):
            raise ModelError(f"{what} is quantised along dimension `{axis}` of {len(tensor.shape)}")
        if tensor.shape[axis] != len(scales):
            raise ModelError(
                f"{what} has `{len(scales)}` scales for {tensor.shape[axis]} channels of dimension {axis}"
            )


def _range(dtype: str) -> tuple[int, int]:
    bits = ELEMENT_BITS[dtype]
    if dtype.startswith("int"):
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if dtype.startswith("uint"):
        return 0, 2**bits - 1
    return -(2**63), 2**63 - 1


def _check_references(model: Model, operator: Operator) -> None:
    what = f"operator {operator.index} `{operator.name}`"
    if not 0 <= operator.version <= _LARGEST_INT:
        raise ModelError(f"{what} is of version `{operator.version}`")
    _check_exist(model, (i for i in operator.inputs if i != -1), f"the inputs of {what}")
    _check_exist(model, operator.outputs, f"the outputs of {what}")
    _check_exist(model, (i for i in operator.intermediates if i != -1), f"the intermediates of {what}")


def _check_options(operator: Operator) -> None:
    known = OPTIONS.get(operator.name)
    if known is None:
        return
    what = f"operator {operator.index} `{operator.name}`"
    if operator.options.keys() != {field.name for field in known.fields}:
        raise ModelError(f"{what} has options `{', '.join(operator.options)}`, which are not the schema's")
    for field in known.fields:
        value = operator.options[field.name]
        if isinstance(value, tuple) != field.kind.vector:
            raise ModelError(f"{what} has `{value}` for {field.name}")
        for item in value if isinstance(value, tuple) else (value,):
            below = field.kind.least is not None and item < field.kind.least
            above = field.kind.most is not None and item > field.kind.most
            if below or above or not math.isfinite(item):
                raise ModelError(f"{what} has `{item}` for {field.name}")


def _check_exist(model: Model, indices: Iterable[int], what: str) -> None:
    for index in indices:
        if not 0 <= index < len(model.tensors):
            raise ModelError(f"{what} refer to tensor `{index}` of {len(model.tensors)}")


def _check_order(model: Model) -> None:
    known = {t.index for t in model.tensors if t.data is not None or t.variable}
    for index in model.inputs:
        if model.tensors[index].data is not None:
            raise ModelError(f"tensor `{index}` is an input of the model and a constant")
        known.add(index)
    written = set(known)
    for operator in model.operators:
        what = f"operator {operator.index} `{operator.name}`"
        for index in operator.inputs:
            if index in known or index == -1 or _needs_no_writer(model.tensors[index], operator):
                continue
            raise ModelError(f"{what} reads tensor `{index}` before anything has written it")
        for index in operator.outputs:
            if index in written:
                raise ModelError(f"{what} writes tensor `{index}`, which has a value already")
            written.add(index)
        known.update(operator.outputs)
    for index in model.outputs:
        if index not in known:
            raise ModelError(f"tensor `{index}` is an output of the model and nothing writes it")


def _needs_no_writer(tensor: Tensor, operator: Operator) -> bool:
    """Nothing is missing where there are no elements; custom operators take scratch memory as inputs."""
    return tensor_bytes(tensor) == 0 or operator.name.startswith(CUSTOM_PREFIX)
