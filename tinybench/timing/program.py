"""The code of an image as instructions that a pipeline model understands: classes, registers, widths.

Decoded by capstone to text, and the text read here: a scoreboard must tell an address from a stored value,
and an accumulator from a factor, which a list of registers read does not. Registers are bits of an integer:
r0 to r15, the flags, s0 to s31. Nothing here knows about cycles.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tinybench.elf import opened

SP, LR, PC = 1 << 13, 1 << 14, 1 << 15
FLAGS = 1 << 16
_FIRST_S = 17

_NAMED = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
_CONDITIONS = frozenset(
    ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "cs", "cc")
)

_KINDS_BY_NAME = {
    "add": "add addw sub subw mov movw movt adr",  # what the early adder of a Cortex-M7 does
    "logic": "adc and bic cmn cmp eor mvn orn orr rsb sbc teq tst neg",
    "shift": "asr lsl lsr ror rrx",
    "bits": "bfc bfi sbfx ubfx clz rbit rev rev16 revsh sxtb sxth uxtb uxth",
    "dsp": "sxtb16 uxtb16 sxtab sxtah sxtab16 uxtab uxtah uxtab16 pkhbt pkhtb ssat usat ssat16 usat16 sel "
    "qadd qsub qdadd qdsub usad8 usada8",
    "mul-long": "smull umull",
    "div": "sdiv udiv",
    "load": "ldr ldrb ldrh ldrsb ldrsh ldrex ldrexb ldrexh ldrt ldrbt ldrht lda ldab ldah",
    "store": "str strb strh strex strexb strexh strt strbt strht stl stlb stlh",
    "load-pair": "ldrd",
    "store-pair": "strd",
    "load-many": "ldm ldmdb pop vldmia vldmdb vpop",
    "store-many": "stm stmdb push vstmia vstmdb vpush",
    "branch": "b cbz cbnz",
    "call": "bl",
    "branch-register": "bx blx bxns blxns",
    "table-branch": "tbb tbh",
    "nop": "nop yield hint pld pldw pli",
    "barrier": "dsb isb dmb clrex",
    "system": "mrs msr cpsid cpsie svc bkpt udf wfi wfe sev",
}
_BY_NAME = {name: kind for kind, names in _KINDS_BY_NAME.items() for name in names.split()}
_COMPARES = ("cmn", "cmp", "teq", "tst")
_PARALLEL = re.compile(r"^(s|q|sh|u|uq|uh)(add16|sub16|add8|sub8|asx|sax)$")
_MULTIPLIES = re.compile(r"^(mul|smul[bt][bt]|smulw[bt]|smuadx?|smusdx?|smmulr?)$")
_ACCUMULATES = re.compile(r"^(mla|mls|smla[bt][bt]|smlaw[bt]|smladx?|smlsdx?|smmlar?|smmlsr?)$")
_LONG_ACCUMULATES = re.compile(r"^(smlal|umlal|umaal|smlal[bt][bt]|smlaldx?|smlsldx?)$")
_NARROW_ACCESS = {"b": 1, "h": 2}
_STACK_MANY = ("push", "pop", "vpush", "vpop")
_FP = {
    "vadd": "fp-add", "vsub": "fp-add", "vmul": "fp-mul", "vnmul": "fp-mul", "vmla": "fp-mac",
    "vmls": "fp-mac", "vnmla": "fp-mac", "vnmls": "fp-mac", "vfma": "fp-fma", "vfms": "fp-fma",
    "vfnma": "fp-fma", "vfnms": "fp-fma", "vdiv": "fp-div", "vsqrt": "fp-sqrt", "vabs": "fp-add",
    "vneg": "fp-add", "vcmp": "fp-add", "vcmpe": "fp-add", "vmov": "fp-move", "vmrs": "fp-move",
    "vmsr": "fp-move", "vmaxnm": "fp-add", "vminnm": "fp-add",
}  # fmt: skip
KINDS = (
    "add", "logic", "shift", "bits", "dsp", "mul", "mac", "mul-long", "mac-long", "div", "load", "store",
    "load-pair", "store-pair", "load-many", "store-many", "branch", "call", "branch-register", "table-branch",
    "it", "nop", "system", "barrier", "fp-add", "fp-mul", "fp-mac", "fp-fma", "fp-div", "fp-sqrt", "fp-move",
    "fp-convert", "fp-load", "fp-store",
)  # fmt: skip
"""Every class of instruction, in the order in which tables of facts number them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pipeline sees of an instruction; register sets are bit masks, sizes bytes.

    `reads` is everything read; of it `addressing` goes into an address, `accumulates` into the last stage of
    a multiply-accumulate, `stored` into a store's data, `early` into a shifter before the adder. `transfers`
    are words or elements moved, each of `access_bytes`.
    """

    kind: str
    size: int
    reads: int = 0
    writes: int = 0
    addressing: int = 0
    accumulates: int = 0
    stored: int = 0
    early: int = 0
    access_bytes: int = 0
    transfers: int = 0
    conditional: bool = False
    shifted: bool = False
    register_offset: bool = False
    writeback: bool = False

    @property
    def loads(self) -> bool:
        """Whether it reads memory."""
        return self.kind in ("load", "load-pair", "load-many", "fp-load")

    @property
    def stores(self) -> bool:
        """Whether it writes memory."""
        return self.kind in ("store", "store-pair", "store-many", "fp-store")

    @property
    def jumps(self) -> bool:
        """Whether it may change the flow."""
        return bool(self.writes & PC) or self.kind in ("branch", "call", "branch-register", "table-branch")


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction at its place; `literal` is the address it loads from, where that is beside the code."""

    address: int
    shape: Shape
    literal: int | None = None

    @property
    def access_bytes(self) -> int:
        """Width of each transfer; 0 if it touches no memory."""
        return self.shape.access_bytes

    @property
    def transfers(self) -> int:
        """How many."""
        return self.shape.transfers

    @property
    def stores(self) -> bool:
        """Whether it writes memory."""
        return self.shape.stores

    @property
    def on_stack(self) -> bool:
        """Whether its address comes from the stack pointer."""
        return bool(self.shape.addressing & SP)


