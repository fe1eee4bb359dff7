"""Synthetic models: the same bytes anywhere, alive in every layer, one network in every form of numbers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tinybench.errors import SetupError, UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.making.architectures import ARCHITECTURES
from tinybench.making.synthesis import synthesised
from tinybench.model import Model, parameters, total_macs
from tinybench.models.arena import plan_tflm
from tinybench.models.tflite import read
from tinybench.plugins import discover
from tinybench.workload import SyntheticSource, WorkloadSpec

OURS = {
    name: found.part
    for name, found in discover().workloads.items()
    if isinstance(found.part.model.sources[0], SyntheticSource)
}
# MACs, parameters and bytes of activations of the models whose shapes these are, counted from the originals.
ORIGINALS = {
    "vww01-synthetic": (7_489_664, 210_850, 73_728),
    "kws01-synthetic": (2_656_768, 22_604, 16_000),
    "ic01-synthetic": (12_501_632, 77_706, 49_152),
    "ad01-synthetic": (264_192, 265_864, 768),
    "sww01-synthetic": (826_368, 46_883, 6_656),
}
FORMS = ("int8", "int16x8", "float32")


def source(architecture: str, **also: object) -> SyntheticSource:
    return SyntheticSource.model_validate({"kind": "synthetic", "architecture": architecture, **also})


@pytest.fixture(scope="module")
def runtime():
    return pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="needs `tflite-micro`, which is not installed"
    )


@pytest.fixture(scope="module")
def run(runtime):
    """The real outputs of a model for real inputs."""

    def real(data: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=8 << 20)
        model = read(data)
        (given,), (made,) = (
            [model.tensors[i].quantisation for i in indices] for indices in (model.inputs, model.outputs)
        )
        dtype = np.dtype(interpreter.get_input_details(0)["dtype"])
        outputs = []
        for x in inputs:
            levels = x
            if given is not None:
                limits = np.iinfo(dtype)
                levels = np.round(x / given.scales[0]) + given.zero_points[0]
                levels = np.clip(levels, limits.min, limits.max)
            interpreter.set_input(levels.astype(dtype), 0)
            interpreter.invoke()
            y = interpreter.get_output(0).astype(float)
            outputs.append(y if made is None else (y - made.zero_points[0]) * made.scales[0])
        return outputs

    return real


def some_inputs(model: Model, count: int = 6) -> list[np.ndarray]:
    """Real inputs inside the calibrated span: from -1 or 0 to 1, or what the scale allows."""
    tensor = model.tensors[model.inputs[0]]
    assert tensor.quantisation is not None
    scale, point = tensor.quantisation.scales[0], tensor.quantisation.zero_points[0]
    levels = [np.frombuffer(hashlib.shake_128(bytes([i])).digest(10**5), np.uint8) for i in range(count)]
    return [
        ((level[: int(np.prod(tensor.shape))].astype(float) - 128 - point) * scale).reshape(tensor.shape)
        for level in levels
    ]


@pytest.mark.parametrize("name", sorted(OURS))
def test_made_from_nothing_each_has_the_digest_it_pins(name, tmp_path):
    said: list[str] = []
    spec = OURS[name]
    fetcher = Fetcher(Places(tmp_path, offline=True), tell=said.append)
    fetched = fetcher.fetch(name, spec.model)
    assert hashlib.sha256(fetched.path.read_bytes()).hexdigest() == spec.model.sha256
    assert fetched.source.startswith("synthetic ")
    assert said == [f"{name}: making the model ({fetched.source})"]
    assert fetcher.fetch(name, spec.model).source == f"{fetched.source} (cached)"
    assert spec.weights == "synthetic"


ELSEWHERE = """
import hashlib
from tinybench.making.synthesis import synthesised
from tinybench.workload import SyntheticSource
for name in ("resnet8", "inverted-residuals", "unet", "autoencoder"):
    made = synthesised(SyntheticSource(kind="synthetic", architecture=name))
    print(hashlib.sha256(made).hexdigest())
