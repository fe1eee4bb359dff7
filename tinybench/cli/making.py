"""Commands that write the first files of something new."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import catalogue_of, settings_of
from tinybench.cli.terminal import talk
from tinybench.errors import SetupError, UsageError

if TYPE_CHECKING:
    from tinybench.engine import Engine
    from tinybench.plugins import Found
    from tinybench.workload import WorkloadSpec


class Makeable(StrEnum):
    """What `tinybench new` can begin."""

    ENGINE = "engine"
    WORKLOAD = "workload"


class Wire(StrEnum):
    """How samples are written on the wire."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    FLOAT32 = "float32"


@app.command("new", epilog=EXAMPLE.format("new engine my-engine --into mine"))
def new_(
    what: Annotated[Makeable, typer.Argument(help="What to begin.")],
    name: Annotated[str, typer.Argument(help="Its name on the command line.")],
    *,
    into: Annotated[Path, typer.Option("--into", help="The folder to write it to.")] = Path(),
    model: Annotated[
        str | None, typer.Option("--model", help="Of a workload: the .tflite, a path or a URL.")
    ] = None,
    encoding: Annotated[
        Wire | None, typer.Option("--encoding", help="Of a workload: how samples travel.")
    ] = None,
) -> None:
    """Write a working skeleton of an engine of yours, or the workload of a model of yours."""
    catalogue = catalogue_of(settings_of())
    known: Mapping[str, Found[Engine] | Found[WorkloadSpec]] = (
        catalogue.engines if what is Makeable.ENGINE else catalogue.workloads
    )
    if name in known:
        raise UsageError(
            f"there is {_article(what)} `{name}` already, of {known[name].origin}", hint="choose another name"
        )
    if what is Makeable.WORKLOAD:
        _new_workload(name, into, model, encoding)
        return
    if model is not None or encoding is not None:
        raise UsageError("an engine has no model", hint=f"tinybench new engine {name} --into {into}")
    from tinybench.skeleton import write_engine

    for path in write_engine(name, into):
        typer.echo(str(path))
    talk(f"it works as it is: tinybench run --suite kws --engine reference,{name} --device nucleo-f746")
    talk(f"                   --simulate --plugins {into}")


def _article(what: Makeable) -> str:
    return f"an {what}" if what is Makeable.ENGINE else f"a {what}"


def _new_workload(name: str, into: Path, model: str | None, encoding: Wire | None) -> None:
    from tinybench.models import oracle
    from tinybench.models.adopting import write_workload

    if model is None:
        raise UsageError(
            "a workload needs a model", hint=f"tinybench new workload {name} --model FILE.tflite"
        )
    judge = oracle.installed()
    if judge is None:
        raise SetupError(
            "the oracle, which says what answers are right, is not installed",
            hint="pip install 'tinybench-mcu[oracle]'",
        )
    typer.echo(str(write_workload(name, model, into, judge, encoding.value if encoding else None)))
    talk(f"run it: tinybench run --workload {name} --device nucleo-f746 --simulate --plugins {into}")
