"""What was recorded plays again to the same Run, byte for byte; and what was changed since then shows."""

from __future__ import annotations

import errno
import io
import itertools
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench import bench, errors, flashed, interleave
from tinybench.bench import Bench, Failed, Recorded, Retried
from tinybench.errors import FirmwareFault, LinkClosed, LinkTimeout, ProtocolError, SetupError, UsageError
from tinybench.fakes import NO_CAPABILITIES, FakeFirmware, FakeImage, Faults
from tinybench.latency import QUICK
from tinybench.plan import FlashedCase
from tinybench.player import ReplayDiverged
from tinybench.replay import find, replay
from tinybench.session import Session
from tinybench.tape import Tape
from tinybench.target import Flashed, Joined
from tinybench.transcript import Entry, as_line, entries

SHIPPED = sorted((Path(__file__).parents[2] / "data" / "recordings").iterdir())


class Kept:
    def __init__(self):
        self.runs = []

    def append(self, run):
        self.runs.append(run)


class VirtualTime:
    """The clock of whichever firmware is open."""

    def __init__(self):
        self.before_s, self.link = 0.25, None

    def watch(self, link):
        self.before_s, self.link = self(), link
        return link

    def __call__(self):
        return self.before_s + (self.link.clock() if self.link else 0.0)


def recorded(desk, logs, make, case=None, **options):
    """The events of a case on what `make(attempt, image)` makes, and the folder of its recording."""
    clock = VirtualTime()
    case = case or desk.case(lambda attempt, image: clock.watch(make(attempt, image)))
    on = Bench(
        build=lambda workload, engine, target, kind: desk.image(kind),
        store=Kept(),
        clock=clock,
        now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        logs=logs,
        **options,
    )
    events = list(bench.run([case], on))
    return events, logs / events[-1].run.run_id


def edited(folder, old, new):
    """The first `old` of the transcript becomes `new`."""
    path = folder / "serial.log"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_shipped_recording_is_the_same_run_byte_for_byte(folder):
    outcome = replay(folder)
    assert outcome.differences == ()
    assert outcome.identical
    assert outcome.replayed.measurement("latency").kind == "rehearsed"


def test_one_recording_is_shipped():
    assert SHIPPED


def test_a_run_on_a_board_replays(desk, tmp_path):
    events, folder = recorded(desk, tmp_path, lambda _, image: desk.firmware(image.kind))
    assert isinstance(events[-1], Recorded)
    assert {path.name for path in folder.iterdir()} == {"recording.json", "run.jsonl", "serial.log"}
    told = []
    outcome = replay(folder, say=told.append)
    assert outcome.identical
    assert outcome.recorded == events[-1].run
    assert [type(event) for event in told] == [type(event) for event in events]


@pytest.mark.parametrize(
    "faults",
    [
        Faults(mute=True),
        Faults(faults="infer"),
        Faults(flipped_bit=0),
        Faults(garbage="tb id"),
        Faults(resets="infer"),
        Faults(closes_after=300),
        Faults(clock_stuck=True),
        Faults(clock_ratio=1.05),
        Faults(crc_damage=1),
        Faults(crc_damage=2),
        Faults(deaf_above=115200),
    ],
    ids=repr,
)
def test_whatever_happened_happens_again(desk, tmp_path, faults):
    events, folder = recorded(
        desk,
        tmp_path,
        lambda _, image: desk.firmware(image.kind, faults),
        explain=lambda elf, text: (f"in {elf.name}", text[:11]),
    )
    outcome = replay(folder)
    assert outcome.identical, outcome.differences
    assert outcome.replayed == events[-1].run
    if faults.faults:
        assert "in fake.elf" in outcome.replayed.failure.details


def test_a_second_try_replays(desk, tmp_path):
    attempts = itertools.count()

    def make(_, image):
        return desk.firmware(image.kind, Faults(truncated="tb clk") if next(attempts) == 0 else None)

    events, folder = recorded(desk, tmp_path, make)
    assert any(isinstance(event, Retried) for event in events)
    outcome = replay(folder)
    assert outcome.identical
    assert outcome.replayed.provenance.retried


