"""`tinybench timing`: errors against published measurements, and constants with their sources."""

from __future__ import annotations

from pathlib import Path

from .conftest import Command


def test_validate_prints_an_error_for_each_row_and_one_document(tinybench: Command) -> None:
    said = tinybench("timing", "validate", "--json")
    assert said.code == 0, said.err
    rows = said.json["rows"]
    for row in rows:
        assert row["error"] == row["estimated_cycles"] / row["published_cycles"] - 1
        assert {"board", "engine", "task", "error_leave_one_out", "source", "reasons"} <= set(row)
    boards = {row["board"] for row in rows if row["engine"] == "microTVM + CMSIS-NN"}
    assert boards == {"NUCLEO-L4R5ZI", "nRF5340 DK"}
    assert {row["core"] for row in rows if row["engine"] == "CoreMark"} == {
        "cortex-m0plus",
        "cortex-m33",
        "cortex-m4",
        "cortex-m7",
    }
    assert len(said.json["fitted"]) <= 2
    for constant in said.json["fitted"]:
        assert set(constant["rows"]) <= {row["row"] for row in rows}
    assert tinybench("timing", "validate", "--json").out == said.out


def test_validate_says_it_in_words(tinybench: Command) -> None:
    said = tinybench("timing", "validate")
    assert said.code == 0
    assert "leave-one-out" in said.out
    assert "fitted: flash.read_cycles" in said.out
    assert "cortex-m4 + stm32l4plus" in said.out


def test_a_row_or_a_program_that_is_not_there_is_refused(tinybench: Command, tmp_path: Path) -> None:
    unknown = tinybench("timing", "validate", "--elf", "l4r5zi-kw=x.elf")
    assert unknown.code == 2
    assert "did you mean `l4r5zi-kws`" in unknown.err
    missing = tinybench("timing", "validate", "--elf", f"l4r5zi-kws={tmp_path / 'x.elf'}")
    assert missing.code == 2
    assert "there is no file" in missing.err


def test_show_prints_a_source_for_every_constant(tinybench: Command) -> None:
    said = tinybench("timing", "show", "cortex-m4")
    assert said.code == 0
    lines = [line for line in said.out.splitlines() if line.startswith(("latency", "busy", "branch"))]
    assert len(lines) > 20
    assert all("TRM" in line for line in lines)
    assert tinybench("timing", "show", "cortex-m7", "--json").json["width"] == 2


def test_show_says_what_is_not_modelled(tinybench: Command) -> None:
    said = tinybench("timing", "show", "cortex-m55")
    assert said.code == 2
    assert "not modelled" in said.err
