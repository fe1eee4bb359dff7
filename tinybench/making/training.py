"""Training small networks with one result on every machine, so that a trained model can be pinned by digest.

Factors of matrix products are rounded to a grid of 20 bits first: then every sum is over whole numbers below
2**53, exact in any order, and whatever BLAS and processor do it gives the same bits (`exact`). The
exponential is made of multiplications. Convolution as matrix product, ReLU, softmax with cross entropy, Adam
(Kingma and Ba 2015) with a rate that falls linearly to zero.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tinybench.making.exact import Seed, output_size, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinybench.making.exact import Real

_GRID_BITS = 20
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_SQUARINGS = 12


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: passes over the samples, samples at once, the first rate, decay of weights."""

    epochs: int
    batch: int
    rate: float
    decay: float = 0.0


@dataclass(frozen=True)
class Gridded:
    """Values rounded to a grid of 20 bits: whole numbers, and the power of two that they count.

    Sums and matrix products of them are exact, in any order of adding, up to 2**15 terms.
    """

    whole: Real
    unit: float

    @classmethod
    def of(cls, values: Real) -> Gridded:
        """The values, rounded to the grid on which the largest has 20 bits."""
        import numpy as np

        largest = max(float(values.max()), -float(values.min()))
        unit = 2.0 ** (math.frexp(largest)[1] - (_GRID_BITS - 1))
        return cls(np.floor(values * (1 / unit) + 0.5), unit)

    @property
    def T(self) -> Gridded:  # noqa: N802 - as numpy calls it
        """Transposed."""
        return Gridded(self.whole.T, self.unit)

    def __matmul__(self, other: Gridded) -> Real:
        import numpy as np

        assert self.whole.shape[-1] <= 1 << (53 - 2 * (_GRID_BITS - 1))
        return np.asarray(self.whole @ other.whole) * (self.unit * other.unit)

    def total(self, axis: int) -> Real:
        """The sum along an axis."""
        import numpy as np

        return np.asarray(self.whole.sum(axis=axis)) * self.unit


class Layer(Protocol):
    """A step of a network in training: values forward, gradients back."""

    @property
    def parameters(self) -> tuple[Real, ...]:
        """Weights and biases, changed in place by the optimiser."""

    def forward(self, x: Real) -> Real:
        """What the layer makes of a batch."""

    def backward(self, gradient: Real) -> tuple[Real, tuple[Real, ...]]:
        """Gradients by the batch it was last given, and by its parameters."""


