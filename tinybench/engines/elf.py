"""`elf:FILE`: firmware that somebody else has finished, measured as it is; see tinybench/finished_elf.py.

The engine `elf` itself builds nothing: it holds what `--engine-option elf.…` says of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from tinybench.engine import Sources
from tinybench.errors import ModelError
from tinybench.records import Record
from tinybench.target import Target
from tinybench.workload import Workload

NAME = "elf"
SCHEME = f"{NAME}:"


class ElfOptions(Record):
    """What the user says of a finished ELF: nobody else can."""

    name: str | None = Field(default=None, description="the engine inside; the file's name if not given")
    version: str | None = Field(default=None, description="its version, as its makers write it")
    infer: str | None = Field(
        default=None, description="the function that is one inference, where it is not MLPerf's `th_infer`"
    )
    baud: int | None = Field(default=None, gt=0, description="its line's speed, where not the board's usual")


@dataclass(frozen=True)
class ElfEngine:
    """The options of finished ELFs under a name of the command line."""

    name: str = NAME
    exactness: Literal["exact", "close"] = "exact"
    options: ElfOptions = field(default_factory=ElfOptions)

    def with_options(self, options: ElfOptions) -> ElfEngine:
        """This engine with the user's options."""
        return replace(self, options=options)

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - the seam's signature
        """Always: without a file there is nothing to run."""
        return "`elf` is not built but given: --engine elf:path/to/firmware.elf"

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:  # noqa: ARG002 - as above
        """Raises ModelError."""
        raise ModelError(str(self.refuses(workload, target)))


ENGINES = (ElfEngine(),)
