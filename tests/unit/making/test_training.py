"""Training with one result on every machine: right gradients, exact sums, stated accuracy, pinned digests."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinybench.errors import SetupError, UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.making import apprentice, recipes, training
from tinybench.making.exact import Seed
from tinybench.making.training import Convolution, Dense, Gridded, Layer, Mean, Schedule
from tinybench.models import golden, oracle, tflite
from tinybench.wheels import Unavailable
from tinybench.workload import DebianData

FASHION = "file:/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
NAMES = ["digits", "digits-forest", "movements", pytest.param("fashion", marks=pytest.mark.needs(FASHION))]
REALS = st.floats(-1e3, 1e3, width=32)


@given(
    arrays.arrays(float, (3, 5), elements=REALS), arrays.arrays(float, (5, 2), elements=REALS), st.randoms()
)
def test_a_product_is_near_and_the_same_in_any_order(a, b, random):
    one, two = Gridded.of(a), Gridded.of(b)
    exact = one @ two
    step = 2.0 ** -(training._GRID_BITS - 2)
    assert np.allclose(exact, a @ b, atol=5 * step * (np.abs(a).max() + 1) * (np.abs(b).max() + 1))
    order = random.sample(range(5), 5)
    shuffled = Gridded(one.whole[:, order], one.unit) @ Gridded(two.whole[order], two.unit)
    assert (exact == shuffled).all()
    assert (one.total(0) == Gridded(one.whole[::-1], one.unit).total(0)).all()


@given(arrays.arrays(float, (4, 7), elements=st.floats(-50, 50)))
def test_softmax_is_numpys_without_its_exponential(scores):
    with np.errstate(under="ignore"):
        grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.allclose(training.softmax(scores), grown / grown.sum(axis=1, keepdims=True), atol=1e-4)


def layers(seed: Seed) -> list[Layer]:
    return [
        Convolution.drawn(seed, "one", (3, 3, 2, 2), (2, 1), inner=False),
        Convolution.drawn(seed, "two", (4, 3, 3, 3), (1, 2)),
        Mean(),
        Dense.drawn(seed, "three", (5, 4)),
        Dense.drawn(seed, "four", (3, 5), last=True),
    ]


def test_gradients_are_those_of_small_steps():
    seed = Seed("gradients")
    network = layers(seed)
    x = seed.between("x", -1, 1, 4 * 6 * 5 * 2).reshape(4, 6, 5, 2)
    y = np.array([0, 2, 1, 2])

    def loss() -> float:
        scores = x
        for layer in network:
            scores = layer.forward(scores)
        return float(-np.log(training.softmax(scores)[range(4), y]).mean())

    found = training._gradients(network, x, y)
    parameters = [parameter for layer in network for parameter in layer.parameters]
    assert [p.shape for p in parameters] == [g.shape for g in found]
    step = 1e-2  # coarse, for a grid of 20 bits lies under the sums
    off = []
    for parameter, gradient in zip(parameters, found, strict=True):
        for place in np.ndindex(*parameter.shape):
            kept = parameter[place]
            parameter[place] = kept + step
            above = loss()
            parameter[place] = kept - step
            below = loss()
            parameter[place] = kept
            off.append(abs((above - below) / (2 * step) - gradient[place]))
    assert np.median(off) < 1e-4
    assert np.quantile(off, 0.95) < 5e-3  # a few steps cross the bend of a ReLU


def test_training_learns():
    seed = Seed("learns")
    x = seed.between("x", -1, 1, 600 * 2).reshape(600, 2)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    network = [Dense.drawn(seed, "one", (16, 2)), Dense.drawn(seed, "two", (2, 16), last=True)]
    training.train(network, x[:500], y[:500], Schedule(40, 25, 0.02), seed)
    scores = x[500:]
    for layer in network:
        scores = layer.forward(scores)
    assert (scores.argmax(axis=1) == y[500:]).mean() > 0.9


ELSEWHERE = """
import hashlib
import numpy as np
from tinybench.making.exact import Seed
from tinybench.making.forest import grown
from tinybench.making.recipes import RECIPES, quantised
from tinybench.making.training import Schedule, train
for name, shape in (("movements", (128, 1, 6)), ("fashion", (28, 28, 1))):
    seed = Seed(name)
    x = seed.between("x", -1, 1, 64 * int(np.prod(shape))).reshape(64, *shape)
    layers = RECIPES[name].layers(seed)
    train(layers, x, np.arange(64) % 7, Schedule(2, 16, 0.01, 0.01), seed)
    print(hashlib.sha256(quantised(layers, x, RECIPES[name].span, name)).hexdigest())
