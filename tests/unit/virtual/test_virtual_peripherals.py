"""The modelled chip does what start-up code waits for, and refuses what silicon refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from device_adapters.virtual.board import Board

RCC, PWR, FLASH, GPIOD, USART3 = 0x40023800, 0x40007000, 0x40023C00, 0x40020C00, 0x40004800
CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR, APB1RSTR = 0x00, 0x04, 0x08, 0x30, 0x40, 0x20
HSEON, HSERDY, HSEBYP, PLLON, PLLRDY = 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 25
ODEN, ODSWEN, ODRDY, ODSWRDY = 1 << 16, 1 << 17, 1 << 16, 1 << 17
PLL_216 = 8 | 432 << 6 | 0 << 16 | 1 << 22 | 9 << 24
APB_DIVIDERS = 0b101 << 10 | 0b100 << 13


@dataclass
class Bus:
    """Registers of a board whose firmware only lets time pass."""

    board: Board

    def read(self, address: int) -> int:
        return self.board.core.space.read_word(address)

    def write(self, address: int, value: int) -> None:
        self.board.core.space.write(address, value.to_bytes(4, "little"))

    def set(self, address: int, bits: int) -> None:
        self.write(address, self.read(address) | bits)

    def wait(self, address: int, mask: int, wanted: int) -> bool:
        for _ in range(100):
            if self.read(address) & mask == wanted:
                return True
            self.board.run(10)
        return False


@pytest.fixture
def bus(build, start) -> Bus:
    return Bus(start(build("function reset\n  b reset")))


def start_hse(bus: Bus) -> None:
    bus.set(RCC + CR, HSEBYP)
    bus.set(RCC + CR, HSEON)
    bus.wait(RCC + CR, HSERDY, HSERDY)


def start_pll(bus: Bus, settings: int = PLL_216) -> None:
    bus.write(RCC + PLLCFGR, settings)
    bus.set(RCC + CR, PLLON)


def enter_overdrive(bus: Bus) -> None:
    bus.set(RCC + APB1ENR, 1 << 28)
    bus.set(PWR, ODEN)
    bus.wait(PWR + 4, ODRDY, ODRDY)
    bus.set(PWR, ODSWEN)
    bus.wait(PWR + 4, ODSWRDY, ODSWRDY)


def raise_latency(bus: Bus) -> None:
    bus.write(FLASH, 7)


def divide_buses(bus: Bus) -> None:
    bus.write(RCC + CFGR, APB_DIVIDERS)


def switch(bus: Bus) -> None:
    bus.wait(RCC + CR, PLLRDY, PLLRDY)
    bus.set(RCC + CFGR, 0b10)
    bus.wait(RCC + CFGR, 0b1100, 0b1000)


STEPS: tuple[Callable[[Bus], None], ...] = (
    start_hse,
    start_pll,
    enter_overdrive,
    raise_latency,
    divide_buses,
    switch,
)


def frequency(bus: Bus, name: str) -> float:
    clocks = bus.board._wiring.clocks
    assert clocks is not None
    return clocks.core_hz() if name == "core" else clocks.frequency(name)


def test_216_mhz_by_the_book(bus):
    assert frequency(bus, "core") == 16e6
    for step in STEPS:
        step(bus)

    assert bus.board.refusal is None
    assert bus.read(RCC + CFGR) & 0b1100 == 0b1000
    assert [frequency(bus, name) for name in ("core", "apb1", "apb2", "usart3", "usart1")] == [
        216e6,
        54e6,
        108e6,
        54e6,
        108e6,
    ]


@pytest.mark.parametrize(
    ("left_out", "complaint"),
    [
        (enter_overdrive, "voltage scale 1 without overdrive allows 180 MHz"),
        (raise_latency, "the flash has `0` wait states; 216 MHz needs at least 7"),
        (divide_buses, "APB1 is clocked with `216 MHz`; with overdrive it allows 54 MHz"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_silicon_would_not_survive_is_refused(bus, left_out, complaint):
    for step in STEPS:
        if step is not left_out:
            step(bus)
    assert complaint in bus.board.refusal


def test_without_its_source_the_pll_does_not_lock_and_is_not_switched_to(bus):
    for step in STEPS[1:]:
        step(bus)
    assert bus.read(RCC + CR) & PLLRDY == 0
    assert bus.read(RCC + CFGR) & 0b1100 == 0
    assert frequency(bus, "core") == 16e6


def test_hse_needs_bypass_on_this_board_and_time(bus):
    bus.set(RCC + CR, HSEON)
    assert not bus.wait(RCC + CR, HSERDY, HSERDY)
    bus.write(RCC + CR, 0x81)
    bus.set(RCC + CR, HSEBYP)
    assert bus.read(RCC + CR) & HSERDY == 0
    bus.set(RCC + CR, HSEON)
    assert bus.read(RCC + CR) & HSERDY == 0
    assert bus.wait(RCC + CR, HSERDY, HSERDY)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (4 | 432 << 6 | 1 << 22 | 9 << 24, "VCO output is `864 MHz`"),
        (2 | 100 << 6 | 1 << 22 | 9 << 24, "VCO input is `4 MHz`"),
        (1 | 50 << 6 | 1 << 22 | 9 << 24, "PLLM = `1`"),
        (8 | 49 << 6 | 1 << 22 | 9 << 24, "PLLN = `49`"),
        (8 | 432 << 6 | 1 << 22 | 1 << 24, "PLLQ = `1`"),
        (8 | 50 << 6 | 1 << 22 | 9 << 24, "VCO output is `50 MHz`"),
    ],
)
def test_pll_settings_outside_the_data_sheet_are_refused(bus, settings, complaint):
    start_hse(bus)
    start_pll(bus, settings)
    assert complaint in bus.board.refusal


def test_pll_settings_are_frozen_while_it_runs(bus):
    start_hse(bus)
    start_pll(bus)
    bus.write(RCC + PLLCFGR, 0)
    assert bus.read(RCC + PLLCFGR) == PLL_216


def test_what_drives_the_core_cannot_be_switched_off(bus):
    for step in STEPS:
        step(bus)
    bus.write(RCC + CR, 0)
    assert bus.read(RCC + CR) & (HSEON | PLLON) == HSEON | PLLON
    assert frequency(bus, "core") == 216e6


def test_wait_states_taken_away_later_are_refused_as_well(bus):
    for step in STEPS:
        step(bus)
    bus.write(FLASH, 6)
    assert "`6` wait states" in bus.board.refusal


def test_overdrive_is_switched_to_only_when_it_is_ready(bus):
    bus.set(RCC + APB1ENR, 1 << 28)
    bus.set(PWR, ODEN | ODSWEN)
    assert not bus.wait(PWR + 4, ODSWRDY, ODSWRDY)


def test_a_peripheral_without_a_clock_reads_as_zero_and_ignores_writes(bus):
    bus.write(GPIOD, 0x12345678)
    assert bus.read(GPIOD) == 0
    bus.set(RCC + AHB1ENR, 1 << 3)
    assert bus.read(GPIOD) == 0
    bus.write(GPIOD, 0x12345678)
    assert bus.read(GPIOD) == 0x12345678


def test_a_peripheral_can_be_reset(bus):
    bus.set(RCC + APB1ENR, 1 << 18)
    bus.write(USART3 + 0x0C, 139)
    bus.write(RCC + APB1RSTR, 1 << 18)
    bus.write(RCC + APB1RSTR, 0)
    assert bus.read(USART3 + 0x0C) == 0


def test_a_pin_shows_what_drives_it(bus):
    bus.set(RCC + AHB1ENR, 1 << 3)
    bus.write(GPIOD, 1 << 2 * 5)
    bus.write(GPIOD + 0x18, 1 << 5 | 1 << 6)
    assert bus.read(GPIOD + 0x10) == 1 << 5
    bus.write(GPIOD + 0x18, 1 << 21)
    assert bus.read(GPIOD + 0x14) == 1 << 6


# --- USART, on the 16 MHz after reset ---

CR1, BRR, ISR, ICR, RDR, TDR = 0x00, 0x0C, 0x1C, 0x20, 0x24, 0x28
ORE, RXNE, TC, TXE = 1 << 3, 1 << 5, 1 << 6, 1 << 7
UE_RE_TE = 0b1101


@pytest.fixture
def usart(bus) -> Bus:
    """115200 baud, connected to its pins."""
    connect(bus)
    open_usart(bus, 139)
    return bus


def connect(bus: Bus, function: int = 7) -> None:
    bus.set(RCC + AHB1ENR, 1 << 3)
    bus.set(RCC + APB1ENR, 1 << 18)
    bus.write(GPIOD, 0b1010 << 16)
    bus.write(GPIOD + 0x24, function | function << 4)


def open_usart(bus: Bus, divider: int, control: int = UE_RE_TE) -> None:
    bus.write(USART3 + CR1, 0)
    bus.write(USART3 + CR1, control & ~1)
    bus.write(USART3 + BRR, divider)
    bus.write(USART3 + CR1, control)


def send(bus: Bus, data: bytes) -> bytes:
    for byte in data:
        bus.wait(USART3 + ISR, TXE, TXE)
        bus.write(USART3 + TDR, byte)
    bus.wait(USART3 + ISR, TC, TC)
    sent = bytes(bus.board.line.to_host)
    bus.board.line.to_host.clear()
    return sent


def test_bytes_leave_at_the_right_speed(usart):
    assert send(usart, bytes(range(256))) == bytes(range(256))


@pytest.mark.parametrize("divider", [136, 142])
def test_two_percent_off_is_good_enough(bus, divider):
    connect(bus)
    open_usart(bus, divider)
    assert send(bus, b"tinybench") == b"tinybench"


@pytest.mark.parametrize("divider", [130, 278, 70, 1667])
def test_a_wrong_divider_is_garbage(bus, divider):
    connect(bus)
    open_usart(bus, divider)
    assert send(bus, b"tinybench") not in (b"tinybench", b"")
    bus.board.line.to_device.extend(b"t")
    bus.wait(USART3 + ISR, RXNE, RXNE)
    assert bus.read(USART3 + RDR) != ord("t")


def test_oversampling_by_8_has_its_own_divider(bus):
    connect(bus)
    open_usart(bus, 278 & ~0xF | (278 & 0xF) >> 1, UE_RE_TE | 1 << 15)
    assert send(bus, b"tinybench") == b"tinybench"


def test_the_other_end_may_change_its_speed(usart):
    usart.board.line.set_host_baud(921_600)
    assert send(usart, b"tinybench") != b"tinybench"
    open_usart(usart, 17)
    assert send(usart, b"tinybench") == b"tinybench"


def test_parity_is_garbage_for_a_host_that_expects_none(bus):
    connect(bus)
    open_usart(bus, 139, UE_RE_TE | 1 << 10)
    assert send(bus, b"\xff\x80") != b"\xff\x80"


def test_pins_in_another_function_carry_nothing(bus):
    connect(bus, function=8)
    open_usart(bus, 139)
    assert send(bus, b"tinybench") == b""


def test_the_divider_is_frozen_while_the_usart_is_on(usart):
    usart.write(USART3 + BRR, 16)
    assert usart.read(USART3 + BRR) == 139


def test_a_divider_below_16_is_refused(bus):
    connect(bus)
    open_usart(bus, 15)
    assert "divider of `15`" in bus.board.refusal


def test_a_transmitter_that_is_not_asked_loses_bytes(usart):
    for byte in b"abc":
        usart.write(USART3 + TDR, byte)
    usart.wait(USART3 + ISR, TC, TC)
    assert bytes(usart.board.line.to_host) == b"ac"


def test_a_receiver_that_is_not_asked_overruns(usart):
    usart.board.line.to_device.extend(b"abc")
    usart.board.run(10_000)
    status = usart.read(USART3 + ISR)
    assert status & (ORE | RXNE) == ORE | RXNE
    assert usart.read(USART3 + RDR) == ord("a")
    usart.write(USART3 + ICR, ORE)
    assert usart.read(USART3 + ISR) & (ORE | RXNE) == 0


def test_a_receiver_that_is_asked_gets_every_byte(usart):
    usart.board.line.to_device.extend(bytes(range(200)))
    got = []
    for _ in range(200):
        assert usart.wait(USART3 + ISR, RXNE, RXNE)
        got.append(usart.read(USART3 + RDR))
    assert bytes(got) == bytes(range(200))


def test_a_receiver_that_is_off_hears_nothing(bus):
    connect(bus)
    open_usart(bus, 139, UE_RE_TE & ~0b100)
    bus.board.line.to_device.extend(b"a")
    bus.board.run(10_000)
    assert bus.read(USART3 + ISR) & RXNE == 0