class Examined:
    """An adapter that cannot open the device at first, and then says more of a silence, or something else."""

    name, simulated = "examined", False

    def __init__(self, make, leaving):
        self._opens = itertools.count()
        self._make, self._leaving = make, leaving

    def find(self, target):
        return ()

    @contextmanager
    def open(self, device, image):
        if next(self._opens) == 0:
            raise LinkClosed("the cable is loose", hint="push it in")
        try:
            yield self._make(image)
        except LinkTimeout as silence:
            silence.add_note("the core was at main+0x2")
            if self._leaving is not None:
                raise self._leaving from silence
            raise


@pytest.mark.parametrize("leaving", [None, FirmwareFault("the firmware took a fault", hint="look at pc")])
def test_what_opening_and_leaving_a_device_raise_is_on_record(desk, tmp_path, leaving):
    clock = VirtualTime()
    adapter = Examined(
        lambda image: clock.watch(desk.firmware(image.kind, Faults(truncated="infer"))), leaving
    )
    case = replace(desk.case(lambda *_: None), adapter=adapter)
    on = Bench(
        build=lambda workload, engine, target, kind: desk.image(kind),
        store=Kept(),
        clock=clock,
        logs=tmp_path,
    )
    run = list(bench.run([case], on))[-1].run
    assert run.failure.error == ("LinkTimeout" if leaving is None else "FirmwareFault")
    assert leaving is not None or "the core was at main+0x2" in run.failure.details
    outcome = replay(tmp_path / run.run_id)
    assert outcome.identical, outcome.differences


class Joins:
    """The adapter of one board that runs already."""

    name = "serial"

    def __init__(self, firmware):
        self.firmware = firmware

    def flashed(self, word):
        return None

    @contextmanager
    def join(self, unit):
        yield Joined(self.firmware, 115200, ("m-timestamp-mode-performance",))


@pytest.mark.parametrize("faults", [Faults(), Faults(flipped_bit=3), Faults(truncated="infer")], ids=repr)
def test_a_board_that_runs_already_replays(desk, tmp_path, faults):
    image = FakeImage(capabilities=NO_CAPABILITIES, invoke=desk.workload.goldens[0].data.__add__)
    image = replace(image, invoke=lambda data: bytes(byte ^ 0xFF for byte in data))
    firmware = FakeFirmware(replace(image, capabilities=("caps", "id", "out")), faults)
    case = FlashedCase(desk.workload, Flashed("serial:fake", "fake", 115200), Joins(firmware))
    on = Bench(build=None, store=Kept(), clock=firmware.clock, logs=tmp_path)
    event = list(flashed.run([case], on, QUICK))[-1]
    assert isinstance(event, Failed if faults != Faults() else Recorded)
    outcome = replay(tmp_path / event.run.run_id)
    assert outcome.identical, outcome.differences


def test_nothing_is_recorded_of_what_is_simulated_or_was_never_opened(desk, tmp_path):
    case = desk.case(lambda _, image: desk.simulator(image.kind), simulated=True)
    recorded(desk, tmp_path, None, case)
    assert list(tmp_path.iterdir()) == []


# --- what is changed shows ---


@pytest.fixture
def folder(desk, tmp_path):
    """A good recording, to be spoilt."""
    return recorded(desk, tmp_path, lambda _, image: desk.firmware(image.kind))[1]


def test_a_changed_answer_is_another_run_and_the_fields_say_so(folder):
    edited(folder, "m-tb-mem-arena-[1024", "m-tb-mem-arena-[1040")
    outcome = replay(folder)
    assert not outcome.identical
    fields = {difference.field for difference in outcome.differences}
    assert fields == {"measurements[3].samples[0]", "measurements[6].samples[0]"}
    assert (outcome.differences[0].recorded, outcome.differences[0].replayed) == (1024, 1040)


