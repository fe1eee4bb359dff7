"""Firmware that this project did not write: MicroPython for the micro:bit V2, out of the package `uflash`.

Four programs of others in one image, each as its vendor or project compiled it: Nordic's master boot record,
boot loader and SoftDevice, through which every interrupt is forwarded, and MicroPython on the board's own
runtime, CODAL: fibers, timers that interrupt, WFE between them, a serial port by interrupt and DMA.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from device_adapters.virtual.board import Board, make_hook
from device_adapters.virtual.table import table_of
from tinybench.target import Target

pytestmark = pytest.mark.needs("python:unicorn")

FOLDER = Path(__file__).parent / "foreign_chip"
PACKAGE, VERSION = "uflash", "2.0.0"
SHA256 = "f583d2264fcf37e3e358f1f3a4370ce43b24eb3fdf845a477202555235b52582"
BOARD_ID = b"\x99\x03"  # micro:bit V2 in a universal hex
DATA, LINEAR, BLOCK_START, CUSTOM_DATA = 0x00, 0x04, 0x0A, 0x0D  # record types; the last two of universal hex
CORE_HZ = 64_000_000
PROMPT = b">>> "
STEP = 100_000


@pytest.fixture(scope="module")
def elf(tmp_path_factory) -> Path:
    """The image of the package as an ELF file: the door that all images come in by."""
    folder = tmp_path_factory.mktemp("uflash")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    done = subprocess.run(
        [*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:  # in CI, where the index can be reached, a failure
        leave = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        leave(f"pip cannot bring {PACKAGE}=={VERSION}: {done.stderr[-300:]}")
    archive = folder / f"{PACKAGE}-{VERSION}.tar.gz"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"{PACKAGE}-{VERSION}/uflash.py")
        assert member is not None
        source = member.read().decode()
    found = re.search(r'^_RUNTIME = """(.*?)"""', source, re.DOTALL | re.MULTILINE)
    assert found is not None
    path = folder / "micropython.elf"
    path.write_bytes(as_elf(segments(found[1])))
    return path


def segments(universal_hex: str) -> list[tuple[int, bytes]]:
    """Address and bytes of each stretch that is meant for our board."""
    found: list[tuple[int, bytearray]] = []
    upper, ours = 0, False
    for line in universal_hex.split():
        record = bytes.fromhex(line[1:])
        assert sum(record) & 0xFF == 0, line
        size, kind, data = record[0], record[3], record[4:-1]
        if kind == LINEAR:
            upper = int.from_bytes(data, "big") << 16
        elif kind == BLOCK_START:
            ours = data[:2] == BOARD_ID
        elif kind in (DATA, CUSTOM_DATA) and ours:
            address = upper + int.from_bytes(record[1:3], "big")
            if not found or found[-1][0] + len(found[-1][1]) != address:
                found.append((address, bytearray()))
            found[-1][1].extend(data[:size])
    return [(address, bytes(data)) for address, data in found]


def as_elf(parts: list[tuple[int, bytes]]) -> bytes:
    """An executable for Arm with one loadable segment per part (ELF-32, System V ABI, chapter 4 and 5)."""
    header_bytes, entry_bytes = 52, 32
    offset = header_bytes + entry_bytes * len(parts)
    identity = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIIIIIHHHHHH",
        *(
            identity,
            2,
            40,
            1,
            0,
            header_bytes,
            0,
            0x05000000,
            header_bytes,
            entry_bytes,
            len(parts),
            40,
            0,
            0,
        ),
    )
    table, body = b"", b""
    for address, data in parts:
        place = offset + len(body)
        table += struct.pack("<IIIIIIII", 1, place, address, address, len(data), len(data), 5, 4)
        body += data
    return header + table + body


class Console:
    """The board and what is typed at it."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def until_prompt(self, within_s: float) -> str:
        """What is printed before the next prompt, within seconds of the board's own time."""
        last = self.board.core.time + within_s * CORE_HZ
        while not self.board.line.to_host.endswith(PROMPT):
            assert self.board.core.time < last, bytes(self.board.line.to_host)
            self.board.run(STEP)
            assert self.board.refusal is None, self.board.refusal
            assert self.board.core.last_fault is None
        said = bytes(self.board.line.to_host).removesuffix(PROMPT).decode()
        self.board.line.to_host.clear()
        return said

    def type(self, line: str, within_s: float = 2.0) -> str:
        """The answer to a line, which is echoed."""
        self.board.line.to_device.extend(f"{line}\r".encode())
        return self.until_prompt(within_s).removeprefix(f"{line}\r\n").removesuffix("\r\n")


@pytest.fixture(scope="module")
def console(elf):
    facts = tomllib.loads((FOLDER / "nrf52833.toml").read_text(encoding="utf-8"))
    target = Target.model_validate({**facts, "folder": FOLDER})
    table = table_of(target)
    assert table is not None
    board = Board(target, table, make_hook())
    board.load(elf)
    board.reset()
    console = Console(board)
    banner = console.until_prompt(within_s=1)
    assert banner.startswith("MicroPython v1.13 on 2021-03-16; micro:bit v2.0.0-beta.5 with nRF52833")
    yield console
    board.close()


def test_it_computes_whole_and_floating_numbers(console):
    assert console.type("print(6*7)") == "42"
    assert console.type("print(sum(i * 0.5 for i in range(1000)))") == "249750.0"
    assert console.type("1 / 0").endswith("ZeroDivisionError: divide by zero")


def test_its_clock_agrees_with_the_boards(console):
    """Time by a timer's interrupts: what MicroPython measures is what passed, within what it takes to ask."""
    console.type("import time")
    console.type("t = time.ticks_us()")
    began = console.board.core.time
    console.type("time.sleep_ms(250)")
    passed_s = (console.board.core.time - began) / CORE_HZ
    assert 0.25 <= passed_s < 0.28
    measured_s = int(console.type("print(time.ticks_us() - t)")) / 1e6
    assert passed_s - 0.01 < measured_s < passed_s + 0.03


def test_it_sleeps_between_interrupts(console):
    executed, began = console.board.core.executed, console.board.core.time
    console.type("time.sleep_ms(1000)")
    assert console.board.core.executed - executed < 0.7 * (console.board.core.time - began)


def test_a_long_line_comes_through_whole(console):
    """Bytes come at the line's speed while timers interrupt and fibers switch: none is lost or doubled."""
    text = "".join(chr(33 + i % 90) for i in range(240)).replace("\\", "/").replace("'", '"')
    assert console.type(f"print('{text}')", within_s=5) == text
