"""Stores that nobody wants to meet: a clear message or correct escaping, and never a traceback."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .conftest import Command, Said

STORED = Path(__file__).parents[1] / "data" / "runs-v1.jsonl"
SCRIPT = "<script>alert(1)</script>"
LARGE = 10_000_000
READERS = [("show",), ("compare", "previous"), ("report", "-o", "report.html"), ("export", "csv")]
readers = pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])


def lines(path: Path, *runs: dict) -> None:
    folder = path / "results"
    folder.mkdir(exist_ok=True)
    with (folder / "runs-2026-03.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(run) + "\n" for run in runs)


def stored(number: int = 0, **changes: object) -> dict:
    """The Run that every version must read, `number` days later under another id."""
    run = json.loads(STORED.read_text(encoding="utf-8").splitlines()[0])
    run["run_id"] = f"{run['run_id'][:-3]}{number:03}"
    run["provenance"]["started"] = f"2026-03-{number + 1:02}T02:00:00Z"
    return {**run, **changes}


def failed(number: int = 0, message: str = "no answer came", hint: str | None = None) -> dict:
    failure = {"error": "LinkTimeout", "exit_code": 4, "message": message, "hint": hint, "details": []}
    return stored(number, failure=failure, measurements=[], golden=[], operators=[], functions=[])


def tidy(said: Said) -> Said:
    """No traceback and no report of a bug, whatever else was said."""
    assert "Traceback" not in said.err, said.err[-2000:]
    assert said.code != 70
    return said


@readers
def test_a_store_from_a_newer_version_says_which_version_reads_it(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    newer = stored(schema_version=99, something_new=[1, 2])
    newer["provenance"]["tinybench"] = "99.1.0"
    lines(tmp_path, stored(), newer)
    said = tidy(tinybench(*words))
    assert said.code == 7
    assert "99.1.0" in said.err
    assert "hint:" in said.err
    assert said.out == ""


@readers
def test_an_empty_store_says_how_to_fill_it(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs-2026-03.jsonl").touch()
    said = tidy(tinybench(*words))
    assert said.code == 2
    assert "there are no runs" in said.err
    assert "hint: tinybench run" in said.err


@readers
def test_runs_with_only_failures_are_told_as_such(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    lines(tmp_path, failed(0), failed(1))
    said = tidy(tinybench(*words))
    assert said.code == 0, said.err
    if words[0] == "show":
        assert said.json["failure"]["error"] == "LinkTimeout"
    elif words[0] == "compare":
        assert said.out.startswith("1 failed")
    elif words[0] == "report":
        assert "no answer came" in (tmp_path / "report.html").read_text(encoding="utf-8")
    else:
        assert len(said.out.splitlines()) == 1


def test_a_gate_over_failures_only_does_not_pass(tinybench: Command, tmp_path: Path) -> None:
    lines(tmp_path, failed(0), failed(1))
    assert tidy(tinybench("compare", "previous", "--fail-on", "regression")).code == 2
    assert tidy(tinybench("compare", "previous", "--fail-on", "any")).code == 4


@readers
def test_mixed_units_are_refused_by_name(tinybench: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    other = stored(1)
    for measurement in other["measurements"]:
        measurement["unit"] = "ms" if measurement["unit"] == "s" else f"k{measurement['unit']}"
    lines(tmp_path, stored(0), other)
    said = tidy(tinybench(*words))
    assert said.code == 7
    assert "`runs-2026-03.jsonl` has" in said.err
    assert "but the unit of" in said.err
    assert said.out == ""


@readers
def test_names_with_markup_are_data(tinybench: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    hostile = stored(0)
    hostile["case"]["engine"] = SCRIPT
    hostile["case"]["workload"] = f'"{SCRIPT}",=1+1'
    hostile["case"]["options"] = {SCRIPT: "`<img src=x onerror=alert(2)>`"}
    hostile["provenance"]["device"] = SCRIPT
    again = json.loads(json.dumps(hostile))
    again["run_id"], again["provenance"]["started"] = stored(1)["run_id"], "2026-03-02T02:00:00Z"
    broken = failed(2, message=f"{SCRIPT}\n::error::]]>&\u0000", hint=SCRIPT)
    lines(tmp_path, hostile, again, broken)
    said = tidy(tinybench(*words))
    assert said.code == 0, said.err
    if words[0] == "report":
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert SCRIPT not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page
    elif words[0] == "export":
        rows = list(csv.DictReader(io.StringIO(said.out)))
        assert {row["engine"] for row in rows} == {SCRIPT}
    elif words[0] == "show":
        assert said.json["run_id"] == broken["run_id"]


@readers
def test_ten_megabytes_of_failure_are_read_and_told(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    chatter = failed(2, message="x" * LARGE)
    chatter["failure"]["details"] = ["<b>" * (LARGE // 3)]
    chatter["provenance"]["notes"] = ["y" * LARGE]
    lines(tmp_path, stored(0), stored(1), chatter)
    said = tidy(tinybench(*words))
    assert said.code == 0, said.err[-500:]
    if words[0] == "compare":
        gated = tidy(tinybench(*words, "--fail-on", "any"))
        assert gated.code != 0
        assert len(gated.err) < 5000
    if words[0] == "report":
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "<b><b>" not in page
        assert len(page) < 6_000_000


@readers
def test_a_line_that_is_no_run_is_named(tinybench: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    lines(tmp_path, stored(0), {"hello": "world"}, stored(1))
    said = tidy(tinybench(*words))
    assert said.code != 0
    assert "runs-2026-03.jsonl" in said.err
    assert "2" in said.err
    assert len(said.err) < 5000
