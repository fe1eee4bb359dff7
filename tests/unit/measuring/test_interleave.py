"""Alternating windows: what drifts cancels, what differs is found; two Runs that know each other."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from tinybench import bench, interleave
from tinybench.bench import Bench, Failed, Recorded, Retried
from tinybench.compare import Side, answer_of, compare
from tinybench.errors import UsageError
from tinybench.fakes import Faults

LOADING_S = 10.0  # what it takes to flash a board: long beside a window, and it warms meanwhile
DRIFT_PER_S = 0.001
OLD, NEW = "01d" + "b" * 37, "c" * 40


class Kept:
    """A store that remembers."""

    def __init__(self):
        self.runs = []

    def append(self, run):
        self.runs.append(run)


@dataclass
class Warming:
    """The time of a desk on which one board is loaded again and again, and never cools."""

    before_s: float = 0.0
    link: object = None

    def load(self, link):
        self.before_s, self.link = self() + LOADING_S, link
        return link

    def __call__(self):
        return self.before_s + (self.link.clock() if self.link else 0.0)


@dataclass
class Table:
    """One board with two images that may differ in latency, and what happens on it."""

    desk: object
    drift_per_s: float = 0.0
    change: float = 0.0
    simulated: bool = False
    faults: object = None

    def __post_init__(self):
        self.clock, self.store, self.order = Warming(), Kept(), []
        self.broken = iter(self.faults or ())
        self.case = self.desk.case(self._firmware, simulated=self.simulated)
        started = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
        self.bench = Bench(
            build=lambda workload, engine, target, kind: self.desk.image(kind),
            store=self.store,
            clock=self.clock,
            now=lambda: next(started),
        )
        self.base = replace(self.desk.image(), build_id=OLD, flash_bytes=4900)

    def _firmware(self, _, image):
        self.order.append("A" if image.build_id == OLD else "B")
        slower = 1 if image.build_id == OLD else 1 + self.change
        faults = Faults(drift_per_s=self.drift_per_s, warm_s=self.clock() + LOADING_S)
        settings = {"build_id": image.build_id, "latency_s": 0.001 * slower, "engine": "fake 1.0"}
        if image.kind == "instrumented":
            settings.pop("build_id")
        faults = replace(faults, **next(self.broken, {}))
        make = self.desk.simulator if self.simulated else self.desk.firmware
        return self.clock.load(make(image.kind, faults, **settings))

    def interleaved(self):
        return list(interleave.run(self.case, self.base, self.bench))

    @property
    def interleaved_runs(self):
        return [event.run for event in self.interleaved() if isinstance(event, Recorded)]

    def one_after_the_other(self):
        """Two ordinary Runs, of equal images unless `change` makes the later one slower."""
        runs = []
        for slower in (0.0, self.change):
            self.change = slower
            runs.append(list(bench.run([self.case], self.bench))[-1].run)
        return runs


def verdict(base, new, metric="latency"):
    comparison = compare(Side("base", (answer_of(base),)), Side("new", (answer_of(new),)))
    return next(v for v in comparison.verdicts if v.metric == metric)


def test_a_warming_board_makes_the_later_run_look_slower_and_alternating_windows_do_not(desk):
    then = verdict(*Table(desk, DRIFT_PER_S).one_after_the_other())
    assert then.word == "regressed", then.reason
    now = verdict(*Table(desk, DRIFT_PER_S).interleaved_runs)
    assert now.word in ("unchanged", "within noise"), now.reason
    assert abs(now.effect.change) < 1e-5 < then.effect.low
    assert "in alternating windows" in now.reason


@pytest.mark.parametrize(("change", "word"), [(0.02, "regressed"), (-0.02, "improved")])
def test_a_true_change_is_found_while_the_board_warms(desk, change, word):
    found = verdict(*Table(desk, DRIFT_PER_S, change).interleaved_runs)
    assert found.word == word, found.reason
    assert found.effect.change == pytest.approx(change, abs=2e-4)
    assert found.effect.difference == pytest.approx(change * found.base.median, rel=0.02)


def test_every_window_of_the_new_image_lies_between_two_of_the_base(desk):
    table = Table(desk)
    base, new = table.interleaved_runs
    assert "".join(table.order) == "AB" * table.bench.rules.windows + "A"
    assert len(base.measurement("latency").samples) == table.bench.rules.windows + 1
    assert len(new.measurement("latency").samples) == table.bench.rules.windows
    assert table.case.adapter.open_now == 0


def test_the_two_runs_name_each_other_and_are_nobody_elses_peers(desk):
    table = Table(desk)
    base, new = table.interleaved_runs
    assert table.store.runs == [base, new]
    assert base.case == new.case
    assert new.case.options == {"interleaved": base.run_id}
    assert new.run_id in base.provenance.notes[-1]
    assert base.run_id in new.provenance.notes[-1]
    assert (base.provenance.build_id, new.provenance.build_id) == (OLD, NEW)
    assert "alternating" in new.conditions.protocol
    assert verdict(base, new, "flash").effect.difference == 100
    (ordinary, _) = table.one_after_the_other()
    assert verdict(ordinary, new).word in ("new", "missing")


def test_on_a_virtual_board_it_is_one_exact_count_each(desk):
    table = Table(desk, simulated=True)
    base, new = table.interleaved_runs
    assert "".join(table.order) == "AB"
    assert base.measurement("instructions") == new.measurement("instructions")
    assert verdict(base, new, "instructions").word == "unchanged"


def test_a_device_fault_is_tried_once_more_and_both_runs_say_so(desk):
    table = Table(desk, faults=[{}, {"truncated": "infer"}])
    events = table.interleaved()
    assert [type(event) for event in events].count(Retried) == 1
    assert all(run.provenance.retried for run in table.store.runs)
    assert len(table.store.runs) == 2


def test_a_wrong_answer_of_the_base_leaves_no_number_and_says_whose_it_is(desk):
    table = Table(desk, faults=[{"flipped_bit": 3}])
    events = table.interleaved()
    assert isinstance(events[-1], Failed)
    (failed,) = table.store.runs
    assert failed.measurements == ()
    assert failed.failure.error == "WrongAnswer"
    assert any("the base" in detail for detail in failed.failure.details)


def test_an_image_of_another_engine_is_refused(desk):
    table = Table(desk)
    table.case = replace(table.case, engine=replace(table.case.engine, name="other"))
    events = table.interleaved()
    assert events[-1].run.failure.error == "WrongBoard"
    assert "`fake`" in events[-1].run.failure.message


def test_both_runs_are_stored_before_either_is_announced(desk):
    table = Table(desk)
    for event in interleave.run(table.case, table.base, table.bench):
        if isinstance(event, Recorded):
            assert len(table.store.runs) == 2


# --- finding the base ---


@pytest.fixture
def cache(tmp_path, desk):
    for build_id, kind in ((OLD, "clean"), (OLD[:8] + "d" * 32, "clean"), ("e" * 40, "instrumented")):
        image = desk.image()
        folder = tmp_path / "images" / build_id[-4:]
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "build_id": build_id,
            "kind": kind,
            "toolchain": image.toolchain.model_dump(mode="json"),
            "flash_bytes": 1,
            "ram_static_bytes": 2,
            "memory": image.memory.model_dump(mode="json"),
        }
        (folder / "image.json").write_text(json.dumps(facts))
    (tmp_path / "images" / "build-unfinished").mkdir()
    return tmp_path


def test_a_build_id_or_its_beginning_names_an_image(cache):
    assert interleave.find_image(OLD[:12], cache).build_id == OLD
    assert interleave.find_image(OLD.upper(), cache).flash_bytes == 1


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (OLD[:7], "begins 2 build ids"),
        ("abcdef0", "no image of build id"),
        ("main", "neither a file nor"),
        ("e" * 40, "instrumented"),
    ],
)
def test_what_names_no_image_is_told(cache, reference, said):
    with pytest.raises(UsageError, match=said):
        interleave.find_image(reference, cache)


def test_a_file_that_is_no_image_is_told(cache, tmp_path):
    (tmp_path / "notes.elf").write_text("not an ELF")
    with pytest.raises(UsageError, match="no image of tinybench"):
        interleave.find_image(str(tmp_path / "notes.elf"), cache)
