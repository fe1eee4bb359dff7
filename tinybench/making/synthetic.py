"""Layers with seeded weights: a network whose speed and memory are real and whose answers mean nothing.

Each layer's scales and biases are set from its own sums over the calibration samples, as folded batch
normalisation would: every channel is alive, ranges are used, and outputs depend on the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinybench.making.exact import Padding, Seed, convolved, moments, single
from tinybench.making.network import Activation, Drawing, Network, Span, Value, Weights

if TYPE_CHECKING:
    from tinybench.making.exact import Real, Whole

_FEWEST, _MOST = 8, 128  # calibration samples, more of them where they are small
_SAMPLED_VALUES = 65536
_GAIN = (0.75, 1.25)
_SHIFT = (-0.25, 0.5)
_INT8_MOST = 127.0


@dataclass(frozen=True)
class Plane:
    """A value, and which channels of the unpruned network it still has."""

    value: Value
    kept: tuple[int, ...]
    of: int


class Seeded:
    """Draws a network with seeded weights. `keep` below 1 prunes each layer that allows it.

    Pruning is structured: of a layer's output channels, those whose weights have the smallest sum of
    magnitudes are left out (Li et al. 2017, "Pruning Filters for Efficient ConvNets"); what is left are the
    weights of the unpruned network, normalised anew.
    """

    def __init__(self, seed: str, *, keep: float = 1.0) -> None:
        self._seed = Seed(seed)
        self._network = Network()
        self._keep = keep
        self._layers = 0

    def input(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Plane:
        """The input, `shape` without the leading 1; samples are noise of several grains over its span."""
        samples = low + (high - low) * (_noise(self._seed, shape) / 255.0)
        return _whole(self._network.input(samples, Span(min(low, 0.0), max(high, 0.0))))

    def conv(
        self,
        x: Plane,
        filters: int,
        kernel: tuple[int, int] = (3, 3),
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = "same",
        activation: Activation = "relu",
        prunable: bool = True,
    ) -> Plane:
        """A convolution; it may lose filters unless it is not `prunable`."""
        import numpy as np

        name = self._next("conv")
        full = self._seed.weights(name, (filters, *kernel, x.of))
        kept = self._strongest(full) if prunable else tuple(range(filters))
        levels = full[np.ix_(kept, range(kernel[0]), range(kernel[1]), x.kept)]
        sums = convolved(x.value.levels, levels, stride, padding)
        weights = self._normalised(name, x.value, levels, sums, kept=kept, of=filters)
        made = self._network.conv(x.value, weights, stride=stride, padding=padding, activation=activation)
        return Plane(made, kept, filters)

    def depthwise(
        self,
        x: Plane,
        kernel: tuple[int, int] = (3, 3),
        *,
        stride: tuple[int, int] = (1, 1),
        padding: Padding = "same",
        activation: Activation = "relu",
    ) -> Plane:
        """A depthwise convolution, each channel by itself."""
        name = self._next("depthwise")
        levels = self._seed.weights(name, (1, *kernel, x.of))[..., list(x.kept)]
        sums = convolved(x.value.levels, levels, stride, padding, depthwise=True)
        weights = self._normalised(name, x.value, levels, sums, kept=x.kept, of=x.of, axis=3)
        made = self._network.conv(
            x.value, weights, stride=stride, padding=padding, activation=activation, depthwise=True
        )
        return Plane(made, x.kept, x.of)

    def dense(
        self, x: Plane, units: int, *, activation: Activation = "none", prunable: bool = False
    ) -> Plane:
        """A fully connected layer."""
        import numpy as np

        name = self._next("dense")
        full = self._seed.weights(name, (units, x.of))
        kept = self._strongest(full) if prunable else tuple(range(units))
        levels = full[np.ix_(kept, x.kept)]
        found = self._normalised(name, x.value, levels, x.value.levels @ levels.T, kept=kept, of=units)
        # One scale for the whole matrix, as TensorFlow Lite has it for fully connected layers.
        scales = np.array(found.scales)[:, None]
        one = single(float((np.abs(levels) * scales).max()) / _INT8_MOST)
        weights = Weights(np.round(levels * scales / one), (one,), found.biases, 0)
        return Plane(self._network.dense(x.value, weights, activation=activation), kept, units)

    def add(self, a: Plane, b: Plane, *, activation: Activation = "none") -> Plane:
        """A residual: the sum of two planes of the same channels."""
        assert a.kept == b.kept
        return Plane(self._network.add(a.value, b.value, activation=activation), a.kept, a.of)

    def concat(self, *parts: Plane) -> Plane:
        """Planes side by side along channels."""
        kept: list[int] = []
        of = 0
        for part in parts:
            kept += [of + channel for channel in part.kept]
            of += part.of
        return Plane(self._network.concat(*(part.value for part in parts)), tuple(kept), of)

    def average_pool(self, x: Plane, window: tuple[int, int]) -> Plane:
        """Average pooling without overlap."""
        return Plane(self._network.average_pool(x.value, window), x.kept, x.of)

    def max_pool(self, x: Plane, window: tuple[int, int]) -> Plane:
        """Max pooling without overlap."""
        return Plane(self._network.max_pool(x.value, window), x.kept, x.of)

    def mean(self, x: Plane) -> Plane:
        """Each channel's mean, as 1 x 1."""
        return Plane(self._network.mean(x.value), x.kept, x.of)

    def upsample(self, x: Plane, factor: int = 2) -> Plane:
        """Each pixel `factor` x `factor` times."""
        return Plane(self._network.upsample(x.value, factor), x.kept, x.of)

    def flatten(self, x: Plane) -> Plane:
        """All values in one row; a pruned plane must be 1 x 1 by then."""
        made = self._network.flatten(x.value)
        return Plane(made, x.kept, x.of) if made.channels == len(x.kept) else _whole(made)

    def softmax(self, x: Plane) -> Plane:
        """Scores as probabilities."""
        return Plane(self._network.softmax(x.value), x.kept, x.of)

    def finish(self, *outputs: Plane) -> Drawing:
        """The network as a value."""
        return self._network.finish(*(plane.value for plane in outputs))

    def _next(self, kind: str) -> str:
        self._layers += 1
        return f"{kind} {self._layers}"

    def _strongest(self, full: Whole) -> tuple[int, ...]:
        """The filters that stay, in order: those of the largest sums of magnitudes, at least one."""
        import numpy as np

        count = max(round(len(full) * self._keep), 1)
        magnitudes = np.abs(full).reshape(len(full), -1).sum(axis=1)
        return tuple(sorted(int(i) for i in np.argsort(-magnitudes, kind="stable")[:count]))

    def _normalised(
        self,
        name: str,
        x: Value,
        levels: Whole,
        sums: Whole,
        *,
        kept: tuple[int, ...],
        of: int,
        axis: int = 0,
    ) -> Weights:
        """Scales and biases at which every channel varies by about one, around a little above zero."""
        import numpy as np

        mean, deviation = moments(sums)
        gain = self._seed.between(f"{name} gain", *_GAIN, of)[list(kept)]
        shift = self._seed.between(f"{name} shift", *_SHIFT, of)[list(kept)]
        # A dead channel (constant over all samples) is left as it is instead of being blown up.
        scales = gain / (np.maximum(deviation, 1.0) * x.scale)
        rounded = tuple(single(float(scale)) for scale in scales)
        biases: Real = shift - mean * (np.array(rounded) * x.scale)
        return Weights(levels, rounded, biases, axis)


def _whole(value: Value) -> Plane:
    return Plane(value, tuple(range(value.channels)), value.channels)


def _noise(seed: Seed, shape: tuple[int, ...]) -> Real:
    """Samples of 0…255: noise of grain 1, 2, 4 and 8, so that filters see edges as well as areas."""
    import numpy as np

    count = max(_FEWEST, min(_MOST, _SAMPLED_VALUES // math.prod(shape)))
    samples = np.empty((count, *shape))
    sides = len(shape[:-1])
    for index in range(count):
        grain = 1 << (index % 4) if sides else 1
        coarse = tuple(-(-side // grain) for side in shape[:-1])
        made = seed.levels(f"sample {index}", math.prod((*coarse, shape[-1]))).reshape(*coarse, shape[-1])
        for axis in range(sides):
            made = made.repeat(grain, axis=axis)
        samples[index] = made[tuple(slice(side) for side in shape[:-1])]
    return samples
