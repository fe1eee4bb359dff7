"""Is it right? Then how much does it cost? Numbers come out, each with its kind; nothing is recorded here.

Two images are measured, each in a session of its own: `clean` gives answers and latency (or, where the link
counts, instructions), `instrumented` gives memory and operators. Rules 4 and 5 of ARCHITECTURE.md.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tinybench.engine import DeclaresTolerance, Engine
from tinybench.errors import ClockSuspect, ProtocolError, WrongAnswer, WrongBoard
from tinybench.latency import Rules, timed
from tinybench.model import macs, parameters, total_macs
from tinybench.models.golden import differences, values
from tinybench.records import METRICS, FunctionCost, GoldenCheck, Kind, Measurement, OperatorCost
from tinybench.session import Session
from tinybench.target import CountsInstructions, Device, ExecutionProfile, Image, Link
from tinybench.timing import live
from tinybench.wire import Layer, MemoryUse
from tinybench.workload import GoldenInput, Workload

INVOKE = "tb_engine_invoke"

# Engines that are close add floats in another order: of hundreds of additions, each may round otherwise.
FLOAT_SLACK = 32

# How far an output may be from the oracle's, in units of its last place, by what the engine promises.
LARGEST_DIFFERENCE: Mapping[Literal["exact", "close"], int] = MappingProxyType({"exact": 0, "close": 2})


COUNTING = "counting: one inference of each golden input after one inference"

_INSTRUMENTED_INFERENCES = 10


@dataclass(frozen=True)
class Clean:
    """What the clean image showed. `per_inference` is a typical cost in `cost_unit`, for the probe effect."""

    golden: tuple[GoldenCheck, ...]
    measurements: tuple[Measurement, ...]
    per_inference: float | None
    cost_unit: Literal["instructions", "s"]
    functions: tuple[FunctionCost, ...] = ()
    operator_instructions: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    operator_estimates: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    simulator: str | None = None
    simulated_wall_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Instrumented:
    """What the instrumented image showed, in bytes and ticks of the device's clock."""

    memory: MemoryUse
    layers: tuple[Layer, ...]
    per_inference: float | None
    clock_hz: int | None


# --- is it right? ---


def check_board(session: Session, image: Image, device: Device) -> None:
    """WrongBoard unless the firmware that answers is `image`: boards get swapped, or are not flashed."""
    if not session.offers("id"):
        raise WrongBoard(f"`{device.id}` runs firmware that is not tinybench's", hint="it was not flashed")
    identity = session.identify()
    if identity.build_id != image.build_id:
        raise WrongBoard(
            f"`{device.id}` answers with build id `{identity.build_id}`, not the loaded `{image.build_id}`",
            hint="is the serial port another board's? tinybench list devices",
        )
    if identity.target != device.target.name:
        raise WrongBoard(f"`{device.id}` says it is a `{identity.target}`, not a `{device.target.name}`")


def allowed_difference(engine: Engine) -> int:
    """How far an engine's outputs may be from the oracle's, in units of their last place."""
    if engine.exactness == "close" and isinstance(engine, DeclaresTolerance):
        return engine.tolerance
    return LARGEST_DIFFERENCE[engine.exactness]


def names_classes(workload: Workload) -> bool:
    """Whether the largest output is the answer: a `close` engine owes that it is the oracle's."""
    return workload.spec.results == "scores" and len(workload.spec.labels) > 1


def check_answers(
    session: Session, inputs: Sequence[GoldenInput], *, allowed: int = 0, classes: bool = False
) -> tuple[GoldenCheck, ...]:
    """Run every input once and compare; WrongAnswer unless each is within `allowed` last places.

    With `classes`, the best one must be the oracle's as well.
    """
    checks = []
    for golden in inputs:
        session.load(golden.data)
        session.infer(1, 0)
        checks.append(judge(golden, session.output(), allowed=allowed, classes=classes))
    return tuple(checks)


