"""The fakes behave as boards do: unmodified pyOCD and pyserial find, flash, reset and read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from virtual_desk.desk import VirtualDesk
from virtual_desk.faults import Faults
from virtual_desk.program import Program

LOAD = ("pyocd", "load", "--no-config", "--no-wait")
TARGET = "stm32f746zgtx"

# Runs at the desk: one session of the plain pyOCD library, as the adapter's child opens it.
SESSION = """
import json, sys
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.core.target import Target
from pyocd.flash.file_programmer import FileProgrammer

def session(uid, **options):
    (probe,) = [p for p in ConnectHelper.get_all_connected_probes(blocking=False) if p.unique_id == uid]
    return Session(probe, no_config=True, options={"hide_programming_progress": True, **options})
"""


def at_the_desk(program: Program, tmp_path: Path, code: str, *words: str) -> list[object]:
    """What a script with a pyOCD session prints, line by line of JSON."""
    script = tmp_path / "session.py"
    script.write_text(SESSION + code, encoding="utf-8")
    said = program(script.stem, *words)
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines() if line.startswith(("{", "[", '"'))]


@pytest.mark.parametrize("probe", ["stlink", "stlink-v3"])
def test_pyocd_lists_the_board_by_its_probe(desk: VirtualDesk, program: Program, probe: str) -> None:
    board = desk.plug_in("nucleo-f746", probe=probe)
    said = program("pyocd", "list")
    assert board.uid in said.out
    assert "NUCLEO-F746ZG" in said.out
    assert TARGET in said.out


def test_pyocd_lists_a_cmsis_dap_probe(desk: VirtualDesk, program: Program) -> None:
    board = desk.plug_in("nucleo-f746", probe="cmsis-dap")
    assert board.uid in program("pyocd", "list").out


def test_an_empty_desk_is_empty(program: Program) -> None:
    assert "No available debug probes" in program("pyocd", "list").out


def test_a_program_outside_the_desk_sees_nothing(desk: VirtualDesk, program: Program) -> None:
    board = desk.plug_in("nucleo-f746")
    assert board.uid not in program("pyocd", "list", TINYBENCH_VIRTUAL_DESK="").out


@pytest.mark.parametrize("probe", ["stlink", "stlink-v3", "cmsis-dap"])
def test_pyocd_loads_an_elf_and_the_firmware_talks(
    desk: VirtualDesk, program: Program, elf: Path, pack: Path, probe: str
) -> None:
    board = desk.plug_in("nucleo-f746", probe=probe)
    said = program(*LOAD, "--pack", str(pack), "--target", TARGET, str(elf))
    assert said.code == 0, said.err
    assert board.programmed_bytes >= 40_000
    assert not board.is_claimed
    import serial

    with serial.Serial(board.tty, 115200, timeout=5, exclusive=True) as port:
        port.write(b"name%")
        assert port.read_until(b"m-ready\r\n").endswith(b"m-ready\r\n")


def test_what_was_loaded_can_be_read_back(
    desk: VirtualDesk, program: Program, elf: Path, pack: Path, tmp_path: Path
) -> None:
    from tinybench.elf import load_segments

    board = desk.plug_in("nucleo-f746")
    code = """
uid, pack, elf, address, size = sys.argv[1:]
with session(uid, pack=pack, target_override="stm32f746zgtx") as s:
    FileProgrammer(s).program(elf, file_format="elf")
    print(json.dumps(bytes(s.target.read_memory_block8(int(address), int(size))).hex()))
"""
    address, data = next(iter(load_segments(elf)))
    (found,) = at_the_desk(
        program, tmp_path, code, board.uid, str(pack), str(elf), str(address), str(len(data))
    )
    assert found == data.hex()


def test_every_kind_of_reset(
    desk: VirtualDesk, program: Program, elf: Path, pack: Path, tmp_path: Path
) -> None:
    """Running after each reset; halted at the reset vector when that was asked for."""
    board = desk.plug_in("nucleo-f746")
    code = """
uid, pack, elf = sys.argv[1:]
with session(uid, pack=pack, target_override="stm32f746zgtx") as s:
    FileProgrammer(s).program(elf, file_format="elf")
    t = s.target
    vector = t.read32(0x08000004) & ~1
    for kind in Target.ResetType:
        t.reset_and_halt(kind)
        halted = t.get_state().name, t.read_core_register("pc") == vector
        t.reset(kind)
        print(json.dumps([kind.name, *halted, t.get_state().name]))
"""
    kinds = at_the_desk(program, tmp_path, code, board.uid, str(pack), str(elf))
    assert len(kinds) >= 7
    for name, halted, at_vector, after in kinds:  # type: ignore[misc] # lists of JSON
        assert (halted, at_vector, after) == ("HALTED", True, "RUNNING"), name


def test_registers_steps_breakpoints_and_lanes(
    desk: VirtualDesk, program: Program, elf: Path, pack: Path, tmp_path: Path
) -> None:
    board = desk.plug_in("nucleo-f746")
    code = """
