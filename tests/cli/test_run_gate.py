"""`run` that compares: with a baseline while it runs, and with another image window by window."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .conftest import Command

CASE = ("--workload", "kws01-mltk", "--device", "nucleo-f746")
RUN = ("run", *CASE, "--simulate", "--quiet")
pytestmark = pytest.mark.needs("python:unicorn")


def recorded(folder: Path) -> list[dict]:
    return [
        json.loads(line)
        for file in (folder / "results").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]


@pytest.fixture
def smaller_before(tinybench: Command, tmp_path: Path) -> None:
    """A store in which the same case once took 100 bytes less of flash."""
    assert tinybench(*RUN).code == 0
    (file,) = (tmp_path / "results").glob("*.jsonl")
    run = json.loads(file.read_text())
    for measurement in run["measurements"]:
        if measurement["metric"] == "flash":
            measurement["samples"] = [measurement["samples"][0] - 100]
    file.write_text(json.dumps(run) + "\n")


@pytest.mark.usefixtures("smaller_before")
def test_a_run_is_held_against_what_was_there_before_it(tinybench: Command, tmp_path: Path) -> None:
    said = tinybench(*RUN, "--compare-to", "latest", "--fail-on", "regression", "--junit", "junit.xml")
    assert said.code == 1, said.err
    assert "1 regressed" in said.out
    assert "+100 B" in said.out
    assert "`flash`" in said.err
    assert ET.parse(tmp_path / "junit.xml").getroot().tag in ("testsuites", "testsuite")
    assert len(recorded(tmp_path)) == 2
    allowed = tinybench(
        *RUN, "--compare-to", "previous", "--fail-on", "any", "--threshold", "flash=128B", "--json"
    )
    assert allowed.code == 0, allowed.err
    (comparison,) = allowed.json["comparison"]
    assert {verdict["word"] for verdict in comparison["verdicts"]} <= {"unchanged", "within noise"}


def test_what_cannot_be_compared_is_refused_before_anything_runs(tinybench: Command, tmp_path: Path) -> None:
    for words, said_of in (
        (("--fail-on", "regression"), "nothing to compare with"),
        (("--compare-to", "nightly"), "nightly"),
        (("--compare-to", "latest", "--ab", "0123456"), "brings its own base"),
        (("--ab", "0123456"), "no image of build id"),
        (("--ab", "main"), "neither a file nor"),
    ):
        said = tinybench(*RUN, *words)
        assert said.code == 2, words
        assert said_of in said.err
        assert "hint:" in said.err
    assert recorded(tmp_path) == []


def test_two_images_alternate_and_both_are_recorded(tinybench: Command, tmp_path: Path) -> None:
    (built,) = tinybench("build", *CASE, "--json", "--quiet").json["images"]
    said = tinybench(*RUN, "--ab", built["build_id"][:12], "--fail-on", "regression")
    assert said.code == 0, said.err
    assert "unchanged" in said.out
    base, new = recorded(tmp_path)
    assert base["case"]["options"] == new["case"]["options"] == {"interleaved": base["run_id"]}
    assert base["provenance"]["build_id"] == built["build_id"]
    by_path = tinybench(*RUN, "--ab", built["elf"])
    assert by_path.code == 0, by_path.err
    assert tinybench("compare", base["run_id"], new["run_id"]).out.splitlines()[0].endswith("unchanged")
    assert tinybench("compare", "latest").code == 2


def test_alternating_takes_one_case(tinybench: Command, tmp_path: Path) -> None:
    (built,) = tinybench("build", *CASE, "--json", "--quiet").json["images"]
    said = tinybench(*RUN, "--workload", "ic01-mltk", "--ab", built["build_id"])
    assert said.code == 2
    assert "exactly one case" in said.err
    assert recorded(tmp_path) == []
