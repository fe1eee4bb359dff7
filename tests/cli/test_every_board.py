"""Every board that we name, on its virtual twin; and a board that is only a folder of one's own."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from .conftest import BOARDS, Command, nothing_recorded

pytestmark = pytest.mark.needs("python:unicorn")
STEMS = sorted(
    path.stem
    for path in BOARDS.glob("*.toml")
    if path.with_suffix(".c").exists() and "virtual" in tomllib.loads(path.read_text(encoding="utf-8"))
)
KWS = ("--workload", "kws01-mltk", "--simulate")

SILENT = "never answered"

# What a start-up file, or the oscillator on the board, may have wrong: text of a stem's C file or TOML, what
# stands there instead, and what is said about it.
WRONG = {
    "too few wait states, L4+": (
        "nucleo_l4r5zi",
        {"WAIT_STATES = TB_FLASH_WAIT_STATES": "WAIT_STATES = 3"},
        "wait states",
    ),
    "too few wait states, L4": (
        "b_l475e_iot01a",
        {"WAIT_STATES = TB_FLASH_WAIT_STATES": "WAIT_STATES = 1"},
        "wait states",
    ),
    "no boost mode": ("nucleo_l4r5zi", {"TB_CLOCK_HZ > FASTEST_WITHOUT_BOOST_HZ": "false"}, "in one step"),
    "pins without supply": ("nucleo_l4r5zi", {"    tb_stm32l4_accept_vddio2();\n": ""}, SILENT),
    "another oscillator, F7": (
        "nucleo_f767zi",
        {"hse_hz = 8_000_000": "hse_hz = 25_000_000"},
        "VCO input is `3.125 MHz`",
    ),
    "faster than revision Y": (
        "nucleo_h743zi",
        {"MULTIPLIER = 200": "MULTIPLIER = 240", "clock_hz = 400_000_000": "clock_hz = 480_000_000"},
        "VCO output is `960 MHz`",
    ),
    "too few wait states, H7": ("nucleo_h743zi", {"WAIT_STATES = 2": "WAIT_STATES = 0"}, "wait states"),
    "faster than the chip, RP2040": (
        "rpi_pico",
        {"POSTDIV2 = 2": "POSTDIV2 = 1", "clock_hz = 125_000_000": "clock_hz = 250_000_000"},
        "the chip takes 133 MHz",
    ),
    "a VCO out of range, RP2040": (
        "rpi_pico",
        {
            "FBDIV = 125": "FBDIV = 50",
            "POSTDIV1 = 6": "POSTDIV1 = 4",
            "POSTDIV2 = 2": "POSTDIV2 = 1",
            "clock_hz = 125_000_000": "clock_hz = 150_000_000",
        },
        "VCO runs at `600 MHz`",
    ),
}


def copied(stem: str, folder: Path, changes: dict[str, str]) -> str:
    """A board's two files in a plug-in folder, under another name, with other text; returns the name."""
    boards = folder / "boards"
    boards.mkdir()
    toml = (BOARDS / f"{stem}.toml").read_text(encoding="utf-8")
    code = (BOARDS / f"{stem}.c").read_text(encoding="utf-8")
    facts = tomllib.loads(toml)
    toml = toml.replace(f'name = "{facts["name"]}"', 'name = "of-mine"', 1)
    toml = "\n".join(line for line in toml.splitlines() if not line.startswith("aliases"))
    for old, new in changes.items():
        assert old in toml or old in code, old
        toml, code = toml.replace(old, new), code.replace(old, new)
    (boards / "of_mine.toml").write_text(toml.replace(f"{stem}.c", "of_mine.c"), encoding="utf-8")
    (boards / "of_mine.c").write_text(code, encoding="utf-8")
    return "of-mine"


@pytest.mark.parametrize("stem", STEMS)
def test_every_board_runs_a_model_and_is_right_to_the_bit(tinybench: Command, stem: str) -> None:
    name = tomllib.loads((BOARDS / f"{stem}.toml").read_text())["name"]
    said = tinybench("run", *KWS, "--device", name, "--json")
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    assert run["failure"] is None
    assert [check["equal"] for check in run["golden"]] == [True] * 3


@pytest.mark.parametrize("stem", ["nrf52840_dk", "nucleo_h743zi", "rpi_pico"])
def test_a_board_in_a_folder_of_ones_own_touches_no_file_of_ours(
    tinybench: Command, tmp_path: Path, stem: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    before = {path: path.stat().st_mtime_ns for path in BOARDS.iterdir()}
    name = copied(stem, folder, {})
    said = tinybench("run", *KWS, "--device", name, "--json", TINYBENCH_PLUGINS=str(folder))
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    assert [check["equal"] for check in run["golden"]] == [True] * 3
    assert {path: path.stat().st_mtime_ns for path in BOARDS.iterdir()} == before
    shutil.rmtree(folder)
    assert tinybench("plan", *KWS, "--device", name).code == 2, "it was found in that folder and nowhere else"


def test_a_uart_with_dma_loses_no_byte_at_its_fastest_speed(tinybench: Command, tmp_path: Path) -> None:
    """The twin keeps the time on the wire here: 1280 cycles from byte to byte, and four bytes of patience."""
    folder = tmp_path / "mine"
    folder.mkdir()
    changes = {", polled = true": "", "\nbaud = 115_200": "\nbaud = 1_000_000"}
    said = tinybench(
        "run",
        *KWS,
        "--device",
        copied("nrf5340_dk", folder, changes),
        "--json",
        TINYBENCH_PLUGINS=str(folder),
    )
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    assert [check["equal"] for check in run["golden"]] == [True] * 3


@pytest.mark.parametrize("what", WRONG)
def test_a_clock_that_silicon_would_not_run_is_refused(tinybench: Command, tmp_path: Path, what: str) -> None:
    stem, changes, reason = WRONG[what]
    folder = tmp_path / "mine"
    folder.mkdir()
    name = copied(stem, folder, changes)
    with nothing_recorded(tmp_path):
        said = tinybench("run", *KWS, "--device", name, "--json", TINYBENCH_PLUGINS=str(folder))
    assert said.code == (124 if reason == SILENT else 4), said.err
    assert reason in said.err
