"""Neither cries wolf nor sleeps: thousands of comparisons whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tinybench.records import Measurement
from tinybench.results.thresholds import Thresholds
from tinybench.results.verdict import Noise, Question, judge

FLAGGED = {"improved", "regressed"}


def latency(samples) -> Measurement:
    return Measurement(metric="latency", kind="measured", unit="s", samples=tuple(float(x) for x in samples))


def normal(rng, n):
    return rng.normal(0.25, 0.25 * 0.003, n)


def heavy_tailed(rng, n):
    """Student's t with two degrees of freedom: now and then an interrupt, or a cache gone cold."""
    return 0.25 * (1 + 0.003 * np.abs(rng.standard_t(2, n)))


def bimodal(rng, n):
    """Two alignments of a buffer, 3 % apart; which one is as good as a coin toss."""
    return 0.25 * (1 + 0.03 * (rng.random(n) < 0.5) + rng.normal(0, 0.001, n))


def drifting(rng, n):
    """A board that warms up by 0.5 % along the run, from a start that differs by as much."""
    return 0.25 * (1 + rng.uniform(0, 0.005) + np.linspace(0, 0.005, n) + rng.normal(0, 0.002, n))


def very_noisy(rng, n):
    return rng.normal(0.25, 0.25 * 0.05, n)


NULL = [normal, heavy_tailed, bimodal, drifting, very_noisy]


@pytest.mark.parametrize("distribution", NULL, ids=lambda f: f.__name__)
def test_null_comparisons_raise_at_most_one_false_alarm_in_a_hundred(distribution):
    """2,000 of each of five distributions: 10,000 in all, with n from the least allowed upwards."""
    rng = np.random.default_rng(1)
    sizes = np.repeat([7, 9, 15, 20], 500)
    questions = [Question(latency(distribution(rng, n)), latency(distribution(rng, n))) for n in sizes]
    judged = judge(questions, Thresholds())
    alarms = sum(judgement.word in FLAGGED for judgement in judged)
    assert alarms <= len(judged) // 100


@pytest.mark.parametrize("n", [7, 9, 15, 30])
def test_two_per_cent_at_a_noise_of_0_3_per_cent_is_found(n):
    rng = np.random.default_rng(2)
    questions = [Question(latency(normal(rng, n)), latency(1.02 * normal(rng, n))) for _ in range(1000)]
    judged = judge(questions, Thresholds())
    found = sum(judgement.word == "regressed" for judgement in judged)
    assert found >= 0.99 * len(judged)
    assert not any(judgement.word == "improved" for judgement in judged)


def test_a_case_known_to_be_noisy_is_believed_less_and_a_quiet_one_more():
    rng = np.random.default_rng(3)
    base, new = latency(normal(rng, 30)), latency(1.007 * normal(rng, 30))
    words = [
        judge([Question(base, new, Noise(relative, "learnt"))], Thresholds())[0].word
        for relative in (0.002, 0.01, 0.05)
    ]
    assert words == ["regressed", "within noise", "within noise"]
