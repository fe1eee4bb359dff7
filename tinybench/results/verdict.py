"""Judges one metric of one Case: what changed, by how much, how sure that is, and in one word.

Three classes of numbers are judged differently. *Exact* ones (bytes, counts, accuracy): any change is a
fact, and the threshold is in their unit. *Deterministic* timings, whose samples hardly differ: a relative
threshold alone. *Noisy* ones: the bootstrap interval of the ratio of medians, flagged only if the whole
interval clears both zero and the noise.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tinybench import units
from tinybench.records import METRICS, Better, Measurement
from tinybench.results.intervals import Interval, ratio_intervals
from tinybench.results.thresholds import Thresholds

Word = Literal["improved", "regressed", "unchanged", "within noise", "new", "missing", "incomparable"]
MetricClass = Literal["exact", "deterministic", "noisy"]

EXACT_METRICS = frozenset(
    {"accuracy", "flash", "ram_static", "ram_arena", "ram_stack", "ram_heap", "ram_peak"}
)
DETERMINISTIC_MAD = 1e-4  # of the median
FEWEST_FOR_MAD = (
    3  # a timing measured once or twice has shown no spread, but has not shown that there is none
)
FEWEST_SAMPLES = 7
DEFAULT_DETERMINISTIC = 0.01
# Finds a step of 2 % under 0.3 % of noise 99 times in 100 from seven samples on (tests: false alarms).
DEFAULT_NOISE = 0.0075


@dataclass(frozen=True)
class Noise:
    """How much two Runs of the same thing differ, as a share, and how that is known."""

    relative: float = DEFAULT_NOISE
    source: str = f"the default of {100 * DEFAULT_NOISE:g} %, until there is a history"


@dataclass(frozen=True)
class Summary:
    """A measurement in five numbers, in the metric's unit."""

    n: int
    median: float
    mad: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """What changed: the difference in the metric's unit, and the relative change with its interval.

    `change`, `low` and `high` are None where the base is zero. For exact numbers the interval is the change
    itself; below seven samples it spans the extremes; else it is the 99 % bootstrap interval.
    """

    difference: float
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Judgement:
    """One word, the reason in one sentence, and the effect with its interval."""

    word: Word
    reason: str
    metric_class: MetricClass
    effect: Effect


@dataclass(frozen=True)
class Question:
    """Two measurements of one metric that may be compared, and the noise of their Case.

    `paired`: their windows alternated, one more of the base than of the new, so that each new one has a base
    before and one after it.
    """

    base: Measurement
    new: Measurement
    noise: Noise = Noise()
    paired: bool = False


def summary_of(measurement: Measurement) -> Summary:
    """Median, median absolute deviation and extremes of the raw samples."""
    samples = measurement.samples
    median = statistics.median(samples)
    mad = statistics.median(abs(sample - median) for sample in samples)
    return Summary(len(samples), median, mad, min(samples), max(samples))


def class_of(base: Measurement, new: Measurement) -> MetricClass:
    """How two measurements of one metric are to be judged."""
    if base.kind == "counted" or base.metric in EXACT_METRICS:
        return "exact"
    return "deterministic" if _steady(base) and _steady(new) else "noisy"


def _steady(measurement: Measurement) -> bool:
    """An estimate is a function of exact counts; a measured timing must have shown that it is steady."""
    summary = summary_of(measurement)
    shown = summary.n >= FEWEST_FOR_MAD or measurement.kind == "estimated"
    return shown and summary.mad <= DETERMINISTIC_MAD * abs(summary.median)


def judge(questions: Sequence[Question], thresholds: Thresholds) -> list[Judgement]:
    """Judge each question; the noisy ones together, because that is quicker."""
    judged: list[Judgement | None] = []
    noisy: list[int] = []
    for position, question in enumerate(questions):
        metric_class = class_of(question.base, question.new)
        if metric_class == "exact":
            judged.append(_exact(question, thresholds))
        elif metric_class == "deterministic":
            judged.append(_deterministic(question, thresholds))
        else:
            judged.append(_unjudgeable(question))
            if judged[-1] is None:
                noisy.append(position)
    pairs = [_samples(questions[p]) for p in noisy]
    for position, interval in zip(noisy, ratio_intervals(pairs) if pairs else (), strict=True):
        judged[position] = _noisy(questions[position], interval, thresholds)
    return [judgement for judgement in judged if judgement is not None]


def _exact(question: Question, thresholds: Thresholds) -> Judgement:
    base, new = _most_harmful_pair(question)
    difference = new - base
    change = difference / abs(base) if base else None
    effect = Effect(difference, change, change, change)
    name, unit = question.base.metric, question.base.unit
    limit = thresholds.absolute(name, base) or 0.0
    said = f"{_signed(difference, unit)} (from {units.show(base, unit)} to {units.show(new, unit)})"
    if difference == 0:
        return Judgement("unchanged", f"exactly {units.show(new, unit)} both times", "exact", effect)
    if abs(difference) <= limit:
        let_pass = f"{said}, inside the threshold of {units.show(limit, unit)}"
        return Judgement("unchanged", let_pass, "exact", effect)
    return Judgement(_direction(name, difference), said, "exact", effect)


