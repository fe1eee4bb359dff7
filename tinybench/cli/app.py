"""The command itself: its frame, its errors and its exit codes."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, Exit, TyperException

from tinybench import __version__
from tinybench.cli.terminal import talk, tell_error
from tinybench.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, TinyBenchError, UsageError

app = typer.Typer(
    name="tinybench",
    help="How fast, how small, how hungry and how right is this model, with this engine, on this chip?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="With no board at all: tinybench run --suite vww --device nucleo-f746 --simulate",
)
EXAMPLE = "Example: tinybench {}"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinybench {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")]


@app.callback()
def tinybench(*, version: Version = False) -> None:
    """Benchmark and profile machine learning on microcontrollers."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code (design.md, section 6)."""
    words = list(sys.argv[1:] if argv is None else argv)
    tell = functools.partial(tell_error, as_json="--json" in words)
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
        talk("this is a bug in tinybench: please report it with the lines above and `tinybench doctor`")
        code = EXIT_BUG
    if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C into this code by itself, unless it comes very early
        talk("interrupted: finished runs are kept")
    sys.exit(code or EXIT_OK)
