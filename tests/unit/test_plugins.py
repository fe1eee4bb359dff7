"""A new part is a new file: found without touching ours, and left out with a reason if it is broken."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tinybench.errors import UsageError
from tinybench.plugins import Catalogue, discover

ENGINE = """
    class Doubling:
        name = "doubling"
        exactness = "exact"
        def refuses(self, workload, target):
            return None
        def generate(self, workload, target, into):
            raise NotImplementedError
    ENGINES = (Doubling(),)
"""

BOARD = """
    name = "toaster"
    title = "A toaster"
    aliases = ["toaster-2-slices"]
    mcu = "TST100"
    clock_hz = 1000000
    clock_source = "mains"
    core = { name = "cortex-m3" }

    [[regions]]
    name = "FLASH"
    kind = "flash"
    origin = 0
    size = 65536
    uses = ["vectors", "text", "weights"]

    [[regions]]
    name = "RAM"
    kind = "ram"
    origin = 0x20000000
    size = 16384
    uses = ["data", "arena", "stack"]
"""

DIGEST = "0" * 64

WORKLOAD = f"""
    id = "smoke"
    title = "Is it burning?"
    task = "smoke"
    protocol_id = "smoke01"

    [model]
    file = "smoke.tflite"
    sha256 = "{DIGEST}"
    normalised_sha256 = "{DIGEST}"
    sources = []

    [input]
    encoding = "int8"

    [golden]
    oracle = "a nose"
    inputs_sha256 = "{DIGEST}"
    outputs_sha256 = {{ zeros = "{DIGEST}", random = "{DIGEST}", structured = "{DIGEST}" }}
"""

SUITE = """
    name = "kitchen"
    title = "Everything in the kitchen"
    entries = [{ task = "smoke", alternatives = ["smoke"] }]
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "doubling.py", ENGINE)
    write(tmp_path / "boards" / "toaster.toml", BOARD)
    write(tmp_path / "smoke" / "workload.toml", WORKLOAD)
    write(tmp_path / "suites" / "kitchen.toml", SUITE)
    return tmp_path


def reasons(catalogue: Catalogue, folder: Path) -> list[str]:
    return [broken.reason for broken in catalogue.broken if broken.origin == str(folder)]


def test_a_folder_brings_every_kind_of_part(folder):
    catalogue = discover([folder])
    assert catalogue.engine("doubling").name == "doubling"
    assert catalogue.target("toaster").folder == folder / "boards"
    assert catalogue.target("toaster-2-slices").name == "toaster"
    assert catalogue.workload("smoke").task == "smoke"
    assert catalogue.suite("kitchen").entries[0].alternatives == ("smoke",)
    assert catalogue.engines["doubling"].origin == str(folder)
    assert reasons(catalogue, folder) == []


def test_without_the_folder_nothing_of_it_is_known(folder):
    catalogue = discover()
    assert "doubling" not in catalogue.engines
    assert "toaster" not in catalogue.targets


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("doubling.py", "import nothing_of_that_name\n", "cannot import `doubling.py`: No module named"),
        ("doubling.py", "def broken(:\n", "cannot import `doubling.py`: invalid syntax"),
        ("doubling.py", "import sys\nsys.exit(3)\n", "cannot import `doubling.py`: 3"),
        ("doubling.py", ENGINE.replace("Doubling()", "Doubling"), "is no part with a `name`"),
        ("doubling.py", ENGINE.replace("name =", "nom ="), "is no part with a `name`"),
        ("doubling.py", ENGINE.replace("(Doubling(),)", "Doubling()"), "is not a tuple"),
        ("boards/toaster.toml", "name = \n", "cannot read `toaster.toml`"),
        ("boards/toaster.toml", BOARD.replace('"stack"', '"attic"'), "`toaster.toml`: regions.1.uses.2"),
        (
            "boards/toaster.toml",
            BOARD.replace(', "stack"', ""),
            "`stack` must be in the `uses` of exactly one",
        ),
        ("boards/toaster.toml", BOARD.replace("0x20000000", "4096"), "regions `FLASH` and `RAM` overlap"),
        ("smoke/workload.toml", WORKLOAD.replace("int8", "int7"), "`workload.toml`: input.encoding"),
        (
            "smoke/workload.toml",
            WORKLOAD.replace("task =", "tusk ="),
            "`workload.toml`: task: Field required",
        ),
        ("smoke/workload.toml", WORKLOAD.replace("zeros", "ones"), "`workload.toml`: golden.outputs_sha256"),
        ("suites/kitchen.toml", SUITE.replace("alternatives", "options"), "`kitchen.toml`: entries.0"),
        ("suites/kitchen.toml", SUITE.replace("alternatives", "# "), "cannot read `kitchen.toml`"),
    ],
)
def test_a_broken_part_is_reported_and_the_others_stay(folder, path, text, why):
    (folder / path).unlink()
    write(folder / path, text)
    catalogue = discover([folder])
    assert len(reasons(catalogue, folder)) == 1
    assert why in reasons(catalogue, folder)[0]
    left = [part for part in ("doubling", "toaster", "smoke", "kitchen") if part in everything(catalogue)]
    assert len(left) == 3


def everything(catalogue: Catalogue) -> set[str]:
    return {*catalogue.engines, *catalogue.targets, *catalogue.workloads, *catalogue.suites}


def test_a_stranger_cannot_replace_a_part_of_ours(folder):
    ours = discover().workload("vww01")
    write(folder / "smoke" / "workload.toml", WORKLOAD.replace('id = "smoke"', 'id = "vww01"'))
    catalogue = discover([folder])
    assert catalogue.workload("vww01") == ours
    assert "`vww01` is already provided by tinybench-mcu" in reasons(catalogue, folder)


def test_two_folders_may_use_one_file_name(tmp_path):
    for which in ("one", "two"):
        write(tmp_path / which / "engine.py", ENGINE.replace("doubling", which))
    catalogue = discover([tmp_path / "one", tmp_path / "two"])
    assert {"one", "two"} <= set(catalogue.engines)


@pytest.mark.parametrize(
    ("what", "near", "expected"),
    [
        ("engine", "dubling", "doubling"),
        ("target", "taoster", "toaster"),
        ("target", "toaster-2", "toaster"),
        ("workload", "smok", "smoke"),
        ("suite", "kitchn", "kitchen"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(folder, what, near, expected):
    catalogue = discover([folder])
    with pytest.raises(UsageError) as raised:
        getattr(catalogue, what)(near)
    assert f"`{near}`" in raised.value.message
    assert expected in (raised.value.hint or "")
