"""Turns a comparison into yes or no: what `--fail-on` asks for, as the error that carries the exit code."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from tinybench.compare import COMPARED, Comparison, FailedCase, Verdict
from tinybench.errors import (
    AccuracyTooLow,
    DeviceError,
    MeasurementError,
    RegressionFound,
    TinyBenchError,
    UsageError,
    did_you_mean,
)

FailOn = Literal["none", "invalid", "accuracy", "regression", "any"]
_SHOWN = 3
_MOST_CHARACTERS = 300  # of one failure's message, which may quote a transcript


def parse_fail_on(words: Collection[str]) -> frozenset[FailOn]:
    """The reasons to fail, each word alone or several in one, parted by commas.

    Raises:
        UsageError: a word is unknown, or `none` stands beside another.
    """
    known: tuple[FailOn, ...] = get_args(FailOn)
    chosen: set[FailOn] = set()
    for word in (part.strip() for text in words for part in text.split(",")):
        match = next((name for name in known if name == word), None)
        if match is None:
            raise UsageError(f"unknown reason to fail `{word}`", hint=did_you_mean(word, known))
        chosen.add(match)
    if "none" in chosen and len(chosen) > 1:
        raise UsageError("`none` cannot be combined with another reason to fail", hint="--fail-on regression")
    return frozenset(chosen)


def check(comparison: Comparison, fail_on: Collection[FailOn]) -> None:
    """Return if the comparison passes; the gravest reason to fail is raised.

    invalid: an answer that is not to be believed. accuracy: too low for the quality rule, or worse than
    before. regression: any metric regressed. any: all of these, and whatever failed, is missing or could
    not be compared. A gate that compared nothing has not passed.

    Raises:
        MeasurementError, AccuracyTooLow, RegressionFound, DeviceError: as said above.
        UsageError: nothing was compared.
    """
    wanted = {"invalid", "accuracy", "regression", "any"} if "any" in fail_on else set(fail_on)
    if not wanted - {"none"}:
        return
    failed = {code: [f for f in comparison.failures if f.failure.exit_code == code] for code in (3, 5)}
    if "invalid" in wanted and failed[3]:
        raise MeasurementError(_failures(failed[3]), hint=failed[3][0].failure.hint)
    if "accuracy" in wanted and failed[5]:
        raise AccuracyTooLow(_failures(failed[5]), hint=failed[5][0].failure.hint)
    regressed = comparison.of("regressed")
    less_accurate = [verdict for verdict in regressed if verdict.metric == "accuracy"]
    if "accuracy" in wanted and less_accurate:
        raise AccuracyTooLow(_list("regressed", less_accurate))
    if "regression" in wanted and regressed:
        raise RegressionFound(_list("regressed", regressed))
    if "any" in wanted:
        _check_complete(comparison)
    if not any(verdict.word in COMPARED for verdict in comparison.verdicts):
        raise _nothing_compared(comparison)


def _check_complete(comparison: Comparison) -> None:
    if comparison.failures:
        raise _as_raised(comparison.failures)
    for word in ("missing", "incomparable"):
        verdicts = comparison.of(word)
        if verdicts:
            raise RegressionFound(_list(word, verdicts))


def _as_raised(failures: Collection[FailedCase]) -> TinyBenchError:
    first = next(iter(failures))
    return DeviceError(_failures(failures), hint=first.failure.hint)


def _nothing_compared(comparison: Comparison) -> UsageError:
    why = next((f": {verdict.reason}" for verdict in comparison.verdicts if verdict.reason), "")
    return UsageError(
        f"nothing in `{comparison.new}` could be compared with `{comparison.base}`{why}",
        hint="tinybench compare --help",
    )


def _failures(failures: Collection[FailedCase]) -> str:
    shown = [f"`{failed.case}`: {failed.failure.message[:_MOST_CHARACTERS]}" for failed in failures]
    return "; ".join(shown[:_SHOWN]) + _more(len(shown))


def _list(word: str, verdicts: Collection[Verdict]) -> str:
    shown = [f"`{verdict.metric}` of `{verdict.case}` {word}: {verdict.reason}" for verdict in verdicts]
    return "; ".join(shown[:_SHOWN]) + _more(len(shown))


def _more(count: int) -> str:
    return f"; and {count - _SHOWN} more" if count > _SHOWN else ""
