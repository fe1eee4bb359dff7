"""A collection of stored Runs: known by their entries, read from disk only when asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tinybench.errors import UsageError
from tinybench.records import Case, Conditions, Record, Run
from tinybench.results.samples import SampleColumns

if TYPE_CHECKING:
    import pandas as pd

SHORTEST_ID = 6
INTERLEAVED = "interleaved"  # the option that two Runs share whose windows alternated: the id of the first


class CaseKey(NamedTuple):
    """What pairs two Runs: the Case without its digests, which are compared rather than matched."""

    workload: str
    engine: str
    target: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def interleaved(self) -> bool:
        """Whether the Runs of this key are a pair whose windows alternated, and nobody else's peers."""
        return any(name == INTERLEAVED for name, _ in self.options)

    def __str__(self) -> str:
        options = "".join(f" {name}={value}" for name, value in self.options)
        return f"{self.workload} {self.engine} {self.target}{options}"


def key_of(case: Case) -> CaseKey:
    """The pairing key of a Case."""
    return CaseKey(case.workload, case.engine, case.target, tuple(sorted(case.options.items())))


def question_digest(case: Case, conditions: Conditions) -> str:
    """Digest of everything that must be equal before two Runs may be compared."""
    text = _canonical(case) + "\n" + _canonical(conditions)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(record: Record) -> str:
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


class Place(NamedTuple):
    """Where a Run is written: file as the store names it, line from 1, bytes without the newline."""

    file: str
    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about a stored Run without reading it again."""

    run_id: str
    started: datetime
    key: CaseKey
    question: str
    unit: str | None
    device: str
    adapter: str
    simulated: bool
    commit: str | None
    dirty: bool
    failure: str | None
    place: Place


def entry_of(run: Run, place: Place) -> Entry:
    """The entry of a Run that was read at `place`."""
    provenance = run.provenance
    return Entry(
        run_id=run.run_id,
        started=provenance.started,
        key=key_of(run.case),
        question=question_digest(run.case, run.conditions),
        unit=provenance.unit,
        device=provenance.device,
        adapter=provenance.adapter,
        simulated=run.conditions.simulated,
        commit=provenance.git.commit if provenance.git else None,
        dirty=provenance.git.dirty if provenance.git else False,
        failure=run.failure.error if run.failure else None,
        place=place,
    )


class Source(Protocol):
    """What a collection reads from: one whole Run, or the samples of many without the rest."""

    def run(self, entry: Entry) -> Run:
        """The whole Run of an entry."""

    def columns(self, entries: Sequence[Entry]) -> SampleColumns:
        """Every sample of `entries`; the owner of a measurement is its position in `entries`."""


@dataclass(frozen=True)
class Runs:
    """Stored Runs, oldest first. Iterating reads one Run at a time; the collection itself is small."""

    entries: tuple[Entry, ...]
    source: Source

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Run]:
        return map(self.source.run, self.entries)

    def where(self, wanted: Callable[[Entry], bool]) -> Runs:
        """The Runs whose entry is wanted."""
        return Runs(tuple(entry for entry in self.entries if wanted(entry)), self.source)

    def newest(self) -> Runs:
        """The newest Run of each Case."""
        newest = {entry.key: entry for entry in self.entries}
        return self.where(lambda entry: newest[entry.key] is entry)

    def get(self, run_id: str) -> Run:
        """The Run of this id, or of the only id that begins with it.

        Raises:
            UsageError: there is none, or there are several.
        """
        found = self.find(run_id)
        if found is None:
            raise UsageError(f"there is no Run `{run_id}`", hint="tinybench show --last 10")
        return self.source.run(found)

    def find(self, run_id: str) -> Entry | None:
        """The entry of this id, or of the only id that begins with it; None if there is none.

        Raises:
            UsageError: several ids begin with `run_id`.
        """
        exact = next((entry for entry in self.entries if entry.run_id == run_id), None)
        if exact is not None or len(run_id) < SHORTEST_ID:
            return exact
        close = [entry for entry in self.entries if entry.run_id.startswith(run_id)]
        if len(close) > 1:
            some = ", ".join(f"`{entry.run_id}`" for entry in close[:3])
            raise UsageError(f"`{run_id}` begins {len(close)} run ids: {some}", hint="write more of it")
        return close[0] if close else None

    def frame(self) -> pd.DataFrame:
        """Every sample as one row of a tidy pandas DataFrame, oldest Run first.

        Columns: run_id, started (UTC), workload, engine, target, options, unit, device, simulated, commit,
        metric, kind, metric_unit (SI), sample (its position in the measurement, from 0), value.
        Failed Runs have no samples and therefore no rows.
        """
        from tinybench.results.frame import tidy_frame

        return tidy_frame(self)
