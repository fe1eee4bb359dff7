"""Short sequences with published cycles: a pipeline model's answer to each."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from tinybench.records import Record
from tinybench.timing.core import core_timing
from tinybench.timing.program import Instruction, shape_of
from tinybench.timing.scoreboard import Scoreboard

_REPEATS = 16
_WIDE = 4


class Sequence(Record):
    """A few instructions on a core, what they cost by whom, and what surrounds them (the file says how)."""

    core: str
    code: tuple[str, ...] = Field(min_length=1)
    at: int = 0x1000
    repeat: bool = False
    loop: bool = False
    cycles: float = Field(gt=0)
    source: str = Field(min_length=8)

    @property
    def title(self) -> str:
        """The instructions on one line."""
        return "; ".join(self.code)

    @property
    def surroundings(self) -> Literal["repeated", "loop", "once"]:
        """What the sequence follows."""
        return "repeated" if self.repeat else "loop" if self.loop else "once"


@cache
def sequences() -> tuple[Sequence, ...]:
    """Every sequence of the repository."""
    text = files("tinybench.timing").joinpath("validation", "sequences.toml").read_text(encoding="utf-8")
    return tuple(Sequence.model_validate(entry) for entry in tomllib.loads(text)["sequence"])


def instructions(code: tuple[str, ...], at: int) -> tuple[Instruction, ...]:
    """Instructions in capstone's spelling, one after another; always-wide ones need no `.w`."""
    made = []
    for line in code:
        mnemonic, _, operands = line.partition(" ")
        wide = mnemonic.endswith(".w") or _is_always_wide(mnemonic)
        shape = shape_of(mnemonic.removesuffix(".w"), operands.strip(), _WIDE if wide else 2)
        made.append(Instruction(at, shape))
        at += shape.size
    return tuple(made)


def estimated(sequence: Sequence) -> float:
    """Cycles of one pass by the model. Raises KeyError for a core that is not modelled."""
    core = core_timing(sequence.core)
    if core is None:
        raise KeyError(sequence.core)
    board = Scoreboard(core)
    block = instructions(sequence.code, sequence.at)
    if sequence.loop:
        return board.cost(block, block, taken=True).cycles
    if not sequence.repeat:
        ending = instructions(("mov.w r11, r12",), block[-1].address + block[-1].shape.size)
        return board.cost((), (*block, *ending), taken=False).cycles - 1
    once, many = (instructions(sequence.code * count, sequence.at) for count in (_REPEATS, 2 * _REPEATS))
    return (board.cost((), many, taken=False).cycles - board.cost((), once, taken=False).cycles) / _REPEATS


def _is_always_wide(mnemonic: str) -> bool:
    """Multiplications but MUL, divisions, doubleword accesses and the FPU's have no 16-bit form."""
    return mnemonic[0] == "v" or mnemonic in ("mla", "smlad", "smlal", "sdiv", "ldrd", "strd")
