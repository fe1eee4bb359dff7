"""Comparability first, then one word per metric, with its effect and its reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.compare import Side, answer_of, compare
from tinybench.errors import AccuracyTooLow, DeviceError, MeasurementError, RegressionFound, UsageError
from tinybench.records import METRICS, Failure, Measurement
from tinybench.results.gate import check, parse_fail_on
from tinybench.results.thresholds import Thresholds, parse_thresholds
from tinybench.results.verdict import Question, judge


def side(*runs, label="side", pinned=None):
    return Side(label, tuple(map(answer_of, runs)), pinned or {})


def verdicts(base, new, thresholds=""):
    comparison = compare(
        side(base, label="base"), side(new, label="new"), thresholds=parse_thresholds(thresholds)
    )
    return {verdict.metric: verdict for verdict in comparison.verdicts}


def latency(*samples, kind="measured"):
    return Measurement(metric="latency", kind=kind, unit="s", samples=samples)


def word(base, new, thresholds=""):
    (judgement,) = judge([Question(base, new)], parse_thresholds(thresholds))
    return judgement.word


def test_equal_runs_are_unchanged(make_run):
    found = verdicts(make_run(), make_run())
    assert found.pop("energy").word == "within noise"  # 15 samples that scatter by 1 %
    assert {verdict.word for verdict in found.values()} == {"unchanged"}
    assert all(verdict.effect is not None for verdict in found.values())


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("conditions", "clock_hz", 108_000_000),
        ("conditions", "caches", "none"),
        ("conditions", "core", "cortex-m4"),
        ("conditions", "simulated", True),
        ("conditions", "supply_mv", 1800),
        ("conditions", "protocol", "other"),
        ("conditions", "arena_region", "dtcm"),
        ("conditions", "weights_region", "itcm"),
        ("conditions", "flash_wait_states", 5),
        ("case", "model_sha256", "f" * 64),
        ("case", "inputs_sha256", "f" * 64),
    ],
)
def test_a_difference_in_what_must_be_equal_gives_no_number(make_run, where, field, value):
    base, new = make_run(), make_run(**{where: {field: value}}, samples={"flash": (1,)})
    for verdict in verdicts(base, new).values():
        assert (verdict.word, verdict.effect) == ("incomparable", None)
        assert f"`{field}` differs" in verdict.reason
        assert "%" not in verdict.reason


def test_measured_and_estimated_are_never_compared(make_run):
    found = verdicts(make_run(), make_run(kinds={"latency": "estimated"}))
    assert found["latency"].word == "incomparable"
    assert found["latency"].reason == "`kind` differs: `measured` and `estimated`"
    assert found["flash"].word == "unchanged"


def test_exact_metrics_any_change_is_a_fact(make_run):
    found = verdicts(
        make_run(), make_run(samples={"flash": (333289,), "ram_arena": (82943,), "ram_heap": (8,)})
    )
    assert (found["flash"].word, found["flash"].effect.difference) == ("regressed", 1)
    assert found["flash"].reason == "+1 B (from 333,288 B to 333,289 B)"
    assert found["ram_arena"].word == "improved"
    assert (found["ram_heap"].word, found["ram_heap"].effect.change) == ("regressed", None)


def test_thresholds_in_their_unit(make_run):
    new = make_run(samples={"flash": (333288 + 256,), "ram_peak": (84837,)})
    found = verdicts(make_run(), new, "flash=256B,ram_peak=0B")
    assert found["flash"].word == "unchanged"
    assert "inside the threshold of 256 B" in found["flash"].reason
    assert found["ram_peak"].word == "regressed"
    assert verdicts(make_run(), new, "flash=0.01%")["flash"].word == "regressed"


def test_accuracy_is_better_when_higher(make_run):
    assert verdicts(make_run(), make_run(samples={"accuracy": (0.85,)}))["accuracy"].word == "regressed"
    assert verdicts(make_run(), make_run(samples={"accuracy": (0.87,)}))["accuracy"].word == "improved"


def test_a_fact_about_the_model_that_changed_is_not_called_worse(make_run):
    assert verdicts(make_run(), make_run(samples={"macs": (1,)}))["macs"].word == "incomparable"


def test_exact_counts_are_compared_input_by_input(make_run):
    """The median of the three inputs is the same; one of them got slower."""
    new = make_run(samples={"instructions": (41231007, 41231007, 41231010)})
    found = verdicts(make_run(), new)["instructions"]
    assert (found.word, found.effect.difference) == ("regressed", 3)


def test_constant_samples_neither_fail_nor_alarm():
    constant = latency(*[0.25] * 20)
    assert word(constant, constant) == "unchanged"
    assert word(constant, latency(*[0.26] * 20)) == "regressed"
    assert word(constant, latency(*[0.24] * 20)) == "improved"
    assert word(latency(0.0, 0.0, 0.0), latency(0.0, 0.0, 0.0)) == "unchanged"


def test_one_cycle_in_a_million_is_a_regression_only_if_the_threshold_says_so():
    base, new = latency(*[1.0] * 20), latency(*[1.000001] * 20)
    assert word(base, new) == "unchanged"
    assert word(base, new, "latency=0%") == "regressed"
    assert word(base, new, "latency=0.5us") == "regressed"


def test_one_constant_side_against_a_noisy_one():
    noisy = latency(*np.random.default_rng(0).normal(0.25, 0.001, 20))
    assert word(latency(*[0.25] * 20), noisy) in {"unchanged", "within noise"}
    assert word(latency(*[0.20] * 20), noisy) == "regressed"


def test_samples_that_tie_have_an_interval_all_the_same():
    rng = np.random.default_rng(0)
    base, new = (latency(*(0.25 + 0.001 * rng.integers(0, 3, 12))) for _ in range(2))
    (judgement,) = judge([Question(base, new)], Thresholds())
    assert judgement.metric_class == "noisy"
    assert judgement.effect.low <= judgement.effect.change <= judgement.effect.high


@pytest.mark.parametrize("n", [1, 2, 6])
def test_too_few_samples_are_within_noise_with_the_reason(n):
    base = latency(*(0.25 + 0.001 * i for i in range(n)))
    new = latency(*(0.50 + 0.001 * i for i in range(n)))
    (judgement,) = judge([Question(base, new)], Thresholds())
    assert judgement.word == "within noise"
    assert judgement.reason.startswith(f"only {n} sample")
    assert judgement.effect.low <= judgement.effect.change <= judgement.effect.high


def test_an_estimate_is_a_function_of_counts_and_needs_no_repetition():
    assert word(latency(0.25, kind="estimated"), latency(0.30, kind="estimated")) == "regressed"


def test_a_measured_single_sample_is_never_flagged():
    assert word(latency(0.25), latency(0.30)) == "within noise"


@given(
    samples=st.lists(
        st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=12), min_size=2, max_size=2
    ),
    metric=st.sampled_from(sorted(METRICS)),
    kind=st.sampled_from(["measured", "counted", "estimated"]),
)
def test_no_samples_whatever_break_the_judge(samples, metric, kind):
    base, new = (
        Measurement(metric=metric, kind=kind, unit=METRICS[metric].unit, samples=tuple(s)) for s in samples
    )
    (judgement,) = judge([Question(base, new)], Thresholds())
    assert judgement.reason
    if tuple(base.samples) == tuple(new.samples):
        assert judgement.word in {"unchanged", "within noise"}


def test_new_and_missing(make_run):
    base, new = make_run(only=("flash", "latency")), make_run(only=("flash", "energy"))
    found = verdicts(base, new)
    assert {metric: verdict.word for metric, verdict in found.items()} == {
        "latency": "missing", "energy": "new", "flash": "unchanged",
    }  # fmt: skip


def test_a_failed_run_is_missing_and_apart(make_run):
    failure = Failure(error="LinkTimeout", exit_code=4, message="no answer", hint="replug")
    comparison = compare(side(make_run()), side(make_run(failure=failure)))
    assert {verdict.word for verdict in comparison.verdicts} == {"missing"}
    assert comparison.verdicts[0].reason == "its Run failed: LinkTimeout"
    assert comparison.failures[0].failure == failure
    assert comparison.heading == "12 missing, 1 failed"


def test_engines_are_paired_where_the_filters_pin_them(make_run):
    base = make_run(case={"engine": "reference"})
    new = make_run(case={"engine": "cmsis-nn"}, samples={"flash": (300_000,)})
    comparison = compare(side(base, pinned={"engine": "reference"}), side(new, pinned={"engine": "cmsis-nn"}))
    (flash,) = (verdict for verdict in comparison.verdicts if verdict.metric == "flash")
    assert (flash.word, flash.case.engine) == ("improved", "cmsis-nn")
    assert {v.word for v in compare(side(base), side(new)).verdicts} == {"new", "missing"}


def test_another_board_of_the_same_type_is_said(make_run):
    found = verdicts(make_run(), make_run(provenance={"unit": "OTHER"}))
    assert found["latency"].notes == ("another board of the same type: `066AFF495451717867` and `OTHER`",)


def test_the_heading_answers_and_the_largest_change_is_first(make_run):
    new = make_run(samples={"flash": (400_000,), "ram_peak": (84837,), "ram_arena": (1,)})
    comparison = compare(side(make_run()), side(new))
    assert comparison.heading == "2 regressed, 1 improved, 1 within noise, 8 unchanged"
    assert [verdict.metric for verdict in comparison.of("regressed")] == ["flash", "ram_peak"]


# The gate


def test_thresholds_are_read_or_refused():
    limits = parse_thresholds("latency=3%, flash=256B,ram_peak=0B,energy=5%").by_metric
    assert {name: (limit.value, limit.unit) for name, limit in limits.items()} == {
        "latency": (0.03, "%"), "flash": (256, "B"), "ram_peak": (0, "B"), "energy": (0.05, "%"),
    }  # fmt: skip
    assert parse_thresholds("").by_metric == {}
    for text, message in {
        "latncy=3%": "unknown metric `latncy`",
        "latency": "`latency` is not a threshold",
        "latency=3B": "`latency=3B` must be a percentage or in s",
        "flash=-1B": "is negative",
        "flash=lots": "lots",
    }.items():
        with pytest.raises(UsageError, match=message):
            parse_thresholds(text)


def test_fail_on_is_read_or_refused():
    assert parse_fail_on(["regression,accuracy", "invalid"]) == {"regression", "accuracy", "invalid"}
    with pytest.raises(UsageError, match="unknown reason to fail `regresion`") as error:
        parse_fail_on(["regresion"])
    assert "regression" in error.value.hint
    with pytest.raises(UsageError, match="`none` cannot be combined"):
        parse_fail_on(["none", "any"])


@pytest.mark.parametrize(
    ("fail_on", "new", "raised"),
    [
        ("none", {"samples": {"flash": (400_000,)}}, None),
        ("regression", {"samples": {"flash": (400_000,)}}, RegressionFound),
        ("regression", {"samples": {"flash": (300_000,)}}, None),
        ("any", {"samples": {"flash": (400_000,)}}, RegressionFound),
        ("invalid", {"samples": {"flash": (400_000,)}}, None),
        ("accuracy", {"samples": {"accuracy": (0.1,)}}, AccuracyTooLow),
        ("any", {"samples": {"accuracy": (0.1,)}}, AccuracyTooLow),
        ("any", {"only": ("flash",)}, RegressionFound),
        ("any", {}, None),
    ],
)
def test_the_gate(make_run, fail_on, new, raised):
    comparison = compare(side(make_run()), side(make_run(**new)))
    if raised is None:
        check(comparison, parse_fail_on([fail_on]))
    else:
        with pytest.raises(raised):
            check(comparison, parse_fail_on([fail_on]))


@pytest.mark.parametrize(
    ("fail_on", "code", "raised"),
    [
        ("invalid", 3, MeasurementError),
        ("any", 3, MeasurementError),
        ("accuracy", 5, AccuracyTooLow),
        ("any", 4, DeviceError),
        ("regression", 4, UsageError),
    ],
)
def test_the_gate_on_failures(make_run, fail_on, code, raised):
    failed = make_run(failure=Failure(error="E", exit_code=code, message="what happened"))
    with pytest.raises(raised, match="what happened" if raised is not UsageError else "could be compared"):
        check(compare(side(make_run()), side(failed)), parse_fail_on([fail_on]))


def test_a_gate_that_compared_nothing_has_not_passed(make_run):
    comparison = compare(side(make_run()), side(make_run(conditions={"clock_hz": 1})))
    with pytest.raises(UsageError, match=r"could be compared .*`clock_hz` differs"):
        check(comparison, parse_fail_on(["regression"]))
