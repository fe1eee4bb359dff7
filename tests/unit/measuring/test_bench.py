"""The pipeline as a stream of events: what is recorded, what fails, what is tried again, what survives."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tinybench import bench
from tinybench.bench import Bench, Built, Checked, Failed, Recorded, Retried, Skipped, Started
from tinybench.errors import BuildError, DeadlineExceeded, DoesNotFit, FirmwareFault, SetupError
from tinybench.export import mlperf
from tinybench.fakes import Faults
from tinybench.latency import MLPERF
from tinybench.records import Gap, Run
from tinybench.target import Serial
from tinybench.transcript import entries


class Kept:
    """A store that remembers, and may be full."""

    def __init__(self, full=False):
        self.runs = []
        self.full = full

    def append(self, run):
        if self.full:
            raise SetupError("the disk is full")
        self.runs.append(run)


class VirtualTime:
    """The clock of whichever firmware is open."""

    def __init__(self):
        self.before_s = 0.0
        self.link = None

    def watch(self, link):
        self.before_s, self.link = self(), link
        return link

    def __call__(self):
        return self.before_s + (self.link.clock() if self.link else 0.0)


def setup(desk, make, *, simulated=False, store=None, build=None, **options):
    """A case whose device is what `make(image)` makes, and a bench to run it on, all in virtual time."""
    clock = VirtualTime()
    case = desk.case(lambda _, image: clock.watch(make(image)), simulated=simulated)
    started = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    return case, Bench(
        build=build or (lambda workload, engine, target, kind: desk.image(kind)),
        store=store or Kept(),
        clock=clock,
        now=lambda: next(started),
        **options,
    )


def names(events):
    return [type(event).__name__ for event in events]


def test_a_case_on_a_board_from_start_to_record(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind))
    events = list(bench.run([case], on))
    assert names(events) == ["Started", "Built", "Built", "Checked", "Recorded"]
    run = events[-1].run
    assert on.store.runs == [run]
    assert [m.metric for m in run.measurements] == [
        "latency",
        "flash",
        "ram_static",
        "ram_arena",
        "ram_stack",
        "ram_heap",
        "ram_peak",
        "macs",
        "parameters",
    ]
    assert run.case.workload == "inverter"
    assert (run.conditions.core, run.conditions.simulated) == ("cortex-m7", False)
    assert run.conditions.protocol == on.rules.protocol
    assert run.provenance.build_id == "c" * 40
    assert (run.provenance.unit, run.provenance.oracle) == ("SN1", "test 1.0")
    assert run.probe_effect == pytest.approx(0.1, rel=1e-3)
    assert run.arena[0].name == "in"
    assert not run.provenance.retried
    assert Run.model_validate_json(run.model_dump_json()) == run
    assert (case.adapter.open_now, dict(case.adapter.kinds)) == (0, {"clean": 1, "instrumented": 1})


def test_a_case_on_a_virtual_board_has_counts_and_says_that_it_is_simulated(desk):
    case, on = setup(desk, lambda image: desk.simulator(image.kind), simulated=True)
    run = list(bench.run([case], on))[-1].run
    assert run.measurement("instructions").samples == (1000, 1000, 1000)
    assert run.measurement("latency") is None
    assert run.conditions.simulated
    assert run.conditions.protocol.startswith("counting")
    assert run.provenance.simulator == "fake 1.0"


def test_a_unit_of_a_virtual_desk_is_marked_and_its_times_are_rehearsed(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind))
    case = replace(case, device=replace(case.device, unit="066FVIRTUALF746000000001", virtual=True))
    run = list(bench.run([case], on))[-1].run
    assert run.measurement("latency").kind == "rehearsed"
    assert {m.kind for m in run.measurements if m.metric != "latency"} == {"counted"}
    assert run.conditions.simulated
    assert run.conditions.protocol == on.rules.protocol
    assert Run.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize(("further", "reason"), [(2, None), (0, "3 different inputs, not 5")])
def test_by_mlperf_tiny_s_rules_five_inputs_are_proven_and_timed(desk, further, reason):
    """A Run that keeps every rule says so when it is exported; without an oracle there are three inputs."""
    case, on = setup(desk, lambda image: desk.firmware(image.kind), rules=MLPERF)
    case = replace(case, workload=desk.with_further(further))
    run = list(bench.run([case], on))[-1].run
    assert len(run.golden) == 3 + further
    assert len(run.measurement("latency").samples) == 5
    if reason is None:
        assert mlperf.why_not_valid(run) is None
    else:
        assert reason in mlperf.why_not_valid(run)


def test_two_simulated_runs_differ_in_nothing_that_was_counted(desk):
    runs = []
    for _ in range(2):
        case, on = setup(desk, lambda image: desk.simulator(image.kind), simulated=True)
        runs.append(list(bench.run([case], on))[-1].run)
    assert runs[0].measurements == runs[1].measurements
    assert runs[0].functions == runs[1].functions


FAULTS = [
    (Faults(mute=True), "DeadlineExceeded", 124, False),
    (Faults(truncated="infer"), "LinkTimeout", 4, True),
    (Faults(doubled_ready="tb id"), "ProtocolError", 4, True),
    (Faults(garbage="infer"), "ProtocolError", 4, True),
    (Faults(debug_text="infer"), "ProtocolError", 4, True),
    (Faults(resets="infer"), "ProtocolError", 4, True),
    (Faults(faults="infer"), "FirmwareFault", 4, True),
    (Faults(crc_damage=2), "LoadError", 4, True),
    (Faults(closes_after=600), "LinkClosed", 4, True),
    (Faults(flipped_bit=3), "WrongAnswer", 3, False),
    (Faults(clock_stuck=True), "ClockSuspect", 3, False),
    (Faults(clock_ratio=1.1), "ClockSuspect", 3, False),
]


@pytest.mark.parametrize(
    ("faults", "error", "exit_code", "retried"), FAULTS, ids=lambda value: str(value)[:40]
)
def test_each_fault_is_a_recorded_failure_without_a_number(desk, faults, error, exit_code, retried):
    case, on = setup(desk, lambda image: desk.firmware(image.kind, faults))
    events = list(bench.run([case], on))
    assert isinstance(events[-1], Failed)
    run = events[-1].run
    assert on.store.runs == [run]
    assert (run.failure.error, run.failure.exit_code) == (error, exit_code)
    assert run.measurements == ()
    assert run.provenance.retried is retried
    assert (Retried in map(type, events)) is retried
    assert case.adapter.opened == 1 + retried
    assert case.adapter.open_now == 0


def test_a_fault_that_passes_is_tried_once_more_and_the_run_says_so(desk):
    faults = iter([Faults(truncated="infer")])
    case, on = setup(desk, lambda image: desk.firmware(image.kind, next(faults, None)))
    events = list(bench.run([case], on))
    assert names(events) == ["Started", "Built", "Built", "Retried", "Checked", "Recorded"]
    assert events[-1].run.provenance.retried


def test_the_wrong_board_is_a_failure_of_the_bench(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind, build_id="e" * 40))
    run = list(bench.run([case], on))[-1].run
    assert (run.failure.error, run.failure.exit_code) == ("WrongBoard", 4)
    assert case.adapter.opened == 1, "it stays the wrong one"


def test_a_stranger_s_line_is_left_at_its_speed(desk):
    """A board that is not ours must still hear its owner afterwards."""
    links = []

    def make(image):
        links.append(desk.firmware(image.kind, build_id="e" * 40))
        return links[-1]

    case, on = setup(desk, make)
    case = replace(
        case, target=case.target.model_copy(update={"serial": Serial(baud=115200, fastest_baud=921600)})
    )
    assert isinstance(list(bench.run([case], on))[-1], Failed)
    assert not any(command.startswith("tb baud") for command in links[0].commands)


def test_an_error_that_took_all_the_time_is_told_as_it_was(desk):
    """An adapter that examined a silent core knows more than another attempt with no time left would say."""
    case, on = setup(desk, lambda image: desk.firmware(image.kind, Faults(truncated="infer")), timeout_s=30.0)

    @contextmanager
    def examined(device, image):
        with case.adapter.open(device, image) as link:
            try:
                yield link
            except DeadlineExceeded as silence:
                raise FirmwareFault("the firmware locked up") from silence

    probe = SimpleNamespace(name="fake", find=case.adapter.find, open=examined)
    run = list(bench.run([replace(case, adapter=probe)], on))[-1].run
    assert (run.failure.error, run.failure.exit_code) == ("FirmwareFault", 4)
    assert not run.provenance.retried
    assert case.adapter.opened == 1


def test_a_processor_fault_is_explained(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind, Faults(faults="infer")))
    run = list(bench.run([case], on))[-1].run
    assert any("PRECISERR" in detail for detail in run.failure.details)
    assert any("0x60000000" in detail for detail in run.failure.details)


def test_what_cannot_be_built_opens_no_device_and_stops_nobody(desk):
    def build(workload, engine, target, kind):
        raise DoesNotFit("region `RAM` needs `400000` and has `262144` bytes")

    case, on = setup(desk, lambda image: desk.firmware(image.kind), build=build)
    events = list(bench.run([case, case], on))
    assert names(events) == ["Started", "Failed"] * 2
    assert events[1].run.failure.exit_code == BuildError.exit_code
    assert case.adapter.opened == 0


def test_a_gap_is_an_event(desk):
    gap = Gap(workload="sww01", engine="reference", target="fake", reason="no engine runs it yet")
    _, on = setup(desk, lambda image: desk.firmware(image.kind))
    assert list(bench.run([gap], on)) == [Skipped(gap)]
    assert on.store.runs == []


def test_the_case_s_deadline_is_hard(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind, latency_s=10.0), timeout_s=60)
    run = list(bench.run([case], on))[-1].run
    assert (run.failure.error, run.failure.exit_code) == ("DeadlineExceeded", 124)
    assert on.clock() == pytest.approx(60, abs=0.1)


def test_a_run_is_in_the_store_before_its_event_is_seen(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind))
    for event in bench.run([case], on):
        if isinstance(event, Recorded):
            assert on.store.runs == [event.run]


def test_a_full_disk_ends_the_loop_with_its_own_error(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind), store=Kept(full=True))
    with pytest.raises(SetupError, match="full"):
        list(bench.run([case], on))
    assert case.adapter.open_now == 0


@pytest.mark.parametrize("moment", ["build", "open", "infer"])
def test_ctrl_c_frees_the_device_and_keeps_what_was_finished(desk, moment):
    class Interrupting:
        """A device during whose `infer` somebody loses patience."""

        def __init__(self, firmware):
            self.firmware = firmware
            self.clock, self.read = firmware.clock, firmware.read

        def write(self, data):
            if data.startswith(b"infer"):
                raise KeyboardInterrupt
            self.firmware.write(data)

    second = False

    def make(image):
        if second and moment == "open":
            raise KeyboardInterrupt
        firmware = desk.firmware(image.kind)
        return Interrupting(firmware) if second and moment == "infer" else firmware

    def build(workload, engine, target, kind):
        if second and moment == "build":
            raise KeyboardInterrupt
        return desk.image(kind)

    case, on = setup(desk, make, build=build)
    events = bench.run([case, case], on)
    for event in events:
        if isinstance(event, Recorded):
            second = True
            break
    with pytest.raises(KeyboardInterrupt):
        list(events)
    assert len(on.store.runs) == 1
    assert case.adapter.open_now == 0


def test_no_device_is_open_while_an_event_is_handed_out(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind, Faults(truncated="tb mem")))
    for _ in bench.run([case], on):
        assert case.adapter.open_now == 0


def test_every_byte_of_every_conversation_is_logged(desk, tmp_path):
    case, on = setup(desk, lambda image: desk.firmware(image.kind), logs=tmp_path)
    run = list(bench.run([case], on))[-1].run
    with (tmp_path / run.run_id / "serial.log").open() as log:
        told = list(entries(log))
    openings = [entry.facts["image"] for entry in told if entry.direction == "["]
    assert openings == ["clean", "instrumented"]
    assert [entry for entry in told if entry.direction == "<"][-1].data.endswith(b"m-ready\r\n")


def test_a_log_that_cannot_be_written_is_refused_in_words(desk, tmp_path):
    (tmp_path / "logs").write_text("a file, not a folder")
    case, on = setup(desk, lambda image: desk.firmware(image.kind), logs=tmp_path / "logs")
    run = list(bench.run([case], on))[-1].run
    assert run.failure.error == "SetupError"


def test_run_ids_sort_by_time_and_are_unique(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind))
    runs = [event.run for event in bench.run([case] * 5, on) if isinstance(event, Recorded)]
    ids = [run.run_id for run in runs]
    assert ids == sorted(ids)
    assert len(set(ids)) == 5


def test_the_fastest_rate_of_the_target_is_used(desk):
    serial = Serial(baud=115200, fastest_baud=921600)
    fast = replace(desk, target=desk.target.model_copy(update={"serial": serial}))
    links = []
    case, on = setup(fast, lambda image: links.append(desk.firmware(image.kind)) or links[-1])
    assert names(bench.run([case], on))[-1] == "Recorded"
    assert all("tb baud 921600" in link.commands for link in links)


def test_events_name_their_case(desk):
    case, on = setup(desk, lambda image: desk.firmware(image.kind))
    for event in bench.run([case], on):
        if isinstance(event, Started | Built | Checked):
            assert event.case is case
