"""What the RP2040's ROM asks of the first 256 bytes of flash."""

from __future__ import annotations

import pytest

from tinybench import toolchain
from tinybench.build import build
from tinybench.plugins import discover

FLASH, BOOT2_BYTES = 0x10000000, 256


def crc32_mpeg2(data: bytes) -> int:
    """RP2040 data sheet 2.8.1.3.1: polynomial 0x04C11DB7, all ones at first, nothing reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def test_the_checksum_is_the_one_of_the_check_value() -> None:
    assert crc32_mpeg2(b"123456789") == 0x0376E6E7


@pytest.mark.parametrize(
    "compiler_name",
    [
        pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")),
        pytest.param("zig", marks=pytest.mark.needs("python:ziglang")),
    ],
)
def test_flash_begins_with_a_boot_stage_that_the_rom_accepts(tiny, cache, compiler_name) -> None:
    from elftools.elf.elffile import ELFFile

    compiler = toolchain.find(compiler_name, cache)
    pico = discover().target("rpi-pico")
    image = build(tiny.workload(), tiny.engine(), pico, "clean", compiler=compiler, cache=cache)
    with image.elf.open("rb") as stream:
        (first,) = (s.data() for s in ELFFile(stream).iter_segments("PT_LOAD") if s["p_paddr"] == FLASH)
    boot2 = first[:BOOT2_BYTES]
    assert crc32_mpeg2(boot2[:-4]) == int.from_bytes(boot2[-4:], "little")
    stack, entry = (int.from_bytes(first[at : at + 4], "little") for at in (BOOT2_BYTES, BOOT2_BYTES + 4))
    assert stack == pico.region_for("stack").origin + pico.firmware.stack_bytes
    assert entry & 1
    assert FLASH + BOOT2_BYTES < entry < pico.region_for("text").end
