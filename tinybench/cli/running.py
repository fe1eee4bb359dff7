"""Commands that plan, build and run."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.judging import (
    FailOn,
    Junit,
    Threshold,
    gate_of,
    print_comparison,
    tell_github,
    write,
)
from tinybench.cli.options import (
    AsJson,
    CutModels,
    Cutting,
    Devices,
    EngineOptions,
    Engines,
    NoLogs,
    Plugins,
    Quiet,
    Results,
    Simulate,
    Suites,
    TargetOptions,
    Timeout,
    Toolchain,
    Workloads,
    catalogue_of,
    fetcher_of,
    logs_of,
    settings_of,
    split,
)
from tinybench.cli.terminal import document, print_json, print_table, silence, talk
from tinybench.errors import EXIT_OK, UsageError, did_you_mean

if TYPE_CHECKING:
    from tinybench.bench import Bench, Build, Event
    from tinybench.compare import Comparison
    from tinybench.config import Settings
    from tinybench.engine import Engine
    from tinybench.latency import Rules
    from tinybench.models.oracle import Oracle
    from tinybench.plan import Plan, Selection
    from tinybench.records import Run
    from tinybench.target import Image, ImageKind, Target
    from tinybench.workload import Workload


_NOTHING: Mapping[str, str] = MappingProxyType({})

VerifyLoad = Annotated[bool, typer.Option("--verify-load", help="Read inputs back from serial:PORT devices.")]
Ab = Annotated[
    str | None,
    typer.Option("--ab", help="Alternate with this image: a build id, or the path of an ELF."),
]
CompareTo = Annotated[
    str | None, typer.Option("--compare-to", help="Compare with this, in the words of `compare`.")
]
Pack = Annotated[Path | None, typer.Option("--pack", help="CMSIS-Pack that knows the chip.")]
RulesName = Annotated[
    str,
    typer.Option(
        "--rules", help="How latency is timed: quick, or mlperf (five windows of 10 s, five inputs)."
    ),
]
Unlock = Annotated[bool, typer.Option("--unlock", help="Erase a locked chip, all of it, to unlock it.")]


@app.command("run", epilog=EXAMPLE.format("run --suite vww,kws --device nucleo-f746 --simulate"))
def run_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    engine_option: EngineOptions = None,
    target_option: TargetOptions = None,
    device: Devices = None,
    simulate: Simulate = False,
    cut: CutModels = Cutting.AUTO,
    verify_load: VerifyLoad = False,
    rules: RulesName = "quick",
    pack: Pack = None,
    unlock: Unlock = False,
    toolchain: Toolchain = None,
    timeout: Timeout = None,
    ab: Ab = None,
    compare_to: CompareTo = None,
    fail_on: FailOn = None,
    threshold: Threshold = None,
    junit: Junit = None,
    no_logs: NoLogs = False,
    results: Results = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Build, load, prove the answers right, measure, record."""
    from tinybench import bench, export, flashed, narrate, verdicts
    from tinybench.store import Store

    settings = settings_of(
        engine=engine,
        engine_option=engine_option,
        target_option=target_option,
        device=device,
        toolchain=toolchain,
        timeout_s=timeout,
        results=results,
        plugins=plugins,
    )
    say = silence if quiet else talk
    store = Store(settings.results)
    store.check_writable()
    timing = _rules(rules)
    gate = gate_of(compare_to, fail_on, threshold, results, interleaved=ab is not None)
    given = {"cache": str(settings.cache_dir)}
    given |= {"pack": str(pack)} if pack else {}
    given |= {"unlock": ""} if unlock else {}
    selection = selected(settings, suite, workload, simulate=simulate, cut=cut, verify_load=verify_load)
    plan = planned(settings, selection, say=say, given=given)
    targets = [case.target for case in plan.cases]
    build = builder(settings, targets) if plan.cases else _nothing_to_build
    tools = bench.Bench(
        build=build,
        store=store,
        rules=timing,
        timeout_s=settings.timeout_s,
        logs=None if no_logs else logs_of(settings),
    )
    courses: tuple[Generator[Event, None, None], ...] = (
        bench.run((*plan.cases, *plan.gaps), tools),
        flashed.run(plan.flashed, tools),
    )
    if ab is not None:
        courses = (_alternating(ab, plan, tools, settings),)
    runs: list[Run] = []
    comparison: Comparison | None = None
    try:
        for course in courses:
            with contextlib.closing(course) as events:
                for event in events:
                    say(narrate.line(event))
                    runs += narrate.finished(event)
        if gate is not None and not all(run.failure for run in runs):
            comparison = gate.comparison(runs)
    finally:
        if as_json:
            more = {"comparison": [verdicts.facts(comparison)]} if comparison else {}
            print_json(document("tinybench.runs", runs=runs, gaps=plan.gaps, **more))
        elif runs:
            print_table(*narrate.results(runs))
    if junit is not None:
        ids = {run.run_id for run in runs}
        recorded = store.read().runs.where(lambda entry: entry.run_id in ids)
        write(junit, export.render("junit", recorded, comparison))
    if gate is not None and comparison is not None:
        tell_github(comparison)
        if not as_json:
            print_comparison(comparison)
        gate.check(comparison)
    return next((run.failure.exit_code for run in runs if run.failure), EXIT_OK)


