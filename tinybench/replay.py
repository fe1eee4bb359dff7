"""A recorded conversation again, without the device: the same pipeline, clock and bytes, so the same Run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tinybench import bench, flashed, interleave, recording
from tinybench.bench import Bench, Event, Failed, Recorded
from tinybench.engine import Engine
from tinybench.errors import SetupError, UsageError
from tinybench.player import Player, RecordedAdapter
from tinybench.recording import RecordedCase, Recording
from tinybench.records import Run
from tinybench.surroundings import Surroundings
from tinybench.target import Image, ImageKind, Target
from tinybench.transcript import Entry, entries
from tinybench.workload import Workload


@dataclass(frozen=True)
class Difference:
    """One field in which the replayed Run is another, as JSON shows both values."""

    field: str
    recorded: Any
    replayed: Any


@dataclass(frozen=True)
class Outcome:
    """What came of a replay. `identical`: the line is the recorded one byte for byte.

    `base` is the same of the image whose windows alternated, and which has a Run of its own.
    """

    recorded: Run
    replayed: Run
    identical: bool
    base: Outcome | None = None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Every field that differs; none if the Run is the same."""
        pair = (json.loads(run.model_dump_json()) for run in (self.recorded, self.replayed))
        of_base = self.base.differences if self.base else ()
        return (*_differences("", *pair), *(replace(d, field=f"base.{d.field}") for d in of_base))


def replay(folder: Path, *, say: Callable[[Event], object] = lambda _: None) -> Outcome:
    """Run the case of a recording again, in no time; `say` is told what happens.

    Raises UsageError if there is no recording, SetupError if it is damaged, ReplayDiverged if the
    conversation takes another course.
    """
    facts = recording.load(folder)
    recorded = _recorded_runs(folder / recording.RUN, facts)
    player = Player(_entries(folder / facts.transcript))
    replayed: dict[str, Run] = {}
    for event in _events(facts, recorded[facts.run_id][1], player):
        say(event)
        if isinstance(event, Recorded | Failed):
            replayed[event.run.run_id] = event.run
    if player.diverged is not None:
        raise player.diverged
    outcomes = {
        run_id: Outcome(run, replayed[run_id], replayed[run_id].model_dump_json() == line)
        for run_id, (line, run) in recorded.items()
        if run_id in replayed
    }
    outcome = outcomes.pop(facts.run_id)
    for base in outcomes.values():
        outcome = replace(outcome, identical=outcome.identical and base.identical, base=base)
    if not outcome.differences:
        player.finish()
    return outcome


def _events(facts: Recording, recorded: Run, player: Player) -> Iterator[Event]:
    provenance = recorded.provenance
    here = Surroundings(provenance.tinybench, provenance.host, provenance.git)
    images = facts.case.images if isinstance(facts.case, RecordedCase) else ()
    base = facts.case.base if isinstance(facts.case, RecordedCase) else None
    ids = iter((base.run_id, facts.run_id) if base else (facts.run_id,))

    def build(workload: Workload, engine: Engine, target: Target, kind: ImageKind) -> Image:  # noqa: ARG001
        return next(image for image in images if image.kind == kind)

    on = Bench(
        build=build,
        store=_Nowhere(),
        rules=facts.rules,
        timeout_s=facts.timeout_s,
        clock=player.clock,
        now=lambda: provenance.started,
        new_id=lambda _: next(ids),
        here=lambda: here,
        explain=lambda _, __: player.explained(),
    )
    adapter = RecordedAdapter(facts.case.adapter, player)
    if isinstance(facts.case, RecordedCase) and base is not None:
        yield from interleave.run(facts.case.case(adapter), base.image, on)
    elif isinstance(facts.case, RecordedCase):
        yield from bench.run([facts.case.case(adapter)], on)
    else:
        yield from flashed.run([facts.case.case(adapter)], on, facts.rules)


class _Nowhere:
    """A store that keeps nothing: the Run is in one already."""

    def append(self, run: Run) -> None:
        """Nothing."""


# --- reading, and telling apart ---


def find(run_id: str, logs: Path) -> Path:
    """The recording of a Run below `logs`. Raises UsageError if there is none.

    That of a pair, whose windows alternated, has the name of the second.
    """
    folder = logs / run_id
    if not (folder / recording.FACTS).is_file():
        raise UsageError(
            f"Run `{run_id}` has no recording in `{logs}`",
            hint="recordings are made of runs on devices, unless --no-logs is given",
        )
    return folder


def _entries(path: Path) -> tuple[Entry, ...]:
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            return tuple(entries(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"the transcript `{path}` cannot be read", hint="record the run again") from error


def _recorded_runs(path: Path, facts: Recording) -> Mapping[str, tuple[str, Run]]:
    """The lines of a recording's Runs and what they say, by id."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        runs = {run.run_id: (line, run) for line, run in zip(lines, map(_run, lines), strict=True)}
    except OSError as error:
        raise UsageError(
            f"`{path.parent}` holds no Run: it was interrupted", hint="tinybench run records another"
        ) from error
    except ValidationError as error:
        raise SetupError(f"`{path}` is not one whole Run", hint="record the run again") from error
    if facts.run_id not in runs:
        raise SetupError(f"`{path}` does not hold Run `{facts.run_id}`", hint="record the run again")
    return runs


def _run(line: str) -> Run:
    return Run.model_validate_json(line)


def _differences(where: str, recorded: Any, replayed: Any) -> Iterator[Difference]:
    """Leaves of two JSON values that differ, each with its path; a missing side is None."""
    if recorded == replayed:
        return
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in dict.fromkeys((*recorded, *replayed)):
            path = f"{where}.{key}" if where else str(key)
            yield from _differences(path, recorded.get(key), replayed.get(key))
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for index, pair in enumerate(zip(recorded, replayed, strict=True)):
            yield from _differences(f"{where}[{index}]", *pair)
    else:
        yield Difference(where, recorded, replayed)