class Program(Protocol):
    """Code by block, decoded."""

    def block(self, address: int, size: int) -> Sequence[Instruction]:
        """The instructions of `size` bytes at `address`; bytes that are none are left out."""


class ImageProgram:
    """The code in an image's stored segments, at the addresses where it runs; decoded when asked for."""

    def __init__(self, segments: Iterable[tuple[int, bytes]]) -> None:
        self._segments = tuple(segments)
        self._blocks: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self._decoder = _decoder()

    def block(self, address: int, size: int) -> tuple[Instruction, ...]:
        """The instructions of a block; a block outside of what is stored has none."""
        known = self._blocks.get((address, size))
        if known is None:
            known = self._blocks[address, size] = tuple(self._decode(address, size))
        return known

    def _decode(self, address: int, size: int) -> Iterable[Instruction]:
        code = self.code(address, size)
        if not code:
            return
        then: list[bool] = []
        for at, length, mnemonic, operands in self._decoder.disasm_lite(code, address):
            word = mnemonic.partition(".w")[0] if mnemonic.endswith(".w") else mnemonic
            shape = shape_of(word, operands, length, bool(then))
            if then:
                then.pop()
            if word.startswith("it") and shape.kind == "it":
                then = [True] * (len(word) - 1)
            yield Instruction(at, shape, _literal(at, shape, operands))

    def code(self, address: int, size: int) -> bytes:
        """The bytes at an address, or none if they are not stored in the image."""
        for start, data in self._segments:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        return b""


def read_program(elf: Path) -> ImageProgram:
    """The code of an image. Raises BuildError if the file is not an ELF file."""
    with opened(elf) as file:
        return ImageProgram(
            (int(segment["p_vaddr"]), bytes(segment.data()))
            for segment in file.iter_segments("PT_LOAD")
            if segment["p_filesz"]
        )


