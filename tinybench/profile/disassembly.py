"""Code as a person reads it."""

from __future__ import annotations

from tinybench.timing.program import ImageProgram


def disassembled(program: ImageProgram, start: int, end: int) -> dict[int, str]:
    """Each instruction from `start` to `end` as capstone writes it (`smlad r3, r1, r2, r3`), by address.

    Read in one piece, so that the instructions of an IT block show their conditions.
    """
    import capstone

    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.skipdata = True
    found = decoder.disasm_lite(program.code(start, end - start), start)
    return {address: f"{mnemonic} {operands}".strip() for address, _, mnemonic, operands in found}
