"""A workload with everything at hand: model fetched, normalised, read, and its right answers known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tinybench.errors import MeasurementError, ModelError, SetupError, WrongDigest
from tinybench.fetch import Fetched, Fetcher
from tinybench.models.normalise import normalise
from tinybench.models.oracle import Oracle, further, judge
from tinybench.models.tflite import read, write
from tinybench.plugins import Catalogue
from tinybench.workload import SuiteEntry, Workload, WorkloadSpec


@dataclass(frozen=True)
class Resolved:
    """The alternative of a suite's entry that was taken, and why those before it were not."""

    workload: Workload
    notes: tuple[str, ...]


def load(spec: WorkloadSpec, fetcher: Fetcher, oracle: Oracle | None) -> Workload:
    """Fetch, normalise where the workload says so, read and judge.

    Raises SetupError if the model cannot be had, ModelError if it is damaged, MeasurementError if
    normalisation or the oracle gives something other than the workload's record.
    """
    source, data, path = model_of(spec, fetcher)
    model = read(data)
    goldens, judged_by = judge(spec, model, data, oracle)
    return Workload(
        spec=spec,
        model=model,
        model_path=path,
        model_sha256=spec.model.normalised_sha256,
        source_sha256=spec.model.sha256,
        source=source,
        goldens=goldens,
        oracle=judged_by,
        further=further(spec, model, data, oracle),
    )


class ModelFile(NamedTuple):
    """The model that is compiled: where it was published, its bytes after normalisation, where they lie."""

    source: str
    data: bytes
    path: Path


def model_of(spec: WorkloadSpec, fetcher: Fetcher) -> ModelFile:
    """Fetch the model, and normalise it where the workload says so. Raises as `load` does."""
    fetched = fetcher.fetch(spec.id, spec.model)
    published = _bytes_of(fetched)
    data, path = published, fetched.path
    if spec.model.normalised_sha256 != spec.model.sha256:
        data = write(normalise(read(published)))
        found = hashlib.sha256(data).hexdigest()
        if found != spec.model.normalised_sha256:
            raise MeasurementError(
                f"the model of `{spec.id}` has sha256 {found} after normalisation, "
                f"not {spec.model.normalised_sha256} as its workload pins"
            )
        path = fetcher.keep(data)
    return ModelFile(fetched.source, data, path)


def resolve(entry: SuiteEntry, catalogue: Catalogue, fetcher: Fetcher, oracle: Oracle | None) -> Resolved:
    """The first alternative of `entry` whose model can be had.

    Raises SetupError listing each reason if none can, and at once WrongDigest for a file of the user's that
    is not what it is called.
    """
    failures: list[SetupError] = []
    for name in entry.alternatives:
        try:
            workload = load(catalogue.workload(name), fetcher, oracle)
        except WrongDigest:
            raise
        except SetupError as error:
            failures.append(error)
        else:
            return Resolved(workload, _notes(entry, name, failures))
    if len(failures) == 1:
        raise failures[0]
    raise SetupError(
        f"no model of task `{entry.task}` can be had: {' - '.join(f.message for f in failures)}",
        hint=failures[-1].hint,
    )


def _notes(entry: SuiteEntry, taken: str, failures: Sequence[SetupError]) -> tuple[str, ...]:
    """Which alternative was taken, where there was a choice, and why not one before it."""
    if len(entry.alternatives) == 1:
        return ()
    why = "".join(f"; {failure.message}" for failure in failures)
    return (f"task {entry.task}: `{taken}` is taken{why}",)


def _bytes_of(fetched: Fetched) -> bytes:
    try:
        return fetched.path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read `{fetched.path}`: {error.strerror}") from error
