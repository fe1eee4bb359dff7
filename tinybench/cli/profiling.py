"""The command that says where an inference spends its time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import (
    AsJson,
    CutModels,
    Cutting,
    Devices,
    EngineOptions,
    Engines,
    Plugins,
    Quiet,
    Simulate,
    Suites,
    TargetOptions,
    Timeout,
    Toolchain,
    Workloads,
    settings_of,
)
from tinybench.cli.running import builder, planned, selected
from tinybench.cli.terminal import print_json, print_table, silence, talk
from tinybench.errors import UsageError

if TYPE_CHECKING:
    from tinybench.profile.profile import Profile

Loops = Annotated[int, typer.Option("--loops", min=0, help="How many of the hottest loops to show.")]
Speedscope = Annotated[
    Path | None, typer.Option("--speedscope", help="Write a flame graph for speedscope, as JSON.")
]
Folded = Annotated[
    Path | None, typer.Option("--folded", help="Write folded stacks for flamegraph.pl or inferno.")
]


@app.command("profile", epilog=EXAMPLE.format("profile --suite kws --device nucleo-l4r5zi --simulate"))
def profile_(
    *,
    suite: Suites = None,
    workload: Workloads = None,
    engine: Engines = None,
    engine_option: EngineOptions = None,
    target_option: TargetOptions = None,
    device: Devices = None,
    simulate: Simulate = False,
    cut: CutModels = Cutting.AUTO,
    loops: Loops = 3,
    speedscope: Speedscope = None,
    folded: Folded = None,
    toolchain: Toolchain = None,
    timeout: Timeout = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show where an inference spends its time: operators, functions, hot loops."""
    from tinybench.bench import Bench
    from tinybench.profile import flame
    from tinybench.profile.taking import take

    settings = settings_of(
        engine=engine,
        engine_option=engine_option,
        target_option=target_option,
        device=device,
        toolchain=toolchain,
        timeout_s=timeout,
        plugins=plugins,
    )
    say = silence if quiet else talk
    plan = planned(settings, selected(settings, suite, workload, simulate=simulate, cut=cut), say=say)
    for gap in plan.gaps:
        say(f"gap      {gap.workload} with {gap.engine} on {gap.target}: {gap.reason}")
    if not plan.cases:
        reasons = [gap.reason for gap in plan.gaps]
        raise UsageError(
            reasons[0] if reasons else "firmware that was flashed elsewhere cannot be profiled",
            hint="tinybench plan says what can be run",
        )
    build = builder(settings, [case.target for case in plan.cases])
    tools = Bench(build=build, store=[], timeout_s=settings.timeout_s)
    profiles = []
    for case in plan.cases:
        say(f"profile  {case.workload.spec.id} with {case.engine.name} on {case.device.id}")
        profiles.append(take(case, tools, loops=loops))
    if speedscope is not None:
        _write(speedscope, json.dumps(flame.speedscope(profiles), indent=1) + "\n")
    if folded is not None:
        _write(folded, flame.folded(profiles))
    if as_json:
        print_json(_document(profiles))
        return
    for number, profile in enumerate(profiles):
        if number:
            typer.echo()
        _print(profile)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror}", hint="name another file") from error
    talk(f"{path}: {len(text):,} bytes")


def _document(profiles: Sequence[Profile]) -> dict[str, Any]:
    return {"schema": "tinybench.profiles", "profiles": [dataclasses.asdict(profile) for profile in profiles]}


def _print(profile: Profile) -> None:
    from tinybench.profile import lines

    for line in lines.summary(profile):
        typer.echo(line)
    typer.echo()
    print_table(*lines.operators(profile))
    if profile.roof is not None:
        typer.echo(lines.roof(profile))
    if profile.functions:
        typer.echo()
        print_table(*lines.functions(profile))
    for loop in profile.loops:
        typer.echo()
        typer.echo(lines.loop_title(profile, loop))
        print_table(*lines.loop_lines(loop))
        if lines.left_out(loop):
            typer.echo(lines.left_out(loop))
