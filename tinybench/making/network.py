"""A network drawn layer by layer over calibration samples, from which each value's range becomes known.

Values travel as whole levels with a scale, as they will in the int8 model. What comes out is a Drawing, from
which `formats` makes a model of int8, int16x8 or float32: the same network in three forms of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from tinybench.making.exact import Padding, convolved, output_size, round_half_up, single, windows
from tinybench.model import Option

if TYPE_CHECKING:
    from tinybench.making.exact import Real, Whole

Activation = Literal["none", "relu", "relu6"]
# Numbers of the schema's ActivationFunctionType and Padding.
ACTIVATIONS: Mapping[Activation, int] = MappingProxyType({"none": 0, "relu": 1, "relu6": 3})
PADDINGS: Mapping[Padding, int] = MappingProxyType({"same": 0, "valid": 1})
RELU6 = 6.0


@dataclass(frozen=True)
class Span:
    """The least and the greatest real number a tensor holds, 0 among them."""

    low: float
    high: float

    def with_(self, other: Span) -> Span:
        """The span of both."""
        return Span(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Weights:
    """Constants of a layer: real weight = level * scale of its channel; biases are real numbers."""

    levels: Whole
    scales: tuple[float, ...]
    biases: Real
    axis: int


@dataclass(frozen=True)
class Step:
    """One operator: values in by number, weights if it has any, other constants, value out."""

    operator: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    weights: Weights | None = None
    constants: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A value of the network: its shape (leading 1 included) and its span.

    `unit` says that the format decides: probabilities, 0 to 1.
    """

    shape: tuple[int, ...]
    span: Span
    unit: bool = False


