"""The pipeline: case by case, build, load, prove, measure, record; what happens comes out as events.

A failure of one case is a Run with `failure` set and the others go on. A device fault that may pass is tried
once more with the device opened anew, and the Run says so; a number is never taken again because it looks
odd. A Run is in the store before its event is seen, so that whatever interrupts the loop keeps what was
finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from tinybench import faults, measure, recording, surroundings
from tinybench.engine import Engine
from tinybench.errors import DeadlineExceeded, DeviceError, TinyBenchError
from tinybench.latency import QUICK, Rules
from tinybench.links import Clock, Deadline
from tinybench.measure import Clean, Instrumented
from tinybench.plan import FlashedCase, PlannedCase
from tinybench.recording import Recorder, Recording
from tinybench.records import Case, Conditions, Failure, Gap, GoldenCheck, Provenance, Run
from tinybench.session import Session
from tinybench.store import new_run_id
from tinybench.surroundings import Surroundings
from tinybench.tape import Tape, notes_of
from tinybench.target import ChangesBaud, Image, ImageKind, KeepsOwnTime, Link, Target
from tinybench.workload import Workload

R = TypeVar("R")


@dataclass(frozen=True)
class Started:
    """A case begins."""

    case: PlannedCase | FlashedCase


@dataclass(frozen=True)
class Built:
    """One of its images is there, built or taken from the cache."""

    case: PlannedCase
    image: Image


@dataclass(frozen=True)
class Checked:
    """The clean image gave the right answers; its cost is known."""

    case: PlannedCase | FlashedCase
    golden: tuple[GoldenCheck, ...]


@dataclass(frozen=True)
class Retried:
    """The device failed and is opened once more."""

    case: PlannedCase | FlashedCase
    error: DeviceError


@dataclass(frozen=True)
class Recorded:
    """The case has its answer, and the store has it too."""

    run: Run


@dataclass(frozen=True)
class Failed:
    """The case has no answer; the store has the reason."""

    run: Run


@dataclass(frozen=True)
class Skipped:
    """Not a case but a gap in the matrix."""

    gap: Gap


Event = Started | Built | Checked | Retried | Recorded | Failed | Skipped

Build = Callable[[Workload, Engine, Target, ImageKind], Image]
Explain = Callable[[Path, str], Sequence[str]]


class Appends(Protocol):
    """Where Runs go: `tinybench.store.Store`, or a list in a test."""

    def append(self, run: Run) -> None:
        """Keep `run` for good before returning."""


@dataclass(frozen=True)
class Bench:
    """What every case needs and none decides: tools, clocks and rules.

    `timeout_s` bounds a case from the moment its device is opened. `logs`, if given, receives a recording of
    every conversation with a device as `<run id>/` (tinybench/recording.py); simulated ones need none.
    `explain` says what the registers of a fault mean for an ELF.
    """

    build: Build
    store: Appends
    rules: Rules = QUICK
    timeout_s: float = 600.0
    logs: Path | None = None
    clock: Clock = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[datetime], str] = new_run_id
    here: Callable[[], Surroundings] = surroundings.here
    explain: Explain = faults.explained


def run(cases: Iterable[PlannedCase | Gap], bench: Bench) -> Generator[Event, None, None]:
    """Run every case in turn and say what happens.

    Errors of tinybench's own are recorded as failures; everything else, Ctrl-C included, frees the device and
    passes through. No device is open while an event is handed out. Raises SetupError if a Run cannot be
    stored.
    """
    here = bench.here()
    for case in cases:
        if isinstance(case, Gap):
            yield Skipped(case)
            continue
        started = bench.now()
        run_id = bench.new_id(started)
        simulated = case.device.simulated
        with recording.recorder(bench.logs, run_id, bench.clock, simulated=simulated) as recorder:
            yield from _Attempt(case, bench, here, recorder, run_id=run_id, started=started).events()


def case_of(planned: PlannedCase) -> Case:
    """The question that a planned case asks."""
    return Case(
        workload=planned.workload.spec.id,
        model_sha256=planned.workload.model_sha256,
        inputs_sha256=planned.workload.inputs_sha256,
        engine=planned.engine.name,
        target=planned.target.name,
        options=dict(planned.options),
    )


def conditions_of(planned: PlannedCase, rules: Rules) -> Conditions:
    """What must be equal before its answer is compared: from the target, and how it is measured."""
    target = planned.target
    here = target.core.name == "host"
    return Conditions(
        core=(planned.device.details or {}).get("core", target.core.name) if here else target.core.name,
        clock_hz=None if here else target.clock_hz,
        caches=target.core.caches,
        flash_wait_states=target.flash_wait_states,
        arena_region=target.region_for("arena").name,
        weights_region=target.region_for("weights").name,
        simulated=planned.device.simulated or planned.device.virtual,
        protocol=measure.COUNTING if planned.device.simulated else rules.protocol,
    )


class _Attempt:
    """One case on its way to a Run; what is learnt on the way is kept, so that a failure can tell it."""

    def __init__(
        self,
        case: PlannedCase,
        bench: Bench,
        here: Surroundings,
        recorder: Recorder | None,
        *,
        run_id: str,
        started: datetime,
    ) -> None:
        self._case = case
        self._bench = replace(bench, clock=recorder.tape.clock) if recorder else bench
        self._recorder = recorder
        self._here = here
        self._started = started
        self._run_id = run_id
        self._allowed = measure.allowed_difference(case.engine)
        self._limit: Deadline | None = None
        self._image: Image | None = None
        self._clean: Clean | None = None
        self._retried = False

    def events(self) -> Iterator[Event]:
        """From Started to Recorded or Failed."""
        yield Started(self._case)
        try:
            made = yield from self._measured()
        except TinyBenchError as error:
            failed = self._failed(error)
            self._keep(failed)
            yield Failed(failed)
        else:
            self._keep(made)
            yield Recorded(made)

    def _keep(self, run: Run) -> None:
        if self._recorder is not None:
            self._recorder.finish(run)
        self._bench.store.append(run)

    def _measured(self) -> Generator[Event, None, Run]:
        clean_image = yield from self._built("clean")
        self._image = clean_image
        instrumented_image = yield from self._built("instrumented")
        self._record((clean_image, instrumented_image))
        clean = yield from self._on_device(clean_image, self._measure_clean)
        self._clean = clean
        yield Checked(self._case, clean.golden)
        instrumented = yield from self._on_device(instrumented_image, self._measure_instrumented)
        return self._recorded(clean_image, clean, instrumented)

    def _record(self, images: Sequence[Image]) -> None:
        if self._recorder is not None:
            rules = self._bench.rules
            case = recording.of_case(self._case, images, rules)
            facts = Recording(run_id=self._run_id, rules=rules, timeout_s=self._bench.timeout_s, case=case)
            self._recorder.begin(facts)

    def _built(self, kind: ImageKind) -> Generator[Event, None, Image]:
        case = self._case
        image = self._bench.build(case.workload, case.engine, case.target, kind)
        yield Built(case, image)
        return image

    def _on_device(
        self, image: Image, work: Callable[[Link, Session, Image], R]
    ) -> Generator[Event, None, R]:
        try:
            return self._opened(image, work)
        except DeviceError as error:
            if self._retried or not error.may_pass or self._time_is_up():
                raise
            self._retried = True
            first = error
        yield Retried(self._case, first)
        try:
            return self._opened(image, work)
        except DeadlineExceeded as late:
            if not self._time_is_up():
                raise
            first.add_note(f"it was tried once more: {late.message}")
            raise first from late

    def _time_is_up(self) -> bool:
        return self._limit is not None and self._limit.remaining_s() == 0

    def _opened(self, image: Image, work: Callable[[Link, Session, Image], R]) -> R:
        self._limit = self._limit or Deadline.after(self._bench.timeout_s, self._bench.clock)
        tape = self._recorder.tape if self._recorder else None
        with opened(self._case, image, self._bench, limit=self._limit, tape=tape) as (link, session):
            return work(link, session, image)

    def _measure_clean(self, link: Link, session: Session, image: Image) -> Clean:
        return measure.clean(
            link,
            session,
            self._case.workload,
            image,
            device=self._case.device,
            rules=self._bench.rules,
            allowed=self._allowed,
        )

    def _measure_instrumented(self, link: Link, session: Session, image: Image) -> Instrumented:
        return measure.instrumented(
            link, session, self._case.workload, image, device=self._case.device, allowed=self._allowed
        )

    def _recorded(self, image: Image, clean: Clean, instrumented: Instrumented) -> Run:
        case = self._case
        return Run(
            run_id=self._run_id,
            case=case_of(case),
            conditions=conditions_of(case, self._bench.rules),
            provenance=self._provenance(),
            measurements=(
                *clean.measurements,
                *measure.memory_measurements(image, instrumented.memory),
                *measure.model_measurements(case.workload),
            ),
            golden=clean.golden,
            operators=measure.operator_costs(case.workload, image, clean, instrumented, case.target.clock_hz),
            functions=clean.functions,
            memory=image.memory,
            arena=image.arena.buffers if image.arena is not None else (),
            probe_effect=measure.probe_effect(clean, instrumented),
        )

    def _failed(self, error: TinyBenchError) -> Run:
        return Run(
            run_id=self._run_id,
            case=case_of(self._case),
            conditions=conditions_of(self._case, self._bench.rules),
            provenance=self._provenance(),
            memory=self._image.memory if self._image else None,
            failure=failure_of(error),
        )

    def _provenance(self) -> Provenance:
        found = provenance_of(self._case, self._image, self._clean, started=self._started, here=self._here)
        return found.model_copy(update={"retried": self._retried})


@contextmanager
def opened(
    case: PlannedCase, image: Image, bench: Bench, *, limit: Deadline, tape: Tape | None = None
) -> Iterator[tuple[Link, Session]]:
    """The case's device with `image` running on it, and a session at the fastest rate both ends can.

    What passes is noted on `tape`, whose clock is then the bench's.
    """

    def explain(text: str) -> Sequence[str]:
        return bench.explain(image.elf, text)

    with ExitStack() as open_things:
        opening = case.adapter.open(case.device, image)
        link = open_things.enter_context(tape.opened(opening, image.kind) if tape else opening)
        said = tape.over(link) if tape else link
        clock = bench.clock
        if isinstance(link, KeepsOwnTime):
            clock = tape.noting(link.own_clock) if tape else link.own_clock
        session = Session.connect(
            said,
            clock=clock,
            baud=case.target.serial.baud,
            limit=limit,
            explain_fault=tape.explaining(explain) if tape else explain,
        )
        measure.check_board(session, image, case.device)  # a stranger's line is left as it is
        _speed_up(said, session, case.target)
        yield link, session


def _speed_up(link: Link, session: Session, target: Target) -> None:
    """Use the fastest rate both ends can: an input of 27 KB takes 2.4 s at 115200 baud."""
    serial = target.serial
    if isinstance(link, ChangesBaud) and session.offers("baud") and serial.fastest_baud > serial.baud:
        session.set_baud(serial.fastest_baud, link.set_baud)


def provenance_of(
    case: PlannedCase,
    image: Image | None,
    clean: Clean | None,
    *,
    started: datetime,
    here: Surroundings,
) -> Provenance:
    """What explains a Run of `case`, as far as it came: with an image or without, measured or not."""
    return Provenance(
        tinybench=here.tinybench,
        started=started,
        host=here.host,
        git=here.git,
        device=case.device.id,
        adapter=case.adapter.name,
        unit=case.device.unit,
        engine_version=image.engine_version if image else "",
        toolchain=image.toolchain if image else None,
        build_id=image.build_id if image else None,
        model_source=case.workload.source,
        model_source_sha256=case.workload.source_sha256,
        weights=case.workload.spec.weights,
        oracle=case.workload.oracle,
        simulator=clean.simulator if clean else None,
        simulated_wall_s=clean.simulated_wall_s if clean else None,
        notes=clean.notes if clean else (),
    )


def failure_of(error: TinyBenchError) -> Failure:
    """An error as it is written down, with the context that was added on its way up."""
    return Failure(
        error=type(error).__name__,
        exit_code=error.exit_code,
        message=error.message,
        hint=error.hint,
        details=tuple(notes_of(error)),
    )
