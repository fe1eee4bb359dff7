"""The seam through which a model becomes C: what an engine is given and what it owes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

from tinybench.models.arena import ArenaPlan
from tinybench.target import Target
from tinybench.workload import Workload


@dataclass(frozen=True)
class Sources:
    """What an engine hands to the build: files to compile, and what they promise.

    The files implement `tb_engine.h`. Each operator runs inside a function of its own whose symbol is
    `tb_op_<index>` (three digits or more), so that a simulator can attribute cost to operators in the
    clean image; `operators` names them by index.

    Files ending in `.cc` are C++. `system_include_dirs` hold headers that are not ours and not fetched by us:
    they are too many to be read for the digest of an image, so `version` has to tell two of them apart.
    `link_flags` follow the `libraries`.
    """

    files: tuple[Path, ...]
    include_dirs: tuple[Path, ...] = ()
    system_include_dirs: tuple[Path, ...] = ()
    defines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    flags: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = ()
    link_flags: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    arena: ArenaPlan | None = None
    version: str = ""


class Engine(Protocol):
    """What turns a model into code and runs it."""

    name: str
    exactness: Literal["exact", "close"]

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """One sentence naming what is missing (operator and tensor), or None if this can be built."""

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Write the engine's C for this workload below `into`: same inputs, same bytes."""


@runtime_checkable
class DeclaresTolerance(Protocol):
    """A `close` engine that says how many last places its outputs may be away from the oracle's."""

    tolerance: int


@runtime_checkable
class TakesLibraries(Protocol):
    """An engine that links a static library which only its user can build; see `tinybench engine add`."""

    name: str

    def wants(self, target: Target) -> str:
        """How to build the library for `target`, as a hint."""


@dataclass(frozen=True)
class Program:
    """What runs on this computer in the place of firmware: a class, as `module:name`.

    It is called with the model's bytes and gives an `Inference` (tinybench.host_program).
    """

    inference: str
    version: str


@runtime_checkable
class RunsHere(Protocol):
    """An engine for this computer: nothing is compiled, and no firmware is made."""

    name: str

    def program(self, workload: Workload) -> Program:
        """What runs for this workload; SetupError if something is not installed."""


def refusal(engine: Engine, workload: Workload, target: Target) -> str | None:
    """Why this engine cannot have this cell, in a sentence; None if it can.

    Firmware is compiled for Cortex-M, so that this computer runs only engines made for it.
    """
    if target.core.name == "host" and not isinstance(engine, RunsHere):
        return f"`{engine.name}` makes firmware; on this computer there is `tflm-host`"
    return engine.refuses(workload, target)
