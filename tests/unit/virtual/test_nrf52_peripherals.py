"""Peripherals of the nRF52 do as the Product Specification says, on a board without firmware."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from device_adapters.virtual.board import Board, make_hook
from device_adapters.virtual.table import table_of
from tinybench.target import Target

TOML = Path(__file__).parents[2] / "firmware" / "foreign_chip" / "nrf52833.toml"
ALL = 0xFFFFFFFF
PER_TICK = 4  # of 16 MHz, at 64 MHz
BYTE_TIME = 64_000_000 * 10 // 115_200
RAM = 0x20000100


class Part:
    """One peripheral, as software sees it, with time."""

    def __init__(self, board: Board, name: str) -> None:
        self.board, self.device = board, board.parts[name]

    def __getitem__(self, offset: int) -> int:
        return self.device.read(offset)

    def __setitem__(self, offset: int, value: int) -> None:
        self.device.write(offset, value, ALL)

    def after(self, instructions: int) -> Part:
        """The same a while later."""
        self.board.core.spin(instructions)
        return self

    def pends(self, interrupt: int) -> bool:
        """Whether the interrupt is pending."""
        self.device.elapse()
        return 16 + interrupt in self.board.core.system.pending


@pytest.fixture
def board():
    target = Target.model_validate({**tomllib.loads(TOML.read_text(encoding="utf-8")), "folder": TOML.parent})
    table = table_of(target)
    assert table is not None
    board = Board(target, table, make_hook())
    board.parts["clock"].write(0x000, 1, ALL)  # the crystal: then all rates are true
    board.core.spin(1000)
    yield board
    board.close()


@pytest.fixture
def timer(board):
    timer = Part(board, "timer1")
    timer[0x508] = 3  # 32 bits
    timer[0x510] = 0  # 16 MHz
    return timer


def test_a_timer_counts_and_captures(timer):
    timer[0x000] = 1
    timer.after(100 * PER_TICK)[0x040] = 1
    assert timer[0x540] == 100
    timer.after(10 * PER_TICK)[0x004] = 1
    timer.after(50 * PER_TICK)[0x044] = 1
    assert timer[0x544] == 110
    timer[0x00C] = 1
    timer[0x040] = 1
    assert timer[0x540] == 0


def test_a_match_is_an_event_at_its_time_and_interrupts_if_asked(timer):
    timer[0x544] = 25
    timer[0x000] = 1
    began = timer.board.core.time
    assert timer.device.due() is None
    timer[0x304] = 1 << 17
    assert timer.device.due() == began + 25 * PER_TICK
    assert not timer.after(25 * PER_TICK - 1).pends(9)
    assert timer.after(1).pends(9)
    assert timer[0x144] == 1
    assert timer[0x140] == 0


def test_a_match_that_clears_is_a_period(timer):
    timer[0x540], timer[0x200], timer[0x304] = 10, 1 << 0, 1 << 16
    timer[0x000] = 1
    began = timer.board.core.time
    timer.after(35 * PER_TICK)[0x044] = 1
    assert timer[0x544] == 5
    assert timer.device.due() == began + 40 * PER_TICK


def test_a_match_that_stops_stops(timer):
    timer[0x540], timer[0x200] = 10, 1 << 8
    timer[0x000] = 1
    timer.after(35 * PER_TICK)[0x044] = 1
    assert timer[0x544] == 10
    assert timer.device.due() is None


def test_a_timer_of_sixteen_bits_wraps_and_matches_again(timer):
    timer[0x508], timer[0x540], timer[0x304] = 0, 3, 1 << 16
    timer[0x000] = 1
    began = timer.board.core.time
    timer.after(4 * PER_TICK).device.elapse()
    assert timer.device.due() == began + (0x10000 + 3) * PER_TICK


def test_a_timer_keeps_its_speed_while_it_runs(timer):
    timer[0x000] = 1
    timer[0x510] = 4
    assert timer.board.refusal == "timer1 gets another speed or width while it runs"


@pytest.fixture
def uarte(board):
    uarte = Part(board, "uarte0")
    uarte[0x524], uarte[0x50C], uarte[0x514] = 0x01D60000, 6, 40
    uarte[0x500] = 8
    return uarte


def test_what_is_sent_leaves_when_its_time_has_passed(uarte):
    uarte.board.core.space.write(RAM, b"hello")
    uarte[0x544], uarte[0x548], uarte[0x304] = RAM, 5, 1 << 8
    uarte[0x008] = 1
    assert uarte[0x150] == 1
    assert uarte.device.due() == uarte.board.core.time + 5 * BYTE_TIME
    assert not uarte.after(5 * BYTE_TIME - 1).pends(2)
    assert bytes(uarte.board.line.to_host) == b""
    assert uarte.after(1).pends(2)
    assert bytes(uarte.board.line.to_host) == b"hello"
    assert (uarte[0x120], uarte[0x54C]) == (1, 5)


def receive(uarte, data: bytes) -> None:
    uarte.board.line.to_device.extend(data)
    uarte.device.elapse()
    for _ in data:
        uarte.after(BYTE_TIME).device.elapse()


def test_a_full_buffer_ends_and_the_shortcut_opens_the_next(uarte):
    uarte[0x534], uarte[0x538], uarte[0x200], uarte[0x304] = RAM, 3, 1 << 5, 1 << 4
    uarte[0x000] = 1
    uarte[0x534] = RAM + 16  # taken over when the next one starts
    receive(uarte, b"abcde")
    assert uarte.pends(2)
    assert uarte[0x53C] == 3
    assert uarte.board.core.space.read(RAM, 3) == b"abc"
    assert uarte.board.core.space.read(RAM + 16, 2) == b"de"


def test_stopping_says_how_much_came(uarte):
    uarte[0x534], uarte[0x538] = RAM, 8
    uarte[0x000] = 1
    receive(uarte, b"ab")
    uarte[0x004] = 1
    assert (uarte[0x110], uarte[0x144], uarte[0x53C]) == (1, 1, 2)


def test_bytes_without_a_buffer_wait_in_four_places_and_then_are_lost(uarte):
    uarte[0x534], uarte[0x538] = RAM, 1
    uarte[0x000] = 1
    receive(uarte, b"a1234x")
    assert (uarte[0x124], uarte[0x480]) == (1, 1)
    uarte[0x534], uarte[0x538] = RAM, 4
    uarte[0x000] = 1
    assert uarte.board.core.space.read(RAM, 4) == b"1234"


@pytest.mark.parametrize(("task", "says"), [(0x008, "sends from"), (0x000, "receives to")])
def test_dma_reaches_ram_only(uarte, task, says):
    uarte[0x544], uarte[0x548], uarte[0x534], uarte[0x538] = 0x100, 4, 0x100, 4
    uarte[task] = 1
    receive(uarte, b"a")
    assert uarte.board.refusal == f"uarte0 {says} `0x00000100`, which is not RAM"


def test_nobody_answers_on_the_bus(board):
    twim = Part(board, "twim0")
    twim[0x500] = 6
    twim[0x008] = 1
    assert (twim[0x124], twim[0x4C4]) == (1, 1 << 1)
    assert twim[0x104] == 0
    twim[0x014] = 1
    assert twim[0x104] == 1


def test_random_bytes_are_the_same_after_each_reset(board):
    rng = Part(board, "rng")

    def some() -> list[int]:
        rng.device.reset()
        rng[0x000] = 1
        drawn = []
        for _ in range(64):
            assert rng[0x100] == 1
            drawn.append(rng[0x508])
            rng[0x100] = 0
        return drawn

    first = some()
    assert first == some()
    assert len(set(first)) > 48


def test_pins_show_what_pulls_them(board):
    gpio = Part(board, "gpio")
    assert gpio[0x510] == 0  # no input buffer is connected
    gpio[0x700 + 4 * 14] = 0
    gpio[0x700 + 4 * 15] = 0
    gpio[0x700 + 4 * 16] = 3 << 2
    gpio[0x700 + 4 * 17] = 1
    assert gpio[0x510] == 1 << 14 | 1 << 16  # the board's resistor, and the pin's own
    gpio[0x508] = 1 << 17
    assert gpio[0x510] == 1 << 14 | 1 << 16 | 1 << 17
