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
    quantise = _only_reader(model, operators, index, "QUANTIZE")
    if quantise is None or model.tensors[quantise.outputs[0]].dtype not in _QUANTISED:
        return index
    operators.remove(quantise)
    reshape = _only_reader(model, operators, quantise.outputs[0], "RESHAPE")
    if reshape is None:
        return quantise.outputs[0]
    operators.remove(reshape)
    return reshape.outputs[0]


def _unwrapped_output(model: Model, operators: list[Operator], index: int, inputs: Collection[int]) -> int:
    """Follow a float output back through its DEQUANTIZE, and through a RESHAPE of what that took."""
    if model.tensors[index].dtype != "float32":
        return index
    dequantise = _only_writer(model, operators, index, "DEQUANTIZE", inputs)
    if dequantise is None or model.tensors[dequantise.inputs[0]].dtype not in _QUANTISED:
        return index
    operators.remove(dequantise)
    reshape = _only_writer(model, operators, dequantise.inputs[0], "RESHAPE", inputs)
    if reshape is None:
        return dequantise.inputs[0]
    operators.remove(reshape)
    return reshape.inputs[0]


def _readers(operators: Sequence[Operator], index: int) -> list[Operator]:
    return [operator for operator in operators if index in operator.inputs]


def _only_reader(model: Model, operators: Sequence[Operator], index: int, name: str) -> Operator | None:
    """The operator that turns this tensor into one other, if that is all that is done with it."""
    readers = _readers(operators, index)
    if len(readers) != 1 or index in model.outputs:
        return None
    (reader,) = readers
    fits = reader.name == name and reader.inputs[0] == index and len(reader.outputs) == 1
    return reader if fits else None


def _only_writer(
    model: Model, operators: Sequence[Operator], index: int, name: str, inputs: Collection[int]
) -> Operator | None:
    """The operator that makes this tensor of one other that the core has computed, if nothing reads it."""
    writer = next((o for o in operators if o.name == name and index in o.outputs), None)
    if writer is None or len(writer.outputs) != 1 or not writer.inputs or _readers(operators, index):
        return None
    source = writer.inputs[0]
    computed = any(source in operator.outputs for operator in operators)
    return writer if computed and source not in inputs and source not in model.outputs else None


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
