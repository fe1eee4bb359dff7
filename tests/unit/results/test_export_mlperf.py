"""The export for MLPerf Tiny: the lines its checker looks for, and the checker itself where given."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from tinybench.export import mlperf, render
from tinybench.latency import MLPERF, QUICK

TIMED = (0.050, 0.052, 0.051, 0.049, 0.060)
# tools/submission/submission_checker.py: what is read again from results.txt.
THROUGHPUT = re.compile(r".* Median throughput is\s+([\d\.]+) inf\./sec\..*")
TOP_1 = re.compile(r".* Top[- ]1%?\s?[:=] ([\d\.]+).*")
AUC = re.compile(r".* AUC\s?[:=] ([\d\.]+).*")
THREE = {"log.txt", "results.json", "results.txt"}


@pytest.fixture
def timed_run(make_run):
    def made(protocol=MLPERF.protocol, samples=TIMED, workload="vww01", accuracy=None, inputs=5):
        run = make_run(
            case={
                "workload": workload,
                "engine": "flashed",
                "target": "flashed",
                "options": {"dut": "A b/c"},
            },
            conditions={"simulated": False, "protocol": protocol},
            only=(),
        )
        latency = {"metric": "latency", "kind": "measured", "unit": "s", "samples": samples}
        scores = {"metric": "accuracy", "kind": "measured", "unit": "1", "samples": (accuracy,)}
        measurements = [latency, scores] if accuracy is not None else [latency]
        return type(run).model_validate(
            {**run.model_dump(), "measurements": measurements, "golden": [run.golden[0]] * inputs}
        )

    return made


def found(pattern, text):
    return [float(match[1]) for line in text.splitlines() if (match := pattern.match(line))]


def test_the_median_throughput_is_the_one_line_the_checker_reads(timed_run):
    files = mlperf.files_of(timed_run())
    assert {Path(path).name for path in files} == THREE
    assert {str(Path(path).parent) for path in files} == {"A_b_c/vww01/performance"}
    assert found(THROUGHPUT, files["A_b_c/vww01/performance/results.txt"]) == [19.608]  # 1 / 0.051 s


@pytest.mark.parametrize(("workload", "pattern", "value"), [("vww01", TOP_1, 85.4), ("ad01", AUC, 0.854)])
def test_accuracy_is_written_in_the_task_s_own_words(timed_run, workload, pattern, value):
    files = mlperf.files_of(timed_run(workload=workload, accuracy=0.854))
    assert found(pattern, files[f"A_b_c/{workload}/accuracy/results.txt"]) == [value]


@pytest.mark.parametrize(
    ("protocol", "samples", "valid"),
    [(MLPERF.protocol, TIMED, True), (QUICK.protocol, TIMED, False), (MLPERF.protocol, TIMED[:4], False)],
)
def test_whether_the_rule_was_kept_is_said_with_the_reason(timed_run, protocol, samples, valid):
    files = mlperf.files_of(timed_run(protocol, samples))
    facts = json.loads(files["A_b_c/vww01/performance/results.json"])
    assert facts["mlperf_valid"] is valid
    assert (facts["reason"] is None) is valid


def test_fewer_inputs_than_windows_are_not_valid(timed_run):
    assert "3 different inputs" in mlperf.why_not_valid(timed_run(inputs=3))


def test_the_zip_holds_timed_runs_only_and_is_the_same_twice(timed_run, make_run, store):
    store.append(timed_run())
    store.append(make_run(only=("instructions",)))
    data = render("mlperf", store.read().runs)
    assert data == render("mlperf", store.read().runs)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert len(file.namelist()) == 3


def test_a_model_of_synthetic_weights_has_no_place_in_it(timed_run, store):
    run = timed_run()
    store.append(
        run.model_copy(update={"provenance": run.provenance.model_copy(update={"weights": "synthetic"})})
    )
    with zipfile.ZipFile(io.BytesIO(render("mlperf", store.read().runs))) as file:
        assert file.namelist() == []


def test_without_a_timed_run_the_zip_is_empty(make_run, store):
    store.append(make_run(only=("instructions",)))
    with zipfile.ZipFile(io.BytesIO(render("mlperf", store.read().runs))) as file:
        assert file.namelist() == []


@pytest.mark.skipif(
    not os.environ.get("TINYBENCH_MLPERF_TINY"),
    reason="given: the official checker is not at hand (set TINYBENCH_MLPERF_TINY to a checkout)",
)
def test_the_official_checker_reads_what_is_written(timed_run, tmp_path):
    checker = Path(os.environ["TINYBENCH_MLPERF_TINY"]) / "tools/submission/submission_checker.py"
    spec = importlib.util.spec_from_file_location("submission_checker", checker)
    official = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(official)
    for path, text in mlperf.files_of(timed_run(accuracy=0.854)).items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    place = tmp_path / "A_b_c/vww01"
    valid, throughput, _ = official.check_performance_dir(
        None, "vww", place / "performance", "", "closed", {}
    )
    assert (valid, throughput) == (True, 19.608)
    config = official.Config("v1.4", None)
    valid, top_1 = official.check_accuracy_dir(config, "vww", place / "accuracy", verbose=True)
    assert (valid, float(top_1)) == (True, 85.4)
    for kind in ("performance", "accuracy"):
        assert not official.files_diff(official.list_files(place / kind), official.MLC_REQUIRED_ACC_FILES)
