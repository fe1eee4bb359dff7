"""Boards that already run firmware, from anyone: joined, proven right as far as they show, then timed.

Nothing is built and nothing is loaded, so nothing is known of compiler, memory or clock, and the record says
that: the digest of the model is what the user asserts. The rules are MLPerf Tiny's: five windows of at least
ten seconds each, by the device's clock, which the host's has to confirm.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tinybench import recording
from tinybench.bench import Bench, Checked, Event, Failed, Recorded, Retried, Started, failure_of
from tinybench.errors import (
    DeviceError,
    ProtocolError,
    SetupError,
    TinyBenchError,
    UsageError,
    WrongAnswer,
    WrongBoard,
)
from tinybench.latency import MLPERF, Rules, timed
from tinybench.links import Deadline
from tinybench.measure import COUNTING, judge, model_measurements
from tinybench.model import Tensor
from tinybench.models.golden import values
from tinybench.plan import FlashedCase
from tinybench.recording import Recorder, Recording
from tinybench.records import (
    METRICS,
    Case,
    Conditions,
    GoldenCheck,
    Kind,
    Measurement,
    Provenance,
    Run,
)
from tinybench.session import Session
from tinybench.surroundings import Surroundings
from tinybench.tape import Tape
from tinybench.target import CountsInstructions
from tinybench.wire import STREAMING, Window
from tinybench.workload import GoldenInput, Workload

ENGINE = "flashed"
TARGET = "flashed"
UNKNOWN = "unknown"
ASSERTED = "the model's digest is asserted by the user, not proven: this firmware tells only its model id"
PRINTED = "outputs were compared as printed: equal within the last digit that `m-results` shows"
_SINGLE_PRECISION = 1e-4  # what adding 640 squares in single precision may lose, relative; generous


@dataclass
class _Learnt:
    """What a case has found out so far, for the record of its success or its failure."""

    name: str | None = None
    firmware: str = ""
    build_id: str | None = None
    simulator: str | None = None
    golden: tuple[GoldenCheck, ...] = ()
    notes: list[str] = field(default_factory=list)
    retried: bool = False


def run(cases: Iterable[FlashedCase], bench: Bench, rules: Rules = MLPERF) -> Generator[Event, None, None]:
    """Measure every case in turn and say what happens, as `bench.run` does for what it flashes itself."""
    here = bench.here()
    for case in cases:
        started = bench.now()
        run_id = bench.new_id(started)
        simulated = case.loaded is not None and case.loaded.device.simulated
        with recording.recorder(bench.logs, run_id, bench.clock, simulated=simulated) as recorder:
            on = replace(bench, clock=recorder.tape.clock) if recorder else bench
            yield from _events(case, on, rules, here, recorder, run_id=run_id, started=started)


def _events(
    case: FlashedCase,
    bench: Bench,
    rules: Rules,
    here: Surroundings,
    recorder: Recorder | None,
    *,
    run_id: str,
    started: datetime,
) -> Iterator[Event]:
    learnt = _Learnt()
    limit = Deadline.after(bench.timeout_s, bench.clock)
    tape = recorder.tape if recorder else None

    def record(measurements: tuple[Measurement, ...], error: TinyBenchError | None) -> Run:
        return Run(
            run_id=run_id,
            case=_case_of(case, learnt),
            conditions=_conditions(case, rules),
            provenance=Provenance(
                tinybench=here.tinybench,
                started=started,
                host=here.host,
                git=here.git,
                device=case.device.id,
                adapter=case.adapter.name,
                unit=learnt.name,
                engine_version=case.loaded.elf.image.engine_version if case.loaded else learnt.firmware,
                simulator=learnt.simulator,
                build_id=case.loaded.elf.image.build_id if case.loaded else learnt.build_id,
                model_source=case.workload.source,
                model_source_sha256=case.workload.source_sha256,
                weights=case.workload.spec.weights,
                oracle=case.workload.oracle,
                retried=learnt.retried,
                notes=tuple(dict.fromkeys((ASSERTED, *learnt.notes))),
            ),
            measurements=measurements,
            golden=learnt.golden if error is None else (),
            memory=case.loaded.elf.image.memory if case.loaded else None,
            failure=failure_of(error) if error else None,
        )

    def keep(run: Run) -> None:
        if recorder is not None:
            recorder.finish(run)
        bench.store.append(run)

    yield Started(case)
    try:
        if recorder is not None:
            told = recording.of_flashed(case, rules)
            recorder.begin(Recording(run_id=run_id, rules=rules, timeout_s=bench.timeout_s, case=told))
        try:
            found = _measured(case, bench, rules, learnt, limit=limit, tape=tape)
        except DeviceError as error:
            if not error.may_pass:
                raise
            learnt.retried = True
            yield Retried(case, error)
            found = _measured(case, bench, rules, learnt, limit=limit, tape=tape)
    except TinyBenchError as error:
        failed = record((), error)
        keep(failed)
        yield Failed(failed)
        return
    yield Checked(case, learnt.golden)
    made = record((*found, *_footprint(case), *model_measurements(case.workload)), None)
    keep(made)
    yield Recorded(made)


def _case_of(case: FlashedCase, learnt: _Learnt) -> Case:
    return Case(
        workload=case.workload.spec.id,
        model_sha256=case.workload.model_sha256,
        inputs_sha256=case.workload.inputs_sha256,
        engine=case.loaded.elf.engine if case.loaded else ENGINE,
        target=case.loaded.device.target.name if case.loaded else TARGET,
        options=dict(case.loaded.options) if case.loaded else _said(learnt),
    )


def _said(learnt: _Learnt) -> dict[str, str]:
    return {"dut": learnt.name, "firmware": learnt.firmware} if learnt.name is not None else {}


def _conditions(case: FlashedCase, rules: Rules) -> Conditions:
    """Of firmware that was loaded here the core is known; what it makes of clock and caches is its own."""
    counted = case.loaded is not None and case.loaded.device.simulated
    return Conditions(
        core=case.loaded.device.target.core.name if case.loaded else UNKNOWN,
        clock_hz=None,
        caches=UNKNOWN,
        arena_region=UNKNOWN,
        weights_region=UNKNOWN,
        simulated=case.device.virtual,
        protocol=COUNTING if counted else rules.protocol,
    )


def _footprint(case: FlashedCase) -> tuple[Measurement, ...]:
    """Bytes of an ELF that was given; its static RAM holds whatever it has of arena, stack and heap."""
    if case.loaded is None:
        return ()
    image = case.loaded.elf.image
    sizes = {"flash": image.flash_bytes, "ram_static": image.ram_static_bytes}
    return tuple(
        Measurement(metric=name, kind="counted", unit=METRICS[name].unit, samples=(size,))
        for name, size in sizes.items()
        if size is not None
    )


def _measured(
    case: FlashedCase, bench: Bench, rules: Rules, learnt: _Learnt, *, limit: Deadline, tape: Tape | None
) -> tuple[Measurement, ...]:
    joining = case.adapter.join(case.device)
    with tape.joined(joining) if tape else joining as joined:
        link = tape.over(joined.link) if tape else joined.link
        session = Session.connect(link, clock=bench.clock, baud=joined.baud, limit=limit)
        learnt.notes.append(f"the line runs at {joined.baud} baud")
        learnt.notes += case.loaded.elf.notes if case.loaded else ()
        introduce(session, case.workload, learnt, boot=joined.boot)
        counts = isinstance(joined.link, CountsInstructions)
        inputs = case.workload.goldens if counts else case.workload.inputs(rules.inputs)
        learnt.golden = check_answers(session, case.workload, inputs, verify=case.verify_load)
        if any(check.compared == "printed" for check in learnt.golden):
            learnt.notes.append(PRINTED)
        if isinstance(joined.link, CountsInstructions):
            learnt.simulator = joined.link.simulator
            return _counted(joined.link, session, inputs, case)
        latencies_s = timed(session, [golden.data for golden in inputs], rules, verify=case.verify_load)
    kind: Kind = "rehearsed" if case.device.virtual else "measured"
    unit = METRICS["latency"].unit
    return (Measurement(metric="latency", kind=kind, unit=unit, samples=latencies_s),)


def _counted(
    link: CountsInstructions, session: Session, inputs: Sequence[GoldenInput], case: FlashedCase
) -> tuple[Measurement, ...]:
    """Instructions of one inference of each input, where the ELF names the function that is one."""
    invoke = case.loaded.elf.image.invoke if case.loaded else None
    if invoke is None:
        return ()
    counts: list[int] = []
    for golden in inputs:
        session.load(golden.data)
        link.reset_profile()
        session.infer(1, 0)
        found = [call.instructions for call in link.profile().invocations if call.symbol == invoke]
        if len(found) != 1:
            raise ProtocolError(f"one inference was asked for and `{invoke}` ran `{len(found)}` times")
        counts += found
    unit = METRICS["instructions"].unit
    return (Measurement(metric="instructions", kind="counted", unit=unit, samples=tuple(counts)),)


def introduce(session: Session, workload: Workload, learnt: _Learnt, *, boot: Sequence[str] = ()) -> None:
    """Learn who answers, and refuse what cannot be timed here.

    Raises UsageError for streaming firmware and firmware built for energy mode, WrongBoard if the firmware
    is of another model than the workload's.
    """
    profile = session.profile()
    learnt.name, learnt.firmware = session.name(), profile.firmware
    learnt.notes.append(f"the firmware says it is `{profile.firmware}`, model `{profile.model}`")
    modes = [line for line in (*boot, *session.boot) if line.startswith("m-timestamp-mode-")]
    learnt.notes += [f"the firmware said `{mode}` when it started" for mode in modes[:1]]
    if session.dialect is STREAMING:
        raise UsageError(
            f"`{learnt.name}` runs streaming firmware (`{profile.model}`), which answers to no `infer`",
            hint="scores need MLPerf Tiny's interface board; `Session.step` drives its model from Python",
        )
    if "m-timestamp-mode-energy" in modes:
        raise UsageError(
            f"`{learnt.name}` runs firmware built for energy mode, which prints no time",
            hint="flash its performance build",
        )
    if profile.model != workload.spec.protocol_id:
        raise WrongBoard(
            f"`{learnt.name}` runs model `{profile.model}`, not `{workload.spec.protocol_id}`",
            hint=f"name a workload of that model: --workload {profile.model}",
        )
    if session.offers("id"):
        identity = session.identify()
        learnt.build_id = identity.build_id
        learnt.notes.append(f"tinybench firmware with engine `{identity.engine} {identity.engine_version}`")


# --- is it right? ---


def check_answers(
    session: Session, workload: Workload, inputs: Sequence[GoldenInput], *, verify: bool = False
) -> tuple[GoldenCheck, ...]:
    """Run every input once: exact bytes where the firmware shows them, printed scores elsewhere.

    Raises WrongAnswer, and SetupError if scores are all there is to see and the oracle is not installed.
    """
    exact = session.offers("out")
    checks = []
    for golden in inputs:
        session.load(golden.data, verify=verify)
        window = session.infer(1, 0)
        checks.append(judge(golden, session.output()) if exact else judge_printed(golden, window, workload))
    return tuple(checks)


def judge_printed(golden: GoldenInput, window: Window, workload: Workload) -> GoldenCheck:
    """The check of printed results: each within one unit of its last digit of what the oracle's output gives.

    One unit and not half, because some firmware rounds and some cuts off. The digest is of what was printed.
    """
    if golden.output is None:
        raise SetupError(
            f"what this firmware prints for input `{golden.name}` can only be judged with the oracle at hand",
            hint="pip install 'tinybench-mcu[oracle]'",
        )
    expected = expected_results(golden, golden.output, workload)
    if len(window.printed) != len(expected):
        raise WrongAnswer(
            f"input `{golden.name}` gives `{len(window.printed)}` results, not `{len(expected)}`",
            hint="is the firmware's model the one that was named?",
        )
    for index, (right, word) in enumerate(zip(expected, window.printed, strict=True)):
        if not abs(float(word) - right) < last_digit(word) + _SINGLE_PRECISION * abs(right):
            one_hot = sorted(set(window.results)) == [0.0, 1.0] and len(expected) > 1
            raise WrongAnswer(
                f"input `{golden.name}` is wrong at result `{index}`: expected `{right:.4f}`, got `{word}`",
                hint="it prints a decision (0 and 1) where scores are due: its answers cannot be judged"
                if one_hot
                else "is the firmware's model the one that was named?",
            )
    return GoldenCheck(
        input=golden.name,
        output_sha256=hashlib.sha256(",".join(window.printed).encode()).hexdigest(),
        equal=True,
        largest_difference=0,
        compared="printed",
    )


def last_digit(word: str) -> float:
    """What one unit of the last digit of a printed decimal is worth: 0.001 for `0.123`."""
    return float(10.0 ** -len(word.partition(".")[2]))


def expected_results(golden: GoldenInput, output: bytes, workload: Workload) -> tuple[float, ...]:
    """What right firmware prints: the scores of `output`, or the mean squared error of a reconstruction.

    Of the latter: mlcommons/tiny, benchmark/reference_submissions/anomaly_detection, `calculate_result`.
    """
    values = _dequantised(output, workload.model.tensors[workload.model.outputs[0]])
    if workload.spec.results == "scores":
        return values
    inputs = struct.unpack(f"<{len(values)}f", golden.data)
    squares = [(value - given) ** 2 for value, given in zip(values, inputs, strict=True)]
    return (sum(squares) / len(squares),)


def _dequantised(output: bytes, tensor: Tensor) -> tuple[float, ...]:
    quantisation = tensor.quantisation
    if tensor.dtype == "float32":
        return tuple(map(float, values(output, tensor.dtype)))
    if quantisation is None or len(quantisation.scales) != 1:
        raise SetupError(
            f"the model's output `{tensor.name}` is not quantised per tensor: no scores to expect"
        )
    scale, zero = quantisation.scales[0], quantisation.zero_points[0]
    return tuple((value - zero) * scale for value in values(output, tensor.dtype))