"""


def test_another_processor_makes_the_same_bytes():
    """One without vector units beyond SSE, as far as NumPy and its BLAS can be told to leave them alone."""
    plain = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OPENBLAS_CORETYPE": "Prescott"}
    threads = {"OPENBLAS_NUM_THREADS": "1"}
    told = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ELSEWHERE],
            env={**os.environ, **setting},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for setting in ({}, {**plain, **threads})
    ]
    assert len(told[0].split()) == 4
    assert told[0] == told[1]


def test_a_digest_that_is_not_met_is_told(tmp_path):
    spec = OURS["fcnn-1x10"].model.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(SetupError, match="synthetic fcnn-1x10, seed 1, int8 has sha256"):
        Fetcher(Places(tmp_path)).fetch("fcnn-1x10", spec)


def test_an_unknown_architecture_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="unknown architecture `resnet9`") as raised:
        synthesised(source("resnet9"))
    assert "`resnet8`" in str(raised.value.hint)


def test_another_seed_is_another_model():
    assert synthesised(source("fcnn-1x10")) != synthesised(source("fcnn-1x10", seed=2))


@pytest.mark.parametrize("name", sorted(ORIGINALS))
def test_the_shapes_of_the_tasks_cost_what_the_originals_cost(name):
    (made,) = (item for item in OURS[name].model.sources if isinstance(item, SyntheticSource))
    model = read(synthesised(made))
    assert (total_macs(model), parameters(model), plan_tflm(model).bytes) == ORIGINALS[name]


@pytest.mark.parametrize("name", sorted(OURS))
def test_answers_depend_on_the_input_and_stay_inside_their_range(name, run):
    spec: WorkloadSpec = OURS[name]
    (made,) = (item for item in spec.model.sources if isinstance(item, SyntheticSource))
    inputs = some_inputs(read(synthesised(made.model_copy(update={"numbers": "int8"}))))
    outputs = run(synthesised(made), inputs)
    assert len({output.tobytes() for output in outputs}) == len(inputs)
    values = np.concatenate([output.ravel() for output in outputs])
    at_the_ends = ((values == values.min()) | (values == values.max())).mean()
    assert at_the_ends < 0.5


@pytest.mark.parametrize("architecture", ["ds-cnn", "resnet8", "inverted-residuals", "unet", "autoencoder"])
def test_three_forms_of_numbers_are_one_network(architecture, run):
    """On the same real inputs, quantised outputs follow float32's; 16 bits follow it closer than 8."""
    inputs = some_inputs(read(synthesised(source(architecture))))
    float_, int16, int8 = (
        np.concatenate([y.ravel() for y in run(synthesised(source(architecture, numbers=form)), inputs)])
        for form in ("float32", "int16x8", "int8")
    )
    spread = float_.max() - float_.min()
    off8, off16 = (np.abs(made - float_).mean() / spread for made in (int8, int16))
    assert off16 < off8 < 0.1
    assert off16 < 0.02


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("form", FORMS)
def test_every_architecture_runs_in_every_form(name, form, runtime):
    data = synthesised(source(name, numbers=form))
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=8 << 20)
    interpreter.invoke()
    assert interpreter.get_output(0).size


def test_no_layer_is_dead_or_saturated(runtime):
    """Every tensor of a small and a deep network takes many values, few of them the greatest."""
    for name in ("ds-cnn", "inverted-residuals"):
        data = synthesised(source(name))
        model = read(data)
        interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=32 << 20,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )
        (x, *_) = some_inputs(model)
        given = model.tensors[model.inputs[0]].quantisation
        assert given is not None
        interpreter.set_input(np.round(x / given.scales[0] + given.zero_points[0]).astype(np.int8), 0)
        interpreter.invoke()
        for operator in model.operators[:-1]:
            tensor = model.tensors[operator.outputs[0]]
            if np.prod(tensor.shape) < 256:
                continue
            values = np.asarray(interpreter.GetTensor(tensor.index, 0)["tensor_data"]).ravel()
            assert len(np.unique(values)) > 24, tensor.name
            assert (values == 127).mean() < 0.05, tensor.name


def test_pruning_leaves_weights_of_the_whole_network():
    whole, half = (read(synthesised(source("ds-cnn", keep=keep))) for keep in (1.0, 0.5))
    shapes = [
        {o.index: model.tensors[o.inputs[1]].shape for o in model.operators if o.name == "CONV_2D"}
        for model in (whole, half)
    ]
    assert [shape[0] for shape in shapes[0].values()] == [64] * 5
    assert [shape[0] for shape in shapes[1].values()] == [32] * 5

    def filters(model: Model) -> list[bytes]:
        tensor = model.tensors[model.operators[0].inputs[1]]
        assert tensor.data is not None
        return [tensor.data[i : i + 40] for i in range(0, len(tensor.data), 40)]

    kept = filters(half)
    left_out = set(filters(whole)) - set(kept)
    assert [f for f in filters(whole) if f in kept] == kept

    def weight(data: bytes) -> int:
        return int(np.abs(np.frombuffer(data, np.int8).astype(int)).sum())

    assert min(map(weight, kept)) >= max(map(weight, left_out))
    assert total_macs(half) < 0.35 * total_macs(whole)
