"""Takes a profile: the clean image for the costs, the instrumented one for its markers; answers proven first.

Where a link counts, one inference of the clean image is counted by edge between blocks, and nothing is added
to the image. Elsewhere the device's own clock is read around each operator of the instrumented image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tinybench import bench, measure
from tinybench.bench import Bench
from tinybench.errors import MeasurementError, UsageError
from tinybench.links import Deadline
from tinybench.plan import PlannedCase
from tinybench.profile import counting
from tinybench.profile.loops import Loop, hot_loops
from tinybench.profile.places import Timed, spent_at
from tinybench.profile.profile import BETWEEN, FunctionShare, OperatorShare, Profile, Whole
from tinybench.profile.roofline import roof_of
from tinybench.profile.symbols import Names
from tinybench.session import Session
from tinybench.target import OUTSIDE, CountedEdge, CountsEdges, CountsInstructions, Image, Link
from tinybench.timing import live
from tinybench.timing.core import core_timing
from tinybench.timing.program import read_program

LARGEST_SUM_ERROR = 0.005
_DIGITS = 9  # counts are exact; the rest is the rounding of sums of floats
R = TypeVar("R")


@dataclass(frozen=True)
class _Taken:
    """What either way of profiling gives."""

    whole: Whole
    operators: tuple[OperatorShare, ...]
    functions: tuple[FunctionShare, ...] = ()
    loops: tuple[Loop, ...] = ()
    simulator: str | None = None
    notes: tuple[str, ...] = ()


def take(case: PlannedCase, tools: Bench, *, loops: int) -> Profile:
    """Profile one inference of the case's first golden input, with its `loops` hottest loops.

    Raises UsageError where neither the engine nor the device can tell parts of an inference apart,
    WrongAnswer for a wrong answer, MeasurementError if the operators do not sum to the whole within half a
    percent, and what building and the device raise.
    """
    engine, target = case.engine, case.target
    clean = tools.build(case.workload, engine, target, "clean")
    if not clean.operators and not case.device.simulated:
        raise UsageError(
            f"`{engine.name}` runs a model inside one function: `{case.device.id}` cannot time its operators",
            hint="tinybench list engines"
            if target.virtual is None
            else f"its functions can be counted: tinybench profile --device {target.name} --simulate",
        )
    marked = tools.build(case.workload, engine, target, "instrumented")
    way = _by_counting if case.device.simulated else _by_clock
    taken = way(case, tools, clean, marked, loops)
    if abs(taken.whole.sum_error) > LARGEST_SUM_ERROR:
        raise MeasurementError(
            f"the operators sum to `{1 + taken.whole.sum_error:.2%}` of the inference that they are parts of",
            hint="a bug of ours, or of the device's clock: tinybench doctor",
        )
    roof = roof_of(target.core, floating=_is_floating(case))
    return Profile(
        workload=case.workload.spec.id,
        engine=engine.name,
        engine_version=clean.engine_version,
        target=target.name,
        device=case.device.id,
        clock_hz=target.clock_hz,
        build_id=clean.build_id,
        instrumented_build_id=marked.build_id,
        options=dict(case.options),
        simulator=taken.simulator,
        input=case.workload.goldens[0].name,
        whole=taken.whole,
        roof=roof,
        operators=counting.under_the_roof(taken.operators, roof),
        functions=taken.functions,
        loops=taken.loops,
        notes=(*taken.notes, *_notes(case, clean)),
    )


def _is_floating(case: PlannedCase) -> bool:
    model = case.workload.model
    return model.tensors[model.inputs[0]].dtype == "float32"


def _notes(case: PlannedCase, image: Image) -> tuple[str, ...]:
    if image.operators:
        return ()
    return (f"{case.engine.name} runs a model inside one function: its operators cannot be told apart",)


def _opened(case: PlannedCase, image: Image, tools: Bench, work: Callable[[Link, Session], R]) -> R:
    limit = Deadline.after(tools.timeout_s, tools.clock)
    with bench.opened(case, image, tools, limit=limit) as (link, session):
        return work(link, session)


def _judge(case: PlannedCase, session: Session) -> None:
    measure.judge(
        case.workload.goldens[0],
        session.output(),
        allowed=measure.allowed_difference(case.engine),
        classes=measure.names_classes(case.workload),
    )


# --- a link that counts ---


def _by_counting(case: PlannedCase, tools: Bench, clean: Image, marked: Image, loops: int) -> _Taken:
    taken = _opened(case, clean, tools, lambda link, session: _counted(case, clean, link, session, loops))
    instructions, ticks = _opened(
        case, marked, tools, lambda link, session: _counted_markers(case, link, session)
    )
    whole = replace(
        taken.whole,
        probe_effect=instructions / taken.whole.instructions - 1 if taken.whole.instructions else None,
        instrumented_in="instructions" if ticks else None,
    )
    operators = tuple(
        replace(operator, instrumented=ticks.get(operator.index)) if operator.index is not None else operator
        for operator in taken.operators
    )
    return replace(taken, whole=whole, operators=operators)


def _counted(case: PlannedCase, image: Image, link: Link, session: Session, loops: int) -> _Taken:
    """One inference after one that is not counted: engines may prepare lazily."""
    if not isinstance(link, CountsInstructions):
        raise UsageError(f"`{case.device.id}` does not count what it executes", hint="tinybench list devices")
    session.load(case.workload.goldens[0].data)
    session.infer(1, 0)
    watched = live.watch(link, case.target)
    link.reset_profile()
    session.infer(1, 0)
    profile = link.profile()
    estimated = watched(image.elf)
    _judge(case, session)
    instructions = measure.one_inference(profile)
    if isinstance(link, CountsEdges):
        edges = [edge for edge in link.edges().edges if edge.operator != OUTSIDE]
        taken = _taken_apart(case, image, edges, estimated, loops)
    else:
        taken = _Taken(
            whole=_nothing_known(),
            operators=_plain_operators(case, image, profile.operators, instructions),
            functions=tuple(
                FunctionShare(name=name, operator=None, instructions=count, cycles=None)
                for name, count in sorted(profile.inference.items(), key=lambda item: (-item[1], item[0]))
            ),
        )
    whole = replace(taken.whole, instructions=instructions)
    whole = replace(whole, sum_error=_sum_error(whole, taken.operators))
    return replace(taken, whole=whole, simulator=link.simulator, notes=(*taken.notes, *estimated.notes))


def _taken_apart(
    case: PlannedCase, image: Image, edges: Sequence[CountedEdge], estimated: live.Estimated, loops: int
) -> _Taken:
    program, names = read_program(image.elf), Names.of(image.elf)
    core, answer = core_timing(case.target.core.name), estimated.answer
    timed = None
    if core is not None and answer is not None and estimated.waits is not None:
        timed = Timed(answer, core, estimated.waits)
    spent = spent_at(program, edges, timed)
    whole = _nothing_known()
    if answer is not None:
        cycles = next(m for m in estimated.measurements if m.metric == "cycles")
        whole = replace(
            whole,
            cycles=answer.cycles,
            kind="estimated",
            models=answer.models.versions,
            error=cycles.error,
            reasons=answer.reasons,
        )
    return _Taken(
        whole=whole,
        operators=counting.operator_shares(image.operators, case.workload, spent, timed=timed is not None),
        functions=counting.function_shares(names, spent, timed=timed is not None),
        loops=hot_loops(edges, spent, names, program, loops),
    )


def _sum_error(whole: Whole, operators: Sequence[OperatorShare]) -> float:
    """How far the parts are from the whole, by instructions or by cycles, whichever is more."""
    pairs = (
        (whole.instructions, sum(operator.instructions or 0 for operator in operators)),
        (whole.cycles, sum(operator.cycles or 0.0 for operator in operators)),
    )
    errors = [total / known - 1 for known, total in pairs if known]
    largest: float = max(errors, key=abs, default=0.0)
    return round(largest, _DIGITS)


def _nothing_known() -> Whole:
    return Whole(
        instructions=None,
        cycles=None,
        kind=None,
        models=None,
        error=None,
        reasons={},
        sum_error=0.0,
        probe_effect=None,
    )


def _plain_operators(
    case: PlannedCase, image: Image, counts: Mapping[int, int], instructions: int
) -> tuple[OperatorShare, ...]:
    """Operators of which only instructions are known; what is left of the whole ran between them."""
    work = counting.macs_of(image.operators, case.workload)
    shares = [
        OperatorShare(index, name, work.get(index), counts.get(index, 0), None, {})
        for index, name in enumerate(image.operators)
    ]
    rest = instructions - sum(share.instructions or 0 for share in shares)
    return (*shares, OperatorShare(None, BETWEEN, None, rest, None, {}))


def _counted_markers(case: PlannedCase, link: Link, session: Session) -> tuple[int, Mapping[int, int]]:
    """Instructions of one inference of the instrumented image; those between each operator's two markers.

    The latter only on our virtual boards, whose cycle counter counts what the core executes.
    """
    assert isinstance(link, CountsInstructions), "the clean image ran on a link that counts"
    session.load(case.workload.goldens[0].data)
    session.infer(1, 0)
    link.reset_profile()
    session.infer(1, 0)
    instructions = measure.one_inference(link.profile())
    _judge(case, session)
    if not isinstance(link, CountsEdges) or session.clock().hz != case.target.clock_hz:
        return instructions, {}
    return instructions, {layer.index: layer.ticks for layer in session.layers()}


# --- a device with a clock ---


def _by_clock(case: PlannedCase, tools: Bench, clean: Image, marked: Image, loops: int) -> _Taken:
    """The device's clock around each operator; what is left of a window ran between them.

    The counter's 32 bits may wrap once within an operator: the firmware subtracts modulo 2**32.
    """
    del loops
    allowed = measure.allowed_difference(case.engine)
    timed = _opened(
        case,
        clean,
        tools,
        lambda link, session: measure.clean(
            link, session, case.workload, clean, device=case.device, rules=tools.rules, allowed=allowed
        ),
    )
    instrumented = _opened(
        case,
        marked,
        tools,
        lambda link, session: measure.instrumented(
            link, session, case.workload, marked, device=case.device, allowed=allowed
        ),
    )
    if instrumented.clock_hz is None or instrumented.per_inference is None:
        raise UsageError(f"`{case.device.id}` has no clock", hint="tinybench profile --simulate")
    per_tick = case.target.clock_hz / instrumented.clock_hz
    whole = instrumented.per_inference * case.target.clock_hz
    work = counting.macs_of(clean.operators, case.workload)
    shares = [
        OperatorShare(
            layer.index, layer.name, work.get(layer.index), None, layer.ticks * per_tick, {}, layer.ticks
        )
        for layer in instrumented.layers
    ]
    rest = whole - sum(share.cycles or 0.0 for share in shares)
    return _Taken(
        whole=replace(
            _nothing_known(),
            cycles=whole,
            kind=case.device.kind_of_times,
            sum_error=max(0.0, -rest / whole),
            probe_effect=measure.probe_effect(timed, instrumented),
            instrumented_in="ticks",
        ),
        operators=(*shares, OperatorShare(None, BETWEEN, None, None, max(0.0, rest), {})),
        notes=("cycles are the instrumented image's, windows with the input written anew", *timed.notes),
    )
