"""The store: nothing acknowledged is lost, nothing damaged is read as sound."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinybench.results.reading
from tinybench.errors import MeasurementError, SetupError, UsageError
from tinybench.records import Failure, Measurement, Run
from tinybench.results.lines import append_line
from tinybench.results.reading import StoreDamaged
from tinybench.store import Store

DATA = Path(__file__).parents[2] / "data"


def only_file(store: Store) -> Path:
    (path,) = Path(store.place).glob("*.jsonl")
    return path


def test_a_run_comes_back_as_it_was(store, make_run):
    runs = [make_run() for _ in range(3)]
    for run in runs:
        store.append(run)
    contents = store.read()
    assert list(contents.runs) == runs
    assert contents.torn == ()
    assert only_file(store).name == f"runs-{datetime.now(UTC):%Y-%m}.jsonl"


def test_runs_are_oldest_first_whatever_file_they_are_in(store, make_run):
    late, early = make_run(), make_run(provenance={"started": datetime(2020, 1, 1, tzinfo=UTC)})
    store.append(late)
    store.publish([early], "zz-another-host.jsonl")
    assert [run.run_id for run in store.read().runs] == [early.run_id, late.run_id]


@pytest.mark.parametrize("version", range(1, tinybench.results.reading.SCHEMA_VERSION + 1))
def test_every_schema_version_is_read(version):
    (run,) = Store(DATA / f"runs-v{version}.jsonl").read().runs
    assert run.measurement("flash").samples == (333288,)
    assert len(run.operators) == 31


def test_a_newer_schema_says_what_to_install(store, make_run):
    document = json.loads(make_run().model_dump_json())
    document |= {"schema_version": 7, "unheard_of": 1}
    document["provenance"]["tinybench"] = "3.2.1"
    store.append(make_run())
    append_line(only_file(store), json.dumps(document).encode() + b"\n")
    with pytest.raises(
        SetupError, match=r"line 2 has schema version 7, written by tinybench `3.2.1`"
    ) as error:
        store.read()
    assert error.value.hint == "pip install 'tinybench-mcu>=3.2.1'"


@pytest.mark.parametrize("left", [1, 17, -1])
def test_a_torn_last_line_is_reported_and_left_out(store, make_run, left):
    first, second = make_run(), make_run()
    store.append(first)
    sound = only_file(store).read_bytes()
    store.append(second)
    whole = only_file(store).read_bytes()
    kept = len(sound) + left if left > 0 else len(whole) - 2
    only_file(store).write_bytes(whole[:kept])
    contents = store.read()
    assert list(contents.runs) == [first]
    assert [(torn.line, torn.bytes) for torn in contents.torn] == [(2, kept - len(sound))]


def test_the_next_writer_moves_a_torn_line_aside(store, make_run):
    first, third = make_run(), make_run()
    store.append(first)
    path = only_file(store)
    path.write_bytes(path.read_bytes() + b'{"schema":"tinybench.run","sch')
    store.append(third)
    assert list(store.read().runs) == [first, third]
    assert path.with_name(path.name + ".torn").read_bytes() == b'{"schema":"tinybench.run","sch\n'


def test_a_last_line_that_lacks_only_its_newline_is_whole(store, make_run):
    first, second = make_run(), make_run()
    store.append(first)
    only_file(store).write_bytes(only_file(store).read_bytes()[:-1])
    assert list(store.read().runs) == [first]
    store.append(second)
    assert list(store.read().runs) == [first, second]


def test_a_torn_middle_is_an_error_with_its_line(store, make_run):
    for _ in range(3):
        store.append(make_run())
    lines = only_file(store).read_bytes().split(b"\n")
    lines[1] = lines[1][:100]
    only_file(store).write_bytes(b"\n".join(lines))
    with pytest.raises(StoreDamaged, match=rf"`{only_file(store).name}` line 2 is not a whole JSON object"):
        store.read()


def test_an_invalid_field_is_named(store, make_run):
    document = json.loads(make_run().model_dump_json())
    document["conditions"]["clock_hz"] = "fast"
    store.append(make_run())
    append_line(only_file(store), json.dumps(document).encode() + b"\n")
    with pytest.raises(StoreDamaged, match=r"line 2 is not a valid Run: `conditions.clock_hz`"):
        store.read()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 40_000), noise=st.binary(max_size=40))
def test_whatever_a_dead_writer_leaves_no_other_run_is_lost(tmp_path_factory, cut, noise):
    """Cut or garbled last lines: the Runs before and after stay readable."""
    store = Store(tmp_path_factory.mktemp("results"))
    line = (DATA / "runs-v1.jsonl").read_bytes()
    run = Run.model_validate_json(line)
    store.append(run)
    tail = line[: cut % (len(line) - 1)] + noise.replace(b"\n", b"")
    path = only_file(store)
    path.write_bytes(path.read_bytes() + tail)
    other = run.model_copy(update={"run_id": "20260302T000000Z-fedcba987654"})
    store.append(other)
    assert {found.run_id for found in store.read().runs} == {run.run_id, other.run_id}


def test_the_same_line_in_two_files_is_one_run(store, make_run):
    run = make_run()
    store.append(run)
    store.publish([run], "copy.jsonl")
    assert len(store.read().runs) == 1


def test_two_runs_of_one_id_are_an_error(store, make_run):
    run = make_run()
    store.append(run)
    store.publish([run.model_copy(update={"probe_effect": 0.5})], "copy.jsonl")
    with pytest.raises(StoreDamaged, match=f"different Runs of the same id `{run.run_id}`"):
        store.read()


def test_wrong_units_are_refused_before_writing(store, make_run):
    run = make_run()
    wrong = Measurement(metric="latency", kind="measured", unit="ms", samples=(250.0,))
    with pytest.raises(MeasurementError, match=r"`latency` of Run .* is in `ms`, not in `s`"):
        store.append(run.model_copy(update={"measurements": (wrong,)}))
    assert not Path(store.place).exists()


def test_mixed_units_in_a_store_are_refused(store, make_run):
    """A metric of a plug-in has no declared unit; it must still be one and the same."""

    def with_unit(unit):
        measurement = Measurement(metric="temperature", kind="measured", unit=unit, samples=(300.0,))
        return make_run().model_copy(update={"measurements": (measurement,)})

    store.append(with_unit("K"))
    store.publish([with_unit("degC")], "other.jsonl")
    with pytest.raises(StoreDamaged, match=r"`temperature` in `K`.*`temperature` is `degC`"):
        store.read()


def test_an_empty_folder_is_an_empty_store_and_a_missing_one_is_said(tmp_path):
    assert len(Store(tmp_path).read().runs) == 0
    with pytest.raises(UsageError, match=r"there are no results at `.*nowhere`"):
        Store(tmp_path / "nowhere").read()


def test_ten_megabytes_in_one_run(store, make_run):
    failure = Failure(error="ProtocolError", exit_code=4, message="m", details=("\x00<é" * 2_500_000,))
    run = make_run(failure=failure)
    store.append(run)
    store.append(make_run())
    assert next(iter(store.read().runs)).failure == failure


def test_a_file_in_place_of_the_folder_is_a_setup_error(tmp_path, make_run):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "results")
    with pytest.raises(SetupError, match="cannot write results to"):
        store.check_writable()
    with pytest.raises(SetupError, match="cannot write results to"):
        store.append(make_run())


def test_check_writable_leaves_nothing_behind(store):
    store.check_writable()
    assert list(Path(store.place).iterdir()) == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from tinybench.errors import SetupError
from tinybench.records import Run
from tinybench.store import Store
folder, data, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
run = Run.model_validate_json(Path(data).read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for at in range(3):
    try:
        Store(folder).append(run.model_copy(update={"run_id": f"run-{at}"}))
    except SetupError as error:
        print("refused", error.exit_code)
    else:
        print("acknowledged")
"""


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path):
    """The kernel's limit on file size makes a write fall short exactly as a full disk does."""
    data = DATA / "runs-v1.jsonl"
    limit = int(data.stat().st_size * 1.5)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path, data, str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:3] == ["acknowledged", "refused 7", "refused 7"]
    contents = Store(tmp_path).read()
    assert [run.run_id for run in contents.runs] == ["run-0"]
    assert contents.torn == ()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def test_a_store_may_be_one_file(tmp_path, make_run):
    store = Store(tmp_path / "mine.jsonl")
    run = make_run()
    store.append(run)
    assert list(store.read().runs) == [run]
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.jsonl"]


