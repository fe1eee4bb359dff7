"""What a static library says of itself, before anything is linked with it.

Every member of the archive carries build attributes (Arm ABI, "Addenda to, and Errata in, the ABI for the Arm
Architecture", build attributes): which instructions it holds, how it passes floats, what it was optimised
for. One member that does not fit its target faults in the middle of a measurement; here it is named.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tinybench.errors import SetupError, UsageError
from tinybench.records import Record
from tinybench.target import Core

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

# Tag_CPU_arch: what may stand in a member, by core. Later architectures run the code of earlier ones.
_V6M = frozenset({11, 12})
_V7M = _V6M | {10}
_V7EM = _V7M | {13}
_V8M_MAIN = _V7EM | {16, 17}
_RUNS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "cortex-m0": _V6M,
        "cortex-m0plus": _V6M,
        "cortex-m3": _V7M,
        "cortex-m4": _V7EM,
        "cortex-m7": _V7EM,
        "cortex-m33": _V8M_MAIN,
        "cortex-m55": _V8M_MAIN | {21},
    }
)
_ARCHITECTURES = MappingProxyType(
    {
        10: "Armv7-M",
        11: "Armv6-M",
        12: "Armv6S-M",
        13: "Armv7E-M",
        16: "Armv8-M Baseline",
        17: "Armv8-M Mainline",
        21: "Armv8.1-M Mainline",
    }
)
_HAS_DSP = 13  # Armv7E-M: the extension is part of the architecture; from Armv8-M on a tag says so

# Tag_FP_arch: 5 and 6 are VFPv4, 7 and 8 the FPU of Armv8; a core runs what is not newer than its own.
_NEWEST_FPU: Mapping[str, int] = MappingProxyType({"cortex-m4": 6})
_SINGLE_ONLY = 1  # Tag_ABI_HardFP_use; what is absent may use whatever the FPU has
_HARD = 1  # Tag_ABI_VFP_args

# Tag_ABI_optimization_goals, as GCC writes it: -O1 is the first pair, -O2 and above the second.
_GOALS = MappingProxyType({0: "-", 1: "O1", 2: "O2+", 3: "Os", 4: "Os", 5: "O0", 6: "O0"})

# What <assert.h> calls in newlib, in Arm's C library and in picolibc: only code without NDEBUG has it.
_ASSERTS = frozenset({"__assert_func", "__aeabi_assert", "__assert_no_args", "__assert_fail"})

# What pyelftools lets through where an object is damaged behind its header, and how far it is let go on with
# attributes whose lengths are nought.
_DAMAGED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_MOST_ATTRIBUTES = 256

FloatAbi = Literal["hard", "soft", "either"]


class Traits(Record):
    """What the members of an archive have in common, or the most that one of them asks for.

    `goals` counts members by what the compiler optimised them for: `O2+`, `Os`, `O1`, `O0`.
    """

    members: int
    architectures: tuple[int, ...]
    float_abi: FloatAbi
    newest_fpu: int
    double_precision: bool
    dsp: bool
    compilers: tuple[str, ...]
    goals: dict[str, int]
    asserts: bool


class Member(NamedTuple):
    """One object of an archive: its name, and its bytes."""

    name: str
    data: bytes


def sha256(path: Path) -> str:
    """Digest of a file; SetupError if it cannot be read."""
    return hashlib.sha256(_read(path)).hexdigest()


def members(path: Path) -> Iterator[Member]:
    """The objects of a static library, in their order.

    Raises SetupError if the file cannot be read, UsageError if it is no archive, or a thin one: that holds
    names of files elsewhere, and nothing that could be checked once.
    """
    import arpy

    data = _read(path)
    if data.startswith(b"!<thin>\n"):
        raise UsageError(f"`{path}` is a thin archive: it only names its objects", hint="ar -r, without T")
    try:
        with arpy.Archive(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                yield Member(member.header.name.decode("utf-8", "replace"), bytes(member.read()))
    except (arpy.ArchiveFormatError, arpy.ArchiveAccessError, ValueError) as error:
        raise UsageError(f"`{path}` is no static library that can be read: {error}") from error


def examine(path: Path) -> Traits:
    """Read every member's attributes and symbols.

    Raises as `members` does; UsageError, too, for a library of another machine, or of no objects at all.
    """
    found = [_Facts.of(path, member) for member in members(path)]
    if not found:
        raise UsageError(f"`{path}` holds no objects")
    return _together(path, found)


def examine_program(path: Path) -> Traits:
    """The same of a linked program; architecture 0 where it carries no attributes."""
    return _together(path, [_Facts.of(path, Member(path.name, _read(path)))])


def _together(path: Path, found: Sequence[_Facts]) -> Traits:
    abis = {facts.float_abi for facts in found} - {"either"}
    if len(abis) > 1:
        odd = next(facts.name for facts in found if facts.float_abi == "soft")
        raise UsageError(f"`{path}` mixes float ABIs: `{odd}` passes floats in core registers, others do not")
    goals = sorted(facts.goal for facts in found)
    return Traits(
        members=len(found),
        architectures=tuple(sorted({facts.architecture for facts in found})),
        float_abi=next(iter(abis), "either"),
        newest_fpu=max(facts.fpu for facts in found),
        double_precision=any(facts.double_precision for facts in found),
        dsp=any(facts.dsp for facts in found),
        compilers=tuple(sorted({facts.compiler for facts in found if facts.compiler})),
        goals={goal: goals.count(goal) for goal in dict.fromkeys(goals)},
        asserts=any(facts.asserts for facts in found),
    )


def architecture(traits: Traits) -> str:
    """The newest architecture among the members, in Arm's words."""
    newest = traits.architectures[-1]
    return _ARCHITECTURES.get(newest, f"architecture {newest}")


