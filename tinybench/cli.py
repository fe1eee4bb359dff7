"""Words in, exit code out: one function per command, and the only module that prints.

stdout is data, stderr is talk. Everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import BaseModel
from typer.exceptions import Abort, Exit, TyperException

from tinybench import __version__
from tinybench.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, SetupError, TinyBenchError, UsageError

if TYPE_CHECKING:
    from tinybench.bench import Build
    from tinybench.config import Config, Settings
    from tinybench.fetch import Fetcher
    from tinybench.oracle import Oracle
    from tinybench.plan import Plan, Selection
    from tinybench.plugins import Catalogue
    from tinybench.records import Run

app = typer.Typer(
    name="tinybench",
    help="How fast, how small, how hungry and how right is this model, with this engine, on this chip?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="With no board at all: tinybench run --suite vww --device nucleo-f746 --simulate",
)
_EXAMPLE = "Example: tinybench {}"

Suites = Annotated[list[str] | None, typer.Option("--suite", "-s", help="Suites: repeat, or use commas.")]
Workloads = Annotated[
    list[str] | None, typer.Option("--workload", "-w", help="Workloads beside the suites'.")
]
Engines = Annotated[list[str] | None, typer.Option("--engine", "-e", help="Engines to compare.")]
Devices = Annotated[list[str] | None, typer.Option("--device", "-d", help="Boards by name.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="On the virtual twin: counts, never times.")]
Results = Annotated[str | None, typer.Option("--results", help="Folder or URL of the result store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Deadline of one case in seconds.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugins", help="Folder of boards, engines, … of yours.")
]


class Compiler(StrEnum):
    """The compilers that `--toolchain` may force."""

    GCC = "gcc"
    ZIG = "zig"


Toolchain = Annotated[Compiler | None, typer.Option("--toolchain", help="Force a compiler.")]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code (design.md, section 6)."""
    words = list(sys.argv[1:] if argv is None else argv)
    tell = functools.partial(_tell_error, as_json="--json" in words)
    code: int | None
    try:
        code = app(words or ["--help"], standalone_mode=False)
    except Exit as leave:
        code = leave.exit_code
    except TyperException as error:
        code = tell(UsageError(error.format_message(), hint="tinybench --help"))
    except TinyBenchError as error:
        code = tell(error)
    except (KeyboardInterrupt, Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    except Exception:  # noqa: BLE001 - the last door: what comes here is our bug and says so
        traceback.print_exc()
        _talk("this is a bug in tinybench: please report it with the lines above and `tinybench doctor`")
        code = EXIT_BUG
    if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C into this code by itself, unless it comes very early
        _talk("interrupted: finished runs are kept")
    sys.exit(code or EXIT_OK)


def _talk(text: str) -> None:
    typer.echo(text, err=True)


def _tell_error(error: TinyBenchError, *, as_json: bool) -> int:
    """Say what went wrong, and what to type next; returns the exit code."""
    notes = tuple(getattr(error, "__notes__", ()))
    for line in (f"error: {error.message}", *(f"  {note}" for note in notes)):
        _talk(line)
    if error.hint:
        _talk(f"hint: {error.hint}")
    if as_json:
        said = {"error": type(error).__name__, "exit_code": error.exit_code, "message": error.message}
        _print_json({"schema": "tinybench.error", **said, "hint": error.hint, "notes": list(notes)})
    return error.exit_code


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned for people; a column of figures is set to the right."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head))]
    figures = [all(row[c][:1].isdigit() or row[c] in ("", "-") for row in rows) for c in range(len(head))]
    for row in [list(head), *rows]:
        cells = (t.rjust(w) if f else t.ljust(w) for t, w, f in zip(row, widths, figures, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _split(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """`a,b` and repeated options are the same; None where nothing was said."""
    if not values:
        return None
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def _configured(**flags: Any) -> Config:
    from tinybench import config

    return config.load(flags, environ=os.environ, cwd=Path.cwd())


def _catalogue(settings: Settings) -> Catalogue:
    from tinybench.plugins import discover

    for folder in settings.plugins:
        if not folder.is_dir():
            raise UsageError(f"plug-in folder `{folder}` does not exist")
    return discover(settings.plugins)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinybench {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")]


@app.callback()
def tinybench(*, version: Version = False) -> None:
    """Benchmark and profile machine learning on microcontrollers."""


@app.command("run", epilog=_EXAMPLE.format("run --suite vww,kws --device nucleo-f746 --simulate"))
def run_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    device: Devices = None,
    simulate: Simulate = False,
    toolchain: Toolchain = None,
    timeout: Timeout = None,
    results: Results = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Build, load, prove the answers right, measure, record."""
    from tinybench import bench, narrate
    from tinybench.store import Store

    settings = _settings(
        engine=engine, device=device, toolchain=toolchain, timeout_s=timeout, results=results, plugins=plugins
    )
    say = _silence if quiet else _talk
    store = Store(settings.results)
    store.check_writable()
    plan = _plan(settings, suite, workload, simulate=simulate, say=say)
    tools = bench.Bench(build=_builder(settings), store=store, timeout_s=settings.timeout_s)
    runs: list[Run] = []
    try:
        with contextlib.closing(bench.run((*plan.cases, *plan.gaps), tools)) as events:
            for event in events:
                say(narrate.line(event))
                runs += narrate.finished(event)
    finally:
        if as_json:
            _print_json(_document("tinybench.runs", runs=runs, gaps=plan.gaps))
        elif runs:
            _print_table(*narrate.results(runs))
    return next((run.failure.exit_code for run in runs if run.failure), EXIT_OK)


@app.command("plan", epilog=_EXAMPLE.format("plan --suite mlperf-tiny --device nucleo-f746 --simulate"))
def plan_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    device: Devices = None,
    simulate: Simulate = False,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Show what `run` would do, and what it would not and why."""
    from tinybench import bench, narrate

    settings = _settings(engine=engine, device=device, plugins=plugins)
    plan = _plan(settings, suite, workload, simulate=simulate, say=_talk)
    if as_json:
        cases = [bench.case_of(planned) for planned in plan.cases]
        _print_json(_document("tinybench.plan", cases=cases, gaps=plan.gaps, notes=plan.notes))
    else:
        _print_table(*narrate.cases(plan))


@app.command("build", epilog=_EXAMPLE.format("build --suite kws --device nucleo-f746 --json"))
def build_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    device: Devices = None,
    toolchain: Toolchain = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build images and say how large they are."""
    from tinybench import narrate
    from tinybench.plan import buildable

    settings = _settings(engine=engine, device=device, toolchain=toolchain, plugins=plugins)
    say = _silence if quiet else _talk
    catalogue = _catalogue(settings)
    selection = _selection(settings, suite, workload)
    wanted, gaps = buildable(selection, catalogue, _fetcher(settings, catalogue, say), _oracle(settings))
    for gap in gaps:
        say(f"gap      {narrate.why(gap)}")
    make = _builder(settings)
    pairs = []
    for cell in wanted:
        pairs.append((cell, make(cell.workload, cell.engine, cell.target, "clean")))
        say(f"build    {cell.workload.spec.id}: {narrate.built(pairs[-1][1])}")
    if as_json:
        _print_json(_document("tinybench.images", images=[narrate.facts(*pair) for pair in pairs], gaps=gaps))
    else:
        _print_table(*narrate.images(pairs))


@app.command("show", epilog=_EXAMPLE.format("show latest"))
def show_(
    run: Annotated[
        str, typer.Argument(help="Id of a run, a part of one that is unique, or `latest`.")
    ] = "latest",
    *,
    results: Results = None,
) -> None:
    """Print one recorded run as JSON."""
    from tinybench.store import Store

    runs = Store(_settings(results=results).results).read().runs
    if not len(runs):
        raise UsageError(
            "there are no runs yet", hint="tinybench run --suite vww --device nucleo-f746 --simulate"
        )
    _print_json(
        list(runs)[-1].model_dump(mode="json") if run == "latest" else runs.get(run).model_dump(mode="json")
    )


@app.command("report", epilog=_EXAMPLE.format("report -o report.html"))
def report_(
    *,
    out: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    results: Results = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML file about the newest runs."""
    from tinybench.report.html import write_report
    from tinybench.store import Store

    settings = _settings(results=results)
    contents = Store(settings.results).read()
    for torn in contents.torn:
        _talk(f"warning: {torn}")
    if not len(contents.runs):
        hint = "tinybench run --suite vww --device nucleo-f746 --simulate"
        raise UsageError(f"there are no runs in `{settings.results}`", hint=hint)
    written = write_report(list(contents.runs.newest()), out)
    (_silence if quiet else _talk)(f"report   {written.heading}")
    typer.echo(str(out.absolute()))


class Listable(StrEnum):
    """What `tinybench list` can list."""

    SUITES = "suites"
    WORKLOADS = "workloads"
    ENGINES = "engines"
    DEVICES = "devices"
    ADAPTERS = "adapters"
    METRICS = "metrics"


@app.command("list", epilog=_EXAMPLE.format("list devices"))
def list_(
    what: Annotated[Listable, typer.Argument(help="What to list.")],
    *,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named on the command line."""
    from tinybench import listing

    catalogue = _catalogue(_settings(plugins=plugins))
    for broken in catalogue.broken:
        _talk(f"warning: {broken.origin}: {broken.reason}")
    head, rows = listing.table(what.value, catalogue)
    if as_json:
        _print_json(
            _document(f"tinybench.{what.value}", items=[dict(zip(head, row, strict=True)) for row in rows])
        )
    else:
        _print_table(head, rows)


@app.command(epilog=_EXAMPLE.format("doctor"))
def doctor(*, results: Results = None, plugins: Plugins = None, as_json: AsJson = False) -> int:
    """Find what this machine lacks, and its remedy."""
    from tinybench.doctor import examine, lacking

    settings = _settings(results=results, plugins=plugins)
    checks = tuple(examine(settings, _catalogue(settings)))
    if as_json:
        _print_json(_document("tinybench.doctor", checks=[dataclasses.asdict(check) for check in checks]))
    else:
        marks = {"ok": "ok", "missing": "MISSING", "optional": "optional"}
        _print_table(("", "what", "found"), [(marks[c.state], c.what, c.found) for c in checks])
        for check in checks:
            if check.remedy and check.state != "ok":
                typer.echo(f"{check.what}: {check.remedy}")
    return SetupError.exit_code if lacking(checks) else EXIT_OK


@app.command("config", epilog=_EXAMPLE.format("config --show-origin"))
def config_(
    *,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="Say where each value came from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the settings in force."""
    made = _configured()
    values = made.settings.model_dump(mode="json")
    if as_json:
        _print_json({"schema": "tinybench.config", "settings": values, "origins": dict(made.origins)})
        return
    rows = [(key, json.dumps(value), made.origins[key]) for key, value in values.items()]
    _print_table(
        *(
            (("setting", "value", "origin"), rows)
            if show_origin
            else (("setting", "value"), [r[:2] for r in rows])
        )
    )


@app.command(epilog=_EXAMPLE.format("golden vww01"))
def golden(
    workload: Annotated[str, typer.Argument(help="The workload whose right answers to ask the oracle for.")],
    *,
    plugins: Plugins = None,
) -> None:
    """Print a workload's right answers as TOML."""
    from tinybench import oracle, tflite
    from tinybench.loading import model_of

    settings = _settings(plugins=plugins)
    judge = oracle.installed()
    if judge is None:
        raise SetupError("the oracle is not installed", hint="pip install 'tinybench-mcu[oracle]'")
    catalogue = _catalogue(settings)
    spec = catalogue.workload(workload)
    data = model_of(spec, _fetcher(settings, catalogue, _talk)).data
    typer.echo(oracle.record_goldens(spec, tflite.read(data), data, judge))


def _settings(**flags: Any) -> Settings:
    """The settings in force; words may be comma lists."""
    lists = {key: _split(flags.get(key)) for key in ("engine", "device")}
    return _configured(**{**flags, **lists}).settings


def _silence(_: str) -> None:
    """Say nothing: `--quiet`."""


def _selection(
    settings: Settings, suite: list[str] | None, workload: list[str] | None, *, simulate: bool = False
) -> Selection:
    from tinybench.plan import Selection

    return Selection(
        suites=_split(suite) or (),
        workloads=_split(workload) or (),
        engines=settings.engine,
        devices=settings.device,
        simulate=simulate,
    )


def _plan(
    settings: Settings,
    suite: list[str] | None,
    workload: list[str] | None,
    *,
    simulate: bool,
    say: Callable[[str], None],
) -> Plan:
    from tinybench.plan import plan

    catalogue = _catalogue(settings)
    selection = _selection(settings, suite, workload, simulate=simulate)
    made = plan(selection, catalogue, _fetcher(settings, catalogue, say), _oracle(settings))
    for note in made.notes:
        say(f"model    {note}")
    return made


def _fetcher(settings: Settings, catalogue: Catalogue, say: Callable[[str], None]) -> Fetcher:
    from tinybench.fetch import Fetcher, Places

    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    return Fetcher(Places.of(settings), siblings=siblings, tell=lambda text: say(f"model    {text}"))


def _oracle(settings: Settings) -> Oracle | None:
    from tinybench.oracle import installed

    return installed(settings.cache_dir)


def _builder(settings: Settings) -> Build:
    """Builds with the compiler of the settings, which is looked for once."""
    from tinybench import build, toolchain

    compiler = toolchain.find(settings.toolchain, settings.cache_dir)
    return functools.partial(build.build, compiler=compiler, cache=settings.cache_dir)


def _document(schema: str, **parts: Iterable[Any]) -> dict[str, Any]:
    """One JSON document: its schema first, records as plain data."""
    return {
        "schema": schema,
        **{
            part: [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in values]
            for part, values in parts.items()
        },
    }
