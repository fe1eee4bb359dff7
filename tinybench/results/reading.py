"""Turns files of lines into a collection of Runs: every line validated once, then known by its entry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from tinybench.errors import SetupError
from tinybench.records import METRICS, Run
from tinybench.results import index
from tinybench.results.index import Part
from tinybench.results.lines import Line, LineFile, is_document, lines_of
from tinybench.results.runs import Entry, Place, Runs, entry_of
from tinybench.results.samples import SampleColumns, SampleLists, joined

SCHEMA_VERSION = 1
DISTRIBUTION = "tinybench-mcu"


class StoreDamaged(SetupError):
    """A line in the middle of a results file cannot be read, or contradicts another."""


@dataclass(frozen=True)
class TornLine:
    """The unfinished last line of a file: its writer was killed before the Run was acknowledged."""

    file: str
    line: int
    bytes: int

    def __str__(self) -> str:
        return f"`{self.file}` line {self.line} is unfinished ({self.bytes} bytes) and was left out"


@dataclass(frozen=True)
class StoreContents:
    """What a store holds, and what was left out."""

    runs: Runs
    torn: tuple[TornLine, ...] = ()


def gather(files: Iterable[LineFile]) -> StoreContents:
    """Read every file; through its index where it has one, writing an index where one would pay.

    Raises:
        StoreDamaged: a line in the middle is unreadable, or two Runs contradict each other.
        SetupError: a line was written by a newer tinybench.
    """
    source = _Files()
    torn: list[TornLine] = []
    entries: list[Entry] = []
    for file in files:
        part, unfinished = _read(file)
        source.add(file, part)
        entries += part.entries
        torn += unfinished
    _check_one_unit_per_metric(source.parts)
    entries.sort(key=lambda entry: (entry.started, entry.run_id))
    return StoreContents(Runs(tuple(_distinct(entries, source)), source), tuple(torn))


def _read(file: LineFile) -> tuple[Part, list[TornLine]]:
    part = index.load(file)
    torn: list[TornLine] = []
    entries: list[Entry] = []
    samples = SampleLists()
    units = set(part.units)
    for line in lines_of(file, part.end, part.lines):
        if not line.finished and not is_document(line.data):
            torn.append(TornLine(file.name, line.number, len(line.data)))
            continue
        run = _parsed(file.name, line)
        entries.append(entry_of(run, Place(file.name, line.number, line.offset, len(line.data))))
        samples.add(line.number, run.measurements)
        units |= {(measurement.metric, measurement.unit) for measurement in run.measurements}
    if not entries:
        return part, torn
    last = entries[-1].place
    grown = replace(
        part,
        entries=(*part.entries, *entries),
        end=min(last.offset + last.length + 1, file.size),
        lines=last.line,
        units=frozenset(units),
        newer=samples,
    )
    index.save_if_worth_it(file, grown)
    return grown, torn


def _parsed(file: str, line: Line) -> Run:
    try:
        return Run.model_validate_json(line.data)
    except ValidationError as error:
        raise _diagnosed(file, line, error) from error


def _diagnosed(file: str, line: Line, error: ValidationError) -> SetupError:
    where = f"`{file}` line {line.number}"
    try:
        document = json.loads(line.data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return StoreDamaged(
            f"{where} is not a whole JSON object",
            hint=f"move line {line.number} to another file; the other lines are sound",
        )
    version = document.get("schema_version")
    if document.get("schema") != "tinybench.run" or not isinstance(version, int):
        return StoreDamaged(f"{where} is not a tinybench Run", hint="move the file out of the results folder")
    if version > SCHEMA_VERSION:
        provenance = document.get("provenance")
        writer = provenance.get("tinybench") if isinstance(provenance, dict) else None
        return SetupError(
            f"{where} has schema version {version}, written by tinybench `{writer or 'unknown'}`;"
            f" this tinybench reads up to {SCHEMA_VERSION}",
            hint=f"pip install '{DISTRIBUTION}>={writer}'" if writer else f"pip install -U {DISTRIBUTION}",
        )
    first = error.errors(include_url=False)[0]
    field_name = ".".join(str(part) for part in first["loc"])
    return StoreDamaged(
        f"{where} is not a valid Run: `{field_name}`: {first['msg']}", hint="see results/README.md"
    )


def _check_one_unit_per_metric(parts: Iterable[Part]) -> None:
    seen: dict[str, tuple[str, str]] = {name: (metric.unit, "") for name, metric in METRICS.items()}
    for part in parts:
        for name, unit in sorted(part.units):
            known, where = seen.setdefault(name, (unit, f" in `{part.name}`"))
            if unit != known:
                raise StoreDamaged(
                    f"`{part.name}` has `{name}` in `{unit}`, but the unit of `{name}` is `{known}`{where}",
                    hint=f"move the Runs with `{name}` in `{unit}` out of the results folder",
                )


def _distinct(entries: Sequence[Entry], source: _Files) -> Iterator[Entry]:
    """Each Run once: a merged copy of a file may hold the same line again, but not another one of that id."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        first = kept.setdefault(entry.run_id, entry)
        if first is entry:
            yield entry
        elif source.line(first.place) != source.line(entry.place):
            raise StoreDamaged(
                f"`{entry.place.file}` line {entry.place.line} and `{first.place.file}` line"
                f" {first.place.line} are different Runs of the same id `{entry.run_id}`",
                hint="move one of the two lines out of the results folder",
            )


@dataclass
class _Files:
    """The files of a store, kept to read Runs from later; the Source of the collection."""

    files: dict[str, LineFile] = field(default_factory=dict)
    by_name: dict[str, Part] = field(default_factory=dict)

    @property
    def parts(self) -> Iterable[Part]:
        return self.by_name.values()

    def add(self, file: LineFile, part: Part) -> None:
        self.files[file.name] = file
        self.by_name[file.name] = part

    def line(self, place: Place) -> bytes:
        return self.files[place.file].read(place.offset, place.length)

    def run(self, entry: Entry) -> Run:
        data = self.line(entry.place)
        return _parsed(entry.place.file, Line(entry.place.line, entry.place.offset, data, finished=True))

    def columns(self, entries: Sequence[Entry]) -> SampleColumns:
        by_file: dict[str, list[int]] = {}
        for position, entry in enumerate(entries):
            by_file.setdefault(entry.place.file, []).append(position)
        return joined(
            [
                self.by_name[name].samples().owned_by([entries[p].place.line for p in positions], positions)
                for name, positions in by_file.items()
            ]
        )
