"""`tinybench engine add|list|remove`: libraries are checked, remembered and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from tflm_library import CORTEX_M4, RELEASE, TREE, built

from .conftest import Command

pytestmark = pytest.mark.needs("arm-none-eabi-g++")


@pytest.fixture
def shelf(tmp_path: Path) -> dict[str, str]:
    return {"TINYBENCH_TFLM": str(tmp_path / "config" / "libraries.toml")}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("library"), *CORTEX_M4, *RELEASE)


def words(engine: str, library: Path, include: Path = TREE) -> tuple[str, ...]:
    return ("engine", "add", engine, "--lib", str(library), "--include", str(include))


def test_a_library_is_added_listed_and_forgotten(
    tinybench: Command, shelf: dict[str, str], library: Path
) -> None:
    added = tinybench(*words("tflm", library), **shelf)
    assert (added.code, added.err) == (0, "")
    assert "Armv7E-M" in added.out
    tinybench(*words("tflm", library), "--name", "tflm-cmsis-nn", **shelf)
    tinybench(*words("tflm", library), **shelf)  # again: in the place of itself
    listed = tinybench("engine", "list", "--json", **shelf).json
    assert [one["engine"] for one in listed["libraries"]] == ["tflm-cmsis-nn", "tflm"]
    assert {one["sha256"] for one in listed["libraries"]} == {listed["libraries"][0]["sha256"]}
    assert listed["libraries"][0]["traits"]["float_abi"] == "hard"
    gone = tinybench("engine", "remove", "tflm", **shelf)
    assert gone.code == 0
    assert [one["engine"] for one in tinybench("engine", "list", "--json", **shelf).json["libraries"]] == [
        "tflm-cmsis-nn"
    ]
    assert library.is_file()


def test_asserts_are_warned_of(tinybench: Command, shelf: dict[str, str], tmp_path: Path) -> None:
    said = tinybench(*words("tflm", built(tmp_path / "default", *CORTEX_M4, "-O2")), **shelf)
    assert said.code == 0
    assert "warning" in said.err
    assert "BUILD_TYPE=release_with_logs" in said.err


@pytest.mark.parametrize(
    ("engine", "said_of_it"),
    [
        ("tflmm", ("no engine `tflmm` takes a library", "did you mean `tflm`")),
        ("reference", ("no engine `reference` takes a library", "known: tflm, tflm-cmsis-nn")),
    ],
)
def test_an_engine_that_takes_none_is_named(
    tinybench: Command, shelf: dict[str, str], library: Path, engine: str, said_of_it: tuple[str, ...]
) -> None:
    said = tinybench(*words(engine, library), **shelf)
    assert said.code == 2
    assert all(words in said.err for words in said_of_it)


def test_a_tree_without_headers_is_refused(
    tinybench: Command, shelf: dict[str, str], library: Path, tmp_path: Path
) -> None:
    said = tinybench(*words("tflm", library, tmp_path), **shelf)
    assert said.code == 7
    assert "micro_mutable_op_resolver.h" in said.err


def test_a_missing_library_is_refused(tinybench: Command, shelf: dict[str, str], tmp_path: Path) -> None:
    said = tinybench(*words("tflm", tmp_path / "none.a"), **shelf)
    assert said.code == 7
    assert "cannot read" in said.err


def test_nothing_is_removed_that_is_not_there(tinybench: Command, shelf: dict[str, str]) -> None:
    said = tinybench("engine", "remove", "tflm", **shelf)
    assert said.code == 2
    assert "was not given a library" in said.err


def test_a_damaged_list_is_named(tinybench: Command, shelf: dict[str, str]) -> None:
    file = Path(shelf["TINYBENCH_TFLM"])
    file.parent.mkdir()
    for text, complaint in (("[[library]]\nengine = 3", "library.0.engine"), ("=", "cannot read")):
        file.write_text(text)
        said = tinybench("engine", "list", **shelf)
        assert said.code == 2
        assert complaint in said.err


@pytest.mark.needs("python:unicorn")
def test_a_run_without_a_library_fails_before_a_device_is_touched(
    tinybench: Command, shelf: dict[str, str]
) -> None:
    said = tinybench(
        "run",
        *("--workload", "kws01-mltk", "--engine", "tflm", "--device", "nucleo-f746", "--simulate", "--json"),
        **shelf,
    )
    assert said.code == 7
    (run,) = said.json["runs"]
    assert run["failure"]["error"] == "SetupError"
    assert "TARGET_ARCH=cortex-m7+fp FPU=fpv5-sp-d16" in run["failure"]["hint"]