def judge(golden: GoldenInput, got: bytes, *, allowed: int = 0, classes: bool = False) -> GoldenCheck:
    """The check of one output against the oracle's; of floats, `allowed` last places are times `FLOAT_SLACK`.

    Raises WrongAnswer naming the input, the first differing element, what was expected and what came, and
    how many differ; where only the oracle's digest is known, that alone.
    """
    digest = hashlib.sha256(got).hexdigest()
    if digest == golden.output_sha256:
        return GoldenCheck(input=golden.name, output_sha256=digest, equal=True, largest_difference=0)
    if golden.output is None:
        raise WrongAnswer(
            f"input `{golden.name}` gives an output of digest `{digest[:12]}…`, "
            f"not the oracle's `{golden.output_sha256[:12]}…`",
            hint="install the oracle to see where they differ: pip install 'tinybench-mcu[oracle]'",
        )
    if len(got) != len(golden.output):
        raise WrongAnswer(f"input `{golden.name}` gives `{len(got)}` bytes, not `{len(golden.output)}`")
    off = differences(golden.output, got, golden.dtype)
    largest = max(off, default=0)
    most = allowed * (FLOAT_SLACK if golden.dtype == "float32" else 1)
    if allowed == 0 or largest > most or got == golden.output:
        differing = [index for index, by in enumerate(off) if by]
        first = differing[0] if differing else 0
        right, came = (values(data, golden.dtype)[first] for data in (golden.output, got))
        raise WrongAnswer(
            f"input `{golden.name}` is wrong at element `{first}`: expected `{right}`, got `{came}`; "
            f"{len(differing)} of {len(off)} elements differ, by at most {largest}"
        )
    return GoldenCheck(
        input=golden.name,
        output_sha256=digest,
        equal=False,
        largest_difference=largest,
        top1=_same_best(golden, got) if classes else None,
    )


def _same_best(golden: GoldenInput, got: bytes) -> bool:
    """True if one of the oracle's best classes is a best one here; WrongAnswer if none is."""
    assert golden.output is not None
    right, came = values(golden.output, golden.dtype), values(got, golden.dtype)
    best = [index for index, score in enumerate(right) if score == max(right)]
    if max(came[index] for index in best) == max(came):
        return True
    raise WrongAnswer(
        f"input `{golden.name}` is close, and of another class: "
        f"expected `{best[0]}`, got `{came.index(max(came))}`"
    )


# --- the clean image ---


def clean(
    link: Link,
    session: Session,
    workload: Workload,
    image: Image,
    *,
    device: Device,
    rules: Rules,
    allowed: int = 0,
) -> Clean:
    """Prove board, clock and answers, and only then measure.

    A link that counts gives exact instructions and no latency; a simulated device that does not count gives
    neither. Raises WrongBoard, ClockSuspect, WrongAnswer, and whatever the session raises.
    """
    check_board(session, image, device)
    notes = _clock_notes(session, simulated=device.simulated)
    if isinstance(link, CountsInstructions):
        return _counted(link, session, workload, image, device, allowed, notes)
    inputs = workload.inputs(rules.inputs)
    golden = check_answers(session, inputs, allowed=allowed, classes=names_classes(workload))
    if device.simulated:
        return Clean(golden, (), None, "instructions", notes=(*notes, "this simulator counts nothing"))
    latencies_s = timed(session, [golden.data for golden in inputs], rules)
    latency = _measurement("latency", device.kind_of_times, latencies_s)
    return Clean(golden, (latency,), statistics.median(latencies_s), "s", notes=notes)


def _clock_notes(session: Session, *, simulated: bool) -> tuple[str, ...]:
    """A simulator may have no clock: worth a note, as nothing is timed there; elsewhere it is fatal."""
    try:
        session.clock()
    except ClockSuspect as suspect:
        if not simulated:
            raise
        return (suspect.message,)
    return ()


def _counted(  # noqa: PLR0917 - what `clean` was given, and the notes so far
    link: CountsInstructions,
    session: Session,
    workload: Workload,
    image: Image,
    device: Device,
    allowed: int,
    notes: tuple[str, ...],
) -> Clean:
    """One inference of each golden input, counted, after one that is not: engines may prepare lazily.

    The first is watched as well, for an estimate of its time: inputs move the count by less than 0.1 %.
    """
    estimated = live.Estimated()
    checks: list[GoldenCheck] = []
    counts: list[int] = []
    walls_s: list[float] = []
    profiles: list[ExecutionProfile] = []
    for golden in workload.goldens:
        session.load(golden.data)
        watched = None
        if not checks:
            session.infer(1, 0)
            watched = live.watch(link, device.target)
        link.reset_profile()
        walls_s.append(session.infer(1, 0).host_s)
        profile = link.profile()
        if watched is not None:
            estimated = watched(image.elf)
        checks.append(judge(golden, session.output(), allowed=allowed, classes=names_classes(workload)))
        counts.append(one_inference(profile))
        profiles.append(profile)
    functions = profiles[0].inference or profiles[0].functions
    return Clean(
        golden=tuple(checks),
        measurements=(_measurement("instructions", "counted", counts), *estimated.measurements),
        per_inference=counts[0],
        cost_unit="instructions",
        functions=tuple(
            FunctionCost(name=name, instructions=count)
            for name, count in sorted(functions.items(), key=lambda item: (-item[1], item[0]))
            if count
        ),
        operator_instructions=profiles[0].operators,
        operator_estimates=estimated.answer.operators if estimated.answer is not None else {},
        simulator=link.simulator,
        simulated_wall_s=statistics.median(walls_s),
        notes=(*notes, *estimated.notes),
    )


