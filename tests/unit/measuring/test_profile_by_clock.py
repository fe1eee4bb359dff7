"""Profiles without counts by edge: a device's own clock around operators, a simulator's plain counts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tinybench.bench import Bench
from tinybench.errors import MeasurementError, UsageError
from tinybench.profile import flame
from tinybench.profile.taking import take

LAYERS = (("FULLY_CONNECTED", 70_000), ("SOFTMAX", 35_000))  # of 1.1 ms at 100 MHz: 110,000 cycles


class VirtualTime:
    """The clock of whatever device was opened last, going on from the one before."""

    def __init__(self):
        self.before_s, self.link = 0.0, None

    def watch(self, link):
        self.before_s, self.link = self(), link
        return link

    def __call__(self):
        return self.before_s + (self.link.clock() if self.link else 0.0)


def profiled(desk, make, *, simulated=False, operators=None):
    clock = VirtualTime()
    case = desk.case(lambda _, image: clock.watch(make(image)), simulated=simulated)
    started = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())

    def build(workload, engine, target, kind):
        image = desk.image(kind)
        return image if operators is None else replace(image, operators=operators)

    return take(case, Bench(build=build, store=[], clock=clock, now=lambda: next(started)), loops=3)


def test_a_boards_clock_tells_operators_apart_and_the_rest_ran_between_them(desk):
    profile = profiled(desk, lambda image: desk.firmware(image.kind, layers=LAYERS))
    first, second, between = profile.operators
    assert (first.cycles, second.cycles) == (70_000, 35_000)
    assert between.index is None
    assert profile.whole.kind == "measured"
    assert sum(o.cycles for o in profile.operators) == pytest.approx(profile.whole.cycles)
    assert profile.whole.cycles == pytest.approx(110_000, rel=0.01)
    assert profile.whole.probe_effect == pytest.approx(0.1, abs=0.01)
    assert first.macs_per_cycle == 16 / 70_000
    assert (profile.whole.instructions, profile.functions, profile.loops) == (None, (), ())
    (document,) = flame.speedscope([profile])["profiles"]
    assert document["weights"][:2] == [70_000, 35_000]
    assert flame.folded([profile]).splitlines()[0] == "000 FULLY_CONNECTED 70000"


def test_operators_that_take_longer_than_the_whole_are_not_believed(desk):
    with pytest.raises(MeasurementError, match="of the inference that they are parts of"):
        profiled(desk, lambda image: desk.firmware(image.kind, layers=(("A", 70_000), ("B", 45_000))))


def test_a_simulator_without_edges_still_tells_operators_and_functions(desk):
    profile = profiled(desk, lambda image: desk.simulator(image.kind), simulated=True)
    assert [o.instructions for o in profile.operators] == [500, 500, 0]
    assert [(f.name, f.instructions) for f in profile.functions] == [("tb_engine_invoke", 1000)]
    assert profile.whole.cycles is None
    assert profile.whole.probe_effect == pytest.approx(0.1)
    assert [note for note in profile.notes if "does not count by edge" in note]
    document = flame.speedscope([profile])
    assert [p["name"].rpartition(": ")[2] for p in document["profiles"]] == ["instructions"]


def test_a_board_cannot_time_what_an_engine_runs_in_one_function(desk):
    with pytest.raises(UsageError, match="runs a model inside one function"):
        profiled(desk, lambda image: desk.firmware(image.kind), operators=())
