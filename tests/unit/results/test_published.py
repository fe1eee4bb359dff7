"""What others published: every row read, the known-wrong ones marked, peers found by task, core and clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tinybench.errors import SetupError
from tinybench.plugins import discover
from tinybench.records import Failure
from tinybench.results import published

TASKS = {"vww01": "vww", "vww01-mltk": "vww", "kws01": "kws", "hello_world": "hello"}


@dataclass(frozen=True)
class On:
    """The core and clock of a Run."""

    core: str
    clock_hz: int


NUCLEO_L4R5 = On("cortex-m4", 120_000_000)
NUCLEO_F746 = On("cortex-m7", 216_000_000)


@pytest.fixture
def run_on(make_run):
    def make(on, workload="vww01", **more):
        conditions = {"core": on.core, "clock_hz": on.clock_hz}
        return make_run(case={"workload": workload}, conditions=conditions, **more)

    return make


def test_the_file_is_read_whole_and_each_row_once():
    rows = published.load()
    assert len(rows) == 223
    assert len({(row.source, row.engine) for row in rows}) == len(rows)
    assert {row.task for row in rows} == {"ad", "ic", "kws", "vww"}
    assert {row.core for row in rows} == {f"cortex-{core}" for core in ("m0plus", "m4", "m7", "m33", "m85")}
    assert all(row.path.startswith("closed/") and row.submitter in row.path for row in rows)
    assert all(row.repository == f"mlcommons/tiny_results_{row.round}" for row in rows)


def test_quantities_are_in_si_units_and_plausible():
    rows = published.load()
    assert all(24e6 <= row.clock_hz <= 1e9 for row in rows)
    assert all(1e-4 < row.latency_s < 10 for row in rows)
    powers_w = [row.energy_j / row.latency_s for row in rows if row.energy_j]
    assert len(powers_w) == 98
    assert all(1e-3 < power_w < 1 for power_w in powers_w)


def test_rows_that_are_known_to_be_wrong_say_so():
    rows = published.load()
    first = [row for row in rows if row.round == "v0.5"]
    assert len(first) == 4
    assert all("not reference kernels" in row.note for row in first)
    native = {(row.task, row.suspect) for row in rows if row.engine == "microTVM native"}
    assert {("ic", True), ("vww", True), ("ad", False), ("kws", False)} == native
    assert all(row.note for row in rows if row.suspect)


def test_peers_have_the_task_the_core_and_the_clock_and_come_fastest_first(run_on):
    (found,) = published.peers([run_on(NUCLEO_F746)], TASKS)
    assert {(row.task, row.core, row.clock_hz) for row in found.rows} == {("vww", "cortex-m7", 216_000_000)}
    assert [row.latency_s for row in found.rows] == sorted(row.latency_s for row in found.rows)
    assert found.same_model
    (found,) = published.peers([run_on(NUCLEO_L4R5)], TASKS)
    assert {"microTVM + CMSIS-NN", "ONNC"} <= {row.engine for row in found.rows}


@pytest.mark.parametrize(("clock_hz", "is_peer"), [(217_000_000, True), (219_000_000, False)])
def test_the_clock_may_be_off_by_one_percent(run_on, clock_hz, is_peer):
    assert bool(published.peers([run_on(On("cortex-m7", clock_hz))], TASKS)) is is_peer


def test_another_model_of_the_task_is_told_apart(run_on):
    (found,) = published.peers([run_on(NUCLEO_F746, "vww01-mltk")], TASKS)
    assert not found.same_model


def test_what_nobody_published_or_failed_has_no_peers(run_on):
    runs = [
        run_on(NUCLEO_F746, "hello_world"),
        run_on(NUCLEO_F746, "unknown"),
        run_on(On("cortex-m3", 216_000_000)),
        run_on(NUCLEO_F746, failure=Failure(error="LinkTimeout", exit_code=4, message="silence")),
    ]
    assert published.peers(runs, TASKS) == ()


def test_every_published_task_has_a_workload_of_ours():
    ours = {found.part.task for found in discover().workloads.values()}
    assert {row.task for row in published.load()} <= ours


@pytest.mark.parametrize(
    ("cpu", "core"),
    [
        ("32-bit Arm Cortex-M0+", "cortex-m0plus"),
        ("Arm Cortex-M4F", "cortex-m4"),
        ("32-Bit ARM Cortex-M7", "cortex-m7"),
        ("Arm Cortex-M33 32-bit RISC core", "cortex-m33"),
        ("ARM Cortex A9 Based", None),
        ("HiFi3 + M0", None),
    ],
)
def test_long_names_of_processors_are_read(cpu, core):
    assert published.core_name(cpu) == core


def test_a_damaged_line_is_named(tmp_path: Path):
    text = (Path(__file__).parents[3] / "results" / "published" / published.FILE).read_text().splitlines()
    file = tmp_path / "damaged.csv"
    file.write_text("\n".join([*text[:3], text[3].replace("120", "fast", 1), *text[4:]]))
    with pytest.raises(SetupError, match="line 4"):
        published.load(file)
    with pytest.raises(SetupError, match="cannot read"):
        published.load(tmp_path / "gone.csv")
