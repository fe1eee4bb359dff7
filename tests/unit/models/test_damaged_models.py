"""A moderate number of damaged models through everything that reads them; the full number is a script's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "fuzz" / "damaged_models.py"


@pytest.mark.needs("gcc", "python:tflite_micro")
def test_damaged_models_are_refused_or_run_right():
    """A process of its own: a crash or a hang of the reader would take the tests along."""
    words = [sys.executable, SCRIPT, "--files", "500", "--judged", "6", "--seed", "7"]
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert said.returncode == 0, said.stdout + said.stderr
    assert re.search(r"^ +0 failures", said.stdout, re.MULTILINE)
    found = {what: int(count) for count, what in re.findall(r"^ *(\d+) (\D+)$", said.stdout, re.MULTILINE)}
    # The wounds are neither harmless nor all deadly: every branch was taken.
    assert found["refused by the reader"] > 200
    assert found["refused by the engine"] > 10
    assert found["became C"] > 40
    assert re.search(r"sanitizers: [1-9]\d* equal", said.stdout)
