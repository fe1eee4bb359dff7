"""`tinybench engine`: libraries that engines need and only their user can give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import AsJson, catalogue_of, settings_of
from tinybench.cli.terminal import document, print_json, print_table, talk
from tinybench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from tinybench.libraries import Library

engines = typer.Typer(name="engine", help="Give libraries of yours to engines that need one.")
app.add_typer(engines)

Lib = Annotated[Path, typer.Option("--lib", help="The static library, as upstream's makefile left it.")]
Include = Annotated[Path, typer.Option("--include", help="The tree that it was built in, for its headers.")]
Which = Annotated[Path | None, typer.Option("--lib", help="Only this library of the engine's.")]
Name = Annotated[str | None, typer.Option("--name", help="The engine's name, if it is not the first word.")]


@engines.command(
    "add", epilog=EXAMPLE.format("engine add tflm --lib libtensorflow-microlite.a --include tflite-micro")
)
def add_(
    engine: Annotated[str, typer.Argument(help="The engine that gets it: tflm, tflm-cmsis-nn.")],
    *,
    lib: Lib,
    include: Include,
    name: Name = None,
) -> None:
    """Check a library and remember it on this machine."""
    from tinybench import libraries
    from tinybench.engines.tflm import include_dirs

    wanted = _engine(name or engine)
    include_dirs(include)
    given = libraries.described(wanted, lib, include)
    libraries.add(libraries.path(os.environ), given)
    for line in _warnings(given):
        talk(f"warning: {line}")
    print_table(*_table((given,)))


@engines.command("list", epilog=EXAMPLE.format("engine list"))
def list_(*, as_json: AsJson = False) -> None:
    """List the libraries that were given, and whether they are still what they were."""
    from tinybench import libraries

    known = libraries.load(libraries.path(os.environ)).library
    if as_json:
        print_json(document("tinybench.libraries", libraries=known))
    else:
        print_table(*_table(known))


@engines.command("remove", epilog=EXAMPLE.format("engine remove tflm"))
def remove_(
    engine: Annotated[str, typer.Argument(help="The engine whose libraries to forget.")],
    *,
    lib: Which = None,
) -> None:
    """Forget an engine's libraries; the files stay."""
    from tinybench import libraries

    for gone in libraries.remove(libraries.path(os.environ), engine, lib):
        talk(f"`{gone.archive}` is forgotten")


def _engine(name: str) -> str:
    """The name of an engine that takes libraries."""
    from tinybench.engine import TakesLibraries

    found = catalogue_of(settings_of()).engines
    taking = [known for known, engine in found.items() if isinstance(engine.part, TakesLibraries)]
    if name not in taking:
        raise UsageError(f"no engine `{name}` takes a library", hint=did_you_mean(name, taking))
    return name


def _warnings(library: Library) -> list[str]:
    said = []
    if library.traits.asserts:
        said.append(
            f"`{library.archive.name}` was compiled with asserts, upstream's default: reference kernels take "
            "four to eight times as long; build it with BUILD_TYPE=release_with_logs"
        )
    if "O0" in library.traits.goals:
        said.append(f"`{library.archive.name}` holds objects that were compiled without optimisation")
    return said


def _table(known: tuple[Library, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from tinybench import archive

    head = ("engine", "library", "sha256", "for", "float ABI", "compiled for", "asserts")
    rows: list[tuple[str, ...]] = []
    for one in known:
        traits = one.traits
        goals = ", ".join(f"{count} {goal}" for goal, count in sorted(traits.goals.items()))
        rows.append(
            (
                one.engine,
                str(one.archive),
                one.sha256[:12],
                archive.architecture(traits),
                traits.float_abi,
                goals,
                "ON" if traits.asserts else "off",
            )
        )
    return head, rows
