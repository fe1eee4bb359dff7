"""Made workloads from the command line: listed, run without any download, labelled, put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command

PAIR = ("run", "--suite", "wearable", "--device", "nucleo-l4r5zi", "--simulate")


def test_workloads_and_pipelines_are_listed(tinybench: Command) -> None:
    rows = {row["name"]: row for row in tinybench("list", "workloads", "--json").json["items"]}
    assert rows["unet"]["weights"] == "synthetic"
    assert rows["digits"]["weights"] == rows["vww01"]["weights"] == "trained"
    (pipeline, *_) = tinybench("list", "pipelines", "--json").json["items"]
    assert pipeline["workloads"] == "wearable-activity, wearable-stress"


@pytest.mark.needs("python:unicorn")
def test_a_pair_is_run_labelled_reported_and_put_together(tinybench: Command, tmp_path: Path) -> None:
    said = tinybench(*PAIR)
    assert said.code == 0, said.err
    assert said.out.count("(synthetic weights)") == 2
    run = tinybench("show").json
    assert run["provenance"]["weights"] == "synthetic"
    assert [check["equal"] for check in run["golden"]] == [True] * 3

    document = tinybench("pipeline", "wearable", "--json").json
    (found,) = document["pipelines"]
    assert found["inferences"] == [2812.5, 2250.0]
    (counted,) = (item for item in found["added"] if item["metric"] == "instructions")
    assert counted["per_hour"] > 2812 * 100_000
    assert {item["metric"] for item in found["memory"]} == {"flash", "ram_peak"}
    shown = tinybench("pipeline", "wearable")
    assert "Synthetic weights: speed and memory only." in shown.err
    assert "2,812 inferences of `wearable-activity` and 2,250 of `wearable-stress`" in shown.err

    assert tinybench("report", "-o", "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    assert "Synthetic weights are good for speed and memory only: their answers mean nothing." in page
    assert "synthetic weights" in page