def unfit(traits: Traits, core: Core) -> str | None:
    """Why code with these traits does not run on `core`, as the end of a sentence; None if it does."""
    runs = _RUNS.get(core.name, frozenset())
    other = [arch for arch in traits.architectures if arch not in runs]
    if other:
        return f"it is for {architecture(traits)}"
    hard = core.fpu != "none"
    if traits.float_abi != "either" and (traits.float_abi == "hard") != hard:
        return f"its float ABI is {traits.float_abi}, and {'hard' if hard else 'soft'} is needed"
    if traits.newest_fpu and (not hard or traits.newest_fpu > _NEWEST_FPU.get(core.name, 8)):
        return "it uses floating-point instructions that the core lacks"
    if traits.double_precision and core.fpu == "single":
        return "it uses a double-precision FPU"
    if traits.dsp and not core.dsp:
        return "it uses the DSP extension"
    return None


class _Facts(NamedTuple):
    """What one member says."""

    name: str
    architecture: int
    float_abi: FloatAbi
    fpu: int
    double_precision: bool
    dsp: bool
    compiler: str
    goal: str
    asserts: bool

    @classmethod
    def of(cls, path: Path, member: Member) -> _Facts:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            elf = ELFFile(io.BytesIO(member.data))
            if elf["e_machine"] != "EM_ARM":
                raise UsageError(f"`{path}` is not for Arm: `{member.name}` is {elf['e_machine']}")
            tags = _attributes(elf)
            architecture = int(tags.get("TAG_CPU_ARCH", 0))
            fpu = int(tags.get("TAG_FP_ARCH", 0))
            return cls(
                name=member.name,
                architecture=architecture,
                float_abi=_float_abi(tags),
                fpu=fpu,
                double_precision=bool(fpu) and int(tags.get("TAG_ABI_HARDFP_USE", 0)) != _SINGLE_ONLY,
                dsp=architecture == _HAS_DSP or int(tags.get("TAG_DSP_EXTENSION", 0)) == 1,
                compiler=_compiler(elf),
                goal=_GOALS.get(int(tags.get("TAG_ABI_OPTIMIZATION_GOALS", 0)), "-"),
                asserts=not _ASSERTS.isdisjoint(_undefined(elf)),
            )
        except (ELFError, *_DAMAGED) as error:
            raise UsageError(
                f"`{path}` holds `{member.name}`, which is no object that can be read: {error}",
                hint="a library of LTO objects must be compiled anew, without -flto",
            ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"cannot read `{path}`: {error.strerror or error}") from error


def _attributes(elf: ELFFile) -> dict[str, Any]:
    """Tags of the whole file (an object's attributes may not differ by section in what GCC writes)."""
    section: Any = elf.get_section_by_name(".ARM.attributes")
    if section is None:
        return {}
    return {
        attribute.tag: attribute.value
        for vendor in islice(section.iter_subsections(), _MOST_ATTRIBUTES)
        for scope in islice(vendor.iter_subsubsections(), _MOST_ATTRIBUTES)
        for attribute in islice(scope.iter_attributes(), _MOST_ATTRIBUTES)
    }


def _float_abi(tags: Mapping[str, Any]) -> FloatAbi:
    """Tag_ABI_VFP_args: 0 core registers, 1 the FPU's, 3 compatible with both; absent is 0."""
    given = int(tags.get("TAG_ABI_VFP_ARGS", 0))
    if given == _HARD:
        return "hard"
    return "soft" if given == 0 else "either"


def _compiler(elf: ELFFile) -> str:
    """Name and version from .comment: `GCC: (15:12.2.rel1-1) 12.2.1 20221205` is `gcc-12.2.1`."""
    section = elf.get_section_by_name(".comment")
    said = section.data().decode("latin-1") if section is not None else ""
    gcc = re.search(r"GCC: .*?\) (\d[\d.]*)", said)
    if gcc is not None:
        return f"gcc-{gcc[1]}"
    clang = re.search(r"clang version (\d[\d.]*)", said)
    return f"clang-{clang[1]}" if clang is not None else ""


def _undefined(elf: ELFFile) -> set[str]:
    table: Any = elf.get_section_by_name(".symtab")
    return (
        {s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF"} if table is not None else set()
    )
