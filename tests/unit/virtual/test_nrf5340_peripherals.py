"""What the nRF5340's twin does otherwise: a halved clock, and a UARTE for firmware that polls."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import device_adapters.boards
from device_adapters.virtual.board import Board, make_hook
from device_adapters.virtual.table import table_of
from tinybench.target import Target

pytestmark = pytest.mark.needs("python:unicorn")

TOML = Path(next(iter(device_adapters.boards.__path__))) / "nrf5340_dk.toml"
ALL = 0xFFFFFFFF
RAM = 0x20002000
HFCLKSTART, HFCLKSTAT, HFCLKSRC, HFCLKCTRL = 0x000, 0x40C, 0x514, 0x558
STARTRX, STARTTX, ENDRX, ENDTX, ERROR = 0x000, 0x008, 0x110, 0x120, 0x124


@pytest.fixture
def board():
    target = Target.model_validate({**tomllib.loads(TOML.read_text(encoding="utf-8")), "folder": TOML.parent})
    table = table_of(target)
    assert table is not None
    board = Board(target, table, make_hook())
    yield board
    board.close()


@pytest.fixture
def uarte(board):
    board.parts["clock"].write(HFCLKSTART, 1, ALL)
    board.core.spin(1000)
    uarte = board.parts["uarte0"]
    for offset, value in (
        (0x50C, 20),
        (0x514, 22),
        (0x524, 0x01D60000),
        (0x534, RAM),
        (0x538, 1),
        (0x500, 8),
    ):
        uarte.write(offset, value, ALL)
    return uarte


def test_the_core_runs_at_half_its_speed_until_it_is_told_otherwise(board):
    clock = board.parts["clock"]
    assert clock.read(HFCLKSTAT) == 0
    clock.write(HFCLKSTART, 1, ALL)
    board.core.spin(1000)
    assert (clock.read(HFCLKSTAT), clock.core_hz()) == (0x10001, 64e6)
    clock.write(HFCLKCTRL, 0, ALL)
    assert (clock.core_hz(), clock.frequency("uarte0")) == (128e6, 16e6)
    clock.reset()
    assert clock.read(HFCLKCTRL) == 1


def test_no_crystal_starts_if_another_source_is_chosen(board):
    clock = board.parts["clock"]
    clock.write(HFCLKSRC, 0, ALL)
    clock.write(HFCLKSTART, 1, ALL)
    board.core.spin(1000)
    assert not clock.is_true
    assert clock.core_hz() != 64e6


def test_who_polls_waits_once_for_a_byte_and_once_for_the_end_of_a_transfer(board, uarte):
    uarte.write(STARTRX, 1, ALL)
    board.line.to_device.extend(b"ab")
    assert [uarte.read(ENDRX) for _ in range(2)] == [0, 1]
    assert board.core.space.read(RAM, 1) == b"a"
    for offset, value in ((0x544, RAM), (0x548, 1), (STARTTX, 1)):
        uarte.write(offset, value, ALL)
    assert [uarte.read(ENDTX) for _ in range(2)] == [0, 1]
    assert bytes(board.line.to_host) == b"a"


def test_asking_brings_no_byte_that_has_no_buffer(board, uarte):
    """Else a receiver that is asked often would overrun by being asked."""
    uarte.write(STARTRX, 1, ALL)
    board.line.to_device.extend(b"abcdefgh")
    uarte.read(ENDRX)
    uarte.write(ENDRX, 0, ALL)
    assert [uarte.read(ENDRX) for _ in range(20)] == [0] * 20
    assert uarte.read(ERROR) == 0
    uarte.write(STARTRX, 1, ALL)
    assert [uarte.read(ENDRX) for _ in range(2)] == [0, 1]
    assert board.core.space.read(RAM, 1) == b"b"