x = Seed("forest").levels("x", 500 * 20).astype(np.int64).reshape(500, 20)
print(hashlib.sha256(repr(grown(x, x[:, 3] // 32 + x[:, 7] // 64, 3, Seed("forest"))).encode()).hexdigest())
"""


def test_another_processor_trains_to_the_same_bytes():
    plain = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OPENBLAS_CORETYPE": "Prescott"}
    told = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ELSEWHERE],
            env={**os.environ, **setting},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for setting in ({"OPENBLAS_NUM_THREADS": "2"}, {**plain, "OPENBLAS_NUM_THREADS": "1"})
    ]
    assert len(told[0].split()) == 3
    assert told[0] == told[1]


@pytest.mark.parametrize("name", NAMES)
def test_trained_from_nothing_each_has_the_digest_it_pins(name, samples_of):
    spec, source, files = samples_of(name)
    assert (
        hashlib.sha256(apprentice.trained(source.recipe, source.seed, files)).hexdigest() == spec.model.sha256
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_stated_accuracy_is_that_of_the_model_as_deployed(name, samples_of):
    spec, source, files = samples_of(name)
    cache = Places(platformdirs.user_cache_path("tinybench"), offline=True)
    data = Fetcher(cache).fetch(name, spec.model).path.read_bytes()
    model = tflite.read(data)
    judge = oracle.fitting(model, oracle.installed())
    if judge is None:
        pytest.skip("needs `tflite-micro`, which is not installed")
    held = recipes.held_out(source.recipe, files)
    assert spec.accuracy is not None
    assert spec.accuracy.held_out == len(held.y)
    some = slice(None, 2000)
    wire = [recipes.on_the_wire(x, spec.input.encoding) for x in held.x[some]]
    outputs = judge.outputs(data, [golden.to_tensor(spec, model, sample) for sample in wire])
    answers = [int(np.frombuffer(output, np.int8).argmax()) for output in outputs]
    top1 = float((np.array(answers) == held.y[some]).mean())
    close = 5e-5 if len(held.y) <= 2000 else 0.02
    assert top1 == pytest.approx(spec.accuracy.top1, abs=close)
    assert spec.quality is not None
    assert spec.quality.at_least <= spec.accuracy.top1


def test_nobody_is_in_both_parts(samples_of):
    """Held-out samples are others, bit for bit; of movements, of other people."""
    for name in ("digits", "movements"):
        _, source, files = samples_of(name)
        rest, held = recipes.recipe(source.recipe).read(files)
        trained_on = {sample.tobytes() for sample in rest.x}
        assert sum(sample.tobytes() in trained_on for sample in held.x) == 0
        assert set(held.y) == set(rest.y)


def test_bytes_on_the_wire_are_what_the_network_saw(samples_of):
    spec, source, files = samples_of("digits")
    x = recipes.held_out(source.recipe, files).x[0]
    assert spec.input.encoding == "uint8"
    assert [byte / 255 for byte in recipes.on_the_wire(x, "uint8")] == list(x.ravel())


def test_an_unknown_recipe_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="unknown recipe `digit`") as raised:
        apprentice.trained("digit", 1, [])
    assert "`digits`" in str(raised.value.hint)


def test_training_that_fails_says_its_last_line(tmp_path):
    broken = tmp_path / "digits.csv.gz"
    broken.write_bytes(b"no gzip")
    with pytest.raises(SetupError, match=r"training `digits` failed: gzip\.BadGzipFile"):
        apprentice.trained("digits", 1, [broken])


def test_a_pickle_that_names_more_than_arrays_is_refused(tmp_path):
    file = io.BytesIO()
    np.save(file, np.array({"X": os.system}, object))
    with pytest.raises(pickle.UnpicklingError, match="has no place in a file of samples"):
        recipes._unpickled(file.getvalue())


def test_samples_of_a_debian_package_are_believed_by_digest(tmp_path):
    fetcher = Fetcher(Places(tmp_path, offline=True))
    file = tmp_path / "samples"
    wanted = DebianData(
        kind="debian",
        package="dataset-x",
        path=str(file),
        sha256=hashlib.sha256(b"right").hexdigest(),
        licence="MIT",
    )
    with pytest.raises(Unavailable, match=r"is not there \(sudo apt install dataset-x\)"):
        fetcher.data("w", wanted)
    file.write_bytes(b"wrong")
    with pytest.raises(Unavailable, match="has sha256"):
        fetcher.data("w", wanted)
    file.write_bytes(b"right")
    assert fetcher.data("w", wanted) == file
