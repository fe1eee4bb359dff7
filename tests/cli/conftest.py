"""The command as a user types it: a real process, its streams and its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs
import pytest

BOARDS = Path(str(files("device_adapters") / "boards"))


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document that it is."""
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user without settings; what is fetched and built is shared by all tests, and never by the user."""
    empty = tmp_path / "empty-config.toml"
    empty.touch()
    cache = platformdirs.user_cache_path("tinybench-tests")
    return {
        **{
            key: value
            for key, value in os.environ.items()
            if not key.startswith("TINYBENCH_") or key.endswith("MODELS")
        },
        "TINYBENCH_CONFIG": str(empty),
        "TINYBENCH_CACHE_DIR": str(cache),
        "TINYBENCH_OFFLINE": "1",
        "NO_COLOR": "1",
    }


@pytest.fixture
def tinybench(tmp_path: Path, environment: dict[str, str]) -> Command:
    """Runs `tinybench` in an empty folder; keyword arguments are environment variables."""

    def run(*words: str, cwd: Path = tmp_path, **more: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "tinybench", *words],
            cwd=cwd,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def interrupted(tmp_path: Path, environment: dict[str, str]) -> Command:
    """Runs `tinybench` and presses Ctrl-C when a line of its progress starts with `at`."""

    def run(*words: str, at: str, **more: str) -> Said:
        with subprocess.Popen(
            [sys.executable, "-m", "tinybench", *words],
            cwd=tmp_path,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            said = []
            for line in child.stderr:
                said.append(line)
                if line.startswith(at):
                    child.send_signal(signal.SIGINT)
                    break
            said += list(child.stderr)
            return Said(child.wait(), child.stdout.read(), "".join(said))

    return run


@dataclass(frozen=True)
class Desk:
    """A plug-in folder of the test's own: boards and engines that nobody shipped."""

    folder: Path

    def board(self, name: str, code: str | None = None, **changes: str) -> str:
        """A copy of the NUCLEO-F746ZG under another name; `changes` replaces text of its TOML.

        With `code`, of the nRF52840 DK: `code` is its `tb_port_init`; the real one is `board_init`.
        """
        stem = "nucleo_f746" if code is None else "nrf52840_dk"
        boards = self.folder / "boards"
        boards.mkdir(exist_ok=True)
        toml = (BOARDS / f"{stem}.toml").read_text(encoding="utf-8")
        source = (BOARDS / f"{stem}.c").read_text(encoding="utf-8")
        toml = toml.replace(f'name = "{stem.replace("_", "-")}"', f'name = "{name}"', 1)
        toml = "\n".join(line for line in toml.splitlines() if not line.startswith("aliases"))
        for old, new in changes.items():
            assert old in toml, old
            toml = toml.replace(old, new)
        if code is not None:
            source = source.replace("void tb_port_init(void) {", "static void board_init(void) {") + code
        (boards / f"{name}.toml").write_text(toml.replace(f"{stem}.c", f"{name}.c"), encoding="utf-8")
        (boards / f"{name}.c").write_text(source, encoding="utf-8")
        assert tomllib.loads((boards / f"{name}.toml").read_text())["name"] == name
        return name

    def engine(self, text: str) -> None:
        """An engine of the test's own."""
        (self.folder / "own_engine.py").write_text(text, encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "mine"
    folder.mkdir()
    return Desk(folder)


@contextlib.contextmanager
def nothing_recorded(folder: Path) -> Iterator[None]:
    """Whatever happens inside, no number reaches the store."""
    yield
    for file in (folder / "results").glob("*.jsonl"):
        for line in file.read_text().splitlines():
            assert json.loads(line)["measurements"] == []
