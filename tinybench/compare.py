"""Compares two sets of answers: first whether they may be compared at all, then metric by metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from tinybench.records import METRICS, Case, Conditions, Failure, Kind, Measurement, Record, Run
from tinybench.results.runs import CaseKey, key_of
from tinybench.results.thresholds import Thresholds
from tinybench.results.verdict import Effect, MetricClass, Noise, Question, Summary, Word, judge, summary_of

DIGESTS = ("model_sha256", "inputs_sha256")
REHEARSED = "`rehearsed` on a virtual board, whose clock says nothing of a board"
COMPARED: frozenset[Word] = frozenset({"improved", "regressed", "unchanged", "within noise"})


@dataclass(frozen=True)
class Answer:
    """What a comparison needs of a Run or of a Baseline's entry."""

    case: Case
    conditions: Conditions
    measurements: Mapping[str, Measurement]
    run_id: str
    started: datetime
    unit: str | None
    failure: Failure | None = None

    @property
    def key(self) -> CaseKey:
        """What it is paired by."""
        return key_of(self.case)


def answer_of(run: Run) -> Answer:
    """The comparable part of a Run."""
    return Answer(
        case=run.case,
        conditions=run.conditions,
        measurements=MappingProxyType({m.metric: m for m in run.measurements}),
        run_id=run.run_id,
        started=run.provenance.started,
        unit=run.provenance.unit,
        failure=run.failure,
    )


@dataclass(frozen=True)
class Side:
    """One side of a comparison: at most one answer per Case. `pinned` names what a filter held fixed."""

    label: str
    answers: tuple[Answer, ...]
    pinned: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Difference:
    """A field that must be equal and is not, with both values as text."""

    field: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"`{self.field}` differs: `{self.base}` and `{self.new}`"


@dataclass(frozen=True)
class Verdict:
    """What became of one metric of one Case. Effect and interval are there whenever it was compared."""

    case: CaseKey
    metric: str
    unit: str
    kind: Kind
    word: Word
    reason: str
    base: Summary | None = None
    new: Summary | None = None
    effect: Effect | None = None
    metric_class: MetricClass | None = None
    base_run: str | None = None
    new_run: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailedCase:
    """A Case that has no numbers on the new side because the bench, the build or the answer failed."""

    case: CaseKey
    run_id: str
    failure: Failure


@dataclass(frozen=True)
class Comparison:
    """All verdicts, in the order of the cases; what failed is apart, because it says nothing of speed."""

    base: str
    new: str
    verdicts: tuple[Verdict, ...]
    failures: tuple[FailedCase, ...] = ()

    def of(self, *words: Word) -> tuple[Verdict, ...]:
        """The verdicts of these words, the largest relative change first."""
        return tuple(sorted((v for v in self.verdicts if v.word in words), key=_size, reverse=True))

    @property
    def counts(self) -> Mapping[Word, int]:
        """How many verdicts there are of each word that occurs."""
        return Counter(verdict.word for verdict in self.verdicts)

    @property
    def heading(self) -> str:
        """The answer: `2 regressed, 1 improved, 40 unchanged`."""
        order: tuple[Word, ...] = (
            "regressed", "improved", "incomparable", "missing", "new", "within noise", "unchanged",
        )  # fmt: skip
        counts = self.counts
        parts = [f"{counts[word]} {word}" for word in order if counts.get(word)]
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return ", ".join(parts) or "nothing to compare"


def _size(verdict: Verdict) -> float:
    if verdict.effect is None:
        return 0.0
    return float("inf") if verdict.effect.change is None else abs(verdict.effect.change)


NoiseOf = Callable[[Answer, str], Noise]


def default_noise(_answer: Answer, _metric: str) -> Noise:
    """What is assumed of every Case while nothing has been learnt."""
    return Noise()


def compare(
    base: Side, new: Side, *, thresholds: Thresholds | None = None, noise: NoiseOf = default_noise
) -> Comparison:
    """Compare two sides, Case by Case and metric by metric.

    Cases are paired by workload, engine, target and options, without those that the two filters pin to
    different values (`engine=reference` against `engine=cmsis-nn`). `noise` says how noisy a metric of an
    answer's Case is; `history.learnt_noise` learns it from the store.
    """
    pending: list[tuple[Verdict, Question | None]] = []
    failures: list[FailedCase] = []
    for old, now in _paired(base, new):
        if now is not None and now.failure is not None:
            failures.append(FailedCase(now.key, now.run_id, now.failure))
        pending += _asked(old, now, noise)
    questions = [question for _, question in pending if question is not None]
    judgements = iter(judge(questions, thresholds or Thresholds()))
    verdicts = []
    for verdict, question in pending:
        if question is not None:
            judgement = next(judgements)
            verdicts.append(
                _with(verdict, judgement.word, judgement.reason, judgement.effect, judgement.metric_class)
            )
        else:
            verdicts.append(verdict)
    return Comparison(base.label, new.label, tuple(verdicts), tuple(failures))