def _decoder() -> Any:
    import capstone

    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.skipdata = True
    return decoder


def _literal(address: int, shape: Shape, operands: str) -> int | None:
    """Address of a literal: (PC + 4, aligned down to 4) + offset (Armv7-M ARM, A7.7.44)."""
    if shape.kind not in ("load", "fp-load", "load-pair") or "[pc" not in operands:
        return None
    offset = re.search(r"\[pc(?:, #(-?(?:0x)?[0-9a-f]+))?\]", operands)
    if offset is None:
        return None
    return ((address + 4) & ~3) + int(offset.group(1) or "0", 0)


# --- one instruction ---


@functools.lru_cache(maxsize=65536)
def shape_of(mnemonic: str, operands: str, size: int, conditional: bool = False) -> Shape:
    """The shape of an instruction given as capstone writes it (`adds`, `r0, r1, #4`), 2 or 4 bytes long."""
    kind, root = _classify(mnemonic)
    parts = _operands(operands)
    made = _SHAPERS[_family(kind)](kind, root, parts)
    if conditional:
        made["conditional"] = True
        made["reads"] = made.get("reads", 0) | FLAGS
    if root != mnemonic and mnemonic.endswith("s") and kind in _MAY_SET_FLAGS:
        made["writes"] = made.get("writes", 0) | FLAGS
    if kind == "branch" and mnemonic not in ("b", "cbz", "cbnz"):
        made["reads"] = made.get("reads", 0) | FLAGS
    return Shape(kind, size, **made)


_MAY_SET_FLAGS = frozenset(("add", "logic", "shift", "mul", "bits"))


@functools.lru_cache(maxsize=4096)
def _classify(mnemonic: str) -> tuple[str, str]:
    """(class, mnemonic without its condition and S). Whole words first: `bls` is a branch, `mls` is not."""
    if mnemonic[:1] == "v":
        return _classify_fp(mnemonic)
    for candidate in _stripped(mnemonic):
        kind = _kind(candidate)
        if kind is not None:
            return kind, candidate
    return "system", mnemonic


def _stripped(mnemonic: str) -> Iterable[str]:
    yield mnemonic
    if mnemonic[0] == "b" and mnemonic[1:] in _CONDITIONS:
        yield "b"
    if mnemonic.endswith("s"):
        yield mnemonic[:-1]
    if mnemonic[-2:] in _CONDITIONS:
        yield mnemonic[:-2]
        if mnemonic[:-2].endswith("s"):
            yield mnemonic[:-3]


_PATTERNS = (
    (_PARALLEL, "dsp"), (_MULTIPLIES, "mul"), (_ACCUMULATES, "mac"), (_LONG_ACCUMULATES, "mac-long"),
    (re.compile(r"^it[te]{0,3}$"), "it"),
)  # fmt: skip


def _kind(root: str) -> str | None:
    if root in _BY_NAME:
        return _BY_NAME[root]
    return next((kind for pattern, kind in _PATTERNS if pattern.match(root)), None)


def _classify_fp(mnemonic: str) -> tuple[str, str]:
    root, _, suffix = mnemonic.partition(".")
    if root not in _FP and root not in _BY_NAME and root[-2:] in _CONDITIONS:
        root = root[:-2]
    if root in _BY_NAME:
        return _BY_NAME[root], root
    if root in ("vldr", "vstr"):
        return ("fp-load" if root == "vldr" else "fp-store"), root
    if root.startswith(("vcvt", "vrint")):
        return "fp-convert", root
    if root.startswith("vsel"):
        return "fp-add", root
    return _FP.get(root, "fp-add"), root if not suffix.endswith("64") else root + ".f64"


def _family(kind: str) -> str:
    if kind in ("load", "store", "load-pair", "store-pair", "fp-load", "fp-store"):
        return "memory"
    if kind in ("load-many", "store-many"):
        return "many"
    if kind in ("branch", "call", "branch-register", "table-branch"):
        return "flow"
    return "fp" if kind.startswith("fp-") else "data"


