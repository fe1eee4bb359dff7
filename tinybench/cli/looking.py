"""Commands that look around: what can be named, what is missing, what is set."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import AsJson, Plugins, Results, catalogue_of, configured, fetcher_of, settings_of
from tinybench.cli.terminal import document, print_json, print_table, talk
from tinybench.errors import EXIT_OK, SetupError


class Listable(StrEnum):
    """What `tinybench list` can list."""

    SUITES = "suites"
    PIPELINES = "pipelines"
    WORKLOADS = "workloads"
    ENGINES = "engines"
    DEVICES = "devices"
    ADAPTERS = "adapters"
    METRICS = "metrics"


@app.command("list", epilog=EXAMPLE.format("list devices"))
def list_(
    what: Annotated[Listable, typer.Argument(help="What to list.")],
    *,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named on the command line."""
    from tinybench import listing

    catalogue = catalogue_of(settings_of(plugins=plugins))
    head, rows = listing.table(what.value, catalogue)
    if as_json:
        print_json(
            document(f"tinybench.{what.value}", items=[dict(zip(head, row, strict=True)) for row in rows])
        )
    else:
        print_table(head, rows)


@app.command(epilog=EXAMPLE.format("doctor"))
def doctor(*, results: Results = None, plugins: Plugins = None, as_json: AsJson = False) -> int:
    """Find what this machine lacks, and its remedy."""
    from tinybench.doctor import examine, lacking

    settings = settings_of(results=results, plugins=plugins)
    checks = tuple(examine(settings, catalogue_of(settings)))
    if as_json:
        print_json(document("tinybench.doctor", checks=[dataclasses.asdict(check) for check in checks]))
    else:
        marks = {"ok": "ok", "missing": "MISSING", "optional": "optional"}
        print_table(("", "what", "found"), [(marks[c.state], c.what, c.found) for c in checks])
        for check in checks:
            if check.remedy and check.state != "ok":
                typer.echo(f"{check.what}: {check.remedy}")
    return SetupError.exit_code if lacking(checks) else EXIT_OK


@app.command("config", epilog=EXAMPLE.format("config --show-origin"))
def config_(
    *,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="Say where each value came from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the settings in force."""
    made = configured()
    values = made.settings.model_dump(mode="json")
    if as_json:
        print_json({"schema": "tinybench.config", "settings": values, "origins": dict(made.origins)})
        return
    rows = [(key, json.dumps(value), made.origins[key]) for key, value in values.items()]
    print_table(
        *(
            (("setting", "value", "origin"), rows)
            if show_origin
            else (("setting", "value"), [r[:2] for r in rows])
        )
    )


@app.command(epilog=EXAMPLE.format("golden vww01"))
def golden(
    workload: Annotated[str, typer.Argument(help="The workload whose right answers to ask the oracle for.")],
    *,
    plugins: Plugins = None,
) -> None:
    """Print a workload's right answers as TOML."""
    from tinybench.models import oracle, tflite
    from tinybench.models.loading import model_of

    settings = settings_of(plugins=plugins)
    judge = oracle.installed()
    if judge is None:
        raise SetupError("the oracle is not installed", hint="pip install 'tinybench-mcu[oracle]'")
    catalogue = catalogue_of(settings)
    spec = catalogue.workload(workload)
    data = model_of(spec, fetcher_of(settings, catalogue, talk)).data
    typer.echo(oracle.record_goldens(spec, tflite.read(data), data, judge))
