"""What a processor fault means: status registers in words, and addresses as function and line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinybench.elf import functions
from tinybench.errors import BuildError

# Configurable Fault Status Register and HardFault Status Register, bit by bit: ARMv7-M Architecture Reference
# Manual (DDI 0403E), B3.2.15 and B3.2.16. STKOF is ARMv8-M's (DDI 0553, CFSR).
_CFSR = {
    0: "IACCVIOL: an instruction was fetched from where execution is not allowed",
    1: "DACCVIOL: data was read or written where that is not allowed",
    3: "MUNSTKERR: memory protection stopped the return from an exception",
    4: "MSTKERR: memory protection stopped the entry into an exception",
    5: "MLSPERR: memory protection stopped the saving of floating-point registers",
    8: "IBUSERR: an instruction was fetched from where there is no memory",
    9: "PRECISERR: data was read or written where there is no memory",
    10: "IMPRECISERR: an earlier write went where there is no memory",
    11: "UNSTKERR: the bus failed at the return from an exception",
    12: "STKERR: the bus failed at the entry into an exception, as it does when the stack overflows",
    13: "LSPERR: the bus failed at the saving of floating-point registers",
    16: "UNDEFINSTR: an undefined instruction, as of an extension that this core lacks",
    17: "INVSTATE: a branch to an address without the Thumb bit",
    18: "INVPC: a return from an exception to an invalid place",
    19: "NOCP: a coprocessor instruction, as of a floating-point unit that is off or absent",
    20: "STKOF: the stack went below its limit",
    24: "UNALIGNED: an unaligned access that is not allowed",
    25: "DIVBYZERO: a division by zero",
}
_HFSR = {1: "VECTTBL: the vector table could not be read", 31: "DEBUGEVT: a breakpoint without a debugger"}
_MMARVALID, _BFARVALID = 1 << 7, 1 << 15


def registers_in(text: str) -> dict[str, int]:
    """The registers of `pc=08000123 lr=…`, as the firmware reports them; what is not one is left out."""
    return {name: int(digits, 16) for name, digits in re.findall(r"\b([a-z]+)=([0-9a-fA-F]{8})\b", text)}


def decode(registers: Mapping[str, int]) -> tuple[str, ...]:
    """The fault's causes, one sentence each, from `cfsr`, `hfsr`, `mmfar` and `bfar`."""
    cfsr, hfsr = registers.get("cfsr", 0), registers.get("hfsr", 0)
    causes = [text for bit, text in _CFSR.items() if cfsr >> bit & 1]
    causes += [text for bit, text in _HFSR.items() if hfsr >> bit & 1]
    if cfsr & _MMARVALID and "mmfar" in registers:
        causes.append(f"the address was 0x{registers['mmfar']:08x}")
    if cfsr & _BFARVALID and "bfar" in registers:
        causes.append(f"the address was 0x{registers['bfar']:08x}")
    return tuple(causes)


def symbolise(elf: Path, address: int) -> str:
    """`function+0x12 (file.c:34)` for a code address; the line where the image has line tables.

    An address outside every function is shown as it is.
    """
    address &= ~1
    at = next((f for f in functions(elf) if f.start <= address < f.end), None)
    if at is None:
        return f"0x{address:08x}"
    line = _line(elf, address)
    return f"{at.name}+0x{address - at.start:x}" + (f" ({line})" if line else "")


def explain(elf: Path, registers: Mapping[str, int]) -> tuple[str, ...]:
    """Everything that can be said about a fault: where it was (`pc`), who had called (`lr`), and why."""
    places = []
    for name in ("pc", "lr"):
        if name in registers:
            try:
                places.append(f"{name} {symbolise(elf, registers[name])}")
            except (BuildError, OSError):
                places.append(f"{name} 0x{registers[name]:08x}")
    return (*places, *decode(registers))


def explained(elf: Path, text: str) -> tuple[str, ...]:
    """What can be said about the fault whose registers are in `text`, as the firmware reports them."""
    return explain(elf, registers_in(text))


def _line(elf: Path, address: int) -> str | None:
    """`file.c:34` from DWARF line tables, None without them."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        image = ELFFile(file)
        dwarf: Any = image.get_dwarf_info() if image.has_dwarf_info() else None
        for unit in dwarf.iter_CUs() if dwarf is not None else ():
            program = dwarf.line_program_for_CU(unit)
            states = [e.state for e in program.get_entries() if e.state is not None] if program else []
            for here, following in itertools.pairwise(states):
                if not here.end_sequence and here.address <= address < following.address:
                    return f"{_file_name(program, here.file)}:{here.line}"
    return None


def _file_name(program: Any, number: int) -> str:
    """Files of a line program are numbered from 1 up to DWARF 4, and from 0 since DWARF 5."""
    files = program["file_entry"]
    index = number if program["version"] >= 5 else number - 1  # noqa: PLR2004 - the version in which it changed
    return Path(files[index].name.decode(errors="replace")).name if 0 <= index < len(files) else "?"
