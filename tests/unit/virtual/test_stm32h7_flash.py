"""The STM32H743's flash controller, register by register: RM0433 chapter 4, names of stm32h743xx.h."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_adapters.virtual.flash import FlashDefects
from device_adapters.virtual.peripherals.stm32h7_flash import FlashInterface, Parameters

ORIGIN, BANK, SECTOR, WORD = 0x0800_0000, 0x10_0000, 0x2_0000, 32
KEYR, CR, SR, CCR, SECOND = 0x04, 0x0C, 0x10, 0x14, 0x100
KEYS = (0x45670123, 0xCDEF89AB)
LOCK, PG, SER, BER, FW, START = 1, 2, 4, 8, 0x40, 0x80
BSY, WBNE, QW = 1, 2, 4
EOP, WRPERR, PGSERR, STRBERR, INCERR = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 21
BUS = 0xFFFFFFFF


@dataclass
class Cells:
    """What FlashArray is to a controller, without a core."""

    cells: bytearray = field(default_factory=lambda: bytearray(b"\xff" * 2 * BANK))
    origin: int = ORIGIN
    defects: FlashDefects = field(default_factory=FlashDefects)

    def add_controller(self, controller):
        self.controller = controller

    def settle(self):
        pass

    def read(self, address, size):
        return bytes(self.cells[address - ORIGIN : address - ORIGIN + size])

    def program(self, address, data):
        for at, byte in enumerate(data, address - ORIGIN):
            self.cells[at] &= byte

    def erase(self, address, size):
        self.cells[address - ORIGIN : address - ORIGIN + size] = b"\xff" * size


class Chip:
    """The controller and its cells, with what a program does to them."""

    def __init__(self) -> None:
        self.flash = Cells()
        self.refused: list[str] = []
        wiring = SimpleNamespace(flash=self.flash, refuse=self.refused.append, clocks=None)
        self.registers = FlashInterface(Parameters(), wiring)

    def put(self, offset, value):
        self.registers.write(offset, value, BUS)

    def get(self, offset):
        return self.registers.read(offset)

    def unlock(self, bank=0, keys=KEYS):
        for key in keys:
            self.put(bank * SECOND + KEYR, key)

    def store(self, address, data, step=4):
        for at in range(0, len(data), step):
            self.registers.store(address + at, data[at : at + step])

    def errors(self, bank=0):
        return self.get(bank * SECOND + SR) & ~EOP


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture
def programming(chip) -> Chip:
    chip.unlock()
    chip.put(CR, PG | 0x30)
    return chip


def test_it_is_locked_after_reset_and_each_bank_has_its_own_lock(chip):
    assert chip.get(CR) & chip.get(SECOND + CR) & LOCK
    assert not chip.registers.is_open()
    chip.unlock(bank=1)
    assert (chip.get(CR) & LOCK, chip.get(SECOND + CR) & LOCK) == (LOCK, 0)
    assert chip.registers.is_open()


def test_a_wrong_key_locks_until_the_next_reset(chip):
    chip.unlock(keys=(KEYS[0], KEYS[0]))
    chip.unlock()
    assert chip.get(CR) & LOCK
    chip.registers.reset()
    chip.unlock()
    assert not chip.get(CR) & LOCK


def test_a_locked_control_register_takes_nothing(chip):
    chip.put(CR, SER | START)
    assert chip.get(CR) == LOCK


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_flash_word_is_programmed_when_its_last_byte_is_there(programming, step):
    data = bytes(range(WORD))
    programming.store(ORIGIN + WORD, data[:-step], step)
    assert programming.get(SR) == WBNE
    assert programming.flash.read(ORIGIN + WORD, WORD) == b"\xff" * WORD
    programming.store(ORIGIN + WORD + WORD - step, data[-step:], step)
    assert programming.get(SR) == EOP
    assert programming.flash.read(ORIGIN + WORD, WORD) == data
    programming.put(CCR, EOP)
    assert programming.get(SR) == 0


@given(st.permutations(range(8)))
def test_the_order_of_its_eight_words_does_not_matter(order):
    chip = Chip()
    chip.unlock()
    chip.put(CR, PG)
    data = bytes(range(100, 100 + WORD))
    for place in order:
        chip.store(ORIGIN + 4 * place, data[4 * place : 4 * place + 4])
    assert chip.flash.read(ORIGIN, WORD) == data
    assert chip.errors() == 0


def test_a_flash_word_that_is_not_full_can_be_forced(programming):
    programming.store(ORIGIN, b"\1\2\3\4")
    programming.put(CR, PG | FW)
    assert programming.flash.read(ORIGIN, 8) == b"\1\2\3\4\xff\xff\xff\xff"
    assert programming.get(CR) == PG, "FW reads as zero"


def test_a_store_to_another_flash_word_is_an_inconsistency(programming):
    programming.store(ORIGIN, b"\0" * 4)
    programming.store(ORIGIN + WORD, b"\0" * 4)
    assert programming.errors() == INCERR
    programming.store(ORIGIN + WORD, b"\0" * WORD)
    assert programming.errors() == INCERR | PGSERR, "INCERR has to be cleared first"
    programming.put(CCR, INCERR | PGSERR)
    programming.store(ORIGIN + WORD, b"\0" * WORD)
    assert programming.errors() == 0
    assert programming.flash.read(ORIGIN, WORD) == b"\xff" * WORD, "what was in the buffer is lost"


def test_a_byte_stored_twice_is_a_strobe_error(programming):
    programming.store(ORIGIN, b"\0" * 4)
    programming.store(ORIGIN + 2, b"\0" * 2)
    assert programming.errors() & STRBERR


def test_a_store_without_pg_is_a_sequence_error_and_changes_nothing(chip):
    chip.unlock()
    chip.store(ORIGIN, b"\0" * WORD)
    assert chip.errors() == PGSERR
    assert chip.flash.read(ORIGIN, WORD) == b"\xff" * WORD


def test_a_flash_word_that_is_programmed_twice_is_refused(programming):
    for _ in range(2):
        programming.store(ORIGIN, b"\x55" * WORD)
    (why,) = programming.refused
    assert "0x08000000" in why
    assert "ECC" in why


@pytest.mark.parametrize("bank", [0, 1])
def test_a_sector_is_erased_and_its_neighbours_are_not(chip, bank):
    chip.flash.cells[:] = bytes(2 * BANK)
    chip.unlock(bank)
    chip.put(bank * SECOND + CR, SER | 3 << 8)
    chip.put(bank * SECOND + CR, SER | 3 << 8 | START)
    first = bank * BANK + 3 * SECTOR
    blank = [
        at for at in range(0, 2 * BANK, SECTOR) if chip.flash.cells[at : at + SECTOR] == b"\xff" * SECTOR
    ]
    assert blank == [first]
    assert not any(chip.flash.cells[:first])
    assert chip.get(bank * SECOND + SR) == EOP
    assert not chip.get(bank * SECOND + CR) & START, "START clears itself"


def test_a_bank_is_erased_and_the_other_is_not(chip):
    chip.flash.cells[:] = bytes(2 * BANK)
    chip.unlock(bank=1)
    chip.put(SECOND + CR, BER | START)
    assert chip.flash.cells == bytes(BANK) + b"\xff" * BANK


@pytest.mark.parametrize(("bank", "sector"), [(0, 2), (1, 10)])
def test_a_protected_sector_is_neither_erased_nor_programmed(chip, bank, sector):
    chip.registers.protected = frozenset({sector})
    assert chip.registers.protected == {sector}
    chip.unlock(bank)
    chip.put(bank * SECOND + CR, SER | (sector % 8) << 8 | START)
    assert chip.errors(bank) == WRPERR
    chip.put(bank * SECOND + CCR, WRPERR)
    chip.put(bank * SECOND + CR, PG)
    chip.store(ORIGIN + sector * SECTOR, bytes(WORD))
    assert chip.errors(bank) == WRPERR
    assert chip.flash.cells == b"\xff" * 2 * BANK


def test_flash_that_never_gets_ready_stays_busy(programming):
    programming.flash.defects.never_ready = True
    programming.store(ORIGIN, bytes(WORD))
    assert programming.get(SR) & (BSY | QW) == BSY | QW
    programming.put(CR, LOCK)
    assert not programming.get(CR) & LOCK, "while it is busy, CR takes nothing"


def test_wait_states_after_reset_and_when_they_are_set(chip):
    assert (chip.get(0), chip.registers.wait_states) == (0x37, 7)
    chip.put(0, 0x22)
    assert chip.registers.wait_states == 2


def test_it_is_not_protected_against_reading_as_delivered(chip):
    assert chip.get(0x1C) >> 8 & 0xFF == chip.get(0x20) >> 8 & 0xFF == 0xAA
