"""Commands that read what was recorded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.judging import (
    FailOn,
    Junit,
    Threshold,
    baselines,
    compared,
    print_comparison,
    stored,
    tell_github,
    write,
)
from tinybench.cli.options import AsJson, Plugins, Quiet, Results, catalogue_of, settings_of
from tinybench.cli.terminal import document, print_json, print_table, silence, talk
from tinybench.errors import UsageError

if TYPE_CHECKING:
    from tinybench.records import Run
    from tinybench.results.history import Series
    from tinybench.results.published import Peers
    from tinybench.results.runs import Runs

FORMATS = "csv, parquet, junit, markdown, mlperf, openmetrics, bencher, github-benchmark"

Base = Annotated[str, typer.Argument(help="Baseline, results file, git ref, run id, `latest` or a filter.")]
New = Annotated[str, typer.Argument(help="What to compare with it, in the same words.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", "-m", help="Metrics to show.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
MaybeOutput = Annotated[Path | None, typer.Option("--output", "-o", help="A file; stdout if none.")]


@app.command("show", epilog=EXAMPLE.format("show latest"))
def show_(
    run: Annotated[str, typer.Argument(help="Id of a run, or `latest`.")] = "latest",
    *,
    results: Results = None,
) -> None:
    """Print one recorded run as JSON."""
    runs = stored(results)
    found = runs.source.run(runs.entries[-1]) if run == "latest" else runs.get(run)
    print_json(found.model_dump(mode="json"))


@app.command("report", epilog=EXAMPLE.format("report nightly latest -o report.html"))
def report_(
    base: Annotated[str | None, typer.Argument(help="Compare with this, in the words of `compare`.")] = None,
    new: New = "latest",
    *,
    out: Output = Path("report.html"),
    against: Annotated[
        str | None, typer.Option("--against", help="The engine that others are measured by.")
    ] = None,
    threshold: Threshold = None,
    published: Annotated[
        bool, typer.Option("--published", help="Beside public results of the same task, core and clock.")
    ] = False,
    results: Results = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML file about the newest runs, or about what changed from BASE to NEW."""
    from tinybench.report.html import write_report

    runs = stored(results)
    past = _past(runs)
    if base is None:
        newest = list(runs.newest())
        peers = _peers(newest, plugins) if published else ()
        written = write_report(newest, out, past=past, against=against, published=peers)
    else:
        comparison = compared(runs, base, new, threshold, results)
        sides = [
            [runs.source.run(entry) for entry in runs.entries if entry.run_id in ids]
            for ids in (
                {verdict.base_run for verdict in comparison.verdicts},
                {verdict.new_run for verdict in comparison.verdicts}
                | {failed.run_id for failed in comparison.failures},
            )
        ]
        peers = _peers(sides[1], plugins) if published else ()
        written = write_report(
            sides[1],
            out,
            comparison=comparison,
            base_runs=sides[0],
            past=past,
            against=against,
            published=peers,
        )
    (silence if quiet else talk)(f"report   {written.heading}")
    typer.echo(str(out.absolute()))


def _peers(runs: Sequence[Run], plugins: list[Path] | None) -> tuple[Peers, ...]:
    """What others have published for these Runs; worth a word where that is nothing."""
    from tinybench.results.published import peers

    catalogue = catalogue_of(settings_of(plugins=plugins))
    found = peers(runs, {name: part.part.task for name, part in catalogue.workloads.items()})
    if not found:
        talk("note: nothing is published for these tasks on these cores at these clocks")
    return found


@app.command("compare", epilog=EXAMPLE.format("compare nightly latest --fail-on regression"))
def compare_(
    base: Base,
    new: New = "latest",
    *,
    fail_on: FailOn = None,
    threshold: Threshold = None,
    junit: Junit = None,
    results: Results = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed, if the two may be compared at all."""
    from tinybench import export, verdicts
    from tinybench.results import gate

    runs = stored(results)
    reasons = gate.parse_fail_on(fail_on or ["none"])
    comparison = compared(runs, base, new, threshold, results)
    if junit is not None:
        write(junit, export.render("junit", runs, comparison))
    tell_github(comparison)
    if as_json:
        print_json(document("tinybench.comparison", **verdicts.facts(comparison)))
    else:
        print_comparison(comparison)
    gate.check(comparison, reasons)


@app.command("baseline", epilog=EXAMPLE.format("baseline set nightly latest"))
def baseline_(
    what: Annotated[str, typer.Argument(help="set, show or list.")],
    name: Annotated[str | None, typer.Argument(help="The baseline's name.")] = None,
    side: Annotated[str, typer.Argument(help="For set: whose numbers, as in `compare`.")] = "latest",
    *,
    note: Annotated[str, typer.Option("--note", help="Why this is the baseline.")] = "",
    results: Results = None,
) -> None:
    """Set, show or list named baselines: small files to be committed."""
    from tinybench.results import baseline, references

    folder = baselines(results)
    if what == "list":
        for known in baseline.baseline_names(folder):
            typer.echo(known)
    elif what not in ("set", "show"):
        raise UsageError(
            f"unknown word `{what}`", hint="baseline set NAME, baseline show NAME, baseline list"
        )
    elif name is None:
        raise UsageError(f"`baseline {what}` needs a name", hint=f"tinybench baseline {what} NAME")
    elif what == "show":
        typer.echo(baseline.as_text(baseline.load_baseline(folder, name)), nl=False)
    else:
        found = references.resolve(side, stored(results), baselines=folder, folder=Path.cwd())
        typer.echo(str(baseline.save_baseline(folder, baseline.baseline_of(name, found, note))))


@app.command("history", epilog=EXAMPLE.format("history --metric instructions"))
def history_(*, metric: Metrics = None, results: Results = None, as_json: AsJson = False) -> None:
    """Show each metric over time, with its change points."""
    from tinybench import verdicts
    from tinybench.results import history

    can_look = history.has_ruptures()
    if not can_look:
        talk("note: change points need the package ruptures: pip install 'tinybench-mcu[history]'")
    series = history.history(stored(results), metrics=metric, change_points=can_look)
    if as_json:
        print_json(document("tinybench.history", series=[verdicts.series_facts(one) for one in series]))
    else:
        print_table(*verdicts.series_table(series))


@app.command("export", epilog=EXAMPLE.format("export csv -o runs.csv"))
def export_(
    form: Annotated[str, typer.Argument(help=FORMATS)],
    *,
    out: MaybeOutput = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Compare with this, where there is room.")
    ] = None,
    results: Results = None,
) -> None:
    """Write runs in the format of another tool."""
    from tinybench import export

    runs = stored(results)
    comparison = compared(runs, base, "latest", None, results) if base else None
    data = export.render(form, runs, comparison)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        write(out, data)


def _past(runs: Runs) -> list[Series]:
    """The history of what decides between cases; without change points where they cannot be found."""
    from tinybench.report.sections.answers import DECIDING
    from tinybench.results import history

    return history.history(runs, metrics=DECIDING, change_points=history.has_ruptures())
