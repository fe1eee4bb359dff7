"""Every way in which a bench breaks, on virtual boards: the right error, a remedy, no number."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from virtual_desk import wire
from virtual_desk.desk import VirtualBoard, VirtualDesk
from virtual_desk.faults import Faults
from virtual_desk.program import Program, Said

WORKLOAD = "kws01-mltk"
RUN = ("run", "--workload", WORKLOAD, "--device", "nucleo-f746", "--json")
FLASH = 0x08000000
AFTER_SOME_BYTES = 20_000


@dataclass(frozen=True)
class Row:
    """One fault, and what the user is told."""

    name: str
    faults: Faults
    error: str
    words: str
    code: int = 4
    more: tuple[str, ...] = field(default=())
    survives: bool = True  # the probe is still there afterwards


ROWS = (
    Row("unpowered", Faults(unpowered=True), "DeviceError", "no chip"),
    Row("unplugged between list and open", Faults(unplug_on_claim=2), "DeviceNotFound", "", survives=False),
    Row(
        "unplugged while flashing",
        Faults(unplug_after_flash_bytes=AFTER_SOME_BYTES),
        "DeviceNotFound",
        "not plugged in",
        survives=False,
    ),
    Row("readout protection level 1", Faults(readout_protected=True), "LoadError", "0x0"),
    Row("write-protected sector", Faults(protected_sectors=(0,)), "LoadError", "could not be erased"),
    Row("flash controller hangs", Faults(flash_never_ready=True), "LoadError", "did not finish"),
    Row("stuck flash bit", Faults(stuck_at_one=((FLASH + 0x400, 0xFF),)), "LoadError", "reads 0xff"),
    Row("serial vanishes", Faults(serial_vanishes_after_bytes=200), "DeviceNotFound", "no serial port"),
    Row("serial garbage", Faults(serial_garbage=True), "ProtocolError", "\N{REPLACEMENT CHARACTER}"),
    Row("bus fault on a debugger's read", Faults(unreadable=(FLASH + 0x400,)), "LoadError", "0x08000400"),
    Row("no serial port", Faults(serial_missing=True), "DeviceNotFound", "no serial port"),
    Row(
        "mute firmware",
        Faults(mute=True),
        "DeadlineExceeded",
        "never answered",
        124,
        more=("--timeout", "60"),
    ),
)


def failure_of(said: Said) -> dict[str, Any]:
    """The one run's failure; it holds no number."""
    assert said.out, said.err
    (run,) = json.loads(said.out)["runs"]
    assert run["failure"] is not None, said.err
    timed = [m for m in run["measurements"] if m["metric"] == "latency"]
    assert not timed, "a failure of the bench is no measurement"
    failure: dict[str, Any] = run["failure"]
    return failure


def is_sound(run: dict[str, Any]) -> bool:
    """Whether the board was flashed, proven right and timed, each window under two clocks."""
    latencies = [m["samples"] for m in run["measurements"] if m["metric"] == "latency"]
    return run["failure"] is None and all(len(samples) == 7 for samples in latencies) and bool(latencies)


def assert_free(board: VirtualBoard) -> None:
    """Nobody holds its probe or its port any more."""
    import serial

    assert not board.is_claimed
    if not board.settings.faults.serial_missing and board.settings.faults.serial_vanishes_after_bytes is None:
        serial.Serial(board.tty, 115200, exclusive=True).close()


