"""What BASE and NEW may be, baselines included."""

from __future__ import annotations

import json
import subprocess

import pytest

from tinybench.compare import Side, answer_of, compare
from tinybench.errors import SetupError, UsageError
from tinybench.records import Failure, Git
from tinybench.results.baseline import (
    MOST_SAMPLES,
    as_text,
    baseline_names,
    baseline_of,
    load_baseline,
    save_baseline,
)
from tinybench.results.references import resolve


@pytest.fixture
def place(store, tmp_path):
    """Two nights of two engines in a store, and an empty folder of baselines."""

    class Place:
        baselines = tmp_path / "results" / "baselines"

        def resolve(self, reference):
            return resolve(reference, store.read().runs, baselines=self.baselines, folder=tmp_path)

    return Place()


@pytest.fixture
def nights(store, make_run):
    runs = [make_run(case={"engine": engine}) for _ in range(2) for engine in ("reference", "tflm")]
    for run in runs:
        store.append(run)
    return runs


def ids(side):
    return {answer.run_id for answer in side.answers}


def test_latest_and_previous(place, nights):
    assert ids(place.resolve("latest")) == {nights[2].run_id, nights[3].run_id}
    assert ids(place.resolve("previous")) == {nights[0].run_id, nights[1].run_id}


def test_a_run_id_or_its_beginning(place, nights):
    assert ids(place.resolve(nights[1].run_id)) == {nights[1].run_id}
    assert ids(place.resolve(nights[1].run_id[:22])) == {nights[1].run_id}


def test_a_filter(place, nights):
    side = place.resolve("engine=tflm,target=nucleo-f746")
    assert ids(side) == {nights[3].run_id}
    assert side.pinned == {"engine": "tflm", "target": "nucleo-f746"}
    with pytest.raises(UsageError, match="no Run has the engine `tflite`") as error:
        place.resolve("engine=tflite")
    assert error.value.hint == "did you mean `tflm`?"
    with pytest.raises(UsageError, match="unknown filter `motor=tflm`"):
        place.resolve("motor=tflm")


def test_a_results_file(place, nights, store, tmp_path):
    store.publish(nights[:1], "../one.jsonl")
    assert ids(place.resolve(str(tmp_path / "one.jsonl"))) == {nights[0].run_id}


def test_an_unknown_name(place, nights):
    with pytest.raises(
        UsageError, match="`lastest` is no baseline, results file, run id or git ref"
    ) as error:
        place.resolve("lastest")
    assert "`latest`" in error.value.hint


def test_an_empty_store_has_no_latest(place, store):
    store.check_writable()
    with pytest.raises(UsageError, match="`latest` covers no Run"):
        place.resolve("latest")


@pytest.mark.needs("git")
def test_a_git_ref_is_the_nearest_measured_ancestor(place, store, make_run, tmp_path):
    def git(*words):
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    git("init", "-q", "-b", "trunk")
    commits = []
    for name in "abc":
        git("commit", "-q", "--allow-empty", "-m", name)
        commits.append(git("rev-parse", "HEAD"))
    measured = make_run(provenance={"git": Git(commit=commits[1], dirty=False)})
    store.append(measured)
    store.append(make_run(provenance={"git": Git(commit=commits[2], dirty=True)}))
    assert ids(place.resolve("trunk")) == {measured.run_id}
    assert place.resolve("trunk").label == f"trunk (as of {commits[1][:12]})"
    assert place.resolve("trunk~1").label == "trunk~1"
    with pytest.raises(UsageError, match="no Run was made with a clean checkout of `trunk~2`"):
        place.resolve("trunk~2")


def test_a_baseline_judges_as_the_runs_it_was_set_from(place, store, make_run):
    base = make_run()
    store.append(base)
    save_baseline(place.baselines, baseline_of("nightly", place.resolve("latest"), note="after the kernels"))
    store.append(make_run(samples={"flash": (333300,)}))
    baseline = place.resolve("nightly")
    assert ids(baseline) == {base.run_id}
    assert compare(baseline, place.resolve("latest")).heading == "1 regressed, 1 within noise, 10 unchanged"


def test_a_baseline_is_a_sorted_file_with_a_line_per_measurement(make_run):
    runs = [make_run(case={"engine": engine}) for engine in ("tflm", "reference")]
    baseline = baseline_of("nightly", Side("latest", tuple(map(answer_of, runs))))
    text = as_text(baseline)
    assert json.loads(text)["name"] == "nightly"
    lines = text.splitlines()
    assert sum('"metric": ' in line for line in lines) == 24
    assert text.index('"engine": "reference"') < text.index('"engine": "tflm"')
    again = [make_run(case={"engine": "tflm"}, samples={"flash": (1,)}), runs[1]]
    changed = as_text(baseline_of("nightly", Side("latest", tuple(map(answer_of, again))))).splitlines()
    moved = [old for old, new in zip(lines, changed, strict=True) if old != new]
    assert len(moved) == 3  # its run id, its time, its flash


def test_a_baseline_keeps_at_most_so_many_samples_and_their_median(make_run):
    samples = tuple(0.2 + i * 1e-5 for i in range(1001))
    baseline = baseline_of("b", Side("s", (answer_of(make_run(samples={"latency": samples})),)))
    (latency,) = (m for m in baseline.entries[0].measurements if m.metric == "latency")
    assert len(latency.samples) == MOST_SAMPLES
    assert sorted(latency.samples)[50] == samples[500]
    assert (latency.samples[0], latency.samples[-1]) == (samples[0], samples[-1])


def test_bad_baselines(tmp_path, make_run):
    answers = (answer_of(make_run()),)
    with pytest.raises(UsageError, match="cannot be a baseline's name"):
        baseline_of("../x", Side("s", answers))
    failed = answer_of(make_run(failure=Failure(error="E", exit_code=4, message="m")))
    with pytest.raises(UsageError, match="`s` has no numbers"):
        baseline_of("x", Side("s", (failed,)))
    with pytest.raises(UsageError, match="there is no baseline `nightly`"):
        load_baseline(tmp_path, "nightly")
    (tmp_path / "nightly.json").write_text('{"schema": "tinybench.baseline", "schema_version": 9}')
    with pytest.raises(SetupError, match=r"`nightly.json` is not a baseline that this tinybench reads"):
        load_baseline(tmp_path, "nightly")
    assert baseline_names(tmp_path) == ["nightly"]


@pytest.mark.usefixtures("nights")
def test_a_baseline_may_be_named_by_the_path_of_its_file(place, tmp_path):
    elsewhere = tmp_path / "checkout"
    elsewhere.mkdir()
    path = save_baseline(elsewhere, baseline_of("nightly", place.resolve("latest"), ""))
    found = place.resolve(str(path))
    assert {answer.run_id for answer in found.answers} == {a.run_id for a in place.resolve("latest").answers}
    assert found.label == "nightly"


@pytest.mark.usefixtures("nights")
def test_runs_that_were_interleaved_are_neither_latest_nor_previous(place, store, make_run):
    before = place.resolve("latest").answers
    pair = [make_run(case={"options": {"interleaved": "one"}}) for _ in range(2)]
    for run in pair:
        store.append(run)
    assert place.resolve("latest").answers == before
    assert not {run.run_id for run in pair} & {a.run_id for a in place.resolve("previous").answers}
    assert place.resolve(pair[0].run_id).answers[0].run_id == pair[0].run_id