@dataclass
class Convolution:
    """A convolution [outputs, rows, columns, inputs], padding `same`, with ReLU; `inner` unless the first."""

    weights: Real
    biases: Real
    stride: tuple[int, int]
    inner: bool = True

    @classmethod
    def drawn(
        cls,
        seed: Seed,
        name: str,
        shape: tuple[int, int, int, int],
        stride: tuple[int, int],
        *,
        inner: bool = True,
    ) -> Convolution:
        """With random weights of He et al. 2015's variance."""
        import numpy as np

        return cls(_drawn(seed, name, shape), np.zeros(shape[0]), stride, inner)

    @property
    def parameters(self) -> tuple[Real, ...]:
        """Weights and biases."""
        return self.weights, self.biases

    def forward(self, x: Real) -> Real:
        """[n, rows, columns, inputs] to [n, rows, columns, outputs]."""
        import numpy as np

        self._shape: tuple[int, ...] = x.shape
        given = Gridded.of(x)
        seen = windows(given.whole, self._kernel, self.stride, "same")
        self._seen = Gridded(seen.reshape(math.prod(seen.shape[:3]), -1), given.unit)
        self._filters = Gridded.of(self.weights.reshape(len(self.weights), -1))
        sums = self._seen @ self._filters.T + self.biases
        self._alive = sums > 0
        return np.maximum(sums, 0.0).reshape(*seen.shape[:3], -1)

    def backward(self, gradient: Real) -> tuple[Real, tuple[Real, ...]]:
        """As Layer says; of the first layer nobody asks for the gradient by its input."""
        flat = Gridded.of(gradient.reshape(self._alive.shape) * self._alive)
        by_parameters = ((flat.T @ self._seen).reshape(self.weights.shape), flat.total(axis=0))
        return (self._by_input(flat, gradient.shape) if self.inner else gradient), by_parameters

    def _by_input(self, flat: Gridded, shape: tuple[int, ...]) -> Real:
        """Each window's gradients, added where the window lay."""
        import numpy as np

        rows, columns = shape[1:3]
        by_seen = (flat @ self._filters).reshape(
            len(flat.whole) // (rows * columns), rows, columns, *self.weights.shape[1:]
        )
        padded = np.zeros(
            (
                self._shape[0],
                *(size + kernel for size, kernel in zip(self._shape[1:3], self._kernel, strict=True)),
                self._shape[3],
            )
        )
        for row, column in np.ndindex(*self._kernel):
            down = slice(row, row + rows * self.stride[0], self.stride[0])
            right = slice(column, column + columns * self.stride[1], self.stride[1])
            padded[:, down, right] += by_seen[:, :, :, row, column]
        top, left = self._before(0), self._before(1)
        return padded[:, top : top + self._shape[1], left : left + self._shape[2]]

    @property
    def _kernel(self) -> tuple[int, int]:
        return self.weights.shape[1], self.weights.shape[2]

    def _before(self, axis: int) -> int:
        size, kernel, stride = self._shape[1 + axis], self._kernel[axis], self.stride[axis]
        return max((output_size(size, kernel, stride, "same") - 1) * stride + kernel - size, 0) // 2


@dataclass
class Dense:
    """A fully connected layer [outputs, inputs] over a sample's values, with ReLU unless it is the last."""

    weights: Real
    biases: Real
    last: bool = False

    @classmethod
    def drawn(cls, seed: Seed, name: str, shape: tuple[int, int], *, last: bool = False) -> Dense:
        """With random weights of He et al. 2015's variance."""
        import numpy as np

        return cls(_drawn(seed, name, shape), np.zeros(shape[0]), last)

    @property
    def parameters(self) -> tuple[Real, ...]:
        """Weights and biases."""
        return self.weights, self.biases

    def forward(self, x: Real) -> Real:
        """[n, …] to [n, outputs]."""
        import numpy as np

        self._shape: tuple[int, ...] = x.shape
        self._given = Gridded.of(x.reshape(len(x), -1))
        self._matrix = Gridded.of(self.weights)
        sums = self._given @ self._matrix.T + self.biases
        self._alive = np.ones(sums.shape, bool) if self.last else sums > 0
        return np.where(self._alive, sums, 0.0)

    def backward(self, gradient: Real) -> tuple[Real, tuple[Real, ...]]:
        """As Layer says."""
        flat = Gridded.of(gradient * self._alive)
        return (flat @ self._matrix).reshape(self._shape), (flat.T @ self._given, flat.total(axis=0))


@dataclass
class Mean:
    """The mean of each channel over rows and columns."""

    @property
    def parameters(self) -> tuple[Real, ...]:
        """None."""
        return ()

    def forward(self, x: Real) -> Real:
        """[n, rows, columns, channels] to [n, channels]."""
        self._shape: tuple[int, ...] = x.shape
        positions = x.shape[1] * x.shape[2]
        total: Real = Gridded.of(x.reshape(len(x), positions, -1)).total(axis=1)
        return total / float(positions)

    def backward(self, gradient: Real) -> tuple[Real, tuple[Real, ...]]:
        """As Layer says."""
        import numpy as np

        shared = gradient / (self._shape[1] * self._shape[2])
        return np.asarray(np.broadcast_to(shared[:, None, None, :], self._shape)), ()