def inventory(folder: Path, board: VirtualBoard, target: str) -> None:
    """A desk on which somebody wrote that `board` is a `target`, by the name `mine`."""
    text = f'[[device]]\nid = "mine"\ntarget = "{target}"\nprobe = "{board.uid}"\n'
    (folder / "bench.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_is_told_in_words(row: Row, desk: VirtualDesk, tinybench: Program) -> None:
    board = desk.plug_in("nucleo-f746", faults=row.faults)
    said = tinybench(*RUN, *row.more)
    failure = failure_of(said)
    assert (failure["error"], said.code, failure["exit_code"]) == (row.error, row.code, row.code), failure
    assert row.words in failure["message"]
    assert failure["hint"], failure
    if row.survives:
        assert_free(board)


def test_a_brown_out_while_flashing_is_retried(desk: VirtualDesk, tinybench: Program) -> None:
    board = desk.plug_in("nucleo-f746", faults=Faults(brown_out_after_flash_bytes=AFTER_SOME_BYTES))
    said = tinybench(*RUN)
    (run,) = json.loads(said.out)["runs"]
    assert is_sound(run), run["failure"]
    assert run["provenance"]["retried"]
    assert_free(board)


def test_no_probe(tinybench: Program) -> None:
    said = tinybench(*RUN)
    assert said.code == 4, said.err
    assert "hint: " in said.err


def test_two_boards_and_none_is_named(desk: VirtualDesk, tinybench: Program) -> None:
    boards = [desk.plug_in("nucleo-f746") for _ in range(2)]
    said = tinybench(*RUN)
    assert said.code == 2, said.err
    for board in boards:
        assert board.uid in said.err
    said = tinybench(*RUN[:-3], "--device", f"pyocd:{boards[1].uid}", "--json")
    assert is_sound(json.loads(said.out)["runs"][0]), said.err
    assert boards[1].programmed_bytes > 0
    assert boards[0].programmed_bytes == 0


def test_a_probe_that_another_program_holds(desk: VirtualDesk, tinybench: Program, tmp_path: Path) -> None:
    """A held probe does not tell which board it is on, so the inventory must."""
    board = desk.plug_in("nucleo-f746")
    inventory(tmp_path, board, "nucleo-f746")
    with wire.Connection(board.socket) as other:
        other.ask(wire.HELLO, b"another program")
        other.ask(wire.CLAIM)
        failure = failure_of(tinybench(*RUN[:-3], "--device", "mine", "--json"))
    assert failure["error"] == "DeviceError"
    assert "in use" in failure["message"]
    assert_free(board)


def test_a_port_that_another_program_holds(desk: VirtualDesk, tinybench: Program) -> None:
    import serial

    board = desk.plug_in("nucleo-f746")
    with serial.Serial(board.tty, 115200, exclusive=True):
        failure = failure_of(tinybench(*RUN))
    assert failure["error"] == "DeviceError"
    assert "in use" in failure["message"]
    assert board.programmed_bytes == 0, "the port is opened before anything is flashed"
    assert_free(board)


def test_another_chip_behind_the_probe(desk: VirtualDesk, tinybench: Program, tmp_path: Path) -> None:
    board = desk.plug_in("nucleo-l4r5zi")
    inventory(tmp_path, board, "nucleo-f746")
    said = tinybench("run", "--workload", WORKLOAD, "--device", "mine", "--json")
    failure = failure_of(said)
    assert failure["error"] == "LoadError"
    assert "the chip behind this probe is not STM32F74x" in failure["message"]
    assert board.programmed_bytes == 0
    assert_free(board)


def test_a_part_of_an_id_that_two_probes_have(desk: VirtualDesk, tinybench: Program) -> None:
    boards = [desk.plug_in("nucleo-f746") for _ in range(2)]
    said = tinybench(*RUN[:-3], "--device", "pyocd:virtualf746", "--json")
    assert said.code == 2, said.err
    for board in boards:
        assert f"--device pyocd:{board.uid}" in said.err
        assert board.programmed_bytes == 0
        assert_free(board)


def test_a_locked_chip_is_reported_and_erased_only_if_that_was_asked_for(
    desk: VirtualDesk, tinybench: Program
) -> None:
    board = desk.plug_in("nrf52840-dk", faults=Faults(locked=True))
    words = ("run", "--workload", WORKLOAD, "--device", "nrf52840-dk", "--json")
    said = tinybench(*words)
    failure = failure_of(said)
    assert (failure["error"], said.code) == ("DeviceError", 4), failure
    assert "locked" in failure["message"]
    assert "--unlock" in failure["hint"]
    assert board.is_locked
    assert_free(board)
    unlocked = tinybench(*words, "--unlock")
    assert is_sound(json.loads(unlocked.out)["runs"][0]), unlocked.err
    assert not board.is_locked
    assert_free(board)


BAD_IMAGES = """
import sys
from dataclasses import replace
from pathlib import Path
from device_adapters.pyocd_probe import PyocdAdapter
from tinybench import interleave, plugins
from tinybench.errors import TinyBenchError

elf, other, device = Path(sys.argv[1]), Path(sys.argv[2]), None
(device,) = PyocdAdapter().find(plugins.discover().target("nucleo-f746"))
image = interleave.find_image(str(elf), Path())
for bad in (elf.with_name("cut.elf"), elf.with_name("text.elf"), other):
    try:
        with PyocdAdapter().open(device, replace(image, elf=bad)):
            print("opened")
    except TinyBenchError as error:
        print(type(error).__name__, error.exit_code, bool(error.hint), error.message)
"""


def test_a_bad_image_is_refused_before_the_probe_is_opened(
    desk: VirtualDesk, program: Program, tinybench: Program, elf: Path, tmp_path: Path
) -> None:
    """Cut off in the middle; no ELF at all; sound, and for a chip whose flash lies elsewhere."""
    for name, data in (
        ("image.elf", elf.read_bytes()),
        ("image.json", elf.with_suffix(".json").read_bytes()),
    ):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "cut.elf").write_bytes(elf.read_bytes()[:30_000])
    (tmp_path / "text.elf").write_text("not an image")
    built = tinybench("build", "--workload", WORKLOAD, "--device", "nrf52840-dk", "--json")
    other = json.loads(built.out)["images"][0]["elf"]
    board = desk.plug_in("nucleo-f746")
    (tmp_path / "bad_images.py").write_text(BAD_IMAGES)
    said = program("bad_images", str(tmp_path / "image.elf"), other)
    told = said.out.splitlines()
    assert [line.split()[:3] for line in told] == [["LoadError", "4", "True"]] * 3, said
    assert "cut" in told[0]
    assert "not an ELF file" in told[1]
    assert "outside the flash" in told[2]
    assert board.claims == 1, "the probe was listed, and never opened"
    assert_free(board)


