"""Words in, exit code out: one function per command, and the only module that prints.

stdout is data, stderr is talk. Everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import click
import typer

from tinybench import __version__
from tinybench.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, TinyBenchError, UsageError

if TYPE_CHECKING:
    from tinybench.config import Config, Settings
    from tinybench.plan import Plan, Selection
    from tinybench.plugins import Catalogue
    from tinybench.records import Run

app = typer.Typer(
    name="tinybench",
    help="How fast, how small, how hungry and how right is this model, with this engine, on this chip?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="With no board at all: tinybench run --suite vww --device nucleo-f746 --simulate",
)
_EXAMPLE = "Example: tinybench {}"

Suites = Annotated[list[str] | None, typer.Option("--suite", "-s", help="Suites: repeat, or use commas.")]
Workloads = Annotated[list[str] | None, typer.Option("--workload", "-w", help="Workloads beside the suites'.")]
Engines = Annotated[list[str] | None, typer.Option("--engine", "-e", help="Engines to compare.")]
Devices = Annotated[list[str] | None, typer.Option("--device", "-d", help="Boards by name.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="On the virtual twin: counts, never times.")]
Results = Annotated[str | None, typer.Option("--results", help="Folder or URL of the result store.")]
AsJson = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Deadline of one case in seconds.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugins", help="Folder of boards, engines, … of yours.")]


class Compiler(StrEnum):
    """The compilers that `--toolchain` may force."""

    GCC = "gcc"
    ZIG = "zig"


Toolchain = Annotated[Compiler | None, typer.Option("--toolchain", help="Force a compiler.")]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code (design.md, section 6)."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        code = app(words, standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        _tell_error(as_json, "UsageError", error.format_message(), "tinybench --help", UsageError.exit_code)
        code = UsageError.exit_code
    except TinyBenchError as error:
        _tell_error(as_json, type(error).__name__, error.message, error.hint, error.exit_code, _notes(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _talk("interrupted: finished runs are kept")
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our stdout has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    except Exception:  # noqa: BLE001 - the last door: what comes here is our bug and says so
        traceback.print_exc()
        _talk("this is a bug in tinybench: please report it with the lines above and `tinybench doctor`")
        code = EXIT_BUG
    sys.exit(code or EXIT_OK)


def _talk(text: str) -> None:
    typer.echo(text, err=True)


def _notes(error: BaseException) -> tuple[str, ...]:
    return tuple(getattr(error, "__notes__", ()))


def _tell_error(
    as_json: bool, kind: str, message: str, hint: str | None, code: int, notes: Iterable[str] = ()
) -> None:
    _talk(f"error: {message}")
    for note in notes:
        _talk(f"  {note}")
    if hint:
        _talk(f"hint: {hint}")
    if as_json:
        _print_json({"schema": "tinybench.error", "error": kind, "exit_code": code, "message": message, "hint": hint})


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