def one_inference(profile: ExecutionProfile) -> int:
    """Instructions of the one inference in a profile. Raises ProtocolError if there was none, or several."""
    counts = [i.instructions for i in profile.invocations if i.symbol == INVOKE]
    if len(counts) != 1:
        raise ProtocolError(f"one inference was asked for and `{len(counts)}` were counted")
    return counts[0]


# --- the instrumented image ---


def instrumented(
    link: Link,
    session: Session,
    workload: Workload,
    image: Image,
    *,
    device: Device,
    allowed: int = 0,
) -> Instrumented:
    """Memory high-water marks and operators, of an image that is proven right as well.

    Raises WrongBoard, WrongAnswer, and whatever the session raises.
    """
    check_board(session, image, device)
    golden = workload.goldens[0]
    session.load(golden.data)
    if isinstance(link, CountsInstructions):
        session.infer(1, 0)
        link.reset_profile()
        session.infer(1, 0)
        cost: float | None = one_inference(link.profile())
        hz = None
    elif device.simulated:
        session.infer(1, 0)
        cost, hz = None, None
    else:
        window = session.infer(_INSTRUMENTED_INFERENCES, 1)
        cost, hz = window.device_s / window.inferences, session.clock().hz
    judge(golden, session.output(), allowed=allowed, classes=names_classes(workload))
    return Instrumented(session.memory(), session.layers(), cost, hz)


# --- assembly ---


def memory_measurements(image: Image, memory: MemoryUse) -> tuple[Measurement, ...]:
    """Flash and static RAM of the (clean) image, and what inference uses; their sum is the peak.

    Where the stack is not ours to paint (this computer), there is neither its mark nor a peak; and a program
    has no flash and no static RAM.
    """
    used: dict[str, int | None] = {
        "ram_static": image.ram_static_bytes,
        "ram_arena": memory.arena_used,
        "ram_stack": memory.stack_used,
        "ram_heap": memory.heap_used,
    }
    known = {name: value for name, value in used.items() if value is not None}
    if len(known) == len(used):
        known["ram_peak"] = sum(known.values())
    flash = {} if image.flash_bytes is None else {"flash": image.flash_bytes}
    return tuple(_measurement(name, "counted", (value,)) for name, value in (flash | known).items())


def model_measurements(workload: Workload) -> tuple[Measurement, ...]:
    """What the model alone tells: multiply-accumulates and parameters."""
    return (
        _measurement("macs", "counted", (total_macs(workload.model),)),
        _measurement("parameters", "counted", (parameters(workload.model),)),
    )


def operator_costs(
    workload: Workload, image: Image, clean_: Clean, instrumented_: Instrumented | None, clock_hz: int
) -> tuple[OperatorCost, ...]:
    """Each operator with its work and its cost.

    Instructions, and an estimate's cycles, come from the clean image where they are counted; cycles from the
    instrumented one where its ticks are the core's. Multiply-accumulates are known where the engine runs the
    model's own operators.
    """
    names = image.operators
    same = len(names) == len(workload.model.operators)
    ticks: Mapping[int, int] = {}
    if instrumented_ is not None and instrumented_.clock_hz == clock_hz:
        ticks = {layer.index: layer.ticks for layer in instrumented_.layers}
    return tuple(
        OperatorCost(
            index=index,
            name=name,
            macs=macs(workload.model, workload.model.operators[index]) if same else 0,
            instructions=clean_.operator_instructions.get(index),
            cycles=ticks.get(index),
            estimated_cycles=round(clean_.operator_estimates[index])
            if index in clean_.operator_estimates
            else None,
        )
        for index, name in enumerate(names)
    )


def probe_effect(clean_: Clean, instrumented_: Instrumented) -> float | None:
    """Relative cost of instrumentation; None where either image's cost is unknown."""
    if not clean_.per_inference or instrumented_.per_inference is None:
        return None
    return instrumented_.per_inference / clean_.per_inference - 1


def _measurement(metric: str, kind: Kind, samples: Sequence[float | int]) -> Measurement:
    return Measurement(metric=metric, kind=kind, unit=METRICS[metric].unit, samples=tuple(samples))
