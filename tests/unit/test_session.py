"""The conversation as host: with firmware that is well, with firmware that is not, and with nobody."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.dialogue import Patience
from tinybench.errors import (
    ClockSuspect,
    DeadlineExceeded,
    DeviceError,
    FirmwareFault,
    LinkClosed,
    LinkTimeout,
    LoadError,
    ProtocolError,
    TinyBenchError,
)
from tinybench.fakes import NO_CAPABILITIES, FakeFirmware, FakeImage, FakeLine, Faults
from tinybench.links import Deadline
from tinybench.session import Session
from tinybench.tape import Tape
from tinybench.transcript import entries
from tinybench.wire import BATCH, STREAMING, command_bytes, dialect_of, elapsed_s

FOREIGN = FakeImage(capabilities=NO_CAPABILITIES)


def connected(image=None, faults=None, line=None, **options):
    firmware = FakeFirmware(image, faults, line)
    return Session.connect(firmware, clock=firmware.clock, **options), firmware


def commands_on_wire(firmware):
    """What was sent, as the receiving parser sees it, with binary loads left out."""
    sent, commands = bytes(firmware.received), []
    while sent:
        command, _, sent = sent.partition(b"%")
        commands.append(command)
        if match := re.fullmatch(rb"tb bin (\d+)", command):
            sent = sent[int(match[1]) + 4 :]
    return commands


def use_everything(session):
    session.name()
    if session.capabilities():
        session.identify()
        session.clock()
    session.load(b"\n%\r\0", verify=True)
    window = session.infer(3, 1)
    if session.capabilities():
        assert session.output() == b"\n%\r\0"
        session.latencies(20, 1)
        session.memory()
    return window


def test_a_whole_conversation_with_our_firmware():
    session, firmware = connected(FakeImage(build_id="ab" * 20, kind="instrumented"))
    assert session.capabilities().version == 1
    assert session.dialect is BATCH
    assert session.boot[-1] == "m-ready"
    identity = session.identify()
    assert (identity.build_id, identity.engine, identity.engine_version) == ("ab" * 20, "fake", "1.0")
    assert (identity.input_bytes, identity.input_encoding, identity.output_bytes) == (4, "int8", 4)
    window = use_everything(session)
    assert window.inferences == 3
    assert window.device_s == pytest.approx(0.003, abs=2e-6)
    assert window.host_s > window.device_s
    assert session.latencies(20, 0) == (100_000,) * 20
    assert (session.memory().stack_used, session.memory().arena_used) == (512, 1024)
    assert [layer.name for layer in session.layers()] == ["CONV_2D", "SOFTMAX"]
    assert any(command.startswith("tb bin") for command in firmware.commands)


def test_foreign_firmware_is_asked_for_capabilities_once_and_then_loaded_in_hexadecimal():
    session, firmware = connected(FOREIGN)
    assert session.capabilities() is None
    use_everything(session)
    assert [command for command in firmware.commands if command.startswith("tb")] == ["tb caps"]
    assert "db 0A250D00" in firmware.commands


@pytest.mark.parametrize("image", [FakeImage(), FOREIGN, FakeImage(input_bytes=200, capabilities=())])
def test_what_is_sent_never_harms_a_reference_firmware(image):
    session, firmware = connected(image)
    session.load(bytes(range(image.input_bytes)), verify=True)
    session.infer(2, 0)
    for command in commands_on_wire(firmware):
        assert command.strip()
        assert len(command) <= 80
        assert b"\n" not in command
        assert b"\r" not in command


@pytest.mark.parametrize("command", ["", " ", "name\n", "na%me", "db " + "0" * 78, "naïve"])
def test_harmful_commands_are_refused_before_they_are_sent(command):
    with pytest.raises(ValueError, match=r"command|characters"):
        command_bytes(command, 80)


def test_a_device_that_booted_before_is_heard_after_a_silence():
    firmware = FakeFirmware(boots=False)
    session = Session.connect(firmware, clock=firmware.clock)
    assert session.boot == ()
    assert session.name() == "fake"


def test_a_slow_boot_that_overlaps_the_first_name_does_not_shift_replies():
    firmware = FakeFirmware(faults=Faults(late_s=3.5))
    session = Session.connect(firmware, clock=firmware.clock, patience=Patience(handshake_s=30))
    assert session.name() == "fake"
    assert use_everything(session).inferences == 3


def test_a_mute_device_meets_the_deadline_of_the_handshake():
    firmware = FakeFirmware(faults=Faults(mute=True))
    with pytest.raises(DeadlineExceeded) as caught:
        Session.connect(firmware, clock=firmware.clock)
    assert caught.value.exit_code == 124
    assert firmware.clock() == pytest.approx(15.0)


class Chatterbox:
    """A device that never stops talking and never says anything."""

    def __init__(self, said):
        self.said = said
        self.now_s = 0.0

    def write(self, data):
        pass

    def read(self, within_s):
        self.now_s += 0.01
        return self.said

    def clock(self):
        return self.now_s


@pytest.mark.parametrize("said", [b"debug\r\n", b"\xff", b"m-ready\r\n"])
def test_chatter_without_an_answer_ends_at_the_deadline(said):
    chatterbox = Chatterbox(said)
    with pytest.raises((DeadlineExceeded, ProtocolError)):
        Session.connect(chatterbox, clock=chatterbox.clock)
    assert chatterbox.clock() < 60


@pytest.mark.parametrize("verb", ["infer", "tb id", "tb mem", "tb clk", "tb out", "tb lat"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("truncated", LinkTimeout),
        ("doubled_ready", ProtocolError),
        ("garbage", ProtocolError),
        ("debug_text", ProtocolError),
        ("resets", ProtocolError),
        ("faults", FirmwareFault),
    ],
)
def test_each_fault_in_a_reply_has_its_error(verb, fault, error):
    session, _ = connected(faults=Faults(**{fault: verb}))

    def use_it_twice():  # a doubled m-ready is noticed before the next command
        use_everything(session)
        use_everything(session)

    with pytest.raises(error) as caught:
        use_it_twice()
    assert caught.value.exit_code == 4
    with pytest.raises(ProtocolError, match="over"):
        session.name()


def test_a_fault_is_explained_by_whoever_knows_the_image():
    session, _ = connected(faults=Faults(faults="infer"), explain_fault=lambda registers: (registers[:11],))
    session.load(bytes(4))
    with pytest.raises(FirmwareFault, match="pc=08000123") as caught:
        session.infer(1, 0)
    assert caught.value.__notes__ == ["pc=08000123"]


def test_a_reset_between_two_commands_is_noticed():
    session, firmware = connected()
    firmware._print([*firmware._boot_block(), "m-ready"])
    firmware._now_s += 1
    with pytest.raises(ProtocolError, match="reset itself"):
        session.name()


def test_one_damaged_load_is_repeated_and_two_are_an_error():
    session, firmware = connected(faults=Faults(crc_damage=1))
    session.load(b"abcd")
    session.infer(1, 0)
    assert session.output() == b"abcd"
    session, firmware = connected(faults=Faults(crc_damage=2))
    with pytest.raises(LoadError):
        session.load(b"abcd")
    assert sum(command.startswith("tb bin") for command in firmware.commands) == 2


def test_an_error_without_a_prefix_is_never_timed():
    """The reference firmware's words for a wrong size have no `e-[` and end in a bare line feed."""
    session, _ = connected(FOREIGN, Faults(plain_errors=True))
    with pytest.raises(ProtocolError, match="exceeds maximum"):
        session.load(bytes(5))
    session, _ = connected(FOREIGN, Faults(plain_errors=True))
    with pytest.raises(ProtocolError, match="elemented"):
        session.infer(1, 0)


