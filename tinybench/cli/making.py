"""Commands that write the first files of something new."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import catalogue_of, settings_of
from tinybench.cli.terminal import talk
from tinybench.errors import UsageError


class Makeable(StrEnum):
    """What `tinybench new` can begin."""

    ENGINE = "engine"


@app.command("new", epilog=EXAMPLE.format("new engine my-engine --into mine"))
def new_(
    what: Annotated[Makeable, typer.Argument(help="What to begin.")],  # noqa: ARG001 - there is one so far
    name: Annotated[str, typer.Argument(help="Its name on the command line.")],
    *,
    into: Annotated[Path, typer.Option("--into", help="The folder to write it to.")] = Path(),
) -> None:
    """Write a working skeleton of an engine of yours."""
    from tinybench.skeleton import write_engine

    taken = catalogue_of(settings_of()).engines.get(name)
    if taken is not None:
        raise UsageError(
            f"there is an engine `{name}` already, of {taken.origin}", hint="choose another name"
        )
    for path in write_engine(name, into):
        typer.echo(str(path))
    talk(f"it works as it is: tinybench run --suite kws --engine reference,{name} --device nucleo-f746")
    talk(f"                   --simulate --plugins {into}")
