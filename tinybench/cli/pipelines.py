"""The command that puts pipelines together from recorded Runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.judging import stored
from tinybench.cli.options import AsJson, Plugins, Results, catalogue_of, settings_of
from tinybench.cli.terminal import document, print_json, print_table, talk

if TYPE_CHECKING:
    from tinybench.pipelines import PerHour

_HEAD = (
    *("engine", "device", "busy in an hour", "of the time", "kind", "longest window"),
    *("instructions", "energy", "flash", "RAM"),
)


@app.command("pipeline", epilog=EXAMPLE.format("pipeline wearable"))
def pipeline_(
    name: Annotated[str, typer.Argument(help="Its name; `tinybench list pipelines` shows all.")],
    *,
    results: Results = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Say what two models and a rule need in an hour, from the newest runs of both."""
    from tinybench.pipelines import per_hour

    catalogue = catalogue_of(settings_of(plugins=plugins))
    wanted = catalogue.pipeline(name)
    wanted.check_labels(catalogue.workload(wanted.first).labels)
    members = {wanted.first, wanted.second}
    found = per_hour(wanted, stored(results).where(lambda entry: entry.key.workload in members))
    if as_json:
        print_json(document("tinybench.pipeline", pipelines=found))
        return
    often, seldom = found[0].inferences
    minutes = ", ".join(f"{label} {minutes:g}" for label, minutes in wanted.profile.minutes.items())
    talk(f"{wanted.title}. {wanted.profile.title}, as stated, in minutes: {minutes}.")
    talk(f"{often:,.0f} inferences of `{wanted.first}` and {seldom:,.0f} of `{wanted.second}` in an hour;")
    talk("put together from one run of each, the first model's answers taken for right.")
    if found[0].synthetic:
        talk("Synthetic weights: speed and memory only.")
    print_table(_HEAD, [_row(item) for item in found])


def _row(item: PerHour) -> Sequence[str]:
    from tinybench.units import show

    busy, instructions, energy = (item.of(metric) for metric in ("latency", "instructions", "energy"))
    memory = {
        between.metric: f"{show(between.at_least, 'B')} to {show(between.at_most, 'B')}"
        for between in item.memory
    }
    error = f" ±{show(busy.error, '%')}" if busy is not None and busy.error is not None else ""
    window = "-"
    if item.longest_window_s is not None:
        late = "" if item.longest_window_s <= item.window_s else ", too late"
        window = f"{show(item.longest_window_s, 's')} of {show(item.window_s, 's')}{late}"
    return (
        item.engine,
        f"{item.target} (virtual)" if item.simulated else item.device,
        show(busy.per_hour, "s") if busy else "-",
        show(busy.per_hour / 3600, "%") if busy else "-",
        busy.kind + error if busy else "-",
        window,
        f"{instructions.per_hour:,.0f}" if instructions else "-",
        show(energy.per_hour, "J") if energy else "-",
        memory.get("flash", "-"),
        memory.get("ram_peak", "-"),
    )
