"""What is printed: data on stdout, talk on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from tinybench.errors import TinyBenchError


def talk(text: str) -> None:
    """Say something to a person."""
    typer.echo(text, err=True)


def silence(_: str) -> None:
    """Say nothing: `--quiet`."""


def tell_error(error: TinyBenchError, *, as_json: bool) -> int:
    """Say what went wrong, and what to type next; returns the exit code."""
    notes = tuple(getattr(error, "__notes__", ()))
    for line in (f"error: {error.message}", *(f"  {note}" for note in notes)):
        talk(line)
    if error.hint:
        talk(f"hint: {error.hint}")
    if as_json:
        said = {"error": type(error).__name__, "exit_code": error.exit_code, "message": error.message}
        print_json({"schema": "tinybench.error", **said, "hint": error.hint, "notes": list(notes)})
    return error.exit_code


def print_json(document: Any) -> None:
    """Print the one document of a command."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned for people; a column of figures is set to the right."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head))]
    figures = [all(row[c][:1].isdigit() or row[c] in ("", "-") for row in rows) for c in range(len(head))]
    for row in [list(head), *rows]:
        cells = (t.rjust(w) if f else t.ljust(w) for t, w, f in zip(row, widths, figures, strict=True))
        typer.echo("  ".join(cells).rstrip())


def document(schema: str, **parts: Iterable[Any]) -> dict[str, Any]:
    """One JSON document: its schema first, records as plain data."""
    from pydantic import BaseModel

    return {
        "schema": schema,
        **{
            part: [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in values]
            for part, values in parts.items()
        },
    }