def test_swapped_serial_ports_are_noticed(
    desk: VirtualDesk, program: Program, tinybench: Program, pack: Path
) -> None:
    """Both boards run; each probe claims the other's port."""
    first_uid, second_uid = "VIRTUALF7460000000000001", "VIRTUALF7460000000000002"
    first = desk.plug_in("nucleo-f746", uid=first_uid, serial_uid=second_uid)
    second = desk.plug_in("nucleo-f746", uid=second_uid, serial_uid=first_uid)
    built = tinybench("build", "--workload", "ad01-mltk", "--device", "nucleo-f746", "--json")
    other = json.loads(built.out)["images"][0]["elf"]
    loaded = program(
        "pyocd", "load", "--no-config", "--uid", second.uid, "--pack", str(pack), "-t", "stm32f746zgtx", other
    )
    assert loaded.code == 0, loaded.err
    said = tinybench(*RUN[:-3], "--device", f"pyocd:{first.uid}", "--json")
    failure = failure_of(said)
    assert (failure["error"], said.code) == ("WrongBoard", 4), failure
    assert failure["hint"]
    for board in (first, second):
        assert_free(board)


def test_a_frozen_probe_costs_one_board_its_turn(
    desk: VirtualDesk, tinybench: Program, tmp_path: Path
) -> None:
    board = desk.plug_in("nucleo-f746", faults=Faults(hang_after_flash_bytes=AFTER_SOME_BYTES))
    failure = failure_of(tinybench(*RUN))
    assert failure["exit_code"] == 4
    assert failure["hint"]
    board.unplug()


FAULTY_ENGINE = '''
from tinybench.engines.reference import ENGINES as OURS

CODE = """
tb_status tb_engine_invoke(void);
tb_status tb_engine_invoke(void) {
    (void)sound_invoke;
    CODE
    return 0;
}
"""

class Faulty:
    name = "faulty"
    exactness = "exact"
    refuses = staticmethod(lambda workload, target: None)

    def generate(self, workload, target, into):
        sources = OURS[0].generate(workload, target, into)
        for path in (p for p in into.rglob("*") if p.is_file()):
            text = path.read_text()
            if "tb_engine_output" in text and "tb_engine_invoke(void)" in text:
                path.write_text(text.replace("tb_engine_invoke(void)", "sound_invoke(void)") + CODE)
        return sources

ENGINES = (Faulty(),)
'''

FIRMWARE_FAULTS = {
    "hard fault": ('__asm volatile("udf #0");', "fault"),
    "bus fault": ("*(volatile int *)0x60000000 = 1;", "fault"),
    "lockup": (
        '*(volatile unsigned *)0xE000ED08u = 0x60000000u; __asm volatile("dsb; udf #0");',
        "locked up",
    ),
    "hangs": ("for (;;) { }", ""),
}
"""C that the engine runs in place of the model, and a word of what the user is told."""


@pytest.mark.parametrize("name", FIRMWARE_FAULTS)
def test_firmware_that_breaks_is_examined(
    name: str, desk: VirtualDesk, tinybench: Program, tmp_path: Path
) -> None:
    code, words = FIRMWARE_FAULTS[name]
    (tmp_path / "faulty.py").write_text(FAULTY_ENGINE.replace("    CODE\n", f"    {code}\n"))
    board = desk.plug_in("nucleo-f746")
    said = tinybench(*RUN, "--plugins", str(tmp_path), "--engine", "faulty", "--timeout", "30")
    failure = failure_of(said)
    told = " ".join((failure["message"], *failure["details"]))
    assert failure["error"] == ("DeadlineExceeded" if name == "hangs" else "FirmwareFault"), failure
    assert words in told
    assert "tb_engine_invoke" in told, "the place in the program is named"
    assert_free(board)


def test_one_mute_board_among_four_does_not_stop_the_others(desk: VirtualDesk, tinybench: Program) -> None:
    names = ("nucleo-f746", "nucleo-l4r5zi", "nrf52840-dk", "b-l475e-iot01a")
    mute = "nucleo-l4r5zi"
    boards = [desk.plug_in(name, faults=Faults(mute=name == mute)) for name in names]
    said = tinybench("run", "--workload", WORKLOAD, "--device", ",".join(names), "--json", "--timeout", "240")
    runs = {run["case"]["target"]: run for run in json.loads(said.out)["runs"]}
    assert {name: is_sound(run) for name, run in runs.items()} == {name: name != mute for name in names}, said
    assert runs[mute]["failure"]["error"] == "DeadlineExceeded"
    assert said.code == 124
    for board in boards:
        assert_free(board)


@pytest.mark.parametrize("scale", [0.985, 1.015])
def test_a_board_whose_clock_runs_wrong_is_suspect_and_has_no_latency(
    scale: float, desk: VirtualDesk, tinybench: Program
) -> None:
    """However busy this computer is: the board's counter runs that much off the computer's clock."""
    board = desk.plug_in("nucleo-f746", wall_scale=scale)
    said = tinybench(*RUN)
    failure = failure_of(said)
    assert (failure["error"], said.code) == ("ClockSuspect", 3), failure
    assert failure["hint"]
    assert_free(board)
