"""What ran on a virtual desk is marked in the record, and no number of its clock passes for a board's."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

import pandas as pd
import pytest
from pydantic import ValidationError

from tinybench.compare import REHEARSED, Side, answer_of, compare
from tinybench.errors import RegressionFound, UsageError
from tinybench.export import render
from tinybench.records import Run
from tinybench.results.baseline import baseline_of
from tinybench.results.gate import check
from tinybench.results.history import history, learnt_noise

VIRTUAL = {"simulated": True}


@pytest.fixture
def rehearsed(make_run):
    """A Run of a unit of the virtual desk; another test's words may be added."""

    def made(**more):
        return make_run(conditions=VIRTUAL, provenance={"unit": "066FVIRTUALF746000000001", **more})

    return made


def side(*runs):
    return Side("side", tuple(map(answer_of, runs)))


def stored(store, *runs):
    for run in runs:
        store.append(run)
    return store.read().runs


def test_a_record_refuses_what_was_measured_on_a_virtual_device(make_run):
    run = make_run().model_dump(mode="json")
    run["conditions"]["simulated"] = True
    with pytest.raises(ValidationError, match=r"`latency` of a virtual device cannot be `measured`"):
        Run.model_validate(run)


def test_the_fixture_holds_what_is_at_stake(rehearsed):
    assert {m.kind for m in rehearsed().measurements if m.metric in ("latency", "energy")} == {"rehearsed"}


def test_it_is_not_compared_with_itself_however_much_it_changed(make_run, rehearsed):
    slower = make_run(conditions=VIRTUAL, samples={"latency": (9.0,) * 15})
    found = {v.metric: v for v in compare(side(rehearsed()), side(slower)).verdicts}
    assert (found["latency"].word, found["latency"].reason) == ("incomparable", REHEARSED)
    assert found["latency"].effect is None
    assert found["flash"].word == "unchanged"


@pytest.mark.parametrize("swapped", [False, True])
def test_it_is_not_compared_with_a_board(make_run, rehearsed, swapped):
    sides = [side(make_run()), side(rehearsed())]
    comparison = compare(*reversed(sides) if swapped else sides)
    assert {verdict.word for verdict in comparison.verdicts} == {"incomparable"}
    assert all("`simulated` differs" in verdict.reason for verdict in comparison.verdicts)


def test_a_gate_for_anything_does_not_pass_it(rehearsed):
    comparison = compare(side(rehearsed()), side(rehearsed()))
    check(comparison, {"regression"})
    with pytest.raises(RegressionFound, match="rehearsed"):
        check(comparison, {"any"})


def test_a_baseline_keeps_its_bytes_and_not_its_times(make_run, rehearsed):
    (entry,) = baseline_of("desk", side(rehearsed())).entries
    kinds = {m.metric: m.kind for m in entry.measurements}
    assert kinds["flash"] == "counted"
    assert "rehearsed" not in kinds.values()
    with pytest.raises(UsageError, match="has no numbers"):
        baseline_of("desk", side(make_run(conditions=VIRTUAL, only=("latency", "energy"))))


def test_it_has_no_history_and_teaches_no_noise(rehearsed, store):
    first = rehearsed()
    runs = [first, *(rehearsed(started=first.provenance.started + timedelta(days=n)) for n in range(1, 14))]
    kept = stored(store, *runs)
    series = history(kept, change_points=False)
    assert {one.kind for one in series} == {"counted"} | {m.kind for m in first.measurements} - {"rehearsed"}
    noise = learnt_noise(kept, side(runs[-1]))
    assert "default" in noise(answer_of(runs[-1]), "latency").source


@pytest.mark.parametrize("format_", ["openmetrics", "bencher", "github-benchmark"])
def test_no_dashboard_gets_its_times(make_run, rehearsed, store, format_):
    kept = stored(store, rehearsed())
    text = render(format_, kept).decode()
    assert "flash" in text
    assert "latency" not in text
    assert "energy" not in text
    assert b"latency" in render(format_, stored(store, make_run(case={"engine": "on-a-board"})))


def test_there_is_nothing_to_submit(rehearsed, store):
    with zipfile.ZipFile(io.BytesIO(render("mlperf", stored(store, rehearsed())))) as file:
        assert file.namelist() == []


def test_tables_of_samples_say_what_it_is(rehearsed, store):
    kept = stored(store, rehearsed())
    frame = pd.read_csv(io.BytesIO(render("csv", kept)))
    assert set(frame.loc[frame.metric == "latency", "kind"]) == {"rehearsed"}
    assert set(frame.simulated) == {True}
    row = next(line for line in render("markdown", kept).decode().splitlines() if "Latency" in line)
    assert row.endswith("rehearsed |")


def test_json_shows_the_mark(rehearsed):
    shown = json.loads(rehearsed().model_dump_json())
    assert shown["conditions"]["simulated"] is True
    assert "VIRTUAL" in shown["provenance"]["unit"]