def test_a_trailing_comma_is_not_a_result():
    session, _ = connected(faults=Faults(trailing_comma=True))
    session.load(bytes(4))
    assert session.infer(1, 0).results == (0.0,) * 4


def test_a_clock_that_stands_still_is_suspect():
    session, _ = connected(faults=Faults(clock_stuck=True))
    with pytest.raises(ClockSuspect) as caught:
        session.clock()
    assert caught.value.exit_code == 3
    assert session.name() == "fake"


def test_a_window_may_pass_the_wrap_of_the_counter():
    session, _ = connected(FakeImage(latency_s=0.01))
    session.load(bytes(4))
    assert session.infer(20, 0).device_s == pytest.approx(0.2, abs=2e-6)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_elapsed_time_is_modulo_the_counter(start, duration):
    assert elapsed_s(start, (start + duration) % 2**32) == duration / 1e6


def test_time_outs_grow_with_what_is_predicted():
    """An hour-long window is waited for once one inference has been timed, and not a day."""
    session, firmware = connected(FakeImage(latency_s=1.0))
    session.load(bytes(4))
    session.infer(1, 0)
    assert session.infer(3600, 0).inferences == 3600
    started_s = firmware.clock()
    firmware.faults = Faults(mute=True)
    with pytest.raises(LinkTimeout):
        session.infer(100, 0)
    assert 300 < firmware.clock() - started_s < 320


def test_the_limit_of_the_case_bounds_everything():
    firmware = FakeFirmware(FakeImage(latency_s=10.0))
    limit = Deadline.after(60, firmware.clock)
    session = Session.connect(firmware, clock=firmware.clock, limit=limit)
    session.load(bytes(4))
    with pytest.raises(DeadlineExceeded):
        session.infer(100, 0)
    assert firmware.clock() == pytest.approx(60)


def test_a_deadline_keeps_two_clocks_and_the_earlier_one_counts():
    wall_s, work_s = [0.0], [100.0]
    limit = Deadline.after(60, lambda: wall_s[0])
    patience = limit.sooner(5, lambda: work_s[0])
    wall_s[0] = 50  # the computer was busy with others: no patience is used up
    assert (patience.remaining_s(), limit.remaining_s()) == (5, 10)
    work_s[0] += 4
    assert patience.remaining_s() == 1
    wall_s[0] = 60
    assert patience.remaining_s() == patience.sooner(3).remaining_s() == 0


