"""A workload with everything at hand says exactly which bytes it stands for."""

from __future__ import annotations

import platformdirs
import pytest

from tinybench.errors import MeasurementError
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import load, model_of
from tinybench.plugins import discover

SPECS = {name: found.part for name, found in discover().workloads.items()}


@pytest.fixture
def fetcher():
    return Fetcher(Places(platformdirs.user_cache_path("tinybench"), offline=True))


def test_a_wrapped_model_is_normalised_and_both_digests_are_told(fetcher):
    workload = load(SPECS["ad01-mltk"], fetcher, None)
    assert workload.source_sha256 == SPECS["ad01-mltk"].model.sha256
    assert workload.model_sha256 == SPECS["ad01-mltk"].model.normalised_sha256
    assert workload.model_path.name == f"{workload.model_sha256}.tflite"
    tensors = workload.model.tensors
    assert [tensors[i].dtype for i in (*workload.model.inputs, *workload.model.outputs)] == ["int8", "int8"]
    assert workload.inputs_sha256 == SPECS["ad01-mltk"].golden.inputs_sha256


def test_a_model_that_is_int8_already_stays_as_published(fetcher):
    workload = load(SPECS["ic01-mltk"], fetcher, None)
    assert workload.model_sha256 == workload.source_sha256
    assert workload.model_path == fetcher.fetch("ic01-mltk", SPECS["ic01-mltk"].model).path


def test_without_an_oracle_the_record_judges(fetcher):
    workload = load(SPECS["ad01-mltk"], fetcher, None)
    assert workload.oracle == f"stored digests of {SPECS['ad01-mltk'].golden.oracle}"
    assert [golden.output for golden in workload.goldens] == [None, None, None]


def test_a_normalised_model_with_another_digest_is_not_believed(fetcher):
    spec = SPECS["ad01-mltk"]
    other = spec.model_copy(
        update={"model": spec.model.model_copy(update={"normalised_sha256": "0" * 64})},
    )
    with pytest.raises(MeasurementError) as raised:
        model_of(other, fetcher)
    assert "0" * 64 in raised.value.message
    assert spec.model.normalised_sha256 in raised.value.message
