"""Firmware and host agree to the bit on what a sample on the wire means to the input tensor."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinybench
from tinybench.model import Model, Quantisation, Tensor, element_bytes
from tinybench.models import golden
from tinybench.workload import InputSpec, WorkloadSpec

FIRMWARE = Path(tinybench.__file__).parent / "firmware"
ELEMENTS = 16
CODES = {"int8": 0, "uint8": 1, "float32": 2, "int16": 3}

# The ends of load.c: an engine that is one tensor, a line that is silent, a clock that does not matter.
AROUND = """
#include "clock.h"
#include "tb_engine.h"
#include "tb_port.h"
static int8_t data[TB_TENSOR_BYTES];
static tb_tensor tensor = {.data = data, .bytes = TB_TENSOR_BYTES, .type = TB_INT8};
tb_tensor tb_engine_input(void) { return tensor; }
int tb_port_read(void) { return -1; }
uint64_t tb_clock_ticks(void) { return 0; }
bool tb_clock_passed(uint64_t start, uint32_t milliseconds) { (void)start, (void)milliseconds; return true; }
const int8_t *input_for(float scale, int32_t zero_point) {
    tensor.scale = scale;
    tensor.zero_point = zero_point;
    return data;
}
"""


class Firmware:
    """`load.c` as it is linked into every image, compiled for this computer."""

    def __init__(self, folder: Path, encoding: str, dtype: str) -> None:
        self._tensor_bytes = ELEMENTS * element_bytes(dtype)
        facts = {f"TB_ENCODING_{name.upper()}": code for name, code in CODES.items()}
        facts |= {"TB_ENCODING": CODES[encoding], "TB_INPUT_ELEMENTS": ELEMENTS}
        facts |= {"TB_INPUT_BYTES": ELEMENTS * golden.WIRE_BYTES[encoding]}
        facts |= {"TB_TENSOR_BYTES": self._tensor_bytes}
        facts |= {"TB_QUANTISES": int(encoding == "float32" and dtype == "int8")}
        (folder / "tb_workload.h").write_text("".join(f"#define {n} {v}\n" for n, v in facts.items()))
        (folder / "around.c").write_text('#include "tb_workload.h"\n' + AROUND)
        gcc = shutil.which("gcc")
        assert gcc is not None
        core = FIRMWARE / "core"
        sources = [core / "load.c", core / "crc32.c", folder / "around.c"]
        includes = [f"-I{path}" for path in (folder, core, FIRMWARE / "include")]
        command = [gcc, "-std=c11", "-O1", "-shared", "-fPIC", *includes, *sources, "-o", folder / "load.so"]
        subprocess.run(command, check=True)
        self._library = ctypes.CDLL(str(folder / "load.so"))
        self._library.input_for.argtypes = [ctypes.c_float, ctypes.c_int32]
        self._library.input_for.restype = ctypes.c_void_p

    def to_tensor(self, data: bytes, scale: float, zero_point: int) -> bytes:
        tensor = self._library.input_for(scale, zero_point)
        assert self._library.tb_load_begin(len(data)) == 0
        for byte in data:
            assert self._library.tb_load_byte(byte) == 0
        assert self._library.tb_load_prepare() == 0
        self._library.tb_load_write_input()
        return ctypes.string_at(tensor, self._tensor_bytes)


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    return {
        pair: Firmware(tmp_path_factory.mktemp(pair.replace(" ", "-")), *pair.split())
        for pair in ("int8 int8", "uint8 int8", "float32 int8", "float32 float32", "int16 int16")
    }


def on_the_host(pair: str, data: bytes, scale: float, zero_point: int) -> bytes:
    encoding, dtype = pair.split()
    tensor = Tensor(0, "in", (1, ELEMENTS), dtype, quantisation=Quantisation((scale,), (zero_point,)))
    spec = WorkloadSpec.model_construct(id="w", input=InputSpec(encoding=encoding))
    return golden.to_tensor(spec, Model((tensor,), (), (0,), (0,)), data)


QUANTISED = "float32 int8"
SCALES = st.floats(2.0**-20, 2.0**10, width=32)
ZERO_POINTS = st.integers(-128, 127)


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("pair", ["int8 int8", "uint8 int8", "float32 float32", "int16 int16"])
@given(st.data())
def test_bytes_mean_the_same_to_both(firmware, pair, drawn):
    size = ELEMENTS * golden.WIRE_BYTES[pair.split()[0]]
    data = drawn.draw(st.binary(min_size=size, max_size=size))
    assert firmware[pair].to_tensor(data, 1.0, 0) == on_the_host(pair, data, 1.0, 0)


@pytest.mark.needs("gcc")
@given(
    values=st.lists(st.floats(width=32), min_size=ELEMENTS, max_size=ELEMENTS),
    scale=SCALES,
    zero_point=ZERO_POINTS,
)
def test_any_float_means_the_same_to_both(firmware, values, scale, zero_point):
    data = struct.pack(f"<{ELEMENTS}f", *values)
    assert firmware[QUANTISED].to_tensor(data, scale, zero_point) == on_the_host(
        QUANTISED, data, scale, zero_point
    )


@pytest.mark.needs("gcc")
@given(
    halves=st.lists(st.integers(-260, 260), min_size=ELEMENTS, max_size=ELEMENTS),
    nudge=st.integers(-2, 2),
    scale=SCALES,
    zero_point=ZERO_POINTS,
)
def test_floats_beside_a_rounding_boundary_mean_the_same_to_both(firmware, halves, nudge, scale, zero_point):
    exact = struct.pack(f"<{ELEMENTS}f", *((half + 0.5) * scale for half in halves))
    bits = struct.unpack(f"<{ELEMENTS}i", exact)
    data = struct.pack(f"<{ELEMENTS}i", *(pattern + nudge for pattern in bits))
    assert firmware[QUANTISED].to_tensor(data, scale, zero_point) == on_the_host(
        QUANTISED, data, scale, zero_point
    )