def test_a_finished_file_is_never_overwritten(store, make_run):
    store.publish([make_run()], "night.jsonl")
    with pytest.raises(UsageError, match=r"night.jsonl` exists and is never overwritten"):
        store.publish([make_run()], "night.jsonl")


def test_a_run_is_found_by_the_beginning_of_its_id(store, make_run):
    first, second = make_run(), make_run(provenance={"started": datetime(2026, 3, 1, tzinfo=UTC)})
    store.append(first)
    store.append(second)
    runs = store.read().runs
    assert runs.get(first.run_id[:20]) == first
    with pytest.raises(UsageError, match="begins 2 run ids"):
        runs.get("20260301T")
    with pytest.raises(UsageError, match="there is no Run `nothing`"):
        runs.get("nothing")


def test_newest_of_each_case(store, make_run):
    runs = [make_run(case={"engine": engine}) for engine in ("reference", "tflm", "reference")]
    for run in runs:
        store.append(run)
    assert list(store.read().runs.newest()) == [runs[1], runs[2]]


@pytest.mark.needs("python:fsspec")
def test_results_behind_a_url(make_run):
    store = Store("memory://bucket/results")
    first, second = make_run(), make_run()
    with pytest.raises(UsageError, match="there are no results at `memory://bucket/results`"):
        store.read()
    store.check_writable()
    store.append(first)
    store.publish([second], "night.jsonl")
    assert list(store.read().runs) == [first, second]
    assert list(Store("memory://bucket/results/night.jsonl").read().runs) == [second]
    with pytest.raises(UsageError, match="never overwritten"):
        store.publish([second], "night.jsonl")


@pytest.mark.needs("python:fsspec")
def test_a_url_that_cannot_be(make_run):
    with pytest.raises(UsageError, match="is not a URL that fsspec knows"):
        Store("carrier-pigeon://x").append(make_run())


def test_times_are_compared_across_zones(store, make_run):
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    later = make_run(provenance={"started": noon + timedelta(minutes=1)})
    store.append(later)
    store.append(make_run(provenance={"started": noon}))
    assert [run.run_id for run in store.read().runs][-1] == later.run_id


def test_a_time_without_its_zone_is_refused(store, make_run):
    line = make_run().model_dump_json()
    document = json.loads(line)
    document["provenance"]["started"] = "2026-03-01T02:03:04"
    store.publish([], "night.jsonl")
    append_line(Path(store.place) / "night.jsonl", json.dumps(document).encode() + b"\n")
    with pytest.raises(StoreDamaged, match=r"line 1 is not a valid Run: `provenance.started`"):
        store.read()
