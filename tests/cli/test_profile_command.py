"""`tinybench profile`: where an inference spends its time, from a real image on a virtual board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command

KWS = ("profile", "--workload", "kws01-mltk", "--device", "nucleo-l4r5zi", "--simulate", "--quiet")


def profiled(tinybench: Command, *more: str) -> Any:
    """The one profile of a command."""
    said = tinybench(*KWS, "--json", *more)
    assert said.code == 0, said.err
    (profile,) = said.json["profiles"]
    return profile


def test_operators_functions_and_loops_are_parts_of_one_whole(tinybench: Command) -> None:
    profile = profiled(tinybench)
    whole = profile["whole"]
    for parts in (profile["operators"], profile["functions"]):
        assert sum(part["instructions"] for part in parts) == whole["instructions"]
        assert sum(part["cycles"] for part in parts) == pytest.approx(whole["cycles"], rel=1e-9)
    assert sum(whole["reasons"].values()) == pytest.approx(whole["cycles"], rel=1e-9)
    assert abs(whole["sum_error"]) < 0.005
    assert whole["kind"] == "estimated"
    assert whole["error"] > 0
    for operator in profile["operators"]:
        assert sum(operator["reasons"].values()) == pytest.approx(operator["cycles"], rel=1e-9)
        if operator["of_roof"] is not None:
            assert 0 < operator["of_roof"] < 1
    for loop in profile["loops"]:
        assert sum(line["runs"] for line in loop["lines"]) == loop["instructions"]
        assert all(line["text"] and loop["start"] <= line["address"] < loop["end"] for line in loop["lines"])
    assert "mla" in " ".join(line["text"] for line in profile["loops"][0]["lines"])


def test_a_run_records_the_same_operators(tinybench: Command) -> None:
    said = tinybench("run", *KWS[1:], "--json")
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    operators = [operator for operator in profiled(tinybench)["operators"] if operator["index"] is not None]
    assert [o["instructions"] for o in run["operators"]] == [o["instructions"] for o in operators]
    assert [o["estimated_cycles"] for o in run["operators"]] == [
        pytest.approx(operator["cycles"], abs=1) for operator in operators
    ]


def test_the_markers_of_the_instrumented_image_agree_with_the_clean_one(tinybench: Command) -> None:
    profile = profiled(tinybench)
    assert 0 < profile["whole"]["probe_effect"] < 0.001
    assert profile["build_id"] != profile["instrumented_build_id"]
    named = [operator for operator in profile["operators"] if operator["index"] is not None]
    for operator in named:
        # What lies between the two readings of the clock: a call and the marker's own few instructions.
        assert 0 < operator["instrumented"] - operator["instructions"] < 50


def test_the_same_question_twice_gives_the_same_bytes(tinybench: Command, tmp_path: Path) -> None:
    outputs = []
    for name in ("first", "second"):
        files = ("--speedscope", str(tmp_path / f"{name}.json"), "--folded", str(tmp_path / f"{name}.txt"))
        said = tinybench(*KWS, "--json", *files)
        assert said.code == 0, said.err
        written = [(tmp_path / f"{name}{suffix}").read_bytes() for suffix in (".json", ".txt")]
        outputs.append((said.out, *written))
    assert outputs[0] == outputs[1]


def test_flame_graphs_are_what_speedscope_reads_and_sum_to_the_whole(
    tinybench: Command, tmp_path: Path
) -> None:
    scope, stacks = tmp_path / "kws.speedscope.json", tmp_path / "kws.folded"
    whole = profiled(tinybench, "--speedscope", str(scope), "--folded", str(stacks))["whole"]
    document = json.loads(scope.read_text())
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert all(set(frame) == {"name"} for frame in frames)
    for profile in document["profiles"]:
        assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
        assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "none", 0)
        assert len(profile["samples"]) == len(profile["weights"])
        assert sum(profile["weights"]) == profile["endValue"]
        assert all(0 <= frame < len(frames) for stack in profile["samples"] for frame in stack)
    by_name = {profile["name"].rpartition(": ")[2]: profile for profile in document["profiles"]}
    assert by_name["instructions"]["endValue"] == whole["instructions"]
    assert by_name["cycles"]["endValue"] == pytest.approx(whole["cycles"], rel=1e-4)
    lines = [line.rpartition(" ") for line in stacks.read_text().splitlines()]
    assert sum(int(weight) for _, _, weight in lines) == by_name["cycles"]["endValue"]
    assert lines[0][0].split(";")[0] == "000 CONV_2D"


def test_it_says_it_in_words(tinybench: Command) -> None:
    said = tinybench(*KWS)
    assert said.code == 0, said.err
    for words in (
        "estimated, ±",
        "probe effect",
        "MACs/cycle",
        "roof: 2 MACs a cycle",
        "waits for",
        "flash data",
    ):
        assert words in said.out, words


@pytest.mark.needs("python:emx_onnx_cgen")
def test_an_engine_whose_operators_cannot_be_told_apart_says_so(tinybench: Command) -> None:
    said = tinybench("profile", "--workload", "kws01-mltk", "--cut", "softmax", "--engine", "emx",
                     "--device", "nucleo-l4r5zi", "--simulate", "--quiet", "--json")  # fmt: skip
    assert said.code == 0, said.err
    (profile,) = said.json["profiles"]
    assert any("cannot be told apart" in note for note in profile["notes"])
    assert len(profile["operators"]) == 1
    assert profile["functions"][0]["instructions"] > 0


def test_nothing_to_profile_is_refused(tinybench: Command) -> None:
    said = tinybench(*KWS, "--engine", "emlearn")
    assert said.code == 2
    assert "hint:" in said.err
