"""`--device host`: the interpreter that judges, timed on this computer, and never taken for a board."""

from __future__ import annotations

import pytest

from .conftest import Command

pytestmark = pytest.mark.needs("python:tflite_micro")

KWS = ("run", "--workload", "kws01-mltk", "--device", "host")


def test_it_is_measured_and_marked_as_this_computers(tinybench: Command) -> None:
    said = tinybench(*KWS, "--engine", "tflm-host,reference", "--json")
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    assert run["failure"] is None
    assert run["conditions"]["core"].startswith("host ")
    assert run["provenance"]["adapter"] == "host"
    assert run["provenance"]["toolchain"] is None
    assert run["provenance"]["engine_version"].startswith("tflite-micro-")
    kinds = {measurement["metric"]: measurement["kind"] for measurement in run["measurements"]}
    assert kinds == {
        "latency": "measured",
        "ram_arena": "counted",
        "macs": "counted",
        "parameters": "counted",
    }
    (gap,) = said.json["gaps"]
    assert gap["engine"] == "reference"
    assert "tflm-host" in gap["reason"]


def test_boards_get_no_program(tinybench: Command) -> None:
    said = tinybench("plan", *KWS[1:3], "--device", "nucleo-f746", "--simulate", "--engine", "tflm-host")
    assert said.code == 0
    assert "runs on this computer only" in said.out


def test_there_is_no_virtual_twin_of_this_computer(tinybench: Command) -> None:
    said = tinybench(*KWS, "--engine", "tflm-host", "--simulate")
    assert said.code == 4
    assert "no virtual board of target host" in said.err
