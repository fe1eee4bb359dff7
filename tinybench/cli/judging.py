"""What commands that compare share: their options, the two sides, and how a verdict is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinybench.cli.options import settings_of
from tinybench.cli.terminal import print_table, talk
from tinybench.errors import UsageError

if TYPE_CHECKING:
    from tinybench.compare import Comparison, Side
    from tinybench.records import Run
    from tinybench.results.gate import FailOn as Reason
    from tinybench.results.runs import Runs
    from tinybench.results.thresholds import Thresholds

BASELINES = "baselines"

FailOn = Annotated[
    list[str] | None, typer.Option("--fail-on", help="none, invalid, accuracy, regression, any.")
]
Threshold = Annotated[str | None, typer.Option("--threshold", help="Such as latency=3%,flash=256B.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write the verdicts as JUnit XML, too.")]


def stored(results: str | None) -> Runs:
    """Every run of the store; lines that could not be read are mentioned."""
    from tinybench.store import Store

    place = settings_of(results=results).results
    contents = Store(place).read()
    for torn in contents.torn:
        talk(f"warning: {torn}")
    if not len(contents.runs):
        hint = "tinybench run --suite vww --device nucleo-f746 --simulate"
        raise UsageError(f"there are no runs in `{place}`", hint=hint)
    return contents.runs


def baselines(results: str | None) -> Path:
    """Baselines lie in the store's folder; those of a store that is no folder, in `results/` here."""
    place = settings_of(results=results).results
    return Path("results" if "://" in place or Path(place).is_file() else place) / BASELINES


def compared(runs: Runs, base: str, new: str, threshold: str | None, results: str | None) -> Comparison:
    """What changed from one side to the other, each in the words of `compare`."""
    from tinybench import compare
    from tinybench.results import history, references, thresholds

    limits = thresholds.parse_thresholds(threshold) if threshold else None
    folder = baselines(results)
    old = references.resolve(base, runs, baselines=folder, folder=Path.cwd())
    now = references.resolve(new, runs, baselines=folder, folder=Path.cwd())
    return compare.compare(old, now, thresholds=limits, noise=history.learnt_noise(runs, old, now))


def tell_github(comparison: Comparison) -> None:
    """In a GitHub workflow, also as annotations and as the step's summary."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from tinybench.export import github

    for command in github.workflow_commands(comparison):
        talk(command)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(github.step_summary(comparison))


def write(path: Path, data: bytes) -> None:
    """Write a file that was asked for; UsageError if that cannot be."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror}", hint="name another file") from error


def print_comparison(comparison: Comparison) -> None:
    """The answer, and a row for each verdict."""
    from tinybench import verdicts

    typer.echo(comparison.heading)
    print_table(*verdicts.table(comparison))


@dataclass(frozen=True)
class Gate:
    """What `run` holds its own Runs against, decided before a device is touched.

    `base` is None where the first Run of an interleaved pair is the base of the second. `past` is the store
    as it was before, from which noise is learnt.
    """

    base: Side | None
    reasons: frozenset[Reason]
    limits: Thresholds | None
    past: Runs

    def comparison(self, runs: Sequence[Run]) -> Comparison:
        """These Runs against the base; Cases that were not run now are not missing."""
        from tinybench.compare import Side, answer_of, compare
        from tinybench.results.history import learnt_noise

        answers = tuple(map(answer_of, runs))
        if self.base is None:
            base, new = Side("the base image", answers[:1]), Side("the new image", answers[1:])
        else:
            now = {answer.key for answer in answers}
            known = tuple(answer for answer in self.base.answers if answer.key in now)
            base, new = Side(self.base.label, known), Side("this run", answers)
        return compare(base, new, thresholds=self.limits, noise=learnt_noise(self.past, base, new))

    def check(self, comparison: Comparison) -> None:
        """Raise the gravest reason to fail, if there is one."""
        from tinybench.results import gate

        gate.check(comparison, self.reasons)


def gate_of(
    compare_to: str | None,
    fail_on: Sequence[str] | None,
    threshold: str | None,
    results: str | None,
    *,
    interleaved: bool,
) -> Gate | None:
    """The gate that the options of `run` describe; None where nothing is to be compared.

    Raises:
        UsageError: a word is unknown, the reference names nothing, or there is nothing to compare with.
    """
    from tinybench.results import gate, references, thresholds
    from tinybench.store import Store

    if interleaved and compare_to is not None:
        raise UsageError("`--ab` brings its own base", hint="leave `--compare-to` out")
    if not interleaved and compare_to is None:
        if fail_on or threshold:
            raise UsageError("there is nothing to compare with", hint="add --compare-to nightly")
        return None
    reasons = gate.parse_fail_on(fail_on or ["none"])
    limits = thresholds.parse_thresholds(threshold) if threshold else None
    past = Store(settings_of(results=results).results).read().runs
    base = None
    if compare_to is not None:
        base = references.resolve(compare_to, past, baselines=baselines(results), folder=Path.cwd())
    return Gate(base, reasons, limits, past)
