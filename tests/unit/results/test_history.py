"""The past teaches how noisy a Case is, and shows when it changed for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tinybench.compare import Side, answer_of, compare
from tinybench.records import Failure
from tinybench.results.history import LONGEST, SHORTEST, history, learnt_noise, noise_of
from tinybench.results.verdict import DEFAULT_NOISE

pytestmark = pytest.mark.needs("python:ruptures")


def nightly(store, make_run, levels, *, spread=0.003, seed=0, **changes):
    """A Run per night whose latency scatters around the night's level."""
    rng = np.random.default_rng(seed)
    runs = []
    for night, level in enumerate(levels):
        samples = tuple(float(x) for x in rng.normal(level, level * spread, 15))
        started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=night)
        run = make_run(
            samples={"latency": samples}, only=("latency", "flash"),
            **{**changes, "provenance": {"started": started, **changes.get("provenance", {})}},
        )  # fmt: skip
        store.append(run)
        runs.append(run)
    return runs


def side(run):
    return Side("side", (answer_of(run),))


def test_a_step_is_found_where_it_happened(store, make_run):
    runs = nightly(store, make_run, [0.250] * 30 + [0.258] * 30)
    flash, latency = sorted(history(store.read().runs), key=lambda series: series.metric)
    (change,) = latency.change_points
    assert abs(change.position - 30) <= 1
    assert change.run_id == runs[change.position].run_id
    assert change.change == pytest.approx(0.032, abs=0.003)
    assert flash.change_points == ()
    assert len(latency.medians) == 60


@pytest.mark.parametrize("seed", range(10))
def test_a_level_line_has_no_change_points(store, make_run, seed):
    nightly(store, make_run, [0.25] * 60, seed=seed)
    (latency,) = history(store.read().runs, metrics=["latency"])
    assert latency.change_points == ()


def test_constant_and_zero_lines(store, make_run):
    for _ in range(12):
        store.append(make_run(samples={"ram_heap": (0,), "latency": (0.25,) * 5}))
    series = {found.metric: found for found in history(store.read().runs)}
    assert all(found.change_points == () for name, found in series.items() if name != "energy")
    store.append(make_run(samples={"ram_heap": (64,)}))
    store.append(make_run(samples={"ram_heap": (64,)}))
    (heap,) = history(store.read().runs, metrics=["ram_heap"])
    assert [(point.position, point.before, point.after) for point in heap.change_points] == [(12, 0, 64)]
    assert heap.change_points[0].change is None


def test_boards_and_conditions_are_apart(store, make_run):
    nightly(store, make_run, [0.25] * 3)
    nightly(store, make_run, [0.25] * 4, provenance={"unit": "B"})
    nightly(store, make_run, [0.50] * 5, conditions={"clock_hz": 108_000_000})
    found = history(store.read().runs, metrics=["latency"])
    assert sorted(len(series.medians) for series in found) == [3, 4, 5]


def test_noise_is_learnt_per_board_from_its_own_past(store, make_run):
    quiet = nightly(store, make_run, [0.25] * 40, spread=0.001)
    rng = np.random.default_rng(1)
    loud = nightly(store, make_run, rng.normal(0.25, 0.01, 40), provenance={"unit": "LOUD"})
    young = nightly(store, make_run, [0.25] * (SHORTEST - 1), provenance={"unit": "YOUNG"})
    runs = store.read().runs
    sides = [side(runs_of[-1]) for runs_of in (quiet, loud, young)]
    noise_for = learnt_noise(runs, *sides)
    noises = [noise_for(found.answers[0], "latency") for found in sides]
    assert noises[0].relative < DEFAULT_NOISE / 2
    assert noises[0].source == f"learnt from {LONGEST} Runs of board 066AFF495451717867"
    assert 0.06 < noises[1].relative < 0.3
    assert noises[2].relative == DEFAULT_NOISE
    assert "default" in noises[2].source


def test_one_real_change_does_not_pass_for_noise(make_run):
    rng = np.random.default_rng(2)
    medians = rng.normal(0.25, 0.0005, SHORTEST)
    medians[5:] *= 1.05
    assert noise_of(medians, None).relative < 0.02


def test_a_recorded_history_with_a_real_regression_in_it(store, make_run):
    """90 nights with drift from night to night and a lasting +2 % at night 60: only that night is flagged."""
    rng = np.random.default_rng(4)
    drift = 1 + 0.0005 * rng.standard_normal(90)
    levels = 0.25 * drift * np.where(np.arange(90) >= 60, 1.02, 1.0)
    nights = nightly(store, make_run, levels)
    runs = store.read().runs
    flagged = []
    for night in range(1, 90):
        base, new = side(nights[night - 1]), side(nights[night])
        seen = runs.where(lambda entry, until=nights[night].provenance.started: entry.started <= until)
        comparison = compare(base, new, noise=learnt_noise(seen, base, new))
        flagged += [(night, verdict.word) for verdict in comparison.of("regressed", "improved")]
    assert flagged == [(60, "regressed")]
    (latency,) = history(runs, metrics=["latency"])
    assert [point.position for point in latency.change_points] == [60]


def test_failed_runs_have_no_history(store, make_run):
    store.append(make_run(failure=Failure(error="E", exit_code=4, message="m")))
    assert history(store.read().runs) == []