@app.command("plan", epilog=EXAMPLE.format("plan --suite mlperf-tiny --device nucleo-f746 --simulate"))
def plan_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    engine_option: EngineOptions = None,
    target_option: TargetOptions = None,
    device: Devices = None,
    simulate: Simulate = False,
    cut: CutModels = Cutting.AUTO,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Show what `run` would do, and what it would not and why."""
    from tinybench import bench, narrate

    settings = settings_of(
        engine=engine,
        engine_option=engine_option,
        target_option=target_option,
        device=device,
        plugins=plugins,
    )
    plan = planned(settings, selected(settings, suite, workload, simulate=simulate, cut=cut), say=talk)
    if as_json:
        cases = [bench.case_of(case) for case in plan.cases]
        print_json(document("tinybench.plan", cases=cases, gaps=plan.gaps, notes=plan.notes))
    else:
        print_table(*narrate.cases(plan))


@app.command("build", epilog=EXAMPLE.format("build --suite kws --device nucleo-f746 --json"))
def build_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    engine_option: EngineOptions = None,
    target_option: TargetOptions = None,
    device: Devices = None,
    cut: CutModels = Cutting.AUTO,
    toolchain: Toolchain = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build images and say how large they are."""
    from tinybench import narrate
    from tinybench.plan import buildable

    settings = settings_of(
        engine=engine,
        engine_option=engine_option,
        target_option=target_option,
        device=device,
        toolchain=toolchain,
        plugins=plugins,
    )
    say = silence if quiet else talk
    catalogue = catalogue_of(settings)
    selection = selected(settings, suite, workload, cut=cut)
    wanted, gaps = buildable(selection, catalogue, fetcher_of(settings, catalogue, say), _oracle(settings))
    for gap in gaps:
        say(f"gap      {narrate.why(gap)}")
    make = builder(settings, [cell.target for cell in wanted])
    pairs = []
    for cell in wanted:
        pairs.append((cell, make(cell.workload, cell.engine, cell.target, "clean")))
        say(f"build    {cell.workload.spec.id}: {narrate.built(pairs[-1][1])}")
    if as_json:
        print_json(document("tinybench.images", images=[narrate.facts(*pair) for pair in pairs], gaps=gaps))
    else:
        print_table(*narrate.images(pairs))


def _alternating(
    reference: str, plan: Plan, tools: Bench, settings: Settings
) -> Generator[Event, None, None]:
    """The one case of the plan, its windows alternating with those of the image that `reference` names."""
    from tinybench import interleave

    if len(plan.cases) != 1 or plan.flashed:
        found = len(plan.cases) + len(plan.flashed)
        raise UsageError(
            f"`--ab` takes exactly one case, not {found}",
            hint="name one workload, one engine and one device: tinybench run --workload kws01 …",
        )
    return interleave.run(plan.cases[0], interleave.find_image(reference, settings.cache_dir), tools)


def selected(
    settings: Settings,
    suite: list[str] | None,
    workload: list[str] | None,
    *,
    simulate: bool = False,
    cut: Cutting = Cutting.AUTO,
    verify_load: bool = False,
) -> Selection:
    from tinybench.plan import Selection

    return Selection(
        suites=split(suite) or (),
        workloads=split(workload) or (),
        engines=settings.engine,
        devices=settings.device,
        simulate=simulate,
        verify_load=verify_load,
        cut=cut.value,
        target_options=settings.target_option,
    )


def planned(
    settings: Settings,
    selection: Selection,
    *,
    say: Callable[[str], None],
    given: Mapping[str, str] = _NOTHING,
) -> Plan:
    from tinybench.plan import plan

    catalogue = catalogue_of(settings).configured(given)
    made = plan(selection, catalogue, fetcher_of(settings, catalogue, say), _oracle(settings))
    for note in made.notes:
        say(f"model    {note}")
    return made


def _rules(name: str) -> Rules:
    from tinybench.latency import RULES

    if name not in RULES:
        raise UsageError(f"unknown rules `{name}`", hint=did_you_mean(name, RULES))
    return RULES[name]


def _oracle(settings: Settings) -> Oracle | None:
    from tinybench.models.oracle import installed

    return installed(settings.cache_dir)


def _nothing_to_build(*_: object) -> Image:
    raise AssertionError("a plan without cases builds nothing")


def builder(settings: Settings, targets: Iterable[Target]) -> Build:
    """Builds with the compiler of the settings, which is looked for once, if there is firmware to build."""
    from tinybench import build, programs, toolchain

    cache = settings.cache_dir
    programmed = functools.partial(programs.make, cache=cache)
    if all(target.core.name == "host" for target in targets):
        return programmed
    compiler = toolchain.find(settings.toolchain, cache)
    compiled = functools.partial(build.build, compiler=compiler, cache=cache)

    def make(workload: Workload, engine: Engine, target: Target, kind: ImageKind) -> Image:
        return (programmed if target.core.name == "host" else compiled)(workload, engine, target, kind)

    return make


@app.command("devices", epilog=EXAMPLE.format("devices scan"))
def devices_(
    what: Annotated[
        str, typer.Argument(help="list: what is reachable; scan: write new boards down.")
    ] = "list",
    *,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List reachable boards, or write new ones into bench.toml."""
    from tinybench import desk

    if what not in ("list", "scan"):
        raise UsageError(f"unknown word `{what}`", hint="tinybench devices list, or tinybench devices scan")
    catalogue = catalogue_of(settings_of(plugins=plugins))
    if what == "scan":
        added, file = desk.scan(catalogue, os.environ)
        talk(f"{len(added)} new in `{file}`")
    head, rows = desk.table(catalogue)
    if as_json:
        items = [dict(zip(head, row, strict=True)) for row in rows]
        print_json(document("tinybench.devices", devices=items))
    else:
        print_table(head, rows)
