"""Fixtures of the virtual desk: boards by name, programs that sit at it, and proof that nothing is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from virtual_desk import pack as packs
from virtual_desk.desk import VirtualDesk
from virtual_desk.program import Program, Said

WORKLOAD = "kws01-mltk"
_LONGEST_S = 900.0  # so that nothing hangs for ever; a loaded machine takes minutes for a large model


@pytest.fixture
def desk() -> Iterator[VirtualDesk]:
    """An empty desk. Socket paths are short, so it does not lie in tmp_path."""
    with tempfile.TemporaryDirectory(prefix="desk-") as folder:
        with VirtualDesk(Path(folder)) as desk:
            yield desk
        left = sorted(path.name for path in Path(folder).iterdir())
        assert not left, f"the desk left {left} behind"


@pytest.fixture
def program(desk: VirtualDesk, tmp_path: Path) -> Program:
    """Runs a program at the desk, with a deadline, in an empty folder."""
    empty = tmp_path / "config.toml"
    empty.touch()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TINYBENCH_") or k.endswith("MODELS")}
    environment = {
        **kept,
        "TINYBENCH_CONFIG": str(empty),
        "TINYBENCH_CACHE_DIR": str(platformdirs.user_cache_path("tinybench-tests")),
        "TINYBENCH_OFFLINE": "1",
        "TINYBENCH_BENCH": str(tmp_path / "bench.toml"),
        "TINYBENCH_RESULTS": str(tmp_path / "results"),
        "NO_COLOR": "1",
    }

    def run(*words: str, **more: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env={**environment, **desk.environment(), **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_S,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def tinybench(program: Program) -> Program:
    """Runs `tinybench` at the desk."""

    def run(*words: str, **more: str) -> Said:
        return program("tinybench", *words, **more)

    return run


@pytest.fixture
def elf(program: Program) -> Path:
    """The keyword spotter for the NUCLEO-F746ZG, 47 kB: an ELF that `tinybench build` made."""
    said = program("tinybench", "build", "--workload", WORKLOAD, "--device", "nucleo-f746", "--json")
    assert said.code == 0, said.err
    return Path(json.loads(said.out)["images"][0]["elf"])


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A CMSIS-Pack for the NUCLEO-F746ZG, which pyOCD does not know by itself."""
    from tinybench import plugins

    target = plugins.discover().target("nucleo-f746")
    return packs.write(target, tmp_path / "pack", platformdirs.user_cache_path("tinybench-tests"))
