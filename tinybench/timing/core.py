"""One core's timing constants, each with its source: `cores/*.toml`, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pydantic import Field, ValidationError, model_validator

from tinybench.errors import UsageError
from tinybench.records import Record
from tinybench.timing.program import KINDS

NOT_MODELLED = MappingProxyType(
    {
        "cortex-m0": "no table of it is encoded yet",
        "cortex-m55": "its dual-issue rules for Helium are not public in a form that could be checked",
        "host": "this computer has no pipeline model",
    }
)


class Constant(Record):
    """A number of cycles and where it was read."""

    cycles: float
    source: str = Field(min_length=8)


class Pairing(Record):
    """Which two instructions issue in one cycle; empty for a core that issues one.

    `alone`: kinds that never pair; `never`: unordered pairs of kinds that do not; `older_only`: kinds that
    pair only as the first. With `younger` given, only these kinds pair, as the second (and `nop` as either).
    `shifted` stands for an adder or logic operation with an inline shift.
    """

    source: str = ""
    narrow_only: bool = False
    alone: tuple[str, ...] = ()
    never: tuple[tuple[str, str], ...] = ()
    older_only: tuple[str, ...] = ()
    younger: tuple[str, ...] = ()


class Fetch(Record):
    """Instruction fetch from memory without wait states: bytes a cycle, and words of that size in the buffer.

    0 bytes: fetching never limits this core.
    """

    bytes_per_cycle: int = 0
    buffer_words: int = 0
    source: str = ""


class CoreTiming(Record):
    """The pipeline of one core in constants. `latency`: cycles from issue until a plain consumer may issue.

    `busy`: cycles during which nothing else issues; `first` and `each` count for transfers of many registers.
    `operand`: what is added for an operand in a special place (negative: it is needed later than others).
    `branch`: extra cycles of a taken branch by its kind. Kinds are `program.KINDS`.
    """

    name: str
    title: str
    version: int = Field(ge=1)
    width: int = Field(ge=1, le=2)
    latency: dict[str, Constant]
    busy: dict[str, Constant]
    operand: dict[str, Constant] = Field(default_factory=dict)
    branch: dict[str, Constant]
    rule: dict[str, Constant] = Field(default_factory=dict)
    pairing: Pairing = Pairing()
    fetch: Fetch = Fetch()
    assumptions: tuple[str, ...] = Field(
        default=(), description="what no document states and was decided here"
    )

    @model_validator(mode="after")
    def _kinds_exist(self) -> CoreTiming:
        for name in (*self.latency, *self.busy):
            if name not in ("default", "shifted") and name.split(":")[0] not in KINDS:
                raise ValueError(f"`{name}` is no kind of instruction")
        return self

    def constant(self, table: Mapping[str, Constant], kind: str) -> float:
        """The cycles of a kind, or those of `default`."""
        found = table.get(kind) or table.get("default")
        return found.cycles if found is not None else 0.0


@cache
def cores() -> Mapping[str, CoreTiming]:
    """Every modelled core by name. Raises UsageError naming the file of a table that is wrong."""
    found: dict[str, CoreTiming] = {}
    for path in sorted(files("tinybench.timing").joinpath("cores").iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".toml"):
            continue
        try:
            core = CoreTiming.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (ValidationError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"`{path.name}` is no table of a core: {error}") from error
        found[core.name] = core
    return MappingProxyType(found)


def core_timing(name: str) -> CoreTiming | None:
    """The constants of a core, or None if it is not modelled."""
    return cores().get(name)


def why_not(name: str) -> str:
    """Why a core has no estimate, in words."""
    return NOT_MODELLED.get(name, "nobody has encoded its pipeline")