def test_an_answer_that_a_parser_refuses_is_the_failure_that_it_would_be(folder):
    edited(folder, "m-tb-build-id-[", "m-tb-build-it-[")
    failure = replay(folder).replayed.failure
    assert failure.error == "ProtocolError"
    assert "`tb id`" in failure.message


def test_a_code_that_says_something_else_is_told_at_which_byte(folder):
    edited(folder, "b'tb caps%'", "b'tb cats%'")
    with pytest.raises(ReplayDiverged, match=r"`tb caps%` where line \d+ .*`tb cats%`.* byte 5") as caught:
        replay(folder)
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_a_code_that_says_less_is_told(folder):
    with (folder / "serial.log").open("a") as log:
        log.write("    9.000000 >  b'name%'\n")
    with pytest.raises(ReplayDiverged, match=r"replay is done where line \d+ .* `name%` sent"):
        replay(folder)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_transcript_that_was_cut_off_is_refused(folder, share):
    path = folder / "serial.log"
    lines = path.read_text().splitlines(keepends=True)
    kept = lines[: int(share * len(lines))]
    path.write_text("".join(kept))
    with pytest.raises(ReplayDiverged, match="the transcript ends"):
        replay(folder)
    path.write_text("".join(kept) + "   12.3")
    with pytest.raises(SetupError, match=rf"line {len(kept) + 1} of the transcript"):
        replay(folder)


def test_more_looks_at_the_clock_change_nothing(folder):
    path = folder / "serial.log"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for n, line in enumerate(lines) if not line.endswith("=\n") or n % 3))
    replay(folder)  # to the end: other times may make another Run, and no other conversation is asked for


def test_other_rules_than_the_recorded_ones_are_another_conversation(folder):
    path = folder / "recording.json"
    path.write_text(path.read_text().replace('"windows": 7', '"windows": 8'))
    with pytest.raises(ReplayDiverged):
        replay(folder)


@pytest.mark.parametrize(
    ("name", "spoilt", "raised", "says"),
    [
        ("recording.json", None, UsageError, "holds no recording"),
        ("recording.json", "{}", SetupError, "is no recording"),
        ("recording.json", '{"schema_version": 2}', SetupError, "has version `2`"),
        ("run.jsonl", None, UsageError, "holds no Run"),
        ("run.jsonl", "{}", SetupError, "not one whole Run"),
        ("serial.log", None, SetupError, "cannot be read"),
    ],
)
def test_a_recording_that_is_not_whole_is_refused_in_words(folder, name, spoilt, raised, says):
    (folder / name).unlink()
    if spoilt is not None:
        (folder / name).write_text(spoilt)
    with pytest.raises(raised, match=says) as caught:
        replay(folder)
    assert caught.value.hint


def test_a_run_without_a_recording_is_told_where_one_would_be(tmp_path):
    with pytest.raises(UsageError, match="has no recording"):
        find("20261121T084102Z-3f16df899e4a", tmp_path)


def test_a_recording_may_be_moved(folder, tmp_path):
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert replay(Path(moved)).identical


# --- the page itself ---

TIMES = st.floats(min_value=0, max_value=1e5, allow_nan=False)
ENTRIES = st.one_of(
    st.builds(Entry, TIMES, st.sampled_from("<>"), st.binary(max_size=300)),
    st.builds(Entry, TIMES, st.just("=")),
    st.builds(Entry, TIMES, st.just("~"), st.just(b""), st.integers(1, 10_000_000)),
    st.builds(Entry, TIMES, st.sampled_from(["]", "?"]), st.just(b""), st.lists(st.text(), max_size=3)),
    st.builds(
        Entry,
        TIMES,
        st.sampled_from(["![", "!<", "!>", "!]", "!~"]),
        st.just(b""),
        st.fixed_dictionaries({"error": st.just("LinkTimeout"), "message": st.text()}),
    ),
)


