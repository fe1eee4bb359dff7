"""Recipes for small trained models: on which samples, of which layers or trees, as a .tflite.

Every recipe holds samples back that training never sees; the accuracy that a workload states is on those.
"""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tinybench.errors import UsageError, did_you_mean
from tinybench.making.exact import Seed, round_half_up, single
from tinybench.making.forest import grown
from tinybench.making.formats import as_model
from tinybench.making.network import Network, Span, Value, Weights
from tinybench.making.training import Convolution, Dense, Layer, Mean, Schedule, permutation, train
from tinybench.model import Quantisation
from tinybench.models.tflite import write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinybench.making.exact import Real

_CALIBRATION = 256
_INT8_MOST = 127.0


@dataclass(frozen=True)
class Samples:
    """Real inputs [n, …] as the network sees them, and their classes."""

    x: Real
    y: NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a model is made: `read` gives the samples to train on and those held out, from files in order."""

    read: Callable[[Sequence[Path]], tuple[Samples, Samples]]
    layers: Callable[[Seed], list[Layer]]
    schedule: Schedule
    span: Span


@dataclass(frozen=True)
class ForestRecipe:
    """How a random forest of this many trees is made; samples are bytes divided by 255."""

    read: Callable[[Sequence[Path]], tuple[Samples, Samples]]
    trees: int


def recipe(name: str) -> Recipe | ForestRecipe:
    """The recipe of this name; UsageError with the closest names otherwise."""
    if name not in RECIPES:
        raise UsageError(f"unknown recipe `{name}`", hint=did_you_mean(name, RECIPES))
    return RECIPES[name]


def made(name: str, seed: int, files: Sequence[Path]) -> bytes:
    """Train the model and write it as int8: the same bytes on every machine."""
    wanted = recipe(name)
    samples, _ = wanted.read(files)
    stream, description = Seed(f"{name} {seed}"), f"{name}, seed {seed}"
    if isinstance(wanted, ForestRecipe):
        return _forest(wanted, samples, stream, description)
    layers = wanted.layers(stream)
    train(layers, samples.x, samples.y, wanted.schedule, stream)
    return quantised(layers, samples.x[:_CALIBRATION], wanted.span, description)


def held_out(name: str, files: Sequence[Path]) -> Samples:
    """The samples that training of this recipe never sees."""
    return recipe(name).read(files)[1]


def on_the_wire(x: Real, encoding: str) -> bytes:
    """One sample as a workload's firmware is sent it; a byte is 255 times its real value."""
    import numpy as np

    if encoding == "uint8":
        return round_half_up(x * 255.0).astype(np.uint8).tobytes()
    return x.astype("<f4").tobytes()


def quantised(layers: Sequence[Layer], calibration: Real, span: Span, description: str) -> bytes:
    """The layers and a SOFTMAX as an int8 .tflite, ranges from the calibration samples."""
    network = Network()
    x = network.input(calibration, span)
    for layer in layers:
        x = _drawn(network, x, layer)
    return write(as_model(network.finish(network.softmax(x)), "int8", description))


def _drawn(network: Network, x: Value, layer: Layer) -> Value:
    match layer:
        case Convolution():
            return network.conv(
                x, _weights(layer.weights, layer.biases, each=True), stride=layer.stride, activation="relu"
            )
        case Dense():
            flat = x if len(x.shape) == 2 else network.flatten(x)  # noqa: PLR2004 - a row for each sample
            weights = _weights(layer.weights, layer.biases, each=False)
            return network.dense(flat, weights, activation="none" if layer.last else "relu")
        case Mean():
            return network.average_pool(x, (x.shape[1], x.shape[2]))
        case _:
            raise AssertionError(f"{type(layer).__name__} has no operator")


def _weights(real: Real, biases: Real, *, each: bool) -> Weights:
    """Symmetric int8 with a scale for each filter, or one for all."""
    import numpy as np

    most = np.abs(real.reshape(len(real), -1)).max(axis=1) if each else np.abs(real).max(keepdims=True)
    scales = [single(float(value) / _INT8_MOST) or 1.0 for value in most.ravel()]
    levels = round_half_up(real / np.array(scales).reshape(-1, *[1] * (real.ndim - 1)))
    return Weights(np.clip(levels, -_INT8_MOST, _INT8_MOST), tuple(scales), biases, 0)


def _forest(wanted: ForestRecipe, samples: Samples, seed: Seed, description: str) -> bytes:
    """Trees over bytes minus 128, which are what an int8 tensor holds of values from 0 to 1."""
    import numpy as np

    x = round_half_up(samples.x.reshape(len(samples.x), -1) * 255.0).astype(np.int64) - 128
    pixels = Quantisation((single(1 / 255),), (-128,))
    shape = (1, *samples.x.shape[1:])
    return write(grown(x, samples.y, wanted.trees, seed).model(shape, pixels, description))