# --- operands ---


_OPERAND = re.compile(r"\[[^\]]*\]!?|\{[^}]*\}|[^,\s][^,]*")


def _operands(text: str) -> tuple[str, ...]:
    """Split at commas that are in no bracket."""
    return tuple(part.strip() for part in _OPERAND.findall(text))


@functools.lru_cache(maxsize=1024)
def mask(name: str) -> int:
    """The bit of a register, the two of a double; 0 for anything else."""
    name = name.strip("! ^")
    if name in _NAMED:
        return 1 << _NAMED[name]
    kind, digits = name[:1], name[1:]
    if not digits.isdigit():
        return FLAGS if name.startswith("apsr") else 0
    number = int(digits)
    if kind == "r":
        return 1 << number
    if kind == "s":
        return 1 << (_FIRST_S + number)
    if kind == "d":
        return 3 << (_FIRST_S + 2 * number)
    return 0


def _list(text: str) -> int:
    total = 0
    for name in text.strip("{} ").split(","):
        first, _, last = name.strip().partition("-")
        if last:
            numbers = range(int(first[1:]), int(last[1:]) + 1)
            total |= sum(mask(f"{first[0]}{number}") for number in numbers)
        else:
            total |= mask(first)
    return total


_SHIFT_OPERAND = re.compile(r"^(lsl|lsr|asr|ror|rrx)\b\s*(?:#(\S+)|(\w+))?$")
Made = dict[str, Any]


def _data(kind: str, root: str, parts: Sequence[str]) -> Made:
    if kind in ("it", "nop", "barrier", "system"):
        return {"reads": FLAGS} if kind == "it" else {}
    registers = [mask(part) for part in parts]
    shift = _SHIFT_OPERAND.match(parts[-1]) if len(parts) > 1 else None
    if shift is not None and shift.group(3):
        registers.append(mask(shift.group(3)))
    if root in _COMPARES:
        early = registers[1] if shift else 0
        return {"writes": FLAGS, "reads": _union(registers), "early": early, "shifted": shift is not None}
    if kind in _WRITES_AND_READS:
        return _WRITES_AND_READS[kind](registers)
    reads = _union(registers[1:])
    if _reads_destination(kind, root, parts):
        reads |= registers[0]
    if root in ("adc", "sbc", "rrx", "sel"):
        reads |= FLAGS
    named = [register for register in registers if register]
    early = named[-1] if (shift or kind in ("bits", "dsp")) and len(named) > 1 else 0
    shifted = shift is not None and kind in ("add", "logic")
    return {"writes": registers[0], "reads": reads, "early": early, "shifted": shifted}


def _mac(registers: Sequence[int]) -> Made:
    """Rd, Rn, Rm, Ra."""
    return {"writes": registers[0], "reads": _union(registers[1:]), "accumulates": registers[3]}


def _mul_long(registers: Sequence[int]) -> Made:
    return {"writes": registers[0] | registers[1], "reads": _union(registers[2:])}


def _mac_long(registers: Sequence[int]) -> Made:
    result = registers[0] | registers[1]
    return {"writes": result, "reads": _union(registers), "accumulates": result}


_WRITES_AND_READS: dict[str, Callable[[Sequence[int]], Made]] = {
    "mac": _mac,
    "mul-long": _mul_long,
    "mac-long": _mac_long,
}


def _reads_destination(kind: str, root: str, parts: Sequence[str]) -> bool:
    """Two-operand forms (`adds r0, #1`), MOVT and BFI keep part of what they write."""
    if root in ("movt", "bfi", "bfc"):
        return True
    named = sum(1 for part in parts if mask(part))
    immediates = len(parts) - named - (1 if parts and _SHIFT_OPERAND.match(parts[-1]) else 0)
    two_operands = kind in ("add", "logic") and root not in (
        "mov",
        "movw",
        "mvn",
        "adr",
        "neg",
        "addw",
        "subw",
    )
    return (two_operands or kind in ("shift", "mul")) and named + immediates == 2  # noqa: PLR2004


