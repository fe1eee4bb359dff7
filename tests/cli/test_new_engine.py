"""`tinybench new engine`: the skeleton is found, checked, run and reported; no file of ours is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Command, nothing_recorded

RUN = (
    "run",
    "--workload",
    "kws01-mltk",
    "--device",
    "nucleo-f746",
    "--simulate",
    "--plugins",
    "mine",
    "--json",
)
FILES = ["my_engine.py", "my_engine_kernels/fully_connected.c", "my_engine_kernels/my_engine.h"]


@pytest.fixture
def mine(tinybench: Command, tmp_path: Path) -> Path:
    said = tinybench("new", "engine", "my-engine", "--into", "mine")
    assert said.code == 0, said.err
    written = sorted(path.relative_to("mine").as_posix() for path in map(Path, said.out.splitlines()))
    assert written == [*FILES, "tests/test_my_engine.py"]
    assert "--plugins mine" in said.err
    return tmp_path / "mine"


@pytest.mark.needs("python:unicorn")
def test_the_skeleton_is_found_run_and_reported(tinybench: Command, mine: Path, tmp_path: Path) -> None:
    listed = tinybench("list", "engines", "--plugins", "mine")
    assert "my-engine" in listed.out
    assert "warning" not in listed.err
    said = tinybench(*RUN, "--engine", "reference,my-engine")
    assert said.code == 0, said.err
    ours, theirs = said.json["runs"]
    assert theirs["provenance"]["engine_version"] == "1"
    assert [check["equal"] for check in theirs["golden"]] == [True] * 3
    counted = [
        next(m["samples"][0] for m in run["measurements"] if m["metric"] == "instructions")
        for run in (ours, theirs)
    ]
    assert counted[0] < counted[1] < 2 * counted[0], "its one kernel is the plain one"
    report = tinybench("report", "-o", "r.html")
    assert report.code == 0, report.err
    assert "my-engine" in (tmp_path / "r.html").read_text()


@pytest.mark.needs("python:unicorn")
def test_one_wrong_bit_in_its_kernel_gets_no_number(tinybench: Command, mine: Path, tmp_path: Path) -> None:
    kernel = mine / "my_engine_kernels" / "fully_connected.c"
    sound = kernel.read_text()
    assert "*input++ * *weights++" in sound
    kernel.write_text(sound.replace("*input++ * *weights++", "*input++ * (*weights++ ^ 1)"))
    with nothing_recorded(tmp_path):
        said = tinybench(*RUN, "--engine", "my-engine")
    assert said.code == 3
    assert said.json["runs"][0]["failure"]["error"] == "WrongAnswer"


@pytest.mark.needs("python:unicorn", "python:tflite_micro")
def test_the_skeletons_own_test_passes(mine: Path, environment: dict[str, str]) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(mine / "tests")]
    done = subprocess.run(words, cwd=mine, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Engine", "`My Engine` cannot name an engine"),
        ("class", "`class` cannot name an engine"),
        ("../up", "`../up` cannot name an engine"),
        ("reference", "there is an engine `reference` already, of tinybench-mcu"),
    ],
)
def test_names_that_will_not_do(tinybench: Command, tmp_path: Path, name: str, message: str) -> None:
    said = tinybench("new", "engine", name, "--into", "mine")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten(tinybench: Command, mine: Path) -> None:
    engine = mine / "my_engine.py"
    engine.write_text("ENGINES = ()  # months of work\n")
    said = tinybench("new", "engine", "my-engine", "--into", "mine")
    assert said.code == 2
    assert "exists already" in said.err
    assert "months of work" in engine.read_text()
