"""`tinybench replay`: the shipped recording as somebody's own run, intact and spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Command

RECORDING = next((Path(__file__).parents[1] / "data" / "recordings").iterdir())
RUN = RECORDING.name


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A store of one Run, and its recording."""
    folder = tmp_path / "results"
    shutil.copytree(RECORDING, folder / "logs" / RUN)
    shutil.copy(RECORDING / "run.jsonl", folder / "runs-2026-11.jsonl")
    return folder


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("word", [RUN, RUN[:18], "latest", f"results/logs/{RUN}"])
def test_a_run_is_replayed_by_its_id_or_its_folder(tinybench: Command, word: str) -> None:
    said = tinybench("replay", word)
    assert (said.code, said.out) == (0, f"the same Run, byte for byte: {RUN}\n")
    assert said.err.splitlines()[-1].startswith(f"record   {RUN}")


@pytest.mark.usefixtures("results")
def test_a_replay_is_one_document(tinybench: Command) -> None:
    said = tinybench("replay", RUN, "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert (said.json["identical"], said.json["differences"]) == (True, [])
    assert said.json["run"] == tinybench("show", RUN).json


def test_what_differs_is_told_field_by_field(tinybench: Command, results: Path) -> None:
    log = results / "logs" / RUN / "serial.log"
    log.write_text(log.read_text().replace("m-tb-mem-arena-[", "m-tb-mem-arena-[9", 1))
    said = tinybench("replay", RUN)
    assert said.code == 1
    rows = said.out.splitlines()
    assert rows[0].split() == ["field", "recorded", "replayed"]
    assert len(rows) == 3
    assert all(row.startswith("measurements[") for row in rows[1:])


def test_another_conversation_is_told_and_ends_with_code_4(tinybench: Command, results: Path) -> None:
    log = results / "logs" / RUN / "serial.log"
    log.write_text(log.read_text().replace("b'tb clk%'", "b'tb clock%'", 1))
    said = tinybench("replay", RUN, "--quiet")
    assert said.code == 4
    assert "error: replay sends `tb clk%` where line " in said.err
    assert "hint: " in said.err


def test_a_run_without_a_recording_is_told(tinybench: Command, results: Path) -> None:
    shutil.rmtree(results / "logs")
    said = tinybench("replay", RUN)
    assert said.code == 2
    assert f"Run `{RUN}` has no recording" in said.err


@pytest.mark.needs("python:unicorn", "python:tflite_micro")
def test_a_simulated_run_needs_no_recording_and_leaves_none(tinybench: Command, tmp_path: Path) -> None:
    done = tinybench("run", "--workload", "fcnn-1x10", "--device", "nucleo-f746", "--simulate")
    assert done.code == 0, done.err
    assert not (tmp_path / "results" / "logs").exists()
    said = tinybench("replay", "latest")
    assert said.code == 2
    assert "was simulated" in said.err
    assert "hint: tinybench run --simulate --workload fcnn-1x10 --device nucleo-f746" in said.err


@pytest.mark.needs("python:tflite_micro")
@pytest.mark.parametrize("words", [(), ("--no-logs",)])
def test_a_run_on_this_computer_leaves_a_recording_unless_told(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = tinybench("run", "--workload", "fcnn-1x10", "--device", "host", "--engine", "tflm-host", *words)
    assert done.code == 0, done.err
    said = tinybench("replay", "latest", "--quiet")
    if words:
        assert not (tmp_path / "results" / "logs").exists()
        assert said.code == 2
    else:
        assert said.out.startswith("the same Run, byte for byte")
