"""What waiting for memory costs: from counted misses and a chip's documented settings to stall cycles.

A chip is described in `chips/*.toml`: which memories are slower than the core, what one read of them
delivers, what stands in front (line buffer, cache, prefetch), and where each figure was read. What a program
asked of them is counted address by address on the virtual board (`Served`), so nothing here guesses at
locality. The cycles are those beyond the core model's, which takes every memory to answer at once.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import Field, ValidationError, model_validator

from tinybench.errors import SetupError, UsageError
from tinybench.records import Record

if TYPE_CHECKING:
    from tinybench.target import Target

Port = Literal["code", "data"]
PORTS: tuple[Port, Port] = ("code", "data")
_CODE_ALIGNMENT = 2


class Sourced(Record):
    """A number and where it was read; if nowhere, `assumed: …` with the reason.

    `fitted_on`: the validation rows from which it was found, to whole cycles (fitting.py).
    """

    value: float
    source: str = Field(min_length=8)
    fitted_on: tuple[str, ...] = ()

    @property
    def origin(self) -> Literal["documented", "assumed", "fitted"]:
        """What the number rests on."""
        if self.fitted_on:
            return "fitted"
        return "assumed" if self.source.startswith("assumed:") else "documented"


class CacheFacts(Record):
    """A cache: a miss fills one part of a line, `part_bytes`; the least recently used line goes.

    `write_back`: stores allocate a line and stay in it; else they go around.
    """

    name: str
    sets: int = Field(ge=1)
    ways: int = Field(ge=1)
    line_bytes: int = Field(ge=4)
    part_bytes: int = Field(ge=4)
    write_back: bool = False
    knob: str | None = Field(default=None, description="the setting that turns it off")
    source: str = Field(min_length=8)

    @property
    def size_bytes(self) -> int:
        """What it holds."""
        return self.sets * self.ways * self.line_bytes


class PortFacts(Record):
    """One way from the core to a memory.

    `word_bytes`: what one read delivers. `holds`: the last word stays at hand. `cache`: by name. `prefetch`:
    the word after the one that is used is read ahead, under the setting `prefetch`. `always_ahead`: so it is
    without a setting.
    """

    word_bytes: int = Field(ge=4)
    holds: bool = False
    cache: str | None = None
    prefetch: bool = False
    always_ahead: bool = False
    source: str = Field(min_length=8)


class MemoryFacts(Record):
    """A memory slower than the core, and what one access costs in the core's cycles beyond the first.

    A read that misses: wait states times `clock_ratio`, where the wait states are a setting of the board
    (`waits`), plus `read_cycles`. `store_cycles`: a store that no cache takes. `write_back_cycles`: a
    modified line that has to go first.
    """

    name: str
    start: int = Field(ge=0)
    end: int = Field(gt=0)
    waits: bool = False
    clock_ratio: Sourced | None = None
    read_cycles: Sourced
    store_cycles: Sourced | None = None
    write_back_cycles: Sourced | None = None
    code: PortFacts | None = None
    data: PortFacts | None = None

    def port(self, port: Port) -> PortFacts | None:
        """The way for code or for data; None if it is as fast as the core, or there is none."""
        return self.code if port == "code" else self.data


class ChipMemory(Record):
    """The memories of a family of chips; `parts` are the beginnings of its order codes."""

    name: str
    title: str
    version: int = Field(ge=1)
    parts: tuple[str, ...] = Field(min_length=1)
    memories: tuple[MemoryFacts, ...]
    caches: tuple[CacheFacts, ...] = ()
    assumptions: tuple[str, ...] = Field(
        default=(), description="what no document states and was decided here"
    )

    @model_validator(mode="after")
    def _caches_exist(self) -> ChipMemory:
        names = {cache.name for cache in self.caches}
        for memory in self.memories:
            for facts in (memory.code, memory.data):
                if facts is not None and facts.cache is not None and facts.cache not in names:
                    raise ValueError(f"there is no cache `{facts.cache}`")
        return self

    def numbers(self) -> Mapping[str, Sourced]:
        """Every number that costs cycles, by where it stands in the description: `flash.read_cycles`."""
        return MappingProxyType(
            {
                f"{memory.name}.{key}": number
                for memory in self.memories
                for key in ("clock_ratio", "read_cycles", "store_cycles", "write_back_cycles")
                if (number := getattr(memory, key)) is not None
            }
        )

    def memory(self, name: str) -> MemoryFacts:
        """The memory of that name; KeyError if there is none."""
        for memory in self.memories:
            if memory.name == name:
                return memory
        raise KeyError(name)


@dataclass(frozen=True)
class MemorySettings:
    """What is set in a case: wait states of memories that have them, prefetch, and caches that are off."""

    wait_states: int = 0
    prefetch: bool = True
    caches_off: frozenset[str] = frozenset()


class Counts(NamedTuple):
    """What was asked of one memory through one port; `asked` is in words of `PortFacts.word_bytes`.

    `held`: it was the last word; `hits`: a cache had it. Misses: `next` reached by running on from the word
    before, `jumped` any other. `written` is in stores.
    """

    asked: int = 0
    held: int = 0
    hits: int = 0
    next: int = 0
    jumped: int = 0
    written: int = 0
    write_misses: int = 0
    written_back: int = 0


class Miss(NamedTuple):
    """Misses of a memory and port at one address: of the word for code, of the load for data."""

    memory: str
    port: Port
    address: int
    next: int
    jumped: int


@dataclass(frozen=True)
class Served:
    """How a chip's memories served one inference, with the caches that were on.

    `loads`: addresses of the instructions that loaded from these memories, and how often they did.
    `leads`: for code misses reached by running on, how many instructions the word before held: while these
    run, a prefetch can read ahead. Empty: not counted.
    """

    chip: str
    chip_version: int
    caches_off: frozenset[str]
    counts: Mapping[tuple[str, Port], Counts]
    misses: tuple[Miss, ...] = ()
    loads: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    leads: Mapping[str, Mapping[int, int]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Stalls:
    """Cycles spent waiting, by memory and cause: `code`, `data`, `store`, `write back`."""

    by_cause: Mapping[tuple[str, str], float]

    @property
    def cycles(self) -> float:
        """All of them."""
        return sum(self.by_cause.values())

    def of(self, cause: str) -> float:
        """Cycles of one cause, over all memories."""
        return sum(cycles for (_, named), cycles in self.by_cause.items() if named == cause)


@runtime_checkable
class ObservesMemory(Protocol):
    """A link to something that can count how its memories serve the firmware; slower while it does."""

    def observe_memory(self, chip: ChipMemory, settings: MemorySettings) -> None:
        """Count from now on, inside inferences only; caches start empty. Raises SetupError if it cannot."""

    def memory_served(self) -> Served:
        """What was counted since `observe_memory`, and stop."""


def stalls(
    served: Served, chip: ChipMemory, settings: MemorySettings, *, cycles_per_instruction: float = 1.0
) -> Stalls:
    """The cycles that the counted misses cost. `cycles_per_instruction`: how fast code is used up.

    Raises ValueError if the counts were made with another chip, other facts of it, or other caches.
    """
    if (served.chip, served.chip_version) != (chip.name, chip.version):
        raise ValueError(
            f"counted on `{served.chip}` version {served.chip_version}, not `{chip.name}` {chip.version}"
        )
    if served.caches_off != settings.caches_off:
        raise ValueError(f"counted with {sorted(served.caches_off)} off, not {sorted(settings.caches_off)}")
    causes: dict[tuple[str, str], float] = {}
    for (name, port), counts in served.counts.items():
        memory = chip.memory(name)
        facts = memory.port(port)
        if facts is None:
            continue
        wait = read_cycles(memory, settings)
        hidden = 0.0
        if port == "code" and ((facts.prefetch and settings.prefetch) or facts.always_ahead):
            hidden = _hidden(counts, served.leads.get(name, {}), facts, wait, cycles_per_instruction)
        causes[name, port] = (counts.next + counts.jumped) * wait - hidden
        for cause, events, cost in (
            ("store", counts.write_misses, memory.store_cycles),
            ("write back", counts.written_back, memory.write_back_cycles),
        ):
            if cost is not None and events:
                causes[name, cause] = causes.get((name, cause), 0.0) + events * cost.value
    return Stalls(MappingProxyType(causes))


def read_cycles(memory: MemoryFacts, settings: MemorySettings) -> float:
    """What one read that misses costs."""
    ratio = memory.clock_ratio.value if memory.clock_ratio is not None else 1.0
    return (settings.wait_states * ratio if memory.waits else 0.0) + memory.read_cycles.value


def _hidden(
    counts: Counts, leads: Mapping[int, int], facts: PortFacts, wait: float, cycles_per_instruction: float
) -> float:
    """Cycles of waiting for the next word that pass while the word before is executed."""
    if not leads:
        typical = facts.word_bytes / _TYPICAL_INSTRUCTION_BYTES
        return counts.next * min(wait, typical * cycles_per_instruction)
    return sum(count * min(wait, lead * cycles_per_instruction) for lead, count in leads.items())


_TYPICAL_INSTRUCTION_BYTES = 3.0  # half of Thumb-2 code is wide; only where nobody counted


def with_leads(served: Served, chip: ChipMemory, instruction_addresses: Iterable[int]) -> Served:
    """The same with `leads`, from the addresses of all instructions that were executed."""
    starts = frozenset(instruction_addresses)
    leads: dict[str, Counter[int]] = {}
    for miss in served.misses:
        facts = chip.memory(miss.memory).code
        if miss.port != "code" or not miss.next or facts is None:
            continue
        before = range(miss.address - facts.word_bytes, miss.address, _CODE_ALIGNMENT)
        leads.setdefault(miss.memory, Counter())[max(1, sum(at in starts for at in before))] += miss.next
    kept = {name: MappingProxyType(dict(sorted(counted.items()))) for name, counted in leads.items()}
    return replace(served, leads=MappingProxyType(kept))


def settings_of(target: Target, chip: ChipMemory) -> MemorySettings:
    """What the board sets: its own, changed by the options that were chosen for it (`target_options.py`).

    A board without the knob `prefetch` leaves it off, as after reset. Raises SetupError if the board does not
    say how many wait states it sets.
    """
    if target.flash_wait_states is None and any(memory.waits for memory in chip.memories):
        raise SetupError(
            f"`{target.name}` does not say how many wait states its flash has",
            hint=f"flash_wait_states = N in the TOML of `{target.name}`",
        )
    off = frozenset(
        cache.name for cache in chip.caches if cache.knob is not None and target.setting(cache.knob) == "off"
    )
    return MemorySettings(
        wait_states=target.flash_wait_states or 0,
        prefetch=target.setting("prefetch") == "on",
        caches_off=off,
    )


@cache
def chips() -> Mapping[str, ChipMemory]:
    """Every described family by name. Raises UsageError naming the file of a description that is wrong."""
    found: dict[str, ChipMemory] = {}
    for path in sorted(files("tinybench.timing").joinpath("chips").iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".toml"):
            continue
        try:
            chip = ChipMemory.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (ValidationError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"`{path.name}` does not describe a chip's memories: {error}") from error
        found[chip.name] = chip
    return MappingProxyType(found)


def chip_of(mcu: str) -> ChipMemory | None:
    """The description of an order code (`STM32L4R5ZI`), by the longest beginning that fits; or None."""
    fitting = [
        (len(part), chip) for chip in chips().values() for part in chip.parts if mcu.upper().startswith(part)
    ]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None
