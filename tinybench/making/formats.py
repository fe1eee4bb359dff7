"""From a drawn network to a model, in int8, int16x8 or float32: the same weights, three forms of numbers.

The rules are those of TensorFlow Lite's 8-bit and 16x8 quantisation: int8 weights, symmetric, per channel in
convolutions and per tensor in fully connected layers; activations int8 with a zero point, or int16 without
one; biases int32 or int64 at input scale times weight scale.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from tinybench.making.exact import round_half_up, single
from tinybench.making.network import Drawing, Drawn, Span, Step, Weights, int8_scale
from tinybench.model import Model, Operator, Option, Quantisation, Tensor
from tinybench.models.tflite_schema import OPTIONS

if TYPE_CHECKING:
    from tinybench.making.exact import Whole

Numbers = Literal["int8", "int16x8", "float32"]

INT16_MOST = 32767

# Versions of operators that TensorFlow Lite's converter writes (op_version.cc): float32, int8, int16x8.
_VERSIONS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "CONV_2D": (1, 3, 4),
        "DEPTHWISE_CONV_2D": (1, 3, 5),
        "FULLY_CONNECTED": (1, 4, 7),
        "ADD": (1, 2, 3),
        "CONCATENATION": (1, 2, 3),
        "AVERAGE_POOL_2D": (1, 2, 3),
        "MAX_POOL_2D": (1, 2, 3),
        "MEAN": (1, 2, 3),
        "RESIZE_NEAREST_NEIGHBOR": (1, 2, 4),
        "SOFTMAX": (1, 2, 3),
        "RESHAPE": (1, 1, 1),
    }
)
_COLUMN: Mapping[Numbers, int] = MappingProxyType({"float32": 0, "int8": 1, "int16x8": 2})
_DTYPE: Mapping[Numbers, str] = MappingProxyType({"float32": "float32", "int8": "int8", "int16x8": "int16"})


def as_model(drawing: Drawing, numbers: Numbers, description: str) -> Model:
    """The network as a model of these numbers; constants stand before activations, as converters do it."""
    return _Writer(drawing, numbers).model(description)


def quantised(span: Span, numbers: Numbers, *, unit: bool = False) -> Quantisation | None:
    """Scale and zero point of a span in these numbers; a unit (a probability) has the format's own."""
    if numbers == "float32":
        return None
    if numbers == "int16x8":
        most = max(-span.low, span.high) or 1.0
        return Quantisation((1 / 32768 if unit else single(most / INT16_MOST),), (0,))
    if unit:
        return Quantisation((1 / 256,), (-128,))
    scale = int8_scale(span)
    zero_point = max(-128, min(127, round(-128 - span.low / scale)))
    return Quantisation((scale,), (zero_point,))


@dataclass
class _Writer:
    drawing: Drawing
    numbers: Numbers
    tensors: list[Tensor] = field(default_factory=list)

    def model(self, description: str) -> Model:
        drawing = self.drawing
        first = self._activation(drawing.values[0], "input")
        constants = [self._constants(index, step) for index, step in enumerate(drawing.steps)]
        numbers = [first]
        for index, step in enumerate(drawing.steps):
            assert step.output == len(numbers), "every step makes the next value"
            numbers.append(self._activation(drawing.values[step.output], f"{_stem(index, step)}"))
        operators = tuple(
            Operator(
                index=index,
                name=step.operator,
                inputs=(*(numbers[value] for value in step.inputs), *constants[index]),
                outputs=(numbers[step.output],),
                options=self._options(step),
                version=_VERSIONS[step.operator][_COLUMN[self.numbers]],
            )
            for index, step in enumerate(drawing.steps)
        )
        return Model(
            tensors=tuple(self.tensors),
            operators=operators,
            inputs=(first,),
            outputs=tuple(numbers[value] for value in drawing.outputs),
            description=description,
        )

    def _add(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        data: bytes | None = None,
        quantisation: Quantisation | None = None,
    ) -> int:
        self.tensors.append(Tensor(len(self.tensors), name, tuple(shape), dtype, data, quantisation))
        return len(self.tensors) - 1

    def _activation(self, drawn: Drawn, name: str) -> int:
        found = quantised(drawn.span, self.numbers, unit=drawn.unit)
        return self._add(name, drawn.shape, _DTYPE[self.numbers], None, found)

    def _options(self, step: Step) -> Mapping[str, Option]:
        known = {option.name: option.absent for option in OPTIONS[step.operator].fields}
        given = dict(step.options)
        if step.operator == "ADD":
            given["pot_scale_int16"] = self.numbers != "int16x8"
        return MappingProxyType({**known, **given})

    def _constants(self, index: int, step: Step) -> tuple[int, ...]:
        made: list[int] = []
        if step.weights is not None:
            source = self.drawing.values[step.inputs[0]]
            made += self._weights(_stem(index, step), step.weights, quantised(source.span, self.numbers))
        for position, values in enumerate(step.constants):
            name = f"{_stem(index, step)}/constant{position}"
            made.append(self._add(name, (len(values),), "int32", struct.pack(f"<{len(values)}i", *values)))
        return tuple(made)

    def _weights(self, stem: str, weights: Weights, source: Quantisation | None) -> tuple[int, int]:
        import numpy as np

        scales = np.array(weights.scales)
        shape = weights.levels.shape
        if source is None:
            along = [1] * len(shape)
            along[weights.axis] = -1
            real = (weights.levels * scales.reshape(along)).astype("<f4")
            biases = weights.biases.astype("<f4")
            return (
                self._add(f"{stem}/weights", shape, "float32", real.tobytes()),
                self._add(f"{stem}/bias", biases.shape, "float32", biases.tobytes()),
            )
        steps = np.array([single(source.scales[0] * scale) for scale in weights.scales])
        whole: Whole = round_half_up(weights.biases / steps)
        wide = self.numbers == "int16x8"
        zeros = (0,) * len(weights.scales)
        return (
            self._add(
                f"{stem}/weights",
                shape,
                "int8",
                weights.levels.astype(np.int8).tobytes(),
                Quantisation(weights.scales, zeros, weights.axis if len(zeros) > 1 else 0),
            ),
            self._add(
                f"{stem}/bias",
                whole.shape,
                "int64" if wide else "int32",
                whole.astype("<i8" if wide else "<i4").tobytes(),
                Quantisation(tuple(float(step) for step in steps), zeros),
            ),
        )


def _stem(index: int, step: Step) -> str:
    return f"{index:02d}_{step.operator.lower()}"
