"""Two models and a rule, put together from Runs: what is added up, and what is refused or left unsaid."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tinybench.errors import UsageError
from tinybench.pipelines import Pipeline, per_hour
from tinybench.plugins import discover

CATALOGUE = discover()
PROFILE = {"title": "An hour", "minutes": {"still": 45, "walking": 15}}
SPEC = {
    "name": "pair",
    "title": "two",
    "first": "one",
    "second": "other",
    "window_s": 2.0,
    "trigger": ["still"],
    "profile": PROFILE,
}
PAIR = Pipeline.model_validate(SPEC)


def both(make_run, *, provenance=None, conditions=None, other=None):
    """A Run of each model: 10 ms and 4 ms, a million instructions and a hundred thousand."""
    shared = {"provenance": provenance, "conditions": conditions}
    first = {"latency": (0.010,) * 3, "instructions": (1_000_000,), "flash": (50_000,), "ram_peak": (9_000,)}
    second = {"latency": (0.004, 0.004, 0.4), "instructions": (100_000,), "flash": (20_000,)}
    return [
        make_run(case={"workload": "one"}, samples=first, **shared),
        make_run(
            case={"workload": "other"},
            samples={**second, "ram_peak": (5_000,)},
            **{**shared, **(other or {})},
        ),
    ]


def test_inferences_follow_from_window_and_profile():
    assert PAIR.inferences_per_hour() == (1800, 1350)
    more = {**SPEC, "trigger": ["still", "walking"]}
    assert Pipeline.model_validate(more).inferences_per_hour() == (1800, 1800)


def test_what_both_need_is_added_up_by_how_often_they_run(make_run):
    first, second = both(make_run)
    (found,) = per_hour(PAIR, [first, second])
    assert found.runs == (first.run_id, second.run_id)
    busy = found.of("latency")
    assert busy is not None
    assert (busy.kind, busy.unit, busy.error) == ("measured", "s", None)
    assert busy.per_hour == pytest.approx(1800 * 0.010 + 1350 * 0.004), "of the median, not the mean"
    assert found.longest_window_s == pytest.approx(0.014)
    instructions = found.of("instructions")
    assert instructions is None or instructions.per_hour == 1800 * 1_000_000 + 1350 * 100_000
    memory = {item.metric: (item.at_least, item.at_most) for item in found.memory}
    assert memory == {"flash": (50_000, 70_000), "ram_peak": (9_000, 14_000)}


def test_what_is_not_known_of_both_is_not_said(make_run):
    first, second = both(make_run)
    bare = second.model_copy(
        update={"measurements": tuple(m for m in second.measurements if m.metric == "flash")}
    )
    (found,) = per_hour(PAIR, [first, bare])
    assert found.added == ()
    assert found.longest_window_s is None
    assert [item.metric for item in found.memory] == ["flash"]


def test_a_measured_and_an_estimated_time_are_never_added(make_run):
    first, second = both(make_run)
    estimated = second.model_copy(
        update={
            "measurements": tuple(
                m.model_copy(update={"kind": "estimated"}) if m.metric == "latency" else m
                for m in second.measurements
            )
        }
    )
    (found,) = per_hour(PAIR, [first, estimated])
    assert found.of("latency") is None


def test_the_larger_error_of_two_estimates_counts(make_run):
    def estimated(run, error):
        return run.model_copy(
            update={
                "measurements": tuple(
                    m.model_copy(update={"kind": "estimated", "error": error}) if m.metric == "latency" else m
                    for m in run.measurements
                )
            }
        )

    first, second = both(make_run)
    (found,) = per_hour(PAIR, [estimated(first, 0.05), estimated(second, 0.08)])
    busy = found.of("latency")
    assert busy is not None
    assert (busy.kind, busy.error) == ("estimated", 0.08)


def test_a_rehearsed_time_is_of_no_board(make_run):
    (found,) = per_hour(PAIR, both(make_run, conditions={"simulated": True}))
    assert found.of("latency") is None


@pytest.mark.parametrize(
    "other",
    [
        {"provenance": {"device": "probe:elsewhere"}},
        {"conditions": {"clock_hz": 1_000_000}},
    ],
)
def test_runs_of_another_board_or_clock_are_not_put_together(make_run, other):
    with pytest.raises(UsageError, match="no device has Runs of both `one` and `other`") as raised:
        per_hour(PAIR, both(make_run, other=other))
    assert raised.value.hint == "tinybench run --workload one,other --device NAME"


def test_the_newest_runs_count(make_run):
    old, new = both(make_run), both(make_run)
    (found,) = per_hour(PAIR, [*new, *old])
    assert found.runs == (new[0].run_id, new[1].run_id)


def test_synthetic_weights_are_told(make_run):
    first, second = both(make_run, other={"provenance": {"weights": "synthetic"}})
    (found,) = per_hour(PAIR, [first, second])
    assert found.synthetic


@pytest.mark.parametrize("minutes", [{"still": 59.0}, {"still": 61.0}, {"still": 70.0, "walking": -10.0}, {}])
def test_an_hour_has_sixty_minutes(minutes):
    with pytest.raises(ValidationError):
        Pipeline.model_validate({**SPEC, "profile": {"title": "An hour", "minutes": minutes}})


def test_labels_that_the_first_model_never_gives_are_refused():
    PAIR.check_labels(["still", "walking", "running"])
    with pytest.raises(UsageError, match="names `walking`, which `one` never answers"):
        PAIR.check_labels(["still"])


@pytest.mark.parametrize("name", sorted(CATALOGUE.pipelines))
def test_our_pipelines_name_workloads_and_labels_that_there_are(name):
    pipeline = CATALOGUE.pipeline(name)
    pipeline.check_labels(CATALOGUE.workload(pipeline.first).labels)
    assert CATALOGUE.workload(pipeline.second)


def test_an_unknown_pipeline_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="unknown pipeline `wearables`") as raised:
        CATALOGUE.pipeline("wearables")
    assert "`wearable`" in str(raised.value.hint)
