"""Fault registers in words; addresses as function and line of an image that a compiler really made."""

from __future__ import annotations

import subprocess

import pytest

from tinybench.elf import functions
from tinybench.faults import decode, explain, registers_in, symbolise

REPORTED = "pc=08000123 lr=08000457 psr=61000000 cfsr=00008200 hfsr=40000000 mmfar=00000000 bfar=60000000"


def test_the_firmware_s_report_becomes_sentences():
    registers = registers_in(REPORTED)
    assert registers["pc"] == 0x08000123
    causes = decode(registers)
    assert causes[0].startswith("PRECISERR")
    assert causes[1] == "the address was 0x60000000"
    assert len(causes) == 2


def test_an_address_register_is_believed_only_where_it_is_valid():
    assert decode({"cfsr": 0x0100, "bfar": 0x60000000}) == (
        "IBUSERR: an instruction was fetched from where there is no memory",
    )
    assert decode({}) == ()


@pytest.fixture
def image(tmp_path, request):
    source = tmp_path / "faulty.c"
    source.write_text(
        "int twice(int x) {\n  x += x;\n  return x;\n}\nint main(void) {\n  return twice(2);\n}\n"
    )
    out = tmp_path / "faulty"
    flags = ["-O0", request.param, "-mcpu=cortex-m7", "-mthumb", "--specs=nosys.specs"]
    subprocess.run(
        ["arm-none-eabi-gcc", *flags, str(source), "-o", str(out)], check=True, capture_output=True
    )
    return out


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("image", ["-gdwarf-4", "-gdwarf-5"], indirect=True)
def test_an_address_is_a_function_and_a_line(image):
    twice = next(f for f in functions(image) if f.name == "twice")
    place = symbolise(image, twice.end - 2 | 1)
    assert place.startswith("twice+0x")
    assert place.endswith("(faulty.c:4)")
    assert explain(image, {"pc": twice.start, "cfsr": 1 << 16})[0].startswith("pc twice+0x0 (faulty.c:1)")


@pytest.mark.needs("arm-none-eabi-gcc")
@pytest.mark.parametrize("image", ["-g0"], indirect=True)
def test_without_line_tables_there_is_no_line_and_outside_there_is_no_name(image):
    main = next(f for f in functions(image) if f.name == "main")
    assert symbolise(image, main.start) == "main+0x0"
    assert symbolise(image, 0xFFFFFFFE) == "0xfffffffe"


def test_an_image_that_cannot_be_read_leaves_the_address(tmp_path):
    broken = tmp_path / "broken.elf"
    broken.write_bytes(b"not an ELF")
    assert explain(broken, {"pc": 0x123}) == ("pc 0x00000123",)
