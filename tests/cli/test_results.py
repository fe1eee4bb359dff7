"""The commands that read what was recorded: compare and its gate, baseline, history, export."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .conftest import Command

RUN = ("run", "--workload", "kws01-mltk", "--device", "nucleo-f746", "--simulate", "--quiet")
pytestmark = pytest.mark.needs("python:unicorn")


@pytest.fixture
def two_runs(tinybench: Command, tmp_path: Path) -> Path:
    """A store with a run and its copy of the next night, in which flash grew by 100 bytes."""
    assert tinybench(*RUN).code == 0
    (file,) = (tmp_path / "results").glob("*.jsonl")
    later = json.loads(file.read_text())
    later["run_id"] = later["run_id"].replace(later["run_id"][:4], "2099")
    later["provenance"]["started"] = "2099-01-01T00:00:00Z"
    for measurement in later["measurements"]:
        if measurement["metric"] == "flash":
            measurement["samples"] = [measurement["samples"][0] + 100]
    with file.open("a") as store:
        store.write(json.dumps(later) + "\n")
    return file


def test_a_change_is_a_verdict_and_the_gate_has_its_exit_code(
    tinybench: Command, two_runs: Path, tmp_path: Path
) -> None:
    said = tinybench("compare", "previous", "latest", "--fail-on", "regression", "--junit", "verdicts.xml")
    assert said.code == 1, said.err
    heading, _, row = said.out.splitlines()[:3]
    assert heading.startswith("1 regressed")
    assert row.split()[0] == "regressed"
    assert "+100 B" in row
    assert ET.parse(tmp_path / "verdicts.xml").getroot().tag in ("testsuites", "testsuite")
    allowed = tinybench(
        "compare", "previous", "latest", "--fail-on", "regression", "--threshold", "flash=128B", "--json"
    )
    assert allowed.code == 0, allowed.err
    assert {v["word"] for v in allowed.json["verdicts"]} <= {"unchanged", "within noise"}


def test_a_report_of_two_sides_has_the_verdict_for_a_heading(
    tinybench: Command, two_runs: Path, tmp_path: Path
) -> None:
    said = tinybench("report", "previous", "latest", "-o", "r.html")
    assert said.code == 0, said.err
    assert "1 regressed" in said.err
    assert "1 regressed" in (tmp_path / "r.html").read_text().split("</h1>")[0]


def test_in_a_github_workflow_the_summary_and_annotations_are_written(
    tinybench: Command, two_runs: Path, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    said = tinybench("compare", "previous", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert said.code == 0
    assert "::error" in said.err
    assert "regressed" in summary.read_text()


def test_a_baseline_is_set_listed_shown_and_compared_with(
    tinybench: Command, two_runs: Path, tmp_path: Path
) -> None:
    first = json.loads(two_runs.read_text().splitlines()[0])["run_id"]
    said = tinybench("baseline", "set", "good", first, "--note", "before the kernels grew")
    assert Path(tmp_path / said.out.strip()).is_file()
    assert tinybench("baseline", "list").out == "good\n"
    assert "before the kernels grew" in tinybench("baseline", "show", "good").out
    assert tinybench("compare", "good", "--fail-on", "any").code == 1
    assert tinybench("compare", "goood").err.splitlines()[-1] == "hint: did you mean `good`?"


def test_history_and_exports_hold_every_run(tinybench: Command, two_runs: Path) -> None:
    series = tinybench("history", "-m", "flash", "--json").json["series"]
    assert [len(one["medians"]) for one in series] == [2]
    rows = tinybench("export", "csv").out.splitlines()
    assert len({row.split(",")[0] for row in rows[1:]}) == 2
    assert tinybench("export", "cvs").err.splitlines()[-1] == "hint: did you mean `csv`?"


@pytest.mark.parametrize(
    "words", [("baseline", "set"), ("baseline", "drop", "x"), ("compare", "latest", "--fail-on", "regresion")]
)
def test_a_wrong_word_is_told_the_right_one(
    tinybench: Command, two_runs: Path, words: tuple[str, ...]
) -> None:
    said = tinybench(*words)
    assert said.code == 2
    assert "hint:" in said.err