def _most_harmful_pair(question: Question) -> tuple[float, float]:
    """The two samples to speak of: input by input where both have as many, else the medians."""
    base, new = question.base.samples, question.new.samples
    if len(base) != len(new):
        return statistics.median(base), statistics.median(new)
    sign = -1 if _better(question.base.metric) == "higher" else 1
    worst = max(zip(base, new, strict=True), key=lambda pair: sign * (pair[1] - pair[0]))
    if sign * (worst[1] - worst[0]) > 0:
        return worst
    return max(zip(base, new, strict=True), key=lambda pair: abs(pair[1] - pair[0]))


def _deterministic(question: Question, thresholds: Thresholds) -> Judgement:
    base, new = summary_of(question.base), summary_of(question.new)
    effect = _relative_effect(base.median, new.median)
    if effect.change is None:
        word: Word = "unchanged" if new.median == 0 else _direction(question.base.metric, new.median)
        return Judgement(word, f"from 0 to {_shown(question.new, new.median)}", "deterministic", effect)
    given = thresholds.relative(question.base.metric, abs(base.median))
    limit = DEFAULT_DETERMINISTIC if given is None else given
    said = f"{units.show_change(effect.change)}, and the samples hardly differ"
    if abs(effect.change) <= limit:
        inside = f"{said}; inside the threshold of {units.show(limit, '%')}"
        return Judgement("unchanged", inside, "deterministic", effect)
    return Judgement(_direction(question.base.metric, effect.change), said, "deterministic", effect)


def _relative_effect(base: float, new: float) -> Effect:
    change = (new - base) / abs(base) if base else None
    return Effect(new - base, change, change, change)


def _unjudgeable(question: Question) -> Judgement | None:
    """The answer where a bootstrap would pretend to know: too few samples, or none above zero."""
    base, new = summary_of(question.base), summary_of(question.new)
    difference = new.median - base.median
    if base.low <= 0 or new.low <= 0:
        change = difference / base.median if base.median > 0 else None
        reason = "some samples are not above zero, so that no ratio can be formed"
        return Judgement("within noise", reason, "noisy", Effect(difference, change, None, None))
    fewest = min(base.n, new.n)
    if fewest >= FEWEST_SAMPLES:
        return None
    low, high = new.low / base.high - 1, new.high / base.low - 1
    effect = Effect(difference, difference / base.median, low, high)
    reason = f"only {fewest} sample{'s' * (fewest > 1)}: telling a change from noise takes {FEWEST_SAMPLES}"
    return Judgement("within noise", reason, "noisy", effect)


def _noisy(question: Question, interval: Interval, thresholds: Thresholds) -> Judgement:
    base, new = summary_of(question.base), summary_of(question.new)
    given = thresholds.relative(question.base.metric, base.median)
    margin = max(question.noise.relative, given or 0.0)
    difference = interval.change * base.median if question.paired else new.median - base.median
    effect = Effect(difference, *interval)
    said = (
        f"{units.show_change(interval.change)}{' in alternating windows' if question.paired else ''},"
        f" between {units.show_change(interval.low)} and {units.show_change(interval.high)}"
    )
    if margin == given:
        against = f"the threshold of {units.show(margin, '%')}"
    else:
        against = f"the noise of {units.show(margin, '%', 2)} ({question.noise.source})"
    if interval.low > margin or interval.high < -margin:
        word = _direction(question.base.metric, interval.change)
        return Judgement(word, f"{said}: clear of {against}", "noisy", effect)
    if interval.low <= 0 <= interval.high and -margin <= interval.low and interval.high <= margin:
        return Judgement("unchanged", f"{said}: inside {against}", "noisy", effect)
    return Judgement("within noise", f"{said}: not clear of {against}", "noisy", effect)


def _samples(question: Question) -> tuple[Sequence[float], Sequence[float]]:
    """What the ratio of medians is formed of.

    Of alternating windows, each new one over the mean of its two neighbours: whatever drifts in a straight
    line from one base window to the next moves both alike, and cancels.
    """
    base, new = question.base.samples, question.new.samples
    if not question.paired:
        return base, new
    ratios = [
        2 * sample / (before + after) for before, sample, after in zip(base, new, base[1:], strict=False)
    ]
    return [1.0] * len(ratios), ratios


def _better(metric: str) -> Better:
    known = METRICS.get(metric)
    return known.better if known else "lower"


def _direction(metric: str, difference: float) -> Word:
    """Which way a change goes; a fact about the model that changed means that it is not the same model."""
    better = _better(metric)
    if better == "neither":
        return "incomparable"
    return "improved" if (difference > 0) == (better == "higher") else "regressed"


def _signed(value: float, unit: str) -> str:
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{units.show(abs(value), unit)}"


def _shown(measurement: Measurement, value: float) -> str:
    return units.show(value, measurement.unit)
