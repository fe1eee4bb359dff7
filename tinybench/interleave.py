"""Two images on one device, in alternating windows: what drifts with time moves both alike, and cancels.

Between two Runs a board warms up and its supply sags, and the later one looks slower. Here windows of the
base (A) and of the case's own image (B) follow each other as A B A B … A: one more of A, so that every B lies
between two. Each window is a session of its own on a freshly loaded image whose answers were proven right.
Two Runs come out that share the option `interleaved`; `compare` takes each B against its two neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tinybench import bench, elf, measure, recording
from tinybench.bench import Bench, Event
from tinybench.errors import BuildError, DeviceError, TinyBenchError, UsageError, WrongBoard
from tinybench.links import Deadline
from tinybench.measure import Clean
from tinybench.plan import PlannedCase
from tinybench.recording import Recorder, Recording
from tinybench.records import METRICS, Measurement, MemoryMap, Run, Toolchain
from tinybench.results.runs import INTERLEAVED
from tinybench.session import Session
from tinybench.target import Image, Link

SHORTEST_BUILD_ID = 6


def find_image(reference: str, cache: Path) -> Image:
    """The image that was built before: by its build id or the beginning of it, or by the path of its ELF.

    What is known about an image (`image.json`) lies beside it in the cache; an ELF elsewhere is known by the
    build id inside it.

    Raises:
        UsageError: there is none, there are several, or it is not a clean image.
    """
    path = Path(reference)
    build_id = _build_id_inside(path) if path.is_file() else reference.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_BUILD_ID},40}}", build_id):
        raise UsageError(
            f"`{reference}` is neither a file nor the beginning of a build id",
            hint="tinybench build prints build ids and where the images lie",
        )
    beside = [path.parent] if path.is_file() else []
    folders = [*beside, *sorted((cache / "images").glob("*"))]
    found = {image.build_id: image for image in filter(None, map(_kept, folders))}
    matching = [image for image in found.values() if image.build_id.startswith(build_id)]
    if len(matching) > 1:
        ids = ", ".join(f"`{image.build_id[:12]}`" for image in matching)
        raise UsageError(f"`{reference}` begins {len(matching)} build ids: {ids}", hint="write more of it")
    if not matching:
        raise UsageError(
            f"no image of build id `{build_id[:12]}` is in the cache `{cache}`",
            hint="keep the folder that tinybench built it in, or build it again: tinybench build",
        )
    if matching[0].kind != "clean":
        raise UsageError(
            f"`{reference}` is an {matching[0].kind} image, which is slower",
            hint="name the clean one: tinybench build",
        )
    return matching[0]


def _build_id_inside(path: Path) -> str:
    try:
        return elf.build_id(path)
    except BuildError as error:
        raise UsageError(
            f"`{path}` is no image of tinybench: {error.message}", hint="tinybench build"
        ) from error


def _kept(folder: Path) -> Image | None:
    """The image of one folder of the cache, without what only its engine knows; None if it is not whole."""
    try:
        facts = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Image(
        elf=folder / "image.elf",
        build_id=facts["build_id"],
        kind=facts["kind"],
        toolchain=Toolchain.model_validate(facts["toolchain"]),
        flash_bytes=facts["flash_bytes"],
        ram_static_bytes=facts["ram_static_bytes"],
        memory=MemoryMap.model_validate(facts["memory"]),
        operators=(),
        engine_version="",
    )


def run(case: PlannedCase, base: Image, on: Bench) -> Generator[Event, None, None]:
    """Run one case against `base`: its events are those of any case, with a Run for each image at the end.

    A device fault is tried once more, as elsewhere. What fails leaves one failed Run and no number. Raises
    SetupError if a Run cannot be stored.
    """
    started = on.now()
    ids = (on.new_id(started), on.new_id(on.now()))
    with recording.recorder(on.logs, ids[1], on.clock, simulated=case.device.simulated) as recorder:
        noted = replace(on, clock=recorder.tape.clock) if recorder else on
        yield from _Pair(case, base, noted, recorder, ids=ids, started=started).events()


@dataclass(frozen=True)
class _Window:
    """One session: what it showed, and which engine the firmware says it has."""

    clean: Clean
    engine: str
    engine_version: str


class _Pair:
    """Two images on their way to two Runs; what is learnt is kept, so that a failure can tell it."""

    def __init__(
        self,
        case: PlannedCase,
        base: Image,
        on: Bench,
        recorder: Recorder | None,
        *,
        ids: tuple[str, str],
        started: datetime,
    ) -> None:
        self._on = on
        self._base = base
        self._here = on.here()
        self._started = started
        self._ids = ids
        self._recorder = recorder
        self._asked = case
        self._case = replace(case, options={**case.options, INTERLEAVED: self._ids[0]})
        self._limit: Deadline | None = None
        self._image: Image | None = None
        self._retried = False

    def events(self) -> Generator[Event, None, None]:
        """From Started to two Recorded, or one Failed."""
        yield bench.Started(self._case)
        try:
            runs = yield from self._measured()
        except TinyBenchError as error:
            failed = self._run(self._ids[1], self._image, None).model_copy(
                update={"failure": bench.failure_of(error)}
            )
            self._keep(failed)
            yield bench.Failed(failed)
            return
        self._keep(*runs)
        for made in runs:
            yield bench.Recorded(made)

    def _keep(self, *runs: Run) -> None:
        if self._recorder is not None:
            self._recorder.finish(*runs)
        for made in runs:
            self._on.store.append(made)

    def _record(self, image: Image) -> None:
        if self._recorder is not None:
            on = self._on
            case = recording.of_pair(self._asked, image, self._base, on.rules, base_id=self._ids[0])
            facts = Recording(run_id=self._ids[1], rules=on.rules, timeout_s=on.timeout_s, case=case)
            self._recorder.begin(facts)

    def _measured(self) -> Generator[Event, None, tuple[Run, Run]]:
        case = self._case
        image = self._on.build(case.workload, case.engine, case.target, "clean")
        self._image = image
        yield bench.Built(case, self._base)
        yield bench.Built(case, image)
        self._record(image)
        old, new = [(yield from self._window(self._base, 0))], [(yield from self._window(image, 0))]
        yield bench.Checked(case, new[0].clean.golden)
        if not case.device.simulated:
            for number in range(1, self._on.rules.windows):
                old.append((yield from self._window(self._base, number)))
                new.append((yield from self._window(image, number)))
            old.append((yield from self._window(self._base, self._on.rules.windows)))
        base = replace(self._base, engine_version=old[0].engine_version)
        return self._run(self._ids[0], base, old), self._run(self._ids[1], image, new)

    def _window(self, image: Image, number: int) -> Generator[Event, None, _Window]:
        try:
            return self._opened(image, number)
        except DeviceError as error:
            if self._retried or not error.may_pass:
                raise
            self._retried = True
            yield bench.Retried(self._case, error)
        return self._opened(image, number)

    def _opened(self, image: Image, number: int) -> _Window:
        """One window in a session of its own; the inputs take turns, as they do in any Run."""
        case, on = self._case, self._on
        self._limit = self._limit or Deadline.after(on.timeout_s, on.clock)
        goldens = case.workload.goldens
        first = number % len(goldens)
        workload = replace(case.workload, goldens=(*goldens[first:], *goldens[:first]))
        try:
            tape = self._recorder.tape if self._recorder else None
            with bench.opened(case, image, on, limit=self._limit, tape=tape) as (link, session):
                return self._shown(link, session, image, replace(case, workload=workload))
        except TinyBenchError as error:
            which = "the base" if image.build_id == self._base.build_id else "the new image"
            error.add_note(f"in window {number + 1} of {which}, build id {image.build_id[:12]}")
            raise

    def _shown(self, link: Link, session: Session, image: Image, case: PlannedCase) -> _Window:
        clean = measure.clean(
            link,
            session,
            case.workload,
            image,
            device=case.device,
            rules=replace(self._on.rules, windows=1),
            allowed=measure.allowed_difference(case.engine),
        )
        identity = session.identify()
        if identity.engine != case.engine.name:
            raise WrongBoard(
                f"the image `{image.build_id[:12]}` has the engine `{identity.engine}`, "
                f"not `{case.engine.name}`",
                hint=f"tinybench run --engine {identity.engine} --ab {self._base.build_id[:12]}",
            )
        return _Window(clean, identity.engine, identity.engine_version)

    def _run(self, run_id: str, image: Image | None, windows: Sequence[_Window] | None) -> Run:
        case, clean = self._case, windows[0].clean if windows else None
        provenance = bench.provenance_of(case, image, clean, started=self._started, here=self._here)
        conditions = bench.conditions_of(case, self._on.rules)
        if not case.device.simulated:
            protocol = f"{conditions.protocol}, each alternating with one of another image"
            conditions = conditions.model_copy(update={"protocol": protocol})
        sides = {self._ids[0]: f"base of {self._ids[1]}", self._ids[1]: f"compared with {self._ids[0]}"}
        note = f"{sides[run_id]}: windows of the two alternated on one device"
        return Run(
            run_id=run_id,
            case=bench.case_of(case),
            conditions=conditions,
            provenance=provenance.model_copy(
                update={"retried": self._retried, "notes": (*provenance.notes, note)}
            ),
            measurements=_measurements(case, image, windows) if image and windows else (),
            golden=clean.golden if clean else (),
            functions=clean.functions if clean else (),
            memory=image.memory if image else None,
        )


def _measurements(case: PlannedCase, image: Image, windows: Sequence[_Window]) -> tuple[Measurement, ...]:
    """The samples of all windows as one measurement each, and what the image and the model tell."""
    first = windows[0].clean.measurements
    merged = [
        m.model_copy(update={"samples": tuple(s for w in windows for s in _samples(w.clean, m.metric))})
        for m in first
    ]
    sizes = {"flash": image.flash_bytes, "ram_static": image.ram_static_bytes}
    merged += [
        Measurement(metric=name, kind="counted", unit=METRICS[name].unit, samples=(size,))
        for name, size in sizes.items()
        if size is not None
    ]
    return (*merged, *measure.model_measurements(case.workload))


def _samples(clean: Clean, metric: str) -> tuple[float | int, ...]:
    return next((m.samples for m in clean.measurements if m.metric == metric), ())
