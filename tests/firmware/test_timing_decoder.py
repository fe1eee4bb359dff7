"""The registers that timing reads from the text of instructions, against capstone's own lists."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tinybench.elf import functions
from tinybench.timing.program import FLAGS, PC, mask, read_program

pytestmark = [pytest.mark.needs("arm-none-eabi-gcc"), pytest.mark.needs("python:unicorn")]

PROGRAM = """
#include <stdint.h>
typedef struct { int32_t a, b; int16_t c; uint8_t d[9]; } record;
int64_t wide(int64_t x, int32_t y, record *r) {
  r->a += (int32_t)(x >> 7); r->b = y * r->c - (y << 3); r->d[y & 7] ^= (uint8_t)x;
  return x * y + r->a / (r->b | 1);
}
float single(const float *p, int n) {
  float s = 0;
  for (int i = 0; i < n; i++) s += p[i] * p[n - i - 1];
  return s;
}
int many(int a, int b, int c, int d, int e, int f, int g) {
  switch (a) {
    case 0: return b + c;
    case 1: return d - e;
    case 2: return f ^ g;
    case 3: return b * d;
    case 4: return c;
  }
  return a > b ? (c < d ? e : f) : (uint16_t)g + (int8_t)a;
}
int dot(const int8_t *x, const int8_t *w, int n) {
  int s = 0;
  for (int i = 0; i + 4 <= n; i += 4) {
    uint32_t a = *(const uint32_t *)(x + i), b = *(const uint32_t *)(w + i);
    s = __builtin_arm_smlad(__builtin_arm_sxtb16(a), __builtin_arm_sxtb16(b), s);
  }
  return s;
}
"""

# Capstone 5 leaves these out of its lists: the second register of shifted DSP instructions, accumulators of
# long multiplications that are read as well as written, and the source of SSAT and USAT.
INCOMPLETE = ("sxtab", "uxtab", "sxtah", "uxtah", "pkhbt", "pkhtb", "smlal", "umlal", "ssat", "usat", "rrx")


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_registers_are_those_of_the_disassembler(tmp_path: Path, core: str) -> None:
    import capstone

    source, elf = tmp_path / "program.c", tmp_path / "program.elf"
    text = PROGRAM if core != "cortex-m0plus" else PROGRAM.partition("int dot(")[0]
    source.write_text(text.replace("#include <stdint.h>", "#include <stdint.h>\n#include <stddef.h>"))
    floats = [] if core == "cortex-m0plus" else ["-mfloat-abi=hard", "-mfpu=auto"]
    options = [f"-mcpu={core}", "-mthumb", *floats, "-O2", "-ffreestanding", "-w"]
    link = ["-nostartfiles", "-Wl,-e,many", "--specs=nosys.specs", str(source), "-o", str(elf)]
    subprocess.run(["arm-none-eabi-gcc", *options, *link, "-Wl,--no-gc-sections"], check=True)
    program = read_program(elf)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    seen = 0
    for function in functions(elf):
        size = function.end - function.start
        known = {i.address: i for i in decoder.disasm(program.code(function.start, size), function.start)}
        for instruction in program.block(function.start, size):
            found = known.get(instruction.address)
            if found is None or found.mnemonic.startswith(INCOMPLETE):
                continue
            lists = [
                sum({mask(found.reg_name(r)) for r in regs}) & ~FLAGS & ~PC for regs in found.regs_access()
            ]
            ours = [part & ~FLAGS & ~PC for part in (instruction.shape.reads, instruction.shape.writes)]
            if not found.mnemonic.startswith(("vpush", "vpop", "vldm", "vstm", "pld")):
                assert ours == lists, f"{found.mnemonic} {found.op_str}"
                seen += 1
    assert seen > 50