@dataclass(frozen=True)
class Drawing:
    """A finished network: value 0 is the input."""

    values: tuple[Drawn, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A value while the network is drawn: whole levels over the samples, real = level * scale."""

    number: int
    levels: Whole
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape for one sample, leading 1 included."""
        return (1, *self.levels.shape[1:])

    @property
    def channels(self) -> int:
        """Size of the last dimension."""
        return int(self.levels.shape[-1])


class Network:
    """Draws a network: each method adds one operator and gives the value it makes."""

    def __init__(self) -> None:
        self._values: list[Drawn] = []
        self._steps: list[Step] = []
        self._same: list[int] = []

    def input(self, samples: Real, span: Span) -> Value:
        """The network's input: real samples [n, …] within `span`."""
        return self._value(samples, span)

    def conv(
        self,
        x: Value,
        weights: Weights,
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = "same",
        activation: Activation = "none",
        depthwise: bool = False,
    ) -> Value:
        """CONV_2D, weights [outputs, rows, columns, inputs], or depthwise, [1, rows, columns, channels]."""
        sums = convolved(x.levels, weights.levels, stride, padding, depthwise=depthwise)
        options: dict[str, Option] = {
            "padding": PADDINGS[padding],
            "stride_h": stride[0],
            "stride_w": stride[1],
            "fused_activation_function": ACTIVATIONS[activation],
        }
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        if depthwise:
            options["depth_multiplier"] = 1
        return self._weighted(name, x, sums, weights, options=options, activation=activation)

    def dense(self, x: Value, weights: Weights, *, activation: Activation = "none") -> Value:
        """FULLY_CONNECTED with weights [outputs, inputs] of one scale."""
        import numpy as np

        sums = np.asarray(x.levels @ weights.levels.T)
        options: dict[str, Option] = {"fused_activation_function": ACTIVATIONS[activation]}
        return self._weighted("FULLY_CONNECTED", x, sums, weights, options=options, activation=activation)

    def add(self, a: Value, b: Value, *, activation: Activation = "none") -> Value:
        """ADD of two values of one shape."""
        real = _activated(a.levels * a.scale + b.levels * b.scale, activation)
        options: dict[str, Option] = {"fused_activation_function": ACTIVATIONS[activation]}
        return self._step("ADD", (a, b), real, options)

    def concat(self, *parts: Value) -> Value:
        """CONCATENATION along channels; all parts and the whole share one scale, as TFLite asks."""
        import numpy as np

        real = np.concatenate([part.levels * part.scale for part in parts], axis=-1)
        made = self._step("CONCATENATION", parts, real, {"axis": real.ndim - 1})
        self._unify([*(part.number for part in parts), made.number])
        return made

    def average_pool(self, x: Value, window: tuple[int, int]) -> Value:
        """AVERAGE_POOL_2D without overlap; input and output share one scale."""
        seen = windows(x.levels, window, window, "valid")
        # A sum of whole numbers, exact in any order.
        return self._pool("AVERAGE_POOL_2D", x, seen.sum(axis=(3, 4)) / math.prod(window), window)

    def max_pool(self, x: Value, window: tuple[int, int]) -> Value:
        """MAX_POOL_2D without overlap; input and output share one scale."""
        return self._pool(
            "MAX_POOL_2D", x, windows(x.levels, window, window, "valid").max(axis=(3, 4)), window
        )

    def mean(self, x: Value) -> Value:
        """MEAN over rows and columns, which it keeps as 1 x 1."""
        mean = x.levels.sum(axis=(1, 2), keepdims=True) / math.prod(x.shape[1:3])
        return self._step("MEAN", (x,), mean * x.scale, {"keep_dims": True}, constants=((1, 2),))

    def upsample(self, x: Value, factor: int) -> Value:
        """RESIZE_NEAREST_NEIGHBOR; input and output share one scale."""
        grown = x.levels.repeat(factor, axis=1).repeat(factor, axis=2)
        size = (grown.shape[1], grown.shape[2])
        return self._alike("RESIZE_NEAREST_NEIGHBOR", x, grown, {}, (size,))

    def flatten(self, x: Value) -> Value:
        """RESHAPE to one row."""
        flat = x.levels.reshape(len(x.levels), -1)
        return self._alike("RESHAPE", x, flat, {}, ((1, flat.shape[1]),))

    def softmax(self, x: Value) -> Value:
        """SOFTMAX; what it makes is not needed for calibration, as nothing follows it."""
        self._values.append(Drawn(x.shape, Span(0.0, 1.0), unit=True))
        self._same.append(len(self._same))
        number = len(self._values) - 1
        self._steps.append(Step("SOFTMAX", (x.number,), number, {"beta": 1.0}))
        return Value(number, x.levels, x.scale)

    def finish(self, *outputs: Value) -> Drawing:
        """The network as a value, spans shared where operators ask for it."""
        spans: dict[int, Span] = {}
        for number, drawn in enumerate(self._values):
            leader = self._leader(number)
            spans[leader] = spans[leader].with_(drawn.span) if leader in spans else drawn.span
        values = tuple(
            Drawn(drawn.shape, spans[self._leader(number)], drawn.unit)
            for number, drawn in enumerate(self._values)
        )
        return Drawing(values, tuple(self._steps), tuple(value.number for value in outputs))

    def _weighted(
        self,
        name: str,
        x: Value,
        sums: Whole,
        weights: Weights,
        *,
        options: Mapping[str, Option],
        activation: Activation,
    ) -> Value:
        import numpy as np

        real = sums * (np.array(weights.scales) * x.scale) + weights.biases
        return self._step(name, (x,), _activated(real, activation), options, weights=weights)

    def _pool(self, name: str, x: Value, levels: Real, window: tuple[int, int]) -> Value:
        rows, columns = window
        options: dict[str, Option] = {
            "padding": PADDINGS["valid"],
            "stride_h": rows,
            "stride_w": columns,
            "filter_height": rows,
            "filter_width": columns,
        }
        return self._alike(name, x, levels, options, ())

    def _alike(
        self,
        name: str,
        x: Value,
        levels: Real,
        options: Mapping[str, Option],
        constants: tuple[tuple[int, ...], ...],
    ) -> Value:
        """An operator that keeps its input's scale."""
        made = self._step(name, (x,), levels * x.scale, options, constants=constants)
        self._unify([x.number, made.number])
        return made

    def _step(
        self,
        name: str,
        inputs: Sequence[Value],
        real: Real,
        options: Mapping[str, Option],
        *,
        weights: Weights | None = None,
        constants: tuple[tuple[int, ...], ...] = (),
    ) -> Value:
        made = self._value(real, Span(min(float(real.min()), 0.0), max(float(real.max()), 0.0)))
        numbers = tuple(value.number for value in inputs)
        self._steps.append(Step(name, numbers, made.number, options, weights, constants))
        return made

    def _value(self, real: Real, span: Span) -> Value:
        self._values.append(Drawn((1, *real.shape[1:]), span))
        self._same.append(len(self._same))
        scale = int8_scale(span)
        return Value(len(self._values) - 1, round_half_up(real / scale), scale)

    def _leader(self, number: int) -> int:
        while self._same[number] != number:
            number = self._same[number]
        return number

    def _unify(self, numbers: Sequence[int]) -> None:
        first, *others = (self._leader(number) for number in numbers)
        for other in others:
            self._same[other] = first


def int8_scale(span: Span) -> float:
    """The scale at which the span takes 255 steps, in single precision."""
    return single((span.high - span.low or 1.0) / 255.0)


def _activated(real: Real, activation: Activation) -> Real:
    import numpy as np

    if activation == "none":
        return real
    return np.clip(real, 0.0, RELU6 if activation == "relu6" else None)


__all__ = ["Drawing", "Network", "Span", "Step", "Value", "Weights", "output_size"]
