"""What firmware is compiled for, what it runs on, and the seam through which bytes reach it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from tinybench.models.arena import ArenaPlan
from tinybench.records import Kind, MemoryMap, Record, Toolchain


class Region(Record):
    """A stretch of memory that the linker may fill; `uses` names what is placed there (text, data, …)."""

    name: str
    kind: Literal["flash", "ram"]
    origin: int = Field(ge=0)
    size: int = Field(gt=0)
    uses: tuple[Literal["vectors", "text", "weights", "data", "arena", "stack"], ...] = ()

    @property
    def end(self) -> int:
        """First address after the region."""
        return self.origin + self.size


class Core(Record):
    """The processor: enough to choose compiler flags and a core of a simulator."""

    name: Literal[
        "cortex-m0",
        "cortex-m0plus",
        "cortex-m3",
        "cortex-m4",
        "cortex-m7",
        "cortex-m33",
        "cortex-m55",
        "host",
    ]
    fpu: Literal["none", "single", "double"] = "none"
    dsp: bool = False
    caches: str = "none"


class FirmwareParts(Record):
    """What a board adds to the common firmware: C files beside its TOML, shared ports, macros."""

    sources: tuple[str, ...] = Field(default=(), description="C files in the folder of the board's TOML")
    ports: tuple[str, ...] = Field(default=(), description="C files in tinybench/firmware/port/")
    defines: dict[str, str] = Field(default_factory=dict)
    stack_bytes: int = Field(default=4096, ge=512)


class Serial(Record):
    """How the board talks: the baud rate after reset and, for a pipe with several ports, which interface."""

    baud: int = 115200
    fastest_baud: int = 115200
    interface: int = 0


class Choice(Record):
    """What one value of a knob changes: macros that the board's C reads, and what the target promises."""

    defines: dict[str, str] = Field(default_factory=dict)
    flash_wait_states: int | None = Field(default=None, ge=0)
    clock_hz: int | None = Field(default=None, gt=0)
    weights_in: str | None = Field(default=None, description="region that the weights are copied to at reset")


class Knob(Record):
    """A setting of the board that a user may turn (`--target-option NAME=VALUE`).

    `of_caches`: it changes how memory is cached, which Conditions tell.
    """

    title: str
    default: str
    of_caches: bool = False
    choices: dict[str, Choice] = Field(min_length=2)

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Knob:
        if self.default not in self.choices:
            raise ValueError(f"the default `{self.default}` is not among the choices")
        return self


class Target(Record):
    """A type of thing that firmware is compiled for, written down in one TOML file.

    `virtual`, `probe` and `qemu` belong to the adapters of these names: each validates its own table.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
    mcu: str
    core: Core
    clock_hz: int = Field(gt=0)
    clock_source: str
    flash_wait_states: int | None = None
    regions: tuple[Region, ...] = Field(min_length=1)
    firmware: FirmwareParts = FirmwareParts()
    serial: Serial = Serial()
    knobs: dict[str, Knob] = Field(default_factory=dict, description="what a user may set, by name")
    chosen: dict[str, str] = Field(
        default_factory=dict, description="knobs that are not at their default (target_options.py)"
    )
    virtual: dict[str, Any] | None = None
    probe: dict[str, Any] | None = None
    qemu: dict[str, Any] | None = None
    folder: Path = Field(exclude=True, description="where the TOML was found; its C files lie beside it")

    @model_validator(mode="after")
    def _regions_serve_each_use_once(self) -> Target:
        served = [use for region in self.regions for use in region.uses]
        for use in ("text", "weights", "data", "arena", "stack"):
            if served.count(use) != 1:
                raise ValueError(
                    f"`{use}` must be in the `uses` of exactly one region, not {served.count(use)}"
                )
        by_origin = sorted(self.regions, key=lambda region: region.origin)
        for lower, upper in itertools.pairwise(by_origin):
            if lower.end > upper.origin:
                raise ValueError(f"regions `{lower.name}` and `{upper.name}` overlap")
        return self

    @model_validator(mode="after")
    def _defaults_change_nothing(self) -> Target:
        nothing = Choice(), Choice(flash_wait_states=self.flash_wait_states), Choice(clock_hz=self.clock_hz)
        for name, knob in self.knobs.items():
            if name not in self.chosen and knob.choices[knob.default] not in nothing:
                raise ValueError(f"knob `{name}`: its default `{knob.default}` must change nothing")
        return self

    def setting(self, knob: str) -> str | None:
        """The value of a knob, None if this target has no such knob."""
        found = self.knobs.get(knob)
        return None if found is None else self.chosen.get(knob, found.default)

    def region_for(self, use: str) -> Region:
        """The one region that serves `use` (text, weights, data, arena, stack)."""
        return next(region for region in self.regions if use in region.uses)


@dataclass(frozen=True)
class Device:
    """One reachable unit of a Target: this board on this desk, or a virtual one.

    `simulated`: it has no clock worth reading, its instructions may be counted. `virtual`: it keeps time as a
    board does and yet is none, as the units of a virtual desk.
    """

    id: str
    target: Target
    adapter: str
    simulated: bool
    unit: str | None = None
    details: Mapping[str, str] | None = None
    virtual: bool = False

    @property
    def kind_of_times(self) -> Kind:
        """What kind of numbers this device's clock, or an instrument beside it, gives."""
        return "rehearsed" if self.virtual or self.simulated else "measured"


ImageKind = Literal["clean", "instrumented"]


