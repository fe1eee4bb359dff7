"""Arithmetic with one result on every machine: made models are pinned by digest.

Sums of floating-point numbers depend on the order in which a library adds them up, and exponentials on whose
they are. Here sums are over whole numbers below 2**53, which are exact in any order; the rest is elementwise
addition, multiplication, division and square root, which IEEE 754 defines to the last bit. Random numbers
come from SHAKE-128.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Whole = NDArray[np.float64]
    """Whole numbers, held as doubles because BLAS multiplies those fast."""
    Real = NDArray[np.float64]

Padding = Literal["same", "valid"]


def single(value: float) -> float:
    """The nearest single-precision number: what a .tflite can hold of a scale."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


@dataclass(frozen=True)
class Seed:
    """Random numbers by name: each name gives a stream of its own, whatever was drawn before."""

    text: str

    def levels(self, name: str, count: int) -> Real:
        """`count` whole numbers, uniform in 0…255."""
        import numpy as np

        data = hashlib.shake_128(f"{self.text} {name} {count}".encode()).digest(count)
        return np.frombuffer(data, np.uint8).astype(np.float64)

    def weights(self, name: str, shape: tuple[int, ...]) -> Whole:
        """Whole numbers, uniform in -127…127, of this shape."""
        import numpy as np

        return np.maximum(self.levels(name, math.prod(shape)) - 128.0, -127.0).reshape(shape)

    def between(self, name: str, low: float, high: float, count: int) -> Real:
        """`count` numbers, uniform in steps of 1/255 from `low` to `high`."""
        return low + (high - low) * (self.levels(name, count) / 255.0)


def round_half_up(values: Real) -> Whole:
    """The nearest whole numbers."""
    import numpy as np

    return np.floor(values + 0.5)


def moments(values: Whole) -> tuple[Real, Real]:
    """Mean and standard deviation of whole numbers along all axes but the last."""
    import numpy as np

    columns = values.reshape(-1, values.shape[-1]).astype(np.int64)
    count = len(columns)
    # So that the sum of squares stays below 2**62.
    spare = 2 * int(np.abs(columns).max()).bit_length() + count.bit_length() - 62
    columns >>= max(spare + 1, 0) // 2
    unit = float(1 << (max(spare + 1, 0) // 2))
    mean = columns.sum(axis=0) / count
    square = (columns * columns).sum(axis=0) / count
    return mean * unit, np.sqrt(np.maximum(square - mean * mean, 0.0)) * unit


def output_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """Positions of a window along one side, by TensorFlow's rules."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def windows(
    values: Real, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding, outside: float = 0.0
) -> Real:
    """Every window of a batch of images: [n, rows, columns, kernel rows, kernel columns, channels].

    With `same`, TensorFlow pads the odd row and column at the end.
    """
    import numpy as np

    pads = [(0, 0)]
    for size, window, step in zip(values.shape[1:3], kernel, stride, strict=True):
        missing = max((output_size(size, window, step, padding) - 1) * step + window - size, 0)
        pads.append((missing // 2, missing - missing // 2) if padding == "same" else (0, 0))
    padded = np.pad(values, [*pads, (0, 0)], constant_values=outside)
    seen = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1]].transpose(0, 1, 2, 4, 5, 3)


def convolved(
    values: Whole, weights: Whole, stride: tuple[int, int], padding: Padding, *, depthwise: bool = False
) -> Whole:
    """Accumulators of a convolution of whole numbers; weights [outputs, rows, columns, inputs].

    Depthwise: weights [1, rows, columns, channels], each channel by itself.
    """
    import numpy as np

    rows, columns = weights.shape[1:3]
    seen = windows(values, (rows, columns), stride, padding)
    if depthwise:
        sums = np.zeros((*seen.shape[:3], seen.shape[5]))
        for row in range(rows):
            for column in range(columns):
                sums += seen[:, :, :, row, column] * weights[0, row, column]
        return sums
    flat = seen.reshape(*seen.shape[:3], -1)
    return np.asarray(flat @ weights.reshape(len(weights), -1).T)
