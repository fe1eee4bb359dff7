"""Bringing models of different publishers into one form, without touching a weight or a scale.

A quantised model may come wrapped in float conversions, which cost arena and time that say nothing about
the model, and may leave its batch size open, which engines refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tinybench.model import Model, Operator

_QUANTISED = frozenset({"int8", "uint8", "int16"})

# Operators that only compute the shape for a RESHAPE; without a reader they are dropped.
_SHAPE_ARITHMETIC = frozenset({"SHAPE", "STRIDED_SLICE", "PACK"})


def normalise(model: Model) -> Model:
    """The same network with quantised inputs and outputs, closed shapes and no metadata.

    Dropped are: a QUANTIZE from a float32 input and a DEQUANTIZE to a float32 output, together with a RESHAPE
    between such a conversion and the core and with what computes its shape; shape signatures; metadata;
    tensors that nothing refers to. Inputs and outputs stay in their order, each with the wrapper's scale and
    zero point as its own; their bytes are what the wrapper would have made or taken. Done twice it changes
    nothing more.
    """
    operators = list(model.operators)
    inputs = [_unwrapped_input(model, operators, index) for index in model.inputs]
    outputs = [_unwrapped_output(model, operators, index, inputs) for index in model.outputs]
    _drop_unread_shapes(operators, outputs)
    return _renumbered(replace(model, metadata=()), operators, inputs, outputs)


def _unwrapped_input(model: Model, operators: list[Operator], index: int) -> int:
    """Follow a float input through its QUANTIZE, and through a RESHAPE of what that made."""
    if model.tensors[index].dtype != "float32":
        return index
    quantised = _only_reader(model, operators, index, "QUANTIZE")
    if quantised is None or model.tensors[quantised.outputs[0]].dtype not in _QUANTISED:
        return index
    operators.remove(quantised)
    index = quantised.outputs[0]
    reshape = _only_reader(model, operators, index, "RESHAPE")
    if reshape is None:
        return index
    operators.remove(reshape)
    return reshape.outputs[0]


def _unwrapped_output(model: Model, operators: list[Operator], index: int, inputs: Collection[int]) -> int:
    """Follow a float output back through its DEQUANTIZE, and through a RESHAPE of what that took."""
    dequantised = _writer(operators, index, "DEQUANTIZE")
    if dequantised is None or model.tensors[index].dtype != "float32" or _readers(operators, index):
        return index
    source = dequantised.inputs[0]
    if model.tensors[source].dtype not in _QUANTISED or source in inputs or source in model.outputs:
        return index
    operators.remove(dequantised)
    reshape = _writer(operators, source, "RESHAPE")
    if (
        reshape is None
        or source in model.outputs
        or _readers(operators, source)
        or reshape.inputs[0] in inputs
    ):
        return source
    operators.remove(reshape)
    return reshape.inputs[0]


def _readers(operators: Sequence[Operator], index: int) -> list[Operator]:
    return [operator for operator in operators if index in operator.inputs]


def _only_reader(model: Model, operators: Sequence[Operator], index: int, name: str) -> Operator | None:
    """The one operator that reads this tensor as its first input, if that is all that is done with it."""
    readers = _readers(operators, index)
    if len(readers) != 1 or readers[0].name != name or index in model.outputs:
        return None
    return readers[0] if readers[0].inputs[0] == index else None


def _writer(operators: Sequence[Operator], index: int, name: str) -> Operator | None:
    return next((o for o in operators if o.name == name and index in o.outputs), None)


def _drop_unread_shapes(operators: list[Operator], outputs: Collection[int]) -> None:
    # Backwards, so that an operator is looked at after those that read it.
    for operator in reversed(operators[:]):
        read = any(_readers(operators, index) or index in outputs for index in operator.outputs)
        if operator.name in _SHAPE_ARITHMETIC and not read:
            operators.remove(operator)


def _renumbered(
    model: Model, operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> Model:
    """The model of these operators alone; tensors keep their order, so that planners see the same ties."""
    used = {*inputs, *outputs}
    for operator in operators:
        used.update(operator.inputs, operator.outputs, operator.intermediates)
    kept = sorted(used - {-1})
    new = {old: position for position, old in enumerate(kept)} | {-1: -1}

    def moved(indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(new[index] for index in indices)

    return replace(
        model,
        tensors=tuple(replace(model.tensors[old], index=new[old], shape_signature=()) for old in kept),
        operators=tuple(
            replace(
                operator,
                index=position,
                inputs=moved(operator.inputs),
                outputs=moved(operator.outputs),
                intermediates=moved(operator.intermediates),
            )
            for position, operator in enumerate(operators)
        ),
        inputs=moved(inputs),
        outputs=moved(outputs),
    )
