"""What an option promises, the board's own C sets: read back from the registers of the virtual board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinybench import toolchain
from tinybench.build import build
from tinybench.plugins import discover
from tinybench.target_options import turned

if TYPE_CHECKING:
    from device_adapters.virtual.board import Board

pytestmark = pytest.mark.needs("python:unicorn", "arm-none-eabi-gcc")

PRFTEN, ICEN, DCEN = 1 << 8, 1 << 9, 1 << 10  # FLASH_ACR_…, stm32l4r5xx.h
DC, IC = 1 << 16, 1 << 17  # SCB_CCR_…_Msk, core_cm7.h
ICACHECNF = 0x540  # NVMC, nrf52840.h
CACHE_ENABLE = 0x500  # nrf5340_application.h
START_INSTRUCTIONS = 30_000_000

Booted = Callable[[str, dict[str, str]], "Board"]


@pytest.fixture
def booted(tiny, cache: Path):
    from device_adapters.virtual.board import power_on
    from device_adapters.virtual.table import table_of

    boards = []

    def boot(name: str, chosen: dict[str, str]) -> Board:
        target = turned(discover().target(name), chosen)
        image = build(
            tiny.workload(),
            tiny.engine(),
            target,
            "clean",
            compiler=toolchain.find("gcc", cache),
            cache=cache,
        )
        table = table_of(target)
        assert table is not None
        board, _ = power_on(target, table, image.elf)
        boards.append(board)
        board.line.set_host_baud(target.serial.baud)
        said = b""
        while b"m-ready" not in said:
            board.run(START_INSTRUCTIONS // 100)
            assert board.refusal is None, board.refusal
            assert board.core.executed < START_INSTRUCTIONS
            said += bytes(board.line.to_host)
            board.line.to_host.clear()
        return board

    yield boot
    for board in boards:
        board.close()


@pytest.mark.parametrize(
    ("name", "chosen", "acr"),
    [
        ("nucleo-l4r5zi", {}, PRFTEN | ICEN | DCEN | 5),
        ("nucleo-l4r5zi", {"prefetch": "off"}, ICEN | DCEN | 5),
        ("nucleo-l4r5zi", {"code-cache": "off", "data-cache": "off"}, PRFTEN | 5),
        ("nucleo-l4r5zi", {"wait-states": "8"}, PRFTEN | ICEN | DCEN | 8),
        ("nucleo-l4r5zi", {"clock": "80mhz"}, PRFTEN | ICEN | DCEN | 3),
        ("nucleo-l4r5zi", {"clock": "40mhz", "prefetch": "off"}, ICEN | DCEN | 1),
        ("b-l475e-iot01a", {}, PRFTEN | ICEN | DCEN | 4),
        ("b-l475e-iot01a", {"wait-states": "7", "prefetch": "off"}, ICEN | DCEN | 7),
        ("b-l475e-iot01a", {"clock": "40mhz", "data-cache": "off"}, PRFTEN | ICEN | 2),
    ],
)
def test_flash_interface_of_the_stm32l4(booted: Booted, name: str, chosen: dict[str, str], acr: int) -> None:
    board = booted(name, chosen)
    assert board.parts["flash"].read(0) == acr
    assert board.target.flash_wait_states == acr & 0xF


@pytest.mark.parametrize(
    ("chosen", "ccr"), [({}, IC | DC), ({"code-cache": "off"}, DC), ({"data-cache": "off"}, IC)]
)
@pytest.mark.parametrize("name", ["nucleo-f746", "nucleo-f767zi", "nucleo-h743zi"])
def test_caches_of_the_cortex_m7(booted: Booted, name: str, chosen: dict[str, str], ccr: int) -> None:
    assert booted(name, chosen).core.system.ccr & (IC | DC) == ccr


@pytest.mark.parametrize(("chosen", "enabled"), [({}, 1), ({"code-cache": "off"}, 0)])
def test_instruction_cache_of_the_nrf52840(booted: Booted, chosen: dict[str, str], enabled: int) -> None:
    assert booted("nrf52840-dk", chosen).parts["nvmc"].read(ICACHECNF) & 1 == enabled


@pytest.mark.parametrize(("chosen", "enabled"), [({}, 1), ({"code-cache": "off"}, 0)])
def test_cache_and_clock_of_the_nrf5340(booted: Booted, chosen: dict[str, str], enabled: int) -> None:
    board = booted("nrf5340-dk", chosen)
    assert board.parts["cache"].read(CACHE_ENABLE) == enabled
    assert board.parts["clock"].core_hz() == board.target.clock_hz == 128_000_000
