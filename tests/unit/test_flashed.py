"""Firmware from elsewhere: joined at its speed, judged by what it prints, timed by MLPerf Tiny's rules."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import replace

import pytest

from device_adapters.serial_port import SerialPort, find_baud
from tinybench import flashed
from tinybench.bench import Bench, Failed, Recorded
from tinybench.errors import DeadlineExceeded, DeviceNotFound, UsageError, WrongAnswer
from tinybench.export import mlperf
from tinybench.fakes import NO_CAPABILITIES, FakeFirmware, FakeImage, FakeLine, Faults
from tinybench.model import Model, Operator, Quantisation, Tensor
from tinybench.plan import FlashedCase
from tinybench.session import Session
from tinybench.target import Flashed
from tinybench.wire import Stamp, Window
from tinybench.workload import GoldenInput, GoldenSpec, InputSpec, ModelSpec, Workload, WorkloadSpec

DIGEST = "a" * 64
UNIT = Flashed("serial:fake", "fake")


def halved(data):
    """The model of these tests: every byte halved, so that a fake prints it as its score."""
    return bytes(byte // 2 for byte in data)


FOREIGN = FakeImage(capabilities=NO_CAPABILITIES, invoke=halved, latency_s=0.05)


@pytest.fixture
def workload(tmp_path):
    inputs = {"zeros": bytes(4), "random": b"\x07\x80\xfe\x13", "structured": b"\0\1\2\3"}
    digests = {name: hashlib.sha256(halved(data)).hexdigest() for name, data in inputs.items()}
    spec = WorkloadSpec(
        id="half",
        title="Half",
        task="vww",
        protocol_id="vww01",
        model=ModelSpec(file="half.tflite", sha256=DIGEST, normalised_sha256=DIGEST, sources=()),
        input=InputSpec(encoding="int8"),
        golden=GoldenSpec(oracle="test", inputs_sha256=DIGEST, outputs_sha256=digests),
    )
    out = Tensor(1, "out", (1, 4), "int8", quantisation=Quantisation((1 / 256,), (0,)))
    softmax = Operator(0, "SOFTMAX", (0,), (1,))
    model = Model((Tensor(0, "in", (1, 4), "int8"), out), (softmax,), (0,), (1,))
    goldens = tuple(GoldenInput(n, d, halved(d), digests[n]) for n, d in inputs.items())
    return Workload(spec, model, tmp_path / "none", DIGEST, DIGEST, "test", goldens, "test")


class FakePort:
    """The adapter of one fake board; as the real one, it finds out the speed of the line."""

    name = "serial"

    def __init__(self, firmware):
        self.firmware = firmware

    def flashed(self, word):
        return UNIT

    @contextmanager
    def join(self, unit):
        yield find_baud(self.firmware, unit.port, clock=self.firmware.clock)


class Worded:
    """A firmware that says some things in other words: `instead` of what matches `pattern`."""

    def __init__(self, firmware, pattern, instead):
        self._firmware = firmware
        self._pattern = re.compile(pattern)
        self._instead = instead
        self.write, self.set_baud, self.clock = firmware.write, firmware.set_baud, firmware.clock

    def read(self, within_s):
        while not (said := self._pattern.sub(self._instead, self._firmware.read(within_s))):
            pass
        return said


def measured(workload, image=FOREIGN, faults=None, line=None, words=None, **options):
    firmware = FakeFirmware(image, faults, line)
    link = Worded(firmware, *words) if words else firmware
    kept = []
    bench = Bench(build=None, store=kept, clock=firmware.clock, timeout_s=3600)
    *_, last = flashed.run([FlashedCase(workload, UNIT, FakePort(link), **options)], bench)
    assert kept == [last.run]
    assert not any(command.strip() == "" for command in firmware.commands)  # `%` alone is fatal to many
    assert b"\n" not in firmware.received
    return last, firmware


def test_firmware_on_a_virtual_desk_is_marked_and_its_times_are_rehearsed(workload):
    firmware = FakeFirmware(FOREIGN)
    kept = []
    case = FlashedCase(workload, replace(UNIT, virtual=True), FakePort(firmware))
    *_, last = flashed.run([case], Bench(build=None, store=kept, clock=firmware.clock, timeout_s=3600))
    assert isinstance(last, Recorded), last
    assert last.run.measurement("latency").kind == "rehearsed"
    assert last.run.conditions.simulated


def test_foreign_firmware_is_timed_in_five_windows_of_ten_seconds(workload):
    last, firmware = measured(workload)
    assert isinstance(last, Recorded), last
    assert last.run.measurement("latency").samples == pytest.approx((0.05,) * 5, rel=0.001)
    windows = [int(c.split()[1]) for c in firmware.commands if c.startswith("infer")]
    assert sum(n * 0.05 >= 10 for n in windows) == 5
    assert [(check.equal, check.compared) for check in last.run.golden] == [(True, "printed")] * 3
    notes = " ".join(last.run.provenance.notes)
    assert "asserted by the user, not proven" in notes
    assert "equal within the last digit" in notes
    assert "115200 baud" in notes


@pytest.mark.parametrize("baud", [115200, 921600, 9600])
def test_the_speed_of_the_line_is_found(baud):
    firmware = FakeFirmware(FOREIGN, line=FakeLine(baud=baud))
    assert find_baud(firmware, "fake", clock=firmware.clock).baud == baud


def test_nobody_at_any_speed_is_said_with_every_speed():
    firmware = FakeFirmware(faults=Faults(mute=True))
    with pytest.raises(DeadlineExceeded, match="115200, 921600, 9600"):
        find_baud(firmware, "fake", clock=firmware.clock)


@pytest.mark.parametrize(
    ("image", "faults", "error"),
    [
        (replace(FOREIGN, model="kws01"), None, "WrongBoard"),
        (replace(FOREIGN, profile="MLPerf Tiny Firmware V0.1.0", model="sww01"), None, "UsageError"),
        (replace(FOREIGN, invoke=lambda data: bytes(len(data))), None, "WrongAnswer"),
        (FOREIGN, Faults(wrap_mhz=480), "ClockSuspect"),
        (FOREIGN, Faults(clock_ratio=1.02), "ClockSuspect"),
        (FOREIGN, Faults(resets="infer"), "ProtocolError"),
        (FOREIGN, Faults(debug_text="infer"), "ProtocolError"),
        (FOREIGN, Faults(truncated="infer"), "LinkTimeout"),
        (replace(FOREIGN, input_bytes=5), Faults(plain_errors=True), "ProtocolError"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_its_reason_and_no_number(workload, image, faults, error):
    last, _ = measured(workload, image, faults)
    assert isinstance(last, Failed)
    assert last.run.failure.error == error
    assert last.run.measurements == ()


def test_a_trailing_comma_and_slow_replies_change_nothing(workload):
    last, _ = measured(workload, faults=Faults(trailing_comma=True, late_s=0.2))
    assert isinstance(last, Recorded), last


def test_a_load_is_read_back_on_demand(workload):
    _, firmware = measured(workload, verify_load=True)
    assert firmware.commands.count("db print") == 9  # three golden inputs, one to calibrate, five windows


def window(*printed):
    return Window(1, Stamp(0.0, 0, 1_000_000, 1.0), tuple(map(float, printed)), printed)


# 33/256 = 0.12890625: rounded, cut off, and with more or fewer digits.
@pytest.mark.parametrize("word", ["0.129", "0.128", "0.1289", "0.13", "0.12"])
def test_rounded_and_cut_off_scores_are_right(workload, word):
    golden = GoldenInput("random", b"", b"\x21", DIGEST)
    assert flashed.judge_printed(golden, window(word), workload).compared == "printed"


@pytest.mark.parametrize("word", ["0.127", "0.130", "0.1286", "0.14", "nan", "inf"])
def test_scores_beyond_the_last_digit_are_wrong(workload, word):
    golden = GoldenInput("random", b"", b"\x21", DIGEST)
    with pytest.raises(WrongAnswer, match="is wrong at result"):
        flashed.judge_printed(golden, window(word), workload)


def test_a_decision_is_no_score(workload):
    golden = workload.goldens[1]
    with pytest.raises(WrongAnswer) as caught:
        flashed.judge_printed(golden, window("0.000", "1.000", "0.000", "0.000"), workload)
    assert "decision" in caught.value.hint


@pytest.mark.parametrize(
    ("word", "port", "baud"),
    [
        ("serial:/dev/ttyACM0", "/dev/ttyACM0", None),
        ("serial:COM3@9600", "COM3", 9600),
        ("serial:socket://localhost:4000", "socket://localhost:4000", None),
    ],
)
def test_the_word_of_the_command_line(word, port, baud):
    adapter = SerialPort(look_for=lambda _: False)
    assert adapter.flashed(word) == Flashed(word, port, baud)
    assert adapter.flashed("nucleo-f746") is None


def test_a_port_of_a_virtual_desk_is_marked():
    assert SerialPort(look_for=lambda _: True).flashed("serial:/dev/pts/3").virtual


def test_a_port_that_is_not_there_is_not_tried_again(workload):
    class Gone(FakePort):
        def join(self, unit):
            opened.append(unit)
            raise DeviceNotFound("it is gone")

    opened, kept = [], []
    bench = Bench(build=None, store=kept, clock=lambda: 0.0)
    *_, last = flashed.run([FlashedCase(workload, UNIT, Gone(None))], bench)
    assert isinstance(last, Failed)
    assert (last.run.failure.error, len(opened)) == ("DeviceNotFound", 1)
    assert not last.run.provenance.retried


def test_five_inputs_are_timed_by_mlperf_tiny_s_rules_and_the_clock_is_unknown(workload):
    inputs = [bytes((n, 2, 3, 4)) for n in (5, 6)]
    further = tuple(
        GoldenInput(f"random {n}", data, halved(data), hashlib.sha256(halved(data)).hexdigest())
        for n, data in enumerate(inputs, 2)
    )
    last, _ = measured(replace(workload, further=further))
    assert isinstance(last, Recorded), last
    assert len(last.run.golden) == 5
    assert mlperf.why_not_valid(last.run) is None
    assert last.run.conditions.clock_hz is None
    assert '"clock_hz":null' in last.run.model_dump_json()
    last, _ = measured(workload)
    assert "3 different inputs, not 5" in mlperf.why_not_valid(last.run)


@pytest.mark.parametrize("word", ["serial:", "serial:COM3@0"])
def test_a_word_that_names_no_port(word):
    with pytest.raises(UsageError):
        SerialPort().flashed(word)


# What firmwares of others do differently (mlcommons/tiny's own, Aidge's export, submissions).
TOLERATED = {
    "unknown commands are met with silence": (rb"e-\[Unknown[^\n]*\n", b""),
    "db print is bare hexadecimal": (rb"m-buffer-", b""),
    "no timestamp mode at boot": (rb"m-timestamp-mode[^\n]*\n", b""),
    "more text at boot": (rb"m-init-done", b"Initialized\r\nm-init-done"),
    "a name with spaces": (rb"\[fake\]", b"[Some Board, rev 2]"),
    "another help and profile": (rb"V0\.0\.1", b"V9.9"),
    "bare line feeds": (rb"\r\n", b"\n"),
}
REFUSED = {
    "one-hot results": (rb"m-results-\[[^\]]*", b"m-results-[0.000,1.000,0.000,0.000", "WrongAnswer"),
    "a load that never ends": (rb"m-load-done\r\n", b"", "ProtocolError"),
    "energy mode": (rb"mode-performance", b"mode-energy", "UsageError"),
    "no timestamps": (rb"m-lap-us-\d+\r\n", b"", "ProtocolError"),
    "no results": (rb"m-results[^\n]*\n", b"", "WrongAnswer"),
}


@pytest.mark.parametrize("habit", TOLERATED)
def test_a_deviation_that_does_no_harm_is_measured_right(workload, habit):
    last, _ = measured(workload, words=TOLERATED[habit], verify_load=True)
    assert isinstance(last, Recorded), last
    assert last.run.measurement("latency").samples == pytest.approx((0.05,) * 5, rel=0.001)


@pytest.mark.parametrize("habit", REFUSED)
def test_a_deviation_that_does_harm_is_refused_with_its_reason(workload, habit):
    pattern, instead, error = REFUSED[habit]
    last, _ = measured(workload, words=(pattern, instead))
    assert isinstance(last, Failed)
    assert last.run.failure.error == error
    assert last.run.measurements == ()


def test_our_firmware_s_input_crosses_a_slow_line_at_the_line_s_speed():
    firmware = FakeFirmware(FakeImage(input_bytes=27_648))
    session = Session.connect(firmware, clock=firmware.clock)
    before_s = firmware.clock()
    session.load(bytes(27_648))
    limit_s = 27_648 * 10 / 115_200
    assert limit_s < firmware.clock() - before_s <= 1.1 * limit_s