def train(layers: Sequence[Layer], x: Real, y: NDArray[np.int64], schedule: Schedule, seed: Seed) -> None:
    """Train the layers in place on samples `x` of classes `y`."""
    import numpy as np

    optimiser = _Adam.of([parameter for layer in layers for parameter in layer.parameters])
    batches = -(-len(x) // schedule.batch)
    steps = schedule.epochs * batches
    order = np.arange(len(x))
    for step in range(steps):
        epoch, batch = divmod(step, batches)
        if batch == 0:
            order = permutation(seed, f"epoch {epoch}", len(x))
        chosen = order[batch * schedule.batch : (batch + 1) * schedule.batch]
        gradients = _gradients(layers, x[chosen], y[chosen])
        optimiser.step(gradients, schedule.rate * (1 - step / steps), schedule.decay)


@dataclass
class _Adam:
    """Moving first and second moments of each parameter's gradient."""

    parameters: Sequence[Real]
    first: Sequence[Real]
    second: Sequence[Real]
    left_1: float = 1.0
    left_2: float = 1.0

    @classmethod
    def of(cls, parameters: Sequence[Real]) -> _Adam:
        import numpy as np

        return cls(parameters, [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters])

    def step(self, gradients: Sequence[Real], rate: float, decay: float) -> None:
        """Change every parameter in place."""
        import numpy as np

        self.left_1, self.left_2 = self.left_1 * _BETA_1, self.left_2 * _BETA_2
        for parameter, gradient, m, v in zip(
            self.parameters, gradients, self.first, self.second, strict=True
        ):
            m[...] = m * _BETA_1 + gradient * (1 - _BETA_1)
            v[...] = v * _BETA_2 + (gradient * gradient) * (1 - _BETA_2)
            change = (m / (1 - self.left_1)) / (np.sqrt(v / (1 - self.left_2)) + _EPSILON)
            parameter[...] = parameter - rate * (change + decay * parameter)


def _gradients(layers: Sequence[Layer], x: Real, y: NDArray[np.int64]) -> list[Real]:
    """Of the mean cross entropy, by every parameter in order."""
    import numpy as np

    scores = x
    for layer in layers:
        scores = layer.forward(scores)
    gradient = softmax(scores)
    gradient[np.arange(len(y)), y] -= 1.0
    gradient /= len(y)
    found: list[tuple[Real, ...]] = []
    for layer in reversed(layers):
        gradient, by_parameters = layer.backward(gradient)
        found.append(by_parameters)
    return [item for by_parameters in reversed(found) for item in by_parameters]


def softmax(scores: Real) -> Real:
    """Probabilities along the last axis; e^x as (1 + x / 2^12 + …) squared twelve times."""
    import numpy as np

    with np.errstate(under="ignore"):  # whatever the caller makes of underflows: here they are zeros
        powers = np.maximum(scores - scores.max(axis=-1, keepdims=True), -60.0) / (1 << _SQUARINGS)
    grown = 1.0 + powers * (1.0 + powers * 0.5)
    for _ in range(_SQUARINGS):
        grown = grown * grown
    total = grown[..., :1].copy()
    for column in range(1, grown.shape[-1]):  # in order, so that rounding is the same everywhere
        total += grown[..., column : column + 1]
    return np.asarray(grown / total)


def _drawn(seed: Seed, name: str, shape: tuple[int, ...]) -> Real:
    """Uniform with variance 2 / inputs."""
    limit = math.sqrt(6.0 / math.prod(shape[1:]))
    return seed.between(name, -limit, limit, math.prod(shape)).reshape(shape)


def permutation(seed: Seed, name: str, count: int) -> NDArray[np.int64]:
    """The numbers below `count` in random order."""
    import numpy as np

    keys = np.frombuffer(hashlib.shake_128(f"{seed.text} {name}".encode()).digest(8 * count), "<u8")
    return np.argsort(keys, kind="stable")
