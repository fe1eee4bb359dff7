"""The commands of docs/nightly.md are commands: every word of theirs is known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from tinybench.cli import app

TEXT = (Path(__file__).parents[2] / "docs" / "nightly.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    joined = re.sub(r"(run: )>-\n((?: {10}\S.*\n)+)", lambda m: m[1] + " ".join(m[2].split()) + "\n", TEXT)
    found = re.findall(r"(?:^ {4}|run: |&& )(tinybench .+)$", joined, re.MULTILINE)
    return [command.split(" && ")[0] for command in found]


def test_the_page_has_commands() -> None:
    assert {command.split()[1] for command in commands()} >= {"run", "report", "baseline", "build", "doctor"}


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    _, name, *words = shlex.split(command)
    group = typer.main.get_command(app)
    group.commands[name].make_context(name, words)


def test_a_wrong_word_would_be_noticed() -> None:
    group = typer.main.get_command(app)
    with pytest.raises(Exception, match="No such option"):
        group.commands["run"].make_context("run", ["--fail-of", "any"])
