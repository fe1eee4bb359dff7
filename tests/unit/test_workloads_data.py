"""The workloads and suites that we ship: whole, consistent, and what their records say."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import platformdirs
import pytest

import workloads
from tinybench.fetch import Fetcher, Places
from tinybench.models.golden import input_tensor
from tinybench.models.loading import load
from tinybench.models.oracle import fitting, installed
from tinybench.plugins import discover
from tinybench.workload import SyntheticSource, TrainedSource, UrlSource, WheelSource, WorkloadSpec

CATALOGUE = discover()
OURS = {name: found.part for name, found in CATALOGUE.workloads.items() if found.origin == "tinybench-mcu"}
OFFICIAL = sorted(name for name, spec in OURS.items() if isinstance(spec.model.sources[0], UrlSource))
PACKAGED = sorted(name for name, spec in OURS.items() if isinstance(spec.model.sources[0], WheelSource))
FASHION = pytest.mark.needs("file:/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
TRAINED = ["digits", "digits-forest", "movements", pytest.param("fashion", marks=FASHION)]
SYNTHETIC = sorted(name for name, spec in OURS.items() if isinstance(spec.model.sources[0], SyntheticSource))
FOLDER = Path(workloads.__path__[0])


def test_every_file_is_valid_and_found():
    assert CATALOGUE.broken == ()
    assert {path.parent.name for path in FOLDER.glob("*/workload.toml")} == set(OURS)
    assert {path.stem for path in FOLDER.glob("suites/*.toml")} <= set(CATALOGUE.suites)


@pytest.mark.parametrize("name", sorted(CATALOGUE.suites))
def test_suites_name_workloads_of_their_task(name):
    for entry in CATALOGUE.suite(name).entries:
        for alternative in entry.alternatives:
            assert CATALOGUE.workload(alternative).task == entry.task


def test_the_five_tasks_of_mlperf_tiny():
    entries = {entry.task: entry for entry in CATALOGUE.suite("mlperf-tiny").entries}
    assert list(entries) == ["vww", "kws", "ic", "ad", "sww"]
    for task in ("vww", "kws", "ic", "ad"):
        assert entries[task].alternatives == (f"{task}01", f"{task}01-mltk")
        assert entries[task].gap is None
        assert CATALOGUE.suite(task).entries == (entries[task],)
    assert entries["sww"].alternatives == ("sww01",)
    assert entries["sww"].optional


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_two_workloads_share_a_model_or_a_file_name(name):
    spec = OURS[name]
    others = [other for other in OURS.values() if other.id != name]
    assert spec.model.sha256 not in {other.model.sha256 for other in others}
    assert spec.model.file not in {other.model.file for other in others}


@pytest.mark.parametrize("name", OFFICIAL)
def test_public_files_are_pinned_to_a_commit(name):
    (source,) = OURS[name].model.sources
    assert isinstance(source, UrlSource)
    assert re.search(r"/[0-9a-f]{40}/", source.url)
    assert source.url.endswith("/" + OURS[name].model.file)


def test_models_of_one_wheel_come_with_one_download():
    wheels = {OURS[name].model.sources[0].wheel_sha256 for name in PACKAGED}
    assert len(wheels) == 1
    assert {name.removesuffix("-mltk") for name in PACKAGED} == {
        *("ad01", "ic01", "kws01", "vww01", "magic_wand", "micro_speech"),
    }


def test_nothing_claims_to_be_an_mlperf_result():
    for path in FOLDER.rglob("*.toml"):
        for line in path.read_text().splitlines():
            if "MLPerf" in line:
                assert re.search(
                    r"MLPerf-Tiny-derived|not (an )?MLPerf results?|five MLPerf Tiny tasks", line
                )


def check(spec: WorkloadSpec, models: Path | None) -> None:
    cache = platformdirs.user_cache_path("tinybench")
    siblings = [other.model for other in OURS.values()]
    fetcher = Fetcher(Places(cache, models=models, offline=True), siblings=siblings)
    workload = load(spec, fetcher, installed())
    oracle = fitting(workload.model, installed())
    data = workload.model_path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == workload.model_sha256
    output = workload.model.tensors[workload.model.outputs[0]]
    assert input_tensor(workload.model).shape[0] == 1
    assert len(spec.labels) in (0, output.shape[-1])
    assert [golden.name for golden in workload.goldens] == ["zeros", "random", "structured"]
    for golden in workload.goldens:
        assert golden.output_sha256 == spec.golden.outputs_sha256[golden.name]
        assert (golden.output is None) == (oracle is None)
    if oracle is not None:
        assert workload.oracle == oracle.version
        assert any(is_telling(golden.output) for golden in workload.goldens)


def is_telling(output: bytes | None) -> bool:
    """Not every element stands at the end of its range, where a wrong sum could hide."""
    return output is not None and any(value not in (0x7F, 0x80) for value in output)


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_models_give_the_recorded_outputs(name, official_models):
    if not (official_models / OURS[name].model.file).is_file():
        pytest.skip(f"given: `{OURS[name].model.file}` is not among the model files at hand")
    check(OURS[name], official_models)


@pytest.mark.parametrize("name", PACKAGED)
def test_package_index_models_give_the_recorded_outputs(name):
    check(OURS[name], None)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_models_give_the_recorded_outputs(name):
    assert OURS[name].weights == "synthetic"
    assert "synthetic" in OURS[name].title
    check(OURS[name], None)


@pytest.mark.parametrize("name", TRAINED)
def test_models_trained_here_give_the_recorded_outputs(name):
    check(OURS[name], None)


def test_a_model_trained_here_states_its_accuracy_and_whose_samples_it_saw():
    for spec in OURS.values():
        trained = [source for source in spec.model.sources if isinstance(source, TrainedSource)]
        assert (spec.accuracy is not None) == bool(trained)
        assert all(file.licence for source in trained for file in source.data)


def test_nothing_synthetic_has_a_quality_and_nothing_else_is_called_synthetic():
    for name, spec in OURS.items():
        assert (spec.weights == "synthetic") == (name in SYNTHETIC)
        assert name not in SYNTHETIC or spec.quality is None


def test_package_index_models_with_float_wrappers_are_normalised():
    normalised = {n for n in PACKAGED if OURS[n].model.normalised_sha256 != OURS[n].model.sha256}
    assert normalised == {"vww01-mltk", "kws01-mltk", "ad01-mltk", "magic_wand"}