def _digits(files: Sequence[Path]) -> tuple[Samples, Samples]:
    """scikit-learn's digits: 1,797 of 8 x 8 pixels of 0 to 16, a fifth of them held out.

    A pixel is its value times 15, a byte; what the network sees is that byte divided by 255.
    """
    import numpy as np

    rows = [line.split(b",") for line in gzip.decompress(files[0].read_bytes()).split()]
    table = np.array([[int(float(cell)) for cell in row] for row in rows])
    x, y = table[:, :64].reshape(-1, 8, 8, 1) * 15 / 255.0, table[:, 64]
    order = permutation(Seed("digits"), "held out", len(x))
    held, rest = order[: len(x) // 5], order[len(x) // 5 :]
    return Samples(x[rest], y[rest]), Samples(x[held], y[held])


def _fashion(files: Sequence[Path]) -> tuple[Samples, Samples]:
    """Fashion-MNIST (Xiao et al. 2017): 60,000 and 10,000 held out, 28 x 28 grey, a byte divided by 255."""
    import numpy as np

    images, labels, held_images, held_labels = (gzip.decompress(path.read_bytes()) for path in files)

    def samples(pixels: bytes, classes: bytes) -> Samples:
        # IDX: a header of 16 bytes before images, of 8 before labels.
        x = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28, 1) / 255.0
        return Samples(x, np.frombuffer(classes, np.uint8, offset=8).astype(np.int64))

    return samples(images, labels), samples(held_images, held_labels)


WATCH_WINDOW = 128
_WATCH_HELD_OUT = (8, 9, 10)
_WATCH_LIMIT = 6.0


def _watch(files: Sequence[Path]) -> tuple[Samples, Samples]:
    """Smart-watch movements (seglearn; Burns et al. 2018): 140 series of 6 axes at 50 Hz, 7 exercises.

    Windows of 128 (2.56 s) that overlap by half, in g and rad/s, cut off at 6. Three of the ten subjects are
    held out: nobody is in both parts.
    """
    import numpy as np

    table = _unpickled(files[0].read_bytes())
    windows, classes, subjects = [], [], []
    for series, label, subject in zip(table["X"], table["y"], table["subject"], strict=True):
        for start in range(0, len(series) - WATCH_WINDOW + 1, WATCH_WINDOW // 2):
            windows.append(series[start : start + WATCH_WINDOW])
            classes.append(int(label))
            subjects.append(int(subject))
    # In single precision, as they cross the wire.
    x = np.clip(np.array(windows), -_WATCH_LIMIT, _WATCH_LIMIT).astype(np.float32).astype(np.float64)
    held = np.isin(subjects, _WATCH_HELD_OUT)
    x, y = x[:, :, None, :], np.array(classes)
    return Samples(x[~held], y[~held]), Samples(x[held], y[held])


class _ArraysOnly(pickle.Unpickler):
    """Unpickles arrays and plain values, and refuses whatever else a pickle may name."""

    def find_class(self, module: str, name: str) -> Any:
        import codecs

        import numpy as np

        known = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # wherever NumPy keeps it
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"`{module}.{name}` has no place in a file of samples")
        return known[module, name]


def _unpickled(data: bytes) -> Mapping[str, Any]:
    """The dictionary in a .npy file of one Python object: a header of text, then a pickle."""
    start = data.index(b"\n") + 1
    table: Any = _ArraysOnly(io.BytesIO(data[start:])).load()
    found: Mapping[str, Any] = table.item()
    return found


RECIPES: Mapping[str, Recipe | ForestRecipe] = MappingProxyType(
    {
        "digits": Recipe(
            _digits,
            lambda seed: [
                Dense.drawn(seed, "first", (32, 64)),
                Dense.drawn(seed, "second", (16, 32)),
                Dense.drawn(seed, "last", (10, 16), last=True),
            ],
            Schedule(epochs=60, batch=32, rate=0.01, decay=0.01),
            Span(0.0, 1.0),
        ),
        # One vote of 15 is 17 levels of the output: an engine that may be 16 off may not lose one.
        "digits-forest": ForestRecipe(_digits, trees=15),
        "fashion": Recipe(
            _fashion,
            lambda seed: [
                Convolution.drawn(seed, "first", (8, 3, 3, 1), (2, 2), inner=False),
                Convolution.drawn(seed, "second", (16, 3, 3, 8), (2, 2)),
                Convolution.drawn(seed, "third", (32, 3, 3, 16), (2, 2)),
                Dense.drawn(seed, "last", (10, 512), last=True),
            ],
            Schedule(epochs=1, batch=64, rate=0.004, decay=0.001),
            Span(0.0, 1.0),
        ),
        "movements": Recipe(
            _watch,
            lambda seed: [
                Convolution.drawn(seed, "first", (16, 7, 1, 6), (2, 1), inner=False),
                Convolution.drawn(seed, "second", (24, 5, 1, 16), (2, 1)),
                Convolution.drawn(seed, "third", (32, 5, 1, 24), (2, 1)),
                Mean(),
                Dense.drawn(seed, "last", (7, 32), last=True),
            ],
            Schedule(epochs=20, batch=64, rate=0.005, decay=0.02),
            Span(-_WATCH_LIMIT, _WATCH_LIMIT),
        ),
    }
)
