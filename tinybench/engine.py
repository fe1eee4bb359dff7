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
class TakesLibraries(Protocol):
    """An engine that links a static library which only its user can build; see `tinybench engine add`."""

    name: str

    def wants(self, target: Target) -> str:
        """How to build the library for `target`, as a hint."""
