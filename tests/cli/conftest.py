"""The command as a user types it: a real process, its streams and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def tinybench(tmp_path: Path) -> Command:
    """Runs `tinybench` in an empty folder; keyword arguments are environment variables."""

    def run(*words: str, cwd: Path = tmp_path, **environ: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "tinybench", *words],
            cwd=cwd,
            env={**os.environ, "TINYBENCH_CONFIG": _empty(tmp_path), "NO_COLOR": "1", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


def _empty(folder: Path) -> str:
    path = folder / "empty-config.toml"
    path.touch()
    return str(path)
