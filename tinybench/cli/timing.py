"""Commands about estimates of time: what the models say, from what, and how far off they have been."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybench.cli.app import EXAMPLE, app
from tinybench.cli.options import AsJson
from tinybench.cli.terminal import print_json, print_table, talk
from tinybench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from tinybench.timing.facts import Facts
    from tinybench.timing.validate import Row, SequenceRow, Validation

timing = typer.Typer(
    help="Estimated cycles: the models, and how they compare with what was measured.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(timing, name="timing")

Elves = Annotated[
    list[str] | None,
    typer.Option(
        "--elf",
        metavar="ROW=FILE",
        help="Count the row again from its program, which must be on this machine.",
    ),
]


Keep = Annotated[
    bool,
    typer.Option(
        "--keep", help="Write rows counted again, and the errors of each class, into this checkout."
    ),
]


@timing.command(epilog=EXAMPLE.format("timing validate"))
def validate(*, elf: Elves = None, keep: Keep = False, as_json: AsJson = False) -> None:
    """Compare the models with published measurements, row by row."""
    from tinybench.timing.facts import rows
    from tinybench.timing.fitting import fitted_constants
    from tinybench.timing.validate import validate as validated

    facts = {row.row: row for row in rows()}
    for given in elf or ():
        counted = _counted(given, facts)
        facts[counted.row] = counted
    found = validated(facts.values())
    if keep:
        _keep(found, [facts[given.partition("=")[0]] for given in elf or ()])
    if as_json:
        print_json(_document(found))
        return
    print_table(
        ("board", "engine", "task", "published", "estimated", "error", "leave-one-out", ""),
        [_cells(row) for row in found.rows],
    )
    typer.echo("")
    print_table(
        ("core + memory", "rows", "mean error", "largest"),
        [(c.models, str(c.rows), f"{c.mean:.1%}", f"{c.largest:.1%}") for c in found.classes],
    )
    wrong = [row for row in found.sequences if abs(row.error) > _ROUNDING]
    right = len(found.sequences) - len(wrong)
    typer.echo("")
    typer.echo(f"instruction sequences: {right} of {len(found.sequences)} as published")
    for row in wrong:
        typer.echo(f"  {row.core}: {row.code}: {row.estimated_cycles:g}, published {row.published_cycles:g}")
    typer.echo("")
    for constant in fitted_constants():
        on = ", ".join(constant.rows)
        typer.echo(f"fitted: {constant.name} of {constant.chip} = {constant.cycles:g} cycles, on {on}")
    talk("every other constant has its source beside it: tinybench timing show CORE")


@timing.command(epilog=EXAMPLE.format("timing show cortex-m4"))
def show(
    core: Annotated[str, typer.Argument(help="A core, such as cortex-m4.")], *, as_json: AsJson = False
) -> None:
    """Print a core's constants, each with its source."""
    from tinybench.timing.core import cores, why_not

    known = cores()
    if core not in known:
        raise UsageError(
            f"`{core}` is not modelled: {why_not(core)}",
            hint=did_you_mean(core, known) or "tinybench timing show cortex-m4",
        )
    found = known[core]
    if as_json:
        print_json({"schema": "tinybench.core-timing", **found.model_dump(mode="json")})
        return
    tables = {
        "latency": found.latency,
        "busy": found.busy,
        "operand": found.operand,
        "branch": found.branch,
        "rule": found.rule,
    }
    print_table(
        ("", "constant", "cycles", "source"),
        [
            (table, name, f"{constant.cycles:g}", constant.source)
            for table, constants in tables.items()
            for name, constant in constants.items()
        ],
    )
    for text in (found.pairing.source, found.fetch.source):
        if text:
            typer.echo(text)
    for assumption in found.assumptions:
        typer.echo(f"assumed: {assumption}")


_ROUNDING = 0.005


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.board,
        row.engine,
        row.task,
        f"{row.published_cycles:,.0f}",
        f"{row.estimated_cycles:,.0f}",
        f"{row.error:+.1%}",
        f"{row.error_leave_one_out:+.1%}",
        "" if row.counts else row.role,
    )


def _document(found: Validation) -> dict[str, Any]:
    from tinybench.timing.fitting import fitted_constants

    return {
        "schema": "tinybench.timing-validation",
        "rows": [_plain(row) for row in found.rows],
        "sequences": [_plain(row) for row in found.sequences],
        "classes": [c.model_dump(mode="json") for c in found.classes],
        "fitted": [constant._asdict() for constant in fitted_constants()],
    }


def _plain(row: Row | SequenceRow) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(row))
    values = {name: getattr(row, name) for name in names if name != "reasons"}
    reasons = {"reasons": dict(row.reasons)} if hasattr(row, "reasons") else {}
    return values | {"error": row.error} | reasons


def _keep(found: Validation, counted: list[Facts]) -> None:
    """Write what estimates carry from now on beside the rows."""
    from tinybench.timing.facts import kept_text
    from tinybench.timing.validate import SUMMARY, summary_text

    folder = Path(__file__).parents[1] / "timing" / "validation"
    for facts in counted:
        (folder / f"{facts.row}.facts.json").write_text(kept_text(facts), encoding="utf-8")
    (folder / SUMMARY).write_text(summary_text(found.classes), encoding="utf-8")
    talk(f"kept in {folder}")


def _counted(given: str, facts: dict[str, Facts]) -> Facts:
    """The facts of a row, counted again from a program."""
    from device_adapters.virtual.bare import count_row

    name, _, path = given.partition("=")
    if name not in facts:
        raise UsageError(
            f"there is no row `{name}`", hint=did_you_mean(name, facts) or "tinybench timing validate"
        )
    elf = Path(path)
    if not elf.is_file():
        raise UsageError(f"there is no file `{path}`", hint="--elf ROW=FILE")
    return count_row(facts[name], elf)
