"""The roof over an operator: the most multiply-accumulates that a core can do in a cycle.

The roof is what the core's timing table makes of its best multiply-accumulate, repeated without end, with
operands in registers and accumulators that take turns: no code can do more of them, and loads come on top.
Each constant of a table has its source beside it (`tinybench timing show CORE`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tinybench.target import Core
from tinybench.timing.core import core_timing
from tinybench.timing.scoreboard import Scoreboard
from tinybench.timing.sequences import instructions

_REPEATS = 32


@dataclass(frozen=True)
class Roof:
    """The most multiply-accumulates a cycle, by which instructions, and where those are described."""

    macs_per_cycle: float
    code: str
    source: str


@dataclass(frozen=True)
class _Way:
    """Instructions that do so many multiply-accumulates, four sums taking turns."""

    code: tuple[str, ...]
    macs: int
    source: str


_SUMS = (4, 5, 6, 7)
_SMLAD = _Way(
    tuple(f"smlad r{total}, r0, r1, r{total}" for total in _SUMS),
    2 * len(_SUMS),
    "SMLAD, two products of 16 bits (Armv7-M ARM, DDI 0403; DSP extension)",
)
_MLA = _Way(
    tuple(f"mla r{total}, r0, r1, r{total}" for total in _SUMS),
    len(_SUMS),
    "MLA, one product of 32 bits (Armv7-M ARM, DDI 0403)",
)
_MUL_ADD = _Way(
    ("muls r2, r0, r2", "adds r4, r4, r2", "muls r3, r0, r3", "adds r5, r5, r3"),
    2,
    "MULS and ADDS (Armv6-M ARM, DDI 0419, which has no multiply-accumulate)",
)
_VFMA = _Way(
    tuple(f"vfma.f32 s{total}, s0, s1" for total in _SUMS),
    len(_SUMS),
    "VFMA in single precision (Armv7-M ARM, DDI 0403)",
)
_VMUL_VADD = _Way(
    tuple(f"vmul.f32 s{total + 8}, s0, s1" for total in _SUMS)
    + tuple(f"vadd.f32 s{total}, s{total}, s{total + 8}" for total in _SUMS),
    len(_SUMS),
    "VMUL and VADD in single precision (Armv7-M ARM, DDI 0403)",
)


def roof_of(core: Core, *, floating: bool = False) -> Roof | None:
    """The roof of a core for whole numbers, or floats; None if it is not modelled, or has no such unit."""
    timing = core_timing(core.name)
    if timing is None:
        return None
    board = Scoreboard(timing)
    roofs = []
    for way in _ways(core, floating=floating):
        once, many = (instructions(way.code * count, 0x1000) for count in (_REPEATS, 2 * _REPEATS))
        cycles = board.cost((), many, taken=False).cycles - board.cost((), once, taken=False).cycles
        names = dict.fromkeys(line.partition(" ")[0] for line in way.code)
        roofs.append(Roof(way.macs * _REPEATS / cycles, " + ".join(names), way.source))
    return max(roofs, key=lambda roof: roof.macs_per_cycle, default=None)


def _ways(core: Core, *, floating: bool) -> tuple[_Way, ...]:
    if floating:
        return () if core.fpu == "none" else (_VFMA, _VMUL_VADD)
    if core.dsp:
        return (_SMLAD, _MLA)
    return (_MUL_ADD,) if core.name in ("cortex-m0", "cortex-m0plus") else (_MLA, _MUL_ADD)
