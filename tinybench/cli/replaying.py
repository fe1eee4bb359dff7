"""The command that has a recorded conversation again, without the device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.judging import stored
from tinybench.cli.options import AsJson, Quiet, Results, logs_of, settings_of
from tinybench.cli.terminal import print_json, print_table, silence, talk
from tinybench.errors import EXIT_OK, RegressionFound, UsageError

if TYPE_CHECKING:
    from tinybench.replay import Outcome

_SHOWN = 48


@app.command("replay", epilog=EXAMPLE.format("replay 20261121T035613Z"))
def replay_(
    run: Annotated[
        str, typer.Argument(help="Id of a run or its beginning, `latest`, or a recording's folder.")
    ],
    *,
    results: Results = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Have a recorded conversation with a device again: the same Run, or what differs."""
    from tinybench import narrate, replay

    say = silence if quiet else talk
    outcome = replay.replay(_folder(run, results), say=lambda event: say(narrate.line(event)))
    if as_json:
        print_json(_facts(outcome))
    elif outcome.differences:
        rows = [(d.field, _short(d.recorded), _short(d.replayed)) for d in outcome.differences]
        print_table(("field", "recorded", "replayed"), rows)
    elif outcome.identical:
        typer.echo(f"the same Run, byte for byte: {outcome.recorded.run_id}")
    else:
        typer.echo(f"the same Run, written as tinybench does now: {outcome.recorded.run_id}")
    return RegressionFound.exit_code if outcome.differences else EXIT_OK


def _folder(run: str, results: str | None) -> Path:
    """The folder of a recording: the one that was named, or that of the run."""
    from tinybench import replay
    from tinybench.results.runs import INTERLEAVED

    if Path(run).is_dir():
        return Path(run)
    runs = stored(results)
    found = runs.source.run(runs.entries[-1]) if run == "latest" else runs.get(run)
    if found.conditions.simulated and found.measurement("instructions") is not None:
        raise UsageError(
            f"Run `{found.run_id}` was simulated, which gives the same again without a recording",
            hint=f"tinybench run --simulate --workload {found.case.workload} --device {found.case.target}",
        )
    pair = found.case.options.get(INTERLEAVED)
    ids = [found.run_id]
    ids += [e.run_id for e in runs.entries if pair and dict(e.key.options).get(INTERLEAVED) == pair]
    logs = logs_of(settings_of(results=results))
    return replay.find(next((run_id for run_id in ids if (logs / run_id).is_dir()), found.run_id), logs)


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "schema": "tinybench.replay",
        "run_id": outcome.recorded.run_id,
        "identical": outcome.identical,
        "differences": [
            {"field": d.field, "recorded": d.recorded, "replayed": d.replayed} for d in outcome.differences
        ],
        "run": outcome.replayed.model_dump(mode="json"),
    }


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
