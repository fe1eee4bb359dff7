"""The tasks of a suite with their models at hand, and the one model of each that all engines run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from tinybench.engine import Engine, refusal
from tinybench.errors import SetupError, WrongDigest
from tinybench.fetch import Fetcher
from tinybench.models.cut import before_softmax, without_softmax
from tinybench.models.loading import resolve
from tinybench.models.oracle import Oracle
from tinybench.plugins import Catalogue
from tinybench.target import Target
from tinybench.workload import SuiteEntry, Workload

Cut = Literal["auto", "softmax", "never"]


@dataclass(frozen=True)
class Task:
    """A suite's entry after its model was looked for: a workload, or the reason for a gap."""

    name: str
    workload: Workload | None = None
    gap: str | None = None
    notes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def wanted(self) -> Workload:
        """The workload of a task without a gap."""
        assert self.workload is not None
        return self.workload


def tasks_of(
    entries: Sequence[SuiteEntry], catalogue: Catalogue, fetcher: Fetcher, oracle: Oracle | None
) -> tuple[Task, ...]:
    """Every entry resolved, each workload once, in order."""
    tasks: dict[str, Task] = {}
    for entry in entries:
        task = _task(entry, catalogue, fetcher, oracle)
        tasks.setdefault(task.name, task)
    return tuple(tasks.values())


def _task(entry: SuiteEntry, catalogue: Catalogue, fetcher: Fetcher, oracle: Oracle | None) -> Task:
    if entry.gap is not None:
        return Task(entry.task, gap=entry.gap)
    try:
        resolved = resolve(entry, catalogue, fetcher, oracle)
    except WrongDigest:
        raise
    except SetupError as error:
        if not entry.optional:
            raise
        return Task(entry.task, gap=f"{error.message}; {error.hint}" if error.hint else error.message)
    return Task(resolved.workload.spec.id, resolved.workload, notes=resolved.notes)


def comparable(
    task: Task,
    engines: Sequence[Engine],
    targets: Sequence[Target],
    *,
    cut: Cut,
    fetcher: Fetcher,
    oracle: Oracle | None,
) -> Task:
    """The task with the one model that all engines run: cut before its SOFTMAX where `cut` says so.

    With `auto`, that is where an engine refuses the whole model and takes the cut one. Raises SetupError if
    `softmax` is asked for and there is no oracle to judge the cut model.
    """
    workload = task.workload
    if workload is None or cut == "never" or before_softmax(workload.model) is None:
        return task
    if cut == "softmax":
        return _cut(task, without_softmax(workload, oracle, fetcher.keep), "as was asked")
    needy = [
        (engine, target)
        for engine, target in itertools.product(engines, targets)
        if refusal(engine, workload, target) is not None
    ]
    if not needy or oracle is None:
        return task
    shorter = without_softmax(workload, oracle, fetcher.keep)
    helped = [engine.name for engine, target in needy if refusal(engine, shorter, target) is None]
    if not helped:
        return task
    return _cut(task, shorter, f"`{helped[0]}` takes it no other way")


def _cut(task: Task, workload: Workload, why: str) -> Task:
    note = f"`{workload.spec.id}` runs without its last SOFTMAX in every engine: {why}"
    return replace(task, workload=workload, notes=(*task.notes, note), options={"cut": "softmax"})
