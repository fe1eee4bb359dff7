"""Options of engines, cut models and finished ELFs, as words of the command line."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.needs("python:unicorn", "python:bakenn", "python:tflite_micro")

KWS = ("--workload", "kws01-mltk", "--device", "nucleo-f746", "--simulate")


def test_an_option_that_changes_the_code_is_part_of_the_case(tinybench):
    said = tinybench(
        *("plan", *KWS, "--engine", "reference,bakenn-smlad", "--json"),
        *("--engine-option", "bakenn-smlad.packing=off"),
    )
    assert said.code == 0, said.err
    options = {case["engine"]: case["options"] for case in said.json["cases"]}
    assert options == {
        "reference": {"cut": "softmax"},
        "bakenn-smlad": {"cut": "softmax", "bakenn-smlad.packing": "off"},
    }
    assert len({case["model_sha256"] for case in said.json["cases"]}) == 1


def test_a_misspelt_option_is_named(tinybench):
    said = tinybench("run", *KWS, "--engine-option", "cmsis-nn.pat=x")
    assert said.code == 2
    assert "has no option `pat`" in said.err
    assert "did you mean `path`?" in said.err


def test_a_finished_elf_that_is_not_there_is_named(tinybench):
    said = tinybench("run", *KWS, "--engine", "elf:build/firmware.elf")
    assert said.code == 2
    assert "`elf:build/firmware.elf` names no file" in said.err


def test_a_finished_elf_is_not_built(tinybench):
    said = tinybench("build", "--workload", "kws01-mltk", "--device", "nucleo-f746", "--engine", "elf:x.elf")
    assert said.code == 2
    assert "`elf:x.elf` is built already" in said.err