def test_a_closed_link_says_during_what():
    session, firmware = connected()
    session.load(bytes(4))
    firmware.close()
    with pytest.raises(LinkClosed):
        session.infer(1, 0)


@pytest.mark.parametrize(
    ("profile", "echoes", "dialect"),
    [
        (b"ULPMark for tinyML Firmware V0.0.1", False, BATCH),
        (b"MLPerf Tiny Firmware V0.1.0", True, STREAMING),
        (b"something else", True, STREAMING),
        (b"something else", False, BATCH),
    ],
)
def test_the_profile_names_the_dialect_and_else_the_echo_does(profile, echoes, dialect):
    assert dialect_of(profile, echoes=echoes) is dialect


def test_a_firmware_of_another_wire_version_is_refused():
    class Future(FakeFirmware):
        def _tb(self, rest):
            return ["m-tb-caps-[2 caps]"]

    firmware = Future()
    with pytest.raises(ProtocolError, match="version `2`"):
        Session.connect(firmware, clock=firmware.clock)


def test_the_speed_of_the_line_is_changed_at_both_ends_or_at_none():
    session, firmware = connected(faults=Faults(deaf_above=921600))
    assert session.set_baud(921600, firmware.set_baud)
    started_s = firmware.clock()
    session.load(bytes(4))
    assert firmware.clock() - started_s < 0.003
    assert not session.set_baud(2_000_000, firmware.set_baud)
    assert use_everything(session).inferences == 3


def test_a_transcript_gives_back_every_byte_with_its_time():
    log = io.StringIO()
    firmware = FakeFirmware()
    tape = Tape(firmware.clock)
    tape.start(log)
    session = Session.connect(tape.over(firmware), clock=tape.clock)
    session.load(b"\n%\r\0")
    session.infer(1, 0)
    told = list(entries(log.getvalue().splitlines(keepends=True)))
    assert b"".join(entry.data for entry in told if entry.direction == ">") == firmware.received
    assert [entry.time_s for entry in told] == pytest.approx(sorted(entry.time_s for entry in told), abs=1e-6)
    assert b"m-name-dut-[fake]\r\n" in b"".join(entry.data for entry in told if entry.direction == "<")


# --- a wire on which anything may happen ---


class Damaged:
    """A link that hands on what a device says in other pieces, and with something else between or missing."""

    def __init__(self, firmware, after, damage):
        self.firmware = firmware
        self.after = after
        self.damage = damage
        self.reads = 0
        self.write = firmware.write

    def read(self, within_s):
        data = self.firmware.read(within_s)
        self.reads += 1
        return self.damage(data) if self.reads == self.after else data


@given(
    after=st.integers(1, 25),
    cut=st.integers(0, 200),
    inserted=st.binary(max_size=30),
    repeated=st.booleans(),
    late_s=st.sampled_from([0.0, 1.0, 4.0, 10.0]),
)
def test_a_damaged_wire_gives_the_right_answer_or_an_error_of_ours(after, cut, inserted, repeated, late_s):
    """Never another exception, never a hang, never a wrong output: bits that survive are the right ones."""
    firmware = FakeFirmware(FakeImage(input_bytes=100, output_bytes=100), Faults(late_s=late_s))

    def damage(data):
        damaged = data[:cut] + inserted + data[cut + len(inserted) :]
        return (damaged + damaged if repeated else damaged) or b"?"

    link = Damaged(firmware, after, damage)
    data = bytes(range(100))
    try:
        session = Session.connect(link, clock=firmware.clock)
        session.load(data)
        window = session.infer(2, 1)
        assert window.inferences == 2
        assert len(session.output()) <= 100 + len(inserted)
    except TinyBenchError as error:
        assert isinstance(error, DeviceError | DeadlineExceeded | ClockSuspect)  # noqa: PT017 - any of these is right
    assert firmware.clock() < 400


@given(st.lists(st.integers(1, 7), min_size=1))
def test_replies_may_come_in_any_pieces(sizes):
    class Pieces:
        def __init__(self, firmware):
            self.firmware, self.pending, self.turn = firmware, b"", 0
            self.write = firmware.write

        def read(self, within_s):
            if not self.pending:
                self.pending = self.firmware.read(within_s)
            self.turn += 1
            size = sizes[self.turn % len(sizes)]
            piece, self.pending = self.pending[:size], self.pending[size:]
            return piece

    firmware = FakeFirmware()
    session = Session.connect(Pieces(firmware), clock=firmware.clock)
    assert use_everything(session).inferences == 3


@given(closes_after=st.integers(0, 900))
def test_a_pipe_that_breaks_anywhere_is_a_closed_link(closes_after):
    firmware = FakeFirmware(faults=Faults(closes_after=closes_after))
    try:
        use_everything(Session.connect(firmware, clock=firmware.clock))
    except LinkClosed:
        return
    assert closes_after > 500


def test_a_fast_line_is_no_different():
    session, _ = connected(line=FakeLine(baud=921600))
    assert use_everything(session).inferences == 3
