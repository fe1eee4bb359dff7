"""Writers that are killed (the full size: tests/speed/kill_writers.py without arguments)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "speed" / "kill_writers.py"


def test_no_acknowledged_run_is_lost_when_a_writer_is_killed():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--writers", "4", "--runs", "40", "--rounds", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, torn in the middle 0" in done.stdout
