"""How far estimates are from what others measured: one error a row, plain and leave-one-out, and by class.

A class is a core model with a memory model (`cortex-m4 + stm32l4plus`): what is shown beside an estimate is
the largest error of its class. Constants that were fitted are listed with the rows they were fitted on; a
row's leave-one-out error is the one with the constant fitted again on the others.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pydantic import Field

from tinybench.records import Record
from tinybench.timing.core import CoreTiming, core_timing
from tinybench.timing.estimate import Estimate, Models, Waits, estimate
from tinybench.timing.facts import Facts, Recounted, rows
from tinybench.timing.fitting import leave_one_out
from tinybench.timing.memory import ChipMemory, chips, stalls
from tinybench.timing.sequences import Sequence as Snippet
from tinybench.timing.sequences import estimated, sequences

VALIDATION = "validation"


@dataclass(frozen=True)
class Row:
    """One published measurement beside its estimate; errors are relative to what was published."""

    row: str
    board: str
    core: str
    models: str
    engine: str
    task: str
    published_cycles: float
    estimated_cycles: float
    error_leave_one_out: float
    counts: bool
    role: str
    source: str
    reasons: Mapping[str, float]

    @property
    def error(self) -> float:
        """Relative; positive if the estimate is too slow."""
        return self.estimated_cycles / self.published_cycles - 1


@dataclass(frozen=True)
class SequenceRow:
    """One published sequence beside the pipeline's answer, in cycles."""

    core: str
    code: str
    surroundings: str
    published_cycles: float
    estimated_cycles: float
    source: str

    @property
    def error(self) -> float:
        """Relative; positive if the estimate is too slow."""
        return self.estimated_cycles / self.published_cycles - 1


class ClassError(Record):
    """The errors of a class: of how many rows, their mean and the largest, without sign."""

    models: str
    versions: str
    rows: int = Field(ge=1)
    mean: float = Field(ge=0)
    largest: float = Field(ge=0)


@dataclass(frozen=True)
class Validation:
    """Everything the command prints."""

    rows: tuple[Row, ...]
    sequences: tuple[SequenceRow, ...]
    classes: tuple[ClassError, ...]


def row_of(facts: Facts, answer: Estimate | None = None, left_out: float | None = None) -> Row:
    """The row of these facts. Raises KeyError for a core or chip that is not modelled.

    `left_out`: its leave-one-out error where a constant was fitted on it.
    """
    answer = answer or estimate_of(facts)
    error = answer.cycles / facts.published.cycles - 1
    return Row(
        row=facts.row,
        board=facts.board,
        core=facts.core,
        models=answer.models.name,
        engine=facts.engine,
        task=facts.task,
        published_cycles=facts.published.cycles,
        estimated_cycles=answer.cycles,
        error_leave_one_out=error if left_out is None else left_out,
        counts=facts.role == VALIDATION,
        role=facts.role,
        source=facts.published.source,
        reasons=MappingProxyType(answer.reasons),
    )


def estimate_of(facts: Facts) -> Estimate:
    """The estimate of a row from its counted facts. Raises KeyError as `row_of`."""
    counted = Recounted(facts)
    answer = estimate(counted, counted.edges, _core(facts), _waits(facts), facts.elsewhere)
    return answer.scaled(facts.instructions / max(1, answer.core.instructions))


def validate(given: Iterable[Facts] | None = None) -> Validation:
    """Estimate every row again, and every sequence."""
    known = tuple(rows() if given is None else given)
    answers = {facts.row: (facts, estimate_of(facts)) for facts in known}
    done = tuple(row_of(facts, answer, _left_out(facts, answers)) for facts, answer in answers.values())
    return Validation(done, tuple(map(_sequence_row, sequences())), class_errors(done))


def _left_out(facts: Facts, answers: Mapping[str, tuple[Facts, Estimate]]) -> float | None:
    """The error of a row with what was fitted on it fitted on the others; None if they are not all here."""
    if facts.chip is None:
        return None
    chip = chips()[facts.chip]
    fitted_on = {row for number in chip.numbers().values() for row in number.fitted_on}
    if facts.row not in fitted_on or not fitted_on <= answers.keys():
        return None

    def error(row: str, changed: ChipMemory) -> float:
        its, answer = answers[row]
        served = its.memory_served()
        if served is None or answer.stalls is None:
            raise KeyError(row)
        waited = stalls(served, changed, its.settings).cycles
        return (answer.cycles - answer.stalls.cycles + waited) / its.published.cycles - 1

    return leave_one_out(facts.row, chip, error)


def class_errors(done: Sequence[Row]) -> tuple[ClassError, ...]:
    """The errors of each class over the rows that count."""
    by_class: defaultdict[str, list[float]] = defaultdict(list)
    for row in done:
        if row.counts:
            by_class[row.models].append(abs(row.error_leave_one_out))
    return tuple(
        ClassError(
            models=name,
            versions=_versions(name),
            rows=len(errors),
            mean=round(statistics.fmean(errors), 4),
            largest=round(max(errors), 4),
        )
        for name, errors in sorted(by_class.items())
    )


class Summary(Record):
    """What the repository keeps of the last validation, so that a Run need not repeat it."""

    classes: tuple[ClassError, ...]


SUMMARY = "summary.json"


def summary_text(classes: Iterable[ClassError]) -> str:
    """The errors as the repository keeps them."""
    return Summary(classes=tuple(classes)).model_dump_json(indent=1) + "\n"


@cache
def summary() -> Mapping[str, ClassError]:
    """The kept errors, by class."""
    text = files("tinybench.timing").joinpath("validation", SUMMARY).read_text(encoding="utf-8")
    return MappingProxyType({found.models: found for found in Summary.model_validate_json(text).classes})


def error_of(models: Models) -> ClassError | None:
    """The validated error of an estimate's class, or None if no row ever tested these versions."""
    found = summary().get(models.name)
    return found if found is not None and found.versions == models.versions else None


def _core(facts: Facts) -> CoreTiming:
    core = core_timing(facts.core)
    if core is None:
        raise KeyError(facts.core)
    return core


def _waits(facts: Facts) -> Waits | None:
    served = facts.memory_served()
    if facts.chip is None or served is None:
        return None
    return Waits(chips()[facts.chip], facts.settings, served)


def _versions(name: str) -> str:
    core_name, _, chip_name = name.partition(" + ")
    core = core_timing(core_name)
    chip: ChipMemory | None = chips().get(chip_name)
    if core is None:
        raise KeyError(core_name)
    return Models.of(core, chip).versions


def _sequence_row(sequence: Snippet) -> SequenceRow:
    return SequenceRow(
        core=sequence.core,
        code=sequence.title,
        surroundings=sequence.surroundings,
        published_cycles=sequence.cycles,
        estimated_cycles=estimated(sequence),
        source=sequence.source,
    )