uid, pack, elf = sys.argv[1:]
with session(uid, pack=pack, target_override="stm32f746zgtx") as s:
    FileProgrammer(s).program(elf, file_format="elf")
    t = s.target
    t.reset_and_halt()
    pc = t.read_core_register("pc")
    t.step()
    stepped = t.read_core_register("pc")
    t.step()
    later = t.read_core_register("pc")
    t.reset_and_halt()
    t.set_breakpoint(later, Target.BreakpointType.HW)
    t.resume()
    while t.get_state() is not Target.State.HALTED:
        pass
    hit = t.read_core_register("pc") == later
    t.write_core_register("r3", 0xA5A5A5A5)
    t.write_core_register("s5", 1.5)
    t.write32(0x20010000, 0x11223344)
    t.write8(0x20010001, 0xAA)
    t.write16(0x20010002, 0xBBCC)
    print(json.dumps({
        "stepped": 0 < stepped - pc <= 4 or stepped != pc, "hit": hit, "r3": t.read_core_register("r3"),
        "s5": t.read_core_register("s5"), "word": t.read32(0x20010000),
        "bytes": [t.read8(0x20010000 + n) for n in range(4)], "id": t.read32(0xE0042000) & 0xFFF,
    }))
"""
    (found,) = at_the_desk(program, tmp_path, code, board.uid, str(pack), str(elf))
    assert found == {
        "stepped": True,
        "hit": True,
        "r3": 0xA5A5A5A5,
        "s5": 1.5,
        "word": 0xBBCCAA44,
        "bytes": [0x44, 0xAA, 0xCC, 0xBB],
        "id": 0x449,
    }


def test_tar_wraps_within_a_kilobyte_and_faults_are_sticky(
    desk: VirtualDesk, program: Program, tmp_path: Path
) -> None:
    """Through a CMSIS-DAP probe, where pyOCD drives the MEM-AP's registers itself."""
    board = desk.plug_in("nucleo-f746", probe="cmsis-dap")
    code = """
from pyocd.core import exceptions
(uid,) = sys.argv[1:]
with session(uid, target_override="cortex_m") as s:
    t = s.target
    t.halt()
    words = list(range(1000))
    t.write_memory_block32(0x20010200, words)
    same = t.read_memory_block32(0x20010200, 1000) == words
    ap = t.aps[next(iter(t.aps))]
    ap.write_reg(4, 0x200103FC)
    ap.read_reg(0xC)
    wrapped = ap.read_reg(4)
    try:
        t.read32(0x60000000)
    except exceptions.TransferFaultError as fault:
        address = fault.fault_address
    print(json.dumps([same, wrapped, address, t.read32(0x20010204)]))
"""
    assert at_the_desk(program, tmp_path, code, board.uid) == [[True, 0x20010000, 0x60000000, 1]]


def test_kill_9_is_unplugging(desk: VirtualDesk, program: Program) -> None:
    staying, going = desk.plug_in("nucleo-f746"), desk.plug_in("nucleo-f746")
    going.unplug()
    listed = program("pyocd", "list").out
    assert staying.uid in listed
    assert going.uid not in listed


def test_the_serial_port_is_listed_beside_the_probe(
    desk: VirtualDesk, program: Program, tmp_path: Path
) -> None:
    board = desk.plug_in("nucleo-f746")
    desk.plug_in("nucleo-f746", faults=Faults(serial_missing=True))
    code = """
from serial.tools import list_ports
for p in list_ports.comports():
    print(json.dumps([p.device, p.serial_number, p.location, p.vid, p.pid]))
"""
    assert at_the_desk(program, tmp_path, code) == [[board.tty, board.uid, "9-1:1.2", 0x0483, 0x374B]]


def test_a_board_ends_with_its_desk(desk: VirtualDesk) -> None:
    board = desk.plug_in("nucleo-f746")
    desk.close()
    assert board.process.returncode == 0
    assert not board.socket.exists()


@pytest.mark.parametrize(
    ("target", "workload", "largest_bytes"),
    [
        ("nucleo-f746", "ad01-mltk", 280_000),
        ("nucleo-l4r5zi", "vww01-mltk", 250_000),
        ("b-l475e-iot01a", "ic01-mltk", 90_000),
        ("nrf52840-dk", "kws01-mltk", 40_000),
    ],
)
def test_every_board_is_flashed_proven_and_timed(
    desk: VirtualDesk, program: Program, target: str, workload: str, largest_bytes: int
) -> None:
    """Found by its probe, flashed by the algorithm that its pyOCD target has, read back, measured.

    Each board and each task once; `tests/speed/four_boards.py` runs them all on all.
    """
    board = desk.plug_in(target)
    said = program("tinybench", "run", "--workload", workload, "--device", target, "--json")
    assert said.code == 0, said.err
    (run,) = json.loads(said.out)["runs"]
    assert [check["equal"] for check in run["golden"]] == [True] * 3
    (latency,) = [m for m in run["measurements"] if m["metric"] == "latency"]
    assert len(latency["samples"]) == 7
    assert latency["kind"] == "rehearsed"
    assert board.programmed_bytes > largest_bytes
    assert not board.is_claimed
