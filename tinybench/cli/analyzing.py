"""The command that looks into a model without running it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import AsJson, Plugins, catalogue_of, fetcher_of, settings_of
from tinybench.cli.terminal import print_json, print_table, talk
from tinybench.errors import ModelError, UsageError

if TYPE_CHECKING:
    from tinybench.config import Settings
    from tinybench.model import Model
    from tinybench.models.analysis import Analysis
    from tinybench.plugins import Catalogue


@app.command(epilog=EXAMPLE.format("analyze vww01-mltk --html vww.html"))
def analyze(
    model: Annotated[str, typer.Argument(help="A workload, or the path of a .tflite file.", metavar="MODEL")],
    *,
    html: Annotated[Path | None, typer.Option("--html", help="Write one HTML file with plots.")] = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Count a model's work and memory without running it."""
    settings = settings_of(plugins=plugins)
    catalogue = catalogue_of(settings)
    analysis = _analysed(_read(model, settings, catalogue), catalogue)
    if html is not None:
        _write_page(Path(model).name, analysis, html)
    if as_json:
        print_json(_document(model, analysis))
    else:
        _print(Path(model).name, analysis)


def _read(name: str, settings: Settings, catalogue: Catalogue) -> Model:
    from tinybench.models import tflite
    from tinybench.models.loading import model_of

    path = Path(name)
    if name in catalogue.workloads or not (path.suffix == ".tflite" or path.is_file()):
        data = model_of(catalogue.workload(name), fetcher_of(settings, catalogue, talk)).data
    else:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot read `{path}`: {error.strerror}", hint="tinybench list workloads"
            ) from error
    return tflite.read(data)


def _analysed(model: Model, catalogue: Catalogue) -> Analysis:
    """The analysis with the plan of `reference`, or with one that works in place in RESHAPEs alone."""
    from tinybench.codegen import graph_walk
    from tinybench.codegen.graph_walk import KernelSet
    from tinybench.model import Operator
    from tinybench.models.analysis import analyse
    from tinybench.models.arena import plan_smallest

    targets = [found.part for _, found in sorted(catalogue.targets.items())]
    try:
        lowered = graph_walk.lowered_model(model, KernelSet("reference", ""))
    except ModelError as error:
        talk(f"planned without working in place: {error.message}")
        return analyse(model, plan_smallest(model), lambda _operator: (), targets)

    def in_place(operator: Operator) -> tuple[int, ...]:
        return lowered[operator.index].in_place

    return analyse(model, graph_walk.planned(model, lowered), in_place, targets)


def _write_page(name: str, analysis: Analysis, path: Path) -> None:
    from tinybench.report.html import render, time_of_writing
    from tinybench.report.model_page import model_page

    page = render(model_page(name, analysis, time_of_writing()))
    try:
        path.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write the page to `{path}`: {error.strerror}", hint="name another file"
        ) from error
    talk(f"{path}: {path.stat().st_size:,} bytes")


def _document(name: str, analysis: Analysis) -> dict[str, Any]:
    found = dataclasses.asdict(analysis)
    for plan in ("plan", "plan_tflm"):
        buffers = getattr(analysis, plan).buffers
        found[plan] = {
            "bytes": getattr(analysis, plan).bytes,
            "buffers": [buffer.model_dump(mode="json") for buffer in buffers],
        }
    for kind in ("patches", "streamed"):
        found[kind] = [{**dataclasses.asdict(p), "bytes": p.bytes} for p in getattr(analysis, kind)]
    found["fits"] = [{**dataclasses.asdict(fit), "fits": fit.fits} for fit in analysis.fits]
    return {"schema": "tinybench.analysis", "model": name, **found}


def _print(name: str, analysis: Analysis) -> None:
    from tinybench import analysis_lines as lines

    for line in lines.summary(name, analysis):
        typer.echo(line)
    typer.echo()
    print_table(*lines.operators(analysis))
    typer.echo(lines.LEGEND)
    typer.echo()
    head, rows = lines.patches(analysis)
    if rows:
        print_table(head, rows)
    else:
        typer.echo("running the first operators patch by patch would save nothing")
    typer.echo()
    print_table(*lines.boards(analysis.fits))
