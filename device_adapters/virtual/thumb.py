"""Just enough of the Thumb instruction set: lengths, IT blocks, and the address of a refused access.

Source: Armv7-M Architecture Reference Manual (DDI 0403), chapters A5 and A7.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from device_adapters.virtual.profile import Trait

_FIRST_WIDE = 0b11101  # A5.1: 0b11101, 0b11110 and 0b11111 begin a 32-bit instruction
_PAGE_BYTES = 1024
ALWAYS = 0b1110


def length(first_halfword: int) -> int:
    """Bytes of the instruction that begins with this halfword."""
    return 4 if first_halfword >> 11 >= _FIRST_WIDE else 2


@functools.lru_cache(maxsize=4096)
def count(code: bytes) -> int:
    """Instructions in a stretch of code that begins and ends at instruction boundaries."""
    at = instructions = 0
    while at + 2 <= len(code):
        at += length(int.from_bytes(code[at : at + 2], "little"))
        instructions += 1
    return instructions


def traits(code: bytes) -> int:
    """Which `Trait` bits any instruction of the code has."""
    found = at = 0
    while at + 2 <= len(code):
        first = int.from_bytes(code[at : at + 2], "little")
        size = length(first)
        if size == 4 and at + 4 <= len(code) and first & 0xEC00 == 0xEC00:  # noqa: PLR2004 - A5.3.18: coprocessor space
            second = int.from_bytes(code[at + 2 : at + 4], "little")
            if second & 0x0E00 == 0x0A00:  # noqa: PLR2004 - coprocessors 10 and 11: the FPU
                found |= Trait.FPU
                if first & 0xEF00 == 0xEE00 and second & 0x0110 == 0x0100:  # noqa: PLR2004 - data processing, double
                    found |= Trait.DOUBLE
        at += size
    return found


def it_conditions(halfword: int) -> list[int]:
    """Conditions of the instructions that an IT instruction governs; none if it is not one (A7.7.38)."""
    first, mask = halfword >> 4 & 0xF, halfword & 0xF
    if halfword >> 8 != 0xBF or mask == 0:  # noqa: PLR2004 - the encoding of IT
        return []
    following = 3 - ((mask & -mask).bit_length() - 1)
    return [first, *(first & 0xE | mask >> 3 - n & 1 for n in range(following))]


def condition_holds(condition: int, xpsr: int) -> bool:
    """Whether a condition code holds for these flags (A7.3)."""
    n, z, c, v = (bool(xpsr >> bit & 1) for bit in (31, 30, 29, 28))
    holds = (z, c, n, v, c and not z, n == v, n == v and not z, True)[condition >> 1]
    return holds if condition & 1 == 0 or condition == 0xF else not holds  # noqa: PLR2004 - 0b1111 is always


def accessed_address(code: bytes, address: int, page: int, register: Callable[[str], int]) -> int:
    """Where in the 1 KiB `page` the load or store at `address` went.

    Unicorn names only the page. An access of several words reports the first word that lies in the page.
    """
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    engine.detail = True
    instruction: Any = next(engine.disasm(code, address), None)
    if instruction is None:
        return page
    start = _effective_address(instruction, engine, register)
    return start if page <= start < page + _PAGE_BYTES else page


def _effective_address(instruction: Any, engine: Any, register: Callable[[str], int]) -> int:
    from capstone import arm_const

    def value(number: int) -> int:
        name = str(engine.reg_name(number))
        if name == "pc":  # literal loads use the word-aligned PC of two instructions on
            return (int(instruction.address) + 4) & ~3
        return register(name)

    mnemonic: str = instruction.mnemonic
    operands = instruction.operands
    stack_words = len(operands)
    if mnemonic.startswith("push"):
        return (register("sp") - 4 * stack_words) & 0xFFFFFFFF
    if mnemonic.startswith("vpush"):
        width = 8 if engine.reg_name(operands[0].reg).startswith("d") else 4
        return (register("sp") - width * stack_words) & 0xFFFFFFFF
    if mnemonic.startswith(("pop", "vpop")):
        return register("sp")
    for operand in operands:
        if operand.type == arm_const.ARM_OP_MEM:
            memory = operand.mem
            index = value(memory.index) << operand.shift.value if memory.index else 0
            return (value(memory.base) + index + int(memory.disp)) & 0xFFFFFFFF
    if mnemonic.startswith(("ldm", "vldm", "stm", "vstm")):
        words = stack_words - 1
        below = words * 4 if mnemonic.startswith(("ldmdb", "stmdb", "vldmdb", "vstmdb")) else 0
        return (value(operands[0].reg) - below) & 0xFFFFFFFF
    return 0xFFFFFFFF  # not an access: the caller falls back to the page
