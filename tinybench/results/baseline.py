"""Baselines: named sets of answers in small, sorted files that are committed and read in a review.

`results/baselines/<name>.json` has one line per measurement, so that a diff shows what moved. At most 101
samples of a measurement are kept: evenly spaced order statistics, from which the median and its interval
are as good as from all. What was rehearsed on a virtual board is left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from tinybench.compare import Answer, Side
from tinybench.errors import SetupError, UsageError, did_you_mean
from tinybench.records import Case, Conditions, Measurement, Record

MOST_SAMPLES = 101
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BaselineEntry(Record):
    """One Case of a baseline: the answer that was taken, without what only explains it."""

    case: Case
    conditions: Conditions
    run_id: str
    started: AwareDatetime
    unit: str | None = None
    measurements: tuple[Measurement, ...]


class Baseline(Record):
    """A named, committed set of answers to compare with."""

    schema_: Literal["tinybench.baseline"] = Field(default="tinybench.baseline", alias="schema")
    schema_version: Literal[1] = 1
    name: str
    note: str = ""
    entries: tuple[BaselineEntry, ...]

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


def baseline_of(name: str, side: Side, note: str = "") -> Baseline:
    """A baseline of the answers of a side; failed ones are left out.

    Raises:
        UsageError: the name could not be a file name, or no answer has numbers.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be a baseline's name", hint="letters, digits, dot, dash, underscore"
        )
    answers = sorted((a for a in side.answers if _kept(a)), key=lambda answer: answer.key)
    if not answers:
        raise UsageError(f"`{side.label}` has no numbers to set as a baseline", hint="tinybench run")
    return Baseline(name=name, note=note, entries=tuple(map(_entry, answers)))


def _entry(answer: Answer) -> BaselineEntry:
    return BaselineEntry(
        case=answer.case,
        conditions=answer.conditions,
        run_id=answer.run_id,
        started=answer.started,
        unit=answer.unit,
        measurements=tuple(
            measurement.model_copy(update={"samples": _thinned(measurement.samples)})
            for measurement in _kept(answer)
        ),
    )


def _kept(answer: Answer) -> list[Measurement]:
    """What a baseline is made of, by metric."""
    return [m for _, m in sorted(answer.measurements.items()) if m.kind != "rehearsed"]


def _thinned(samples: Sequence[float]) -> tuple[float, ...]:
    if len(samples) <= MOST_SAMPLES:
        return tuple(samples)
    ordered = sorted(samples)
    last = len(ordered) - 1
    return tuple(ordered[round(step * last / (MOST_SAMPLES - 1))] for step in range(MOST_SAMPLES))


def save_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write `<folder>/<name>.json`, whole or not at all, replacing an older one; returns the path.

    Raises:
        SetupError: the folder cannot be written.
    """
    path = folder / f"{baseline.name}.json"
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(as_text(baseline), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SetupError(
            f"cannot write the baseline `{path}`: {error.strerror or error}", hint="check the folder"
        ) from error
    return path


def load_baseline(folder: Path, name: str) -> Baseline:
    """Read a baseline.

    Raises:
        UsageError: there is none of this name.
        SetupError: the file is damaged or was written by a newer tinybench.
    """
    path = folder / f"{name}.json"
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no baseline `{name}`", hint=did_you_mean(name, baseline_names(folder))
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SetupError(
            f"`{path.name}` is not a baseline that this tinybench reads: `{where}`: {first['msg']}",
            hint=f"git log -p {path}",
        ) from error


def baseline_names(folder: Path) -> list[str]:
    """The names of the baselines in `folder`, sorted; none if there is no such folder."""
    return sorted(path.stem for path in folder.glob("*.json"))


def side_of(baseline: Baseline) -> Side:
    """A baseline as one side of a comparison."""
    answers = tuple(
        Answer(
            case=entry.case,
            conditions=entry.conditions,
            measurements=MappingProxyType({m.metric: m for m in entry.measurements}),
            run_id=entry.run_id,
            started=entry.started,
            unit=entry.unit,
        )
        for entry in baseline.entries
    )
    return Side(baseline.name, answers)


def as_text(baseline: Baseline) -> str:
    """The file: JSON with one line per fact, and one per measurement, the keys in a fixed order."""
    document = baseline.model_dump(mode="json", exclude_none=True)
    entries = document.pop("entries")
    lines = ["{", *(f" {_pair(key, value)}," for key, value in document.items()), ' "entries": [']
    lines += _separated([_entry_lines(entry) for entry in entries])
    return "\n".join([*lines, " ]", "}"]) + "\n"


def _entry_lines(entry: dict[str, Any]) -> list[str]:
    measurements = entry.pop("measurements")
    facts = [f"   {_pair(key, value)}," for key, value in entry.items()]
    listed = _separated([[f"    {_json(measurement)}"] for measurement in measurements])
    return ["  {", *facts, '   "measurements": [', *listed, "   ]", "  }"]


def _separated(blocks: Iterable[list[str]]) -> list[str]:
    """The lines of all blocks, with a comma after each block but the last."""
    lines: list[str] = []
    for block in blocks:
        if lines:
            lines[-1] += ","
        lines += block
    return lines


def _pair(key: str, value: object) -> str:
    return f"{_json(key)}: {_json(value)}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