def _union(masks: Iterable[int]) -> int:
    total = 0
    for one in masks:
        total |= one
    return total


def _memory(kind: str, root: str, parts: Sequence[str]) -> Made:
    at = next((i for i, part in enumerate(parts) if part.startswith("[")), len(parts))
    moved = [mask(part) for part in parts[:at]]
    address = parts[at] if at < len(parts) else "[]"
    inside = [part.strip() for part in address.strip("[]! ").split(",")]
    inside[-1] = inside[-1].rstrip("]!")
    addressing = _union(mask(part) for part in inside)
    after = parts[at + 1 :]
    writeback = address.endswith("!") or bool(after)
    addressing |= _union(mask(part) for part in after)
    register_offset = sum(1 for part in inside if mask(part)) > 1
    base_register = mask(inside[0]) if writeback else 0
    data = _union(moved)
    width = _NARROW_ACCESS.get(root.removesuffix("t")[-1], 4)
    words = 2 if kind in ("load-pair", "store-pair") or data.bit_count() == 2 else 1  # noqa: PLR2004 - d registers
    made: Made = {
        "addressing": addressing,
        "access_bytes": width,
        "transfers": words,
        "register_offset": register_offset,
        "writeback": writeback,
    }
    if root.startswith("strex"):
        status, data = moved[0], _union(moved[1:])
        return made | {"reads": addressing | data, "stored": data, "writes": status}
    if kind in ("store", "store-pair", "fp-store"):
        return made | {"reads": addressing | data, "stored": data, "writes": base_register}
    return made | {"reads": addressing, "writes": data | base_register}


def _many(kind: str, root: str, parts: Sequence[str]) -> Made:
    listed = _list(parts[-1]) if parts else 0
    base = SP if root in _STACK_MANY else mask(parts[0])
    writeback = root in _STACK_MANY or parts[0].endswith("!")
    made: Made = {
        "addressing": base,
        "access_bytes": 4,
        "transfers": listed.bit_count(),
        "writeback": writeback,
    }
    written = base if writeback else 0
    if kind == "load-many":
        return made | {"reads": base, "writes": listed | written}
    return made | {"reads": base | listed, "stored": listed, "writes": written}


def _flow(kind: str, root: str, parts: Sequence[str]) -> Made:
    made: Made = {"writes": PC, "reads": 0}
    if root in ("cbz", "cbnz"):
        made["reads"] = mask(parts[0])
    elif kind == "branch-register":
        made["reads"] = mask(parts[0])
        if root == "blx":
            made["writes"] = PC | LR
    elif kind == "call":
        made["writes"] = PC | LR
    elif kind == "table-branch":
        addressing = _union(mask(part.strip()) for part in parts[0].strip("[]").split(","))
        made |= {"reads": addressing, "addressing": addressing, "access_bytes": 1 if root == "tbb" else 2}
        made["transfers"] = 1
    return made


def _fp(kind: str, root: str, parts: Sequence[str]) -> Made:
    registers = [mask(part) for part in parts]
    if root in ("vcmp", "vcmpe", "vcmp.f64", "vcmpe.f64"):
        return {"reads": _union(registers), "writes": 0}
    if kind == "fp-move" and len(registers) > 2:  # noqa: PLR2004 - vmov between two core and two FPU registers
        half = len(registers) // 2
        if registers[-1] >= 1 << _FIRST_S and len(registers) == 3:  # noqa: PLR2004 - vmov r0, r1, d0
            half = 2
        elif len(registers) == 3:  # noqa: PLR2004 - vmov d0, r0, r1
            half = 1
        return {"writes": _union(registers[:half]), "reads": _union(registers[half:])}
    destination = registers[0] if registers else 0
    made: Made = {"writes": destination, "reads": _union(registers[1:])}
    if kind in ("fp-mac", "fp-fma"):
        made["reads"] |= destination
        made["accumulates"] = destination
    return made


_SHAPERS = {"data": _data, "memory": _memory, "many": _many, "flow": _flow, "fp": _fp}
