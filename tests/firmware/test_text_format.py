"""The firmware writes numbers as printf does."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


# Signs, ends of the range, subnormals, halves that go to even, the largest float, no numbers.
EDGES = [
    *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF),
    *(0x7F800000, 0xFF800000, 0x7FC00000),
    *(bits(x) for x in (0.0005, 0.0625, 0.1875, 0.3125, 0.9995, 0.99951171875, 1.0, 999.9995, 1e9, 1e10)),
    *(bits(n + 0.0625 * k) for n in (0, 1, 2, 1000, 4095) for k in range(16)),
    *(bits(2.0**k) for k in range(-40, 128)),
    *(bits(n / 256) for n in range(257)),
]


@pytest.fixture(scope="module")
def program(
    tmp_path_factory: pytest.TempPathFactory, firmware_sources: Path, host_compiler: list[str]
) -> Path:
    made = tmp_path_factory.mktemp("printed") / "printed"
    files = [
        Path(__file__).parent / "printed.c",
        *(firmware_sources / "core" / f"{n}.c" for n in ("text", "status")),
    ]
    includes = [f"-I{firmware_sources / name}" for name in ("core", "include")]
    subprocess.run(
        [*host_compiler, "-std=c11", "-O1", *includes, *map(str, files), "-o", str(made)], check=True
    )
    return made


@pytest.mark.parametrize(
    "values", [EDGES, [random.Random(7).getrandbits(32) for _ in range(50_000)]], ids=["edges", "any"]
)
def test_thousandths_are_those_of_printf(program: Path, values: list[int]) -> None:
    said = subprocess.run(
        [program],
        input="\n".join(f"{value:x}" for value in values),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours, theirs = said[::2], said[1::2]
    assert len(ours) == len(values)
    wrong = [
        (hex(value), mine, printf)
        for value, mine, printf in zip(values, ours, theirs, strict=True)
        if mine != printf
    ]
    assert not wrong, wrong[:10]
