"""The options that several commands share, and the settings they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybench.cli.terminal import talk
from tinybench.errors import UsageError

if TYPE_CHECKING:
    from tinybench.config import Config, Settings
    from tinybench.fetch import Fetcher
    from tinybench.plugins import Catalogue

Suites = Annotated[list[str] | None, typer.Option("--suite", "-s", help="Suites: repeat, or use commas.")]
Workloads = Annotated[
    list[str] | None, typer.Option("--workload", "-w", help="Workloads beside the suites'.")
]
Engines = Annotated[list[str] | None, typer.Option("--engine", "-e", help="Engines to compare.")]
EngineOptions = Annotated[
    list[str] | None, typer.Option("--engine-option", help="NAME.key=value, an option of an engine; repeat.")
]
TargetOptions = Annotated[
    list[str] | None, typer.Option("--target-option", help="key=value, a setting of the board; repeat.")
]
Devices = Annotated[list[str] | None, typer.Option("--device", "-d", help="Boards by name.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="On the virtual twin: counts, never times.")]
Results = Annotated[str | None, typer.Option("--results", help="Folder or URL of the result store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
NoLogs = Annotated[
    bool, typer.Option("--no-logs", help="Keep no recordings of what devices say (<results>/logs).")
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Deadline of one case in seconds.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugins", help="Folder of boards, engines, … of yours.")
]


LOGS = "logs"


class Cutting(StrEnum):
    """What becomes of models that end in a SOFTMAX."""

    AUTO = "auto"
    SOFTMAX = "softmax"
    NEVER = "never"


CutModels = Annotated[
    Cutting,
    typer.Option("--cut", help="Run models without their last SOFTMAX: where an engine needs it, or always."),
]


class Compiler(StrEnum):
    """The compilers that `--toolchain` may force."""

    GCC = "gcc"
    ZIG = "zig"


Toolchain = Annotated[Compiler | None, typer.Option("--toolchain", help="Force a compiler.")]


def configured(**flags: Any) -> Config:
    """Settings and their origins: `flags` win over everything."""
    from tinybench import config

    return config.load(flags, environ=os.environ, cwd=Path.cwd())


def settings_of(**flags: Any) -> Settings:
    """The settings in force; words may be comma lists."""
    lists = {key: split(flags.get(key)) for key in ("engine", "device")}
    return configured(**{**flags, **lists}).settings


def catalogue_of(settings: Settings) -> Catalogue:
    """Everything that can be named, the user's own folders included."""
    from tinybench import engine_options, target_options
    from tinybench.plugins import discover

    for folder in settings.plugins:
        if not folder.is_dir():
            raise UsageError(f"plug-in folder `{folder}` does not exist")
    catalogue = engine_options.applied(discover(settings.plugins), settings.engine_option)
    catalogue = target_options.applied(catalogue, settings.target_option)
    for broken in catalogue.broken:
        talk(f"warning: {broken.origin}: {broken.reason}")
    return catalogue


def logs_of(settings: Settings) -> Path:
    """Where recordings lie: in the store's folder; those of a store that is no folder, in `results/` here."""
    place = settings.results
    if "://" in place:
        return Path("results") / LOGS
    return (Path(place).parent if place.endswith(".jsonl") else Path(place)) / LOGS


def split(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """`a,b` and repeated options are the same; None where nothing was said."""
    if not values:
        return None
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def fetcher_of(settings: Settings, catalogue: Catalogue, say: Callable[[str], None]) -> Fetcher:
    """Fetches models for one command, and says what it does."""
    from tinybench.fetch import Fetcher, Places

    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    return Fetcher(Places.of(settings), siblings=siblings, tell=lambda text: say(f"model    {text}"))
