"""What happens, in words for a terminal: events as lines, results as tables. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinybench.bench import Built, Checked, Event, Failed, Recorded, Retried, Skipped, Started
from tinybench.plan import Buildable, FlashedCase, Plan, PlannedCase
from tinybench.records import Gap, Measurement, Run
from tinybench.target import Device, Image
from tinybench.units import brief, show

Table = tuple[Sequence[str], list[Sequence[str]]]

_BUILD_ID_SHOWN = 12


def line(event: Event) -> str:  # noqa: PLR0911 - a return for each kind of event
    """One line of progress, its stage first."""
    match event:
        case Started(case):
            return f"run      {name(case)}"
        case Built(_, image):
            return f"build    {built(image)}"
        case Checked(_, golden):
            equal = sum(check.equal for check in golden)
            printed = any(check.compared == "printed" for check in golden)
            how = "as far as they are printed" if printed else "bit for bit"
            return f"check    {equal} of {len(golden)} outputs equal to the oracle's, {how}"
        case Retried(_, error):
            return f"retry    {error.message}"
        case Recorded(run):
            return f"record   {run.run_id}: {_answer(run)}"
        case Failed(run):
            assert run.failure is not None, "a failed run says why"
            said = [run.failure.message, *run.failure.details]
            said += [f"hint: {run.failure.hint}"] if run.failure.hint else []
            return "failed   " + "\n         ".join(said)
        case Skipped(gap):
            return f"gap      {why(gap)}"


def finished(event: Event) -> tuple[Run, ...]:
    """The Run that an event brings, if it does."""
    return (event.run,) if isinstance(event, Recorded | Failed) else ()


def name(case: PlannedCase | FlashedCase) -> str:
    """`vww01 with reference on nucleo-f746 (virtual)`."""
    if isinstance(case, FlashedCase):
        if case.loaded is not None:
            where = _place(case.loaded.device)
            return f"{case.workload.spec.id} with {case.loaded.elf.engine} on {where}, as it is"
        return f"{case.workload.spec.id} on {case.device.id}, as it is flashed"
    where = _place(case.device)
    return f"{case.workload.spec.id} with {case.engine.name} on {where}"


def _place(device: Device) -> str:
    if device.simulated:
        return f"{device.target.name} (virtual)"
    return f"{device.id} (virtual desk)" if device.virtual else device.id


def why(gap: Gap) -> str:
    """A gap and its reason."""
    return f"{gap.workload} with {gap.engine} on {gap.target}: {gap.reason}"


def built(image: Image) -> str:
    """What was built, by whom, and how large it is."""
    build_id = f"build id {image.build_id[:_BUILD_ID_SHOWN]}"
    if image.toolchain is None:
        return f"{image.kind} program with {image.engine_version}: {build_id}"
    made_by = f"{image.toolchain.name} {image.toolchain.version}"
    return (
        f"{image.kind} image with {made_by}: {_bytes(image.flash_bytes)} flash, "
        f"{_bytes(image.ram_static_bytes)} static RAM, {build_id}"
    )


def results(runs: Iterable[Run]) -> Table:
    """A row for each Run: what it cost, and of what kind the number is."""
    head = ("workload", "engine", "device", "cost", "kind", "flash", "peak RAM", "answers")
    return head, [_result(run) for run in runs]


def cases(plan: Plan) -> Table:
    """A row for each case and gap of a plan."""
    head = ("workload", "engine", "target", "device", "model", "")
    rows: list[Sequence[str]] = [
        (
            case.workload.spec.id,
            case.engine.name,
            case.target.name,
            case.device.id,
            case.workload.model_sha256[:_BUILD_ID_SHOWN],
            "simulated" if case.device.simulated else "",
        )
        for case in plan.cases
    ]
    rows += [
        (
            case.workload.spec.id,
            case.loaded.elf.engine if case.loaded else "-",
            case.loaded.device.target.name if case.loaded else "-",
            case.device.id,
            case.workload.model_sha256[:_BUILD_ID_SHOWN],
            "as it is" if case.loaded else "as flashed",
        )
        for case in plan.flashed
    ]
    rows += [(gap.workload, gap.engine, gap.target, "-", "-", f"gap: {gap.reason}") for gap in plan.gaps]
    return head, rows


def images(pairs: Iterable[tuple[Buildable, Image]]) -> Table:
    """A row for each image."""
    head = ("workload", "engine", "target", "flash", "static RAM", "build id", "elf")
    rows: list[Sequence[str]] = [
        (
            wanted.workload.spec.id,
            wanted.engine.name,
            wanted.target.name,
            _bytes(image.flash_bytes),
            _bytes(image.ram_static_bytes),
            image.build_id[:_BUILD_ID_SHOWN],
            str(image.elf),
        )
        for wanted, image in pairs
    ]
    return head, rows


def facts(wanted: Buildable, image: Image) -> dict[str, object]:
    """An image as `build --json` has it."""
    return {
        "case": {
            "workload": wanted.workload.spec.id,
            "model_sha256": wanted.workload.model_sha256,
            "engine": wanted.engine.name,
            "target": wanted.target.name,
        },
        "elf": str(image.elf),
        "build_id": image.build_id,
        "toolchain": image.toolchain.model_dump(mode="json") if image.toolchain else None,
        "flash_bytes": image.flash_bytes,
        "ram_static_bytes": image.ram_static_bytes,
        "memory": image.memory.model_dump(mode="json") if image.memory else None,
    }


def _result(run: Run) -> Sequence[str]:
    case = run.case
    where = f"{case.target} (virtual)" if run.conditions.simulated else case.target
    if run.failure is not None:
        return (case.workload, case.engine, where, "-", "failed", "-", "-", run.failure.message)
    cost, kind = _cost(run)
    equal = sum(check.equal for check in run.golden)
    synthetic = " (synthetic weights)" if run.provenance.weights == "synthetic" else ""
    return (
        case.workload + synthetic,
        case.engine,
        where,
        cost,
        kind,
        _amount(run, "flash"),
        _amount(run, "ram_peak"),
        f"{equal} of {len(run.golden)} equal",
    )


def _cost(run: Run) -> tuple[str, str]:
    """What one inference costs: the first sample of the best metric there is, and its kind."""
    for metric, words in (("latency", ""), ("instructions", " instructions")):
        found = run.measurement(metric)
        if found is not None:
            return show(found.samples[0], found.unit) + words, _kind(found)
    return "-", "-"


def _kind(measurement: Measurement) -> str:
    """The kind of a number; an estimate's with its validated error."""
    if measurement.kind != "estimated":
        return measurement.kind
    if measurement.error is None:
        return "estimated, not validated"
    return f"estimated ±{show(measurement.error, '%', 2)}"


def _bytes(count: int | None) -> str:
    return "-" if count is None else show(count, "B")


def _amount(run: Run, metric: str) -> str:
    found = run.measurement(metric)
    return show(found.samples[0], found.unit) if found else "-"


def _answer(run: Run) -> str:
    cost, kind = _cost(run)
    peak = run.measurement("ram_peak")
    memory = f", {brief(peak.samples[0], 'B')} peak RAM" if peak else ""
    return f"{cost} per inference ({kind}){memory}"