def _paired(base: Side, new: Side) -> Iterator[tuple[Answer | None, Answer | None]]:
    apart = {name for name in base.pinned.keys() & new.pinned.keys() if base.pinned[name] != new.pinned[name]}

    def pairing(answer: Answer) -> CaseKey:
        key = answer.key
        return CaseKey(
            workload="" if "workload" in apart else key.workload,
            engine="" if "engine" in apart else key.engine,
            target="" if "target" in apart else key.target,
            options=key.options,
        )

    old = {pairing(answer): answer for answer in base.answers}
    now = {pairing(answer): answer for answer in new.answers}
    for key in sorted(old.keys() | now.keys()):
        yield old.get(key), now.get(key)


def _asked(
    old: Answer | None, now: Answer | None, noise: NoiseOf
) -> Iterator[tuple[Verdict, Question | None]]:
    """One verdict per metric of either side: final, or with the question that decides it."""
    either = now or old
    if either is None:
        return
    before = old.measurements if old else {}
    after = now.measurements if now else {}
    differences = differing(old, now) if old and now else ()
    for metric in _in_order({*before, *after}):
        blank = _blank(either, metric, old, now)
        if metric not in after:
            why = "not in the new Runs"
            if now is not None and now.failure is not None:
                why = f"its Run failed: {now.failure.error}"
            yield _with(blank, "missing", why), None
        elif metric not in before:
            yield _with(blank, "new", "nothing to compare with"), None
        elif {before[metric].kind, after[metric].kind} == {"rehearsed"}:
            yield _with(blank, "incomparable", REHEARSED), None
        elif differences or (kind := _differing_kind(before[metric], after[metric])):
            found = differences or (kind,)
            yield _with(blank, "incomparable", "; ".join(str(difference) for difference in found)), None
        elif now is not None:
            asked = Question(before[metric], after[metric], noise(now, metric))
            yield blank, replace(asked, paired=_alternated(either, asked))


def _alternated(answer: Answer, question: Question) -> bool:
    """Whether the samples are of alternating windows: base, new, base, …, base."""
    return answer.key.interleaved and len(question.base.samples) == len(question.new.samples) + 1


def _in_order(metrics: Iterable[str]) -> list[str]:
    known = list(METRICS)
    return sorted(metrics, key=lambda name: (known.index(name) if name in known else len(known), name))


def differing(base: Answer, new: Answer) -> tuple[Difference, ...]:
    """The conditions and digests that differ: with any of them the two may not be compared."""
    return (*_fields(base.case, new.case, DIGESTS), *_fields(base.conditions, new.conditions))


def _fields(base: Record, new: Record, names: Iterable[str] | None = None) -> Iterator[Difference]:
    for name in names or type(base).model_fields:
        left, right = getattr(base, name), getattr(new, name)
        if left != right:
            yield Difference(name, str(left)[:16], str(right)[:16])


def _differing_kind(base: Measurement, new: Measurement) -> Difference | None:
    if base.kind != new.kind:
        return Difference("kind", base.kind, new.kind)
    if base.estimator != new.estimator:
        return Difference("estimator", str(base.estimator), str(new.estimator))
    return Difference("unit", base.unit, new.unit) if base.unit != new.unit else None


def _blank(either: Answer, metric: str, old: Answer | None, now: Answer | None) -> Verdict:
    before = old.measurements.get(metric) if old else None
    after = now.measurements.get(metric) if now else None
    known = after or before or either.measurements[metric]
    notes: tuple[str, ...] = ()
    if old and now and old.unit != now.unit:
        notes = (f"another board of the same type: `{old.unit}` and `{now.unit}`",)
    return Verdict(
        case=either.key,
        metric=metric,
        unit=known.unit,
        kind=known.kind,
        word="incomparable",
        reason="",
        base=summary_of(before) if before else None,
        new=summary_of(after) if after else None,
        base_run=old.run_id if old else None,
        new_run=now.run_id if now else None,
        notes=notes,
    )


def _with(
    verdict: Verdict,
    word: Word,
    reason: str,
    effect: Effect | None = None,
    metric_class: MetricClass | None = None,
) -> Verdict:
    return replace(verdict, word=word, reason=reason, effect=effect, metric_class=metric_class)
