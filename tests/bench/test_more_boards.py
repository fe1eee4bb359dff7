"""Boards whose flash is laid out otherwise: more sectors (STM32F767), words of 256 bits (STM32H743)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from virtual_desk.desk import VirtualDesk
from virtual_desk.faults import Faults
from virtual_desk.program import Program

FLASH, ALL = 0x0800_0000, 0xFFFF_FFFF

# Runs at the desk: pyOCD's own target, or ours, erases the first of two sectors that hold zeros.
ERASE_ONE = """
import json, sys
from pathlib import Path
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.flash.eraser import FlashEraser
from pyocd.flash.loader import MemoryLoader
from device_adapters.pyocd_probe import algorithms
from device_adapters.pyocd_probe.facts import probe_facts
from tinybench import plugins

uid, whose, cache = sys.argv[1:]
name = "stm32h743xx"
if whose == "ours":
    facts = probe_facts(plugins.discover().target("nucleo-h743zi"))
    name = algorithms.register("ours", facts.algorithm, Path(cache))
(probe,) = [p for p in ConnectHelper.get_all_connected_probes(blocking=False) if p.unique_id == uid]
options = {"target_override": name, "hide_programming_progress": True, "smart_flash": False}
with Session(probe, no_config=True, options=options) as session:
    loader = MemoryLoader(session, chip_erase="sector")
    loader.add_data(0x08000000, bytes(0x400))
    loader.add_data(0x08020000, bytes(0x400))
    loader.commit()
    session.target.reset_and_halt()
    FlashEraser(session, FlashEraser.Mode.SECTOR).erase(["0x08000000"])
    print(json.dumps([session.target.read32(a) for a in (0x08000000, 0x08020000)]))
"""


@pytest.mark.parametrize("target", ["nucleo-f767zi", "nucleo-h743zi"])
def test_flashed_read_back_proven_and_marked(desk: VirtualDesk, tinybench: Program, target: str) -> None:
    board = desk.plug_in(target)
    said = tinybench("run", "--workload", "kws01-mltk", "--device", target, "--json")
    (run,) = json.loads(said.out)["runs"]
    assert run["failure"] is None, said.err
    assert [check["equal"] for check in run["golden"]] == [True] * 3
    kinds = {m["metric"]: m["kind"] for m in run["measurements"]}
    assert (kinds["latency"], kinds["flash"]) == ("rehearsed", "counted")
    assert run["conditions"]["simulated"] is True
    assert "VIRTUAL" in run["provenance"]["unit"]
    assert board.programmed_bytes > 40_000
    assert not board.is_claimed


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(stuck_at_one=((FLASH + 0x400, 0xFF),)), "flash at 0x08000400 reads 0xff"),
        (Faults(protected_sectors=(0,)), "could not be erased"),
    ],
    ids=["a stuck bit", "a protected sector"],
)
def test_what_is_wrong_with_flash_words_of_256_bits_is_told(
    desk: VirtualDesk, tinybench: Program, faults: Faults, words: str
) -> None:
    board = desk.plug_in("nucleo-h743zi", faults=faults)
    said = tinybench("run", "--workload", "kws01-mltk", "--device", "nucleo-h743zi", "--json")
    (run,) = json.loads(said.out)["runs"]
    assert (said.code, run["failure"]["error"]) == (4, "LoadError"), said.err
    assert words in run["failure"]["message"]
    assert not [m for m in run["measurements"] if m["metric"] == "latency"]
    assert not board.is_claimed


@pytest.mark.parametrize(("whose", "left"), [("pyocd", [ALL, ALL]), ("ours", [ALL, 0])])
def test_our_algorithm_for_the_stm32h743_erases_what_it_is_told_to(
    desk: VirtualDesk, program: Program, tmp_path: Path, whose: str, left: list[int]
) -> None:
    """pyOCD 0.46's own erases the sector that follows as well; should that change, ours may go."""
    board = desk.plug_in("nucleo-h743zi")
    (tmp_path / "erase_one.py").write_text(ERASE_ONE, encoding="utf-8")
    said = program("erase_one", board.uid, whose, str(tmp_path / "cache"))
    assert said.code == 0, said.err
    assert json.loads(said.out.splitlines()[-1]) == left