@given(st.lists(ENTRIES))
def test_a_transcript_reads_back_as_it_was_written(told):
    text = "".join(map(as_line, told))
    back = list(entries(io.StringIO(text, newline="\n")))
    assert [(e.direction, e.data, e.facts) for e in back] == [(e.direction, e.data, e.facts) for e in told]
    assert "".join(map(as_line, back)) == text
    assert [entry.line for entry in back] == list(range(1, len(told) + 1))


@given(TIMES, TIMES)
def test_the_clock_of_a_tape_decides_by_what_is_written(began_s, later_s):
    times = iter([began_s, began_s + later_s])
    page = io.StringIO()
    tape = Tape(lambda: next(times))
    shown = tape.clock()
    tape.start(page)
    assert [entry.time_s for entry in entries([page.getvalue()])] == [shown]


@given(st.text())
def test_what_is_no_transcript_is_refused_or_read(text):
    try:
        told = list(entries(io.StringIO(text, newline="\n")))
    except SetupError as refused:
        assert refused.hint  # noqa: PT017 - either is right
    else:
        assert all(entry.line for entry in told)


def test_every_error_of_ours_survives_the_page():
    known = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DeviceError)
    ]
    assert ProtocolError in known
    for kind in known:
        tape, page = Tape(lambda: 0.0), io.StringIO()
        tape.start(page)
        with pytest.raises(kind), tape.failing("!<"):
            raise kind("what", hint="then")
        (entry,) = entries(page.getvalue().splitlines(keepends=True))
        assert entry.facts == {"error": kind.__name__, "message": "what", "hint": "then"}


class Full(io.StringIO):
    """A disk that is full after so many lines."""

    def __init__(self, lines):
        super().__init__()
        self.left = lines

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.mark.parametrize("lines", [0, 3, 100])
def test_a_disk_that_fills_up_is_told_in_words(desk, lines):
    firmware, tape = desk.firmware(), Tape(desk.firmware().clock)

    def converse():
        tape.start(Full(lines))
        session = Session.connect(tape.over(firmware), clock=tape.clock)
        for _ in range(lines):
            session.stamp()

    with pytest.raises(SetupError, match=r"cannot write the log `serial.log`: No space") as caught:
        converse()
    assert "--no-logs" in caught.value.hint


def test_a_clock_of_the_links_own_decides_again(desk, tmp_path):
    class KeepsTime(FakeFirmware):
        def own_clock(self):
            return self.clock()

    case = desk.case(lambda _, image: KeepsTime(desk.firmware(image.kind).image))
    events, folder = recorded(desk, tmp_path, None, case)
    assert isinstance(events[-1], Recorded)
    assert replay(folder).identical


# --- a pair whose windows alternated ---


def recorded_pair(desk, logs, faults=None):
    """The Runs of two images on one board, the base's first; and the folder of their recording."""
    clock = VirtualTime()
    base = replace(desk.image(), build_id="b" * 40)
    case = desk.case(
        lambda _, image: clock.watch(
            desk.firmware(image.kind, faults, build_id=image.build_id, engine="fake 1.0")
        )
    )
    started = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    on = Bench(
        build=lambda workload, engine, target, kind: desk.image(kind),
        store=Kept(),
        clock=clock,
        now=lambda: next(started),
        logs=logs,
    )
    runs = [event.run for event in interleave.run(case, base, on) if isinstance(event, Recorded | Failed)]
    return runs, logs / runs[-1].run_id


def test_a_pair_replays_both_runs(desk, tmp_path):
    runs, folder = recorded_pair(desk, tmp_path)
    assert len(runs) == 2
    outcome = replay(folder)
    assert outcome.identical, outcome.differences
    assert [outcome.base.replayed, outcome.replayed] == runs
    edited(folder, "m-lap-us-", "m-lap-us-0")  # the same number
    assert replay(folder).identical


def test_a_pair_that_fails_fails_again(desk, tmp_path):
    runs, folder = recorded_pair(desk, tmp_path, Faults(flipped_bit=0))
    assert [run.failure.error for run in runs] == ["WrongAnswer"]
    outcome = replay(folder)
    assert outcome.identical, outcome.differences
    assert outcome.base is None