@dataclass(frozen=True)
class Image:
    """Linked firmware, known by its build id (the GNU note's 20 bytes, as 40 lower-case hex digits).

    `invoke` is the function whose one call is one inference; None where firmware of others does not tell.
    Or a program for this computer (tinybench/programs.py): nobody compiled it, and it has no bytes in flash.
    """

    elf: Path
    build_id: str
    kind: ImageKind
    toolchain: Toolchain | None
    flash_bytes: int | None
    ram_static_bytes: int | None
    memory: MemoryMap | None
    operators: tuple[str, ...]
    engine_version: str
    arena: ArenaPlan | None = None
    invoke: str | None = "tb_engine_invoke"


class Link(Protocol):
    """A byte pipe with deadlines. Handshake, retry, checksum, timing and power are written above it."""

    def write(self, data: bytes) -> None:
        """Send all of `data`; raises LinkClosed if the other end is gone."""

    def read(self, within_s: float) -> bytes:
        """At least one byte, or LinkTimeout after `within_s` seconds, or LinkClosed."""


class Adapter(Protocol):
    """Finds devices of a target, and opens one with an image."""

    name: str
    simulated: bool

    def find(self, target: Target) -> Sequence[Device]:
        """The reachable devices; none is an answer, not an error. Must not disturb a running device."""

    def open(self, device: Device, image: Image) -> AbstractContextManager[Link]:
        """Load `image`, start it from reset, and hand back its pipe; leaving frees the device, always."""


@dataclass(frozen=True)
class Flashed:
    """A unit that already runs firmware, from anyone: nothing is known of it but where it can be reached.

    `id` is the word by which it was named; `baud` is None where the line's speed has to be found out.
    `virtual`: it is a unit of a virtual desk, whose times are of no board.
    """

    id: str
    port: str
    baud: int | None = None
    virtual: bool = False


@dataclass(frozen=True)
class Joined:
    """The pipe to a Flashed unit, the speed at which it answered, and what was heard of its start before."""

    link: Link
    baud: int
    boot: tuple[str, ...] = ()


@runtime_checkable
class JoinsFlashed(Protocol):
    """An adapter that also reaches units which are not to be flashed."""

    @property
    def name(self) -> str:
        """What the record calls it."""

    def flashed(self, word: str) -> Flashed | None:
        """The unit that `word` of the command line names; None if it is not in this adapter's form."""

    def join(self, unit: Flashed) -> AbstractContextManager[Joined]:
        """A pipe to the unit as it runs; leaving frees it, always."""


@runtime_checkable
class FindsAll(Protocol):
    """An adapter that looks once for the units of many targets, because looking takes time."""

    def find_all(self, targets: Iterable[Target]) -> Sequence[Device]:
        """What `find` gives for each of the targets."""


def devices_of(adapter: Adapter, targets: Iterable[Target]) -> Iterator[Device]:
    """Every unit of these targets that `adapter` reaches."""
    if isinstance(adapter, FindsAll):
        yield from adapter.find_all(targets)
    else:
        yield from itertools.chain.from_iterable(map(adapter.find, targets))


@runtime_checkable
class ChangesBaud(Protocol):
    """A link over a line whose speed can be changed."""

    def set_baud(self, baud: int) -> None:
        """Change the speed of this end."""


@runtime_checkable
class KeepsOwnTime(Protocol):
    """A link to a device that lives only while this process works: patience is counted on its clock."""

    def own_clock(self) -> float:
        """Seconds; never goes back."""


@runtime_checkable
class Configurable(Protocol):
    """An adapter that takes settings of the user's, such as a CMSIS-Pack; unknown ones are not its own."""

    def configured(self, given: Mapping[str, str]) -> Adapter:
        """This adapter with the user's settings."""


@dataclass(frozen=True)
class Invocation:
    """One inclusive execution of a watched function, in the order of returns."""

    symbol: str
    instructions: int


@dataclass(frozen=True)
class ExecutionProfile:
    """Exact instruction counts since the last reset of the profile; deterministic for equal input bytes.

    `instructions` counts every architecturally executed instruction, predicated-false ones inside IT
    blocks included (they take a cycle on silicon). `functions` is exclusive and sums to `instructions`.
    `invocations` are inclusive. `operators` maps an operator's index to its inclusive count. `inference` is
    what `functions` is, for instructions inside `tb_engine_invoke` only, without the conversation around it;
    empty where that cannot be told.
    """

    instructions: int
    functions: Mapping[str, int]
    operators: Mapping[int, int]
    invocations: tuple[Invocation, ...]
    inference: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@runtime_checkable
class CountsInstructions(Protocol):
    """A link to something that counts what it executes."""

    simulator: str

    def reset_profile(self) -> None:
        """Start counting from zero."""

    def profile(self) -> ExecutionProfile:
        """What was executed since the last reset of the profile."""


class CountedBlock(Protocol):
    """A run of code that was executed from its first instruction to its last."""

    @property
    def address(self) -> int:
        """Of the first instruction."""

    @property
    def size(self) -> int:
        """In bytes; 0 for what came before the first block."""


class CountedEdge(Protocol):
    """How often one block ran right after another."""

    @property
    def operator(self) -> int:
        """Index of the model's operator, `OUTSIDE` the inference, or another negative between operators."""

    @property
    def source(self) -> CountedBlock:
        """The block before."""

    @property
    def to(self) -> CountedBlock:
        """The block that ran."""

    @property
    def runs(self) -> int:
        """How often."""


OUTSIDE = -1
"""`CountedEdge.operator` of what did not run inside `tb_engine_invoke`."""


class CountedEdges(Protocol):
    """Everything that was executed, by edge between blocks."""

    @property
    def edges(self) -> Sequence[CountedEdge]:
        """Each edge once for each operator that it ran in."""


@runtime_checkable
class CountsEdges(Protocol):
    """A link that also tells its counts by edge, for a timing model."""

    def edges(self) -> CountedEdges:
        """What was executed since the last reset of the profile."""
