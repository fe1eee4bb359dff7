"""The firmware's side of docs/wire.md, spoken to through a pipe; built with sanitizers if there are any."""

from __future__ import annotations

import re
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

INPUT = bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 255])
OUTPUT = bytes((byte + 1) % 256 for byte in INPUT)
LOAD = ("db load 10", f"db {INPUT.hex()}")
# tiny_engine.c: real = 0.25 * (value + 128).
SCORES = "m-results-[32.250,32.500,32.750,33.000,33.250,33.500,33.750,34.000,34.250,32.000]"
NOT_LOADED = ["e-[Input size does not match the tensor]"]


@pytest.fixture(scope="module")
def firmware(host_firmware):
    return host_firmware()


def framed(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def test_it_boots_with_the_block_that_the_official_runner_knows(firmware) -> None:
    mode, lap, done, ready = firmware.say(b"")
    assert (mode, done, ready) == ("m-timestamp-mode-performance", "m-init-done", "m-ready")
    assert re.fullmatch(r"m-lap-us-\d+", lap)


# Each answered as the reference answers it, to the byte; m-ready left out.
TRANSCRIPT = [
    ("name", ["m-name-dut-[tinybench nucleo-f746]"]),
    ("profile", ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"]),
    ("nonsense 1 2", ["e-[Unknown command: nonsense]"]),
    ("namex", ["e-[Unknown command: namex]"]),
    ("nam", ["e-[Unknown command: nam]"]),
    ("  name  ", ["m-name-dut-[tinybench nucleo-f746]"]),
    ("db", ["e-[Command 'db' requires a subcommand]"]),
    ("db load", ["e-[Command 'db load' requires the # of bytes]"]),
    ("db load 0", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load zero", ["e-[Command 'db load' must be >0 bytes]"]),
    ("db load 11", ["Supplied buffer size 11 exceeds maximum of 10"]),
    ("db load -1", ["Supplied buffer size -1 exceeds maximum of 10"]),
    ("db load 10", ["m-[Expecting 10 bytes]"]),
    ("db 0", ["e-[Insufficent number of hex digits]"]),
    ("db 0g", ["e-[Invalid hex digit '0g']"]),
    ("db 00", []),
    ("db 01AbCd", []),
    ("db 0405060708ff9999", ["m-load-done"]),
    ("db print", ["m-buffer-00-01-ab-cd-04-05-06-07", "m-buffer-08-ff", ""]),
    ("db load 8", ["m-[Expecting 8 bytes]"]),
    ("db 0001020304050607", ["m-load-done"]),
    ("db print", ["m-buffer-00-01-02-03-04-05-06-07"]),
    ("infer 0", ["e-[Inference iterations must be >0]"]),
    ("infer -3 1", ["e-[Inference iterations must be >0]"]),
    ("infer x", ["e-[Inference iterations must be >0]"]),
    ("infer 1 -1", ["e-[Inference warmup must be >=0]"]),
]

# Where we differ on purpose (docs/wire.md).
OUR_OWN = [
    ("", []),
    ("   ", []),
    ("\r\nname\r\n", ["m-name-dut-[tinybench nucleo-f746]"]),
    ("\x00profile", ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"]),
    ("\x01\x7fx", ["e-[Unknown command: ??x]"]),
    ("results", ["e-[No inference yet]"]),
    ("tb out", ["e-[No inference yet]"]),
    ("db 00", ["e-[No load in progress]"]),
    ("infer 1 0", NOT_LOADED),
    ("db load 4", ["m-[Expecting 4 bytes]"]),
    ("db 00010203", ["m-load-done"]),
    ("db 04", ["e-[No load in progress]"]),
    ("infer 1 0", NOT_LOADED),
    ("db load 10", ["m-[Expecting 10 bytes]"]),
    ("db 0001", []),
    ("infer 1 0", NOT_LOADED),
    ("tb lat 1", NOT_LOADED),
]


@pytest.mark.parametrize("transcript", [TRANSCRIPT, OUR_OWN], ids=["reference", "ours"])
def test_every_command_is_answered_as_written_down(firmware, transcript) -> None:
    commands = [command for command, _ in transcript]
    assert list(zip(commands, firmware.replies(*commands), strict=True)) == transcript


def test_lines_end_with_cr_lf_but_for_the_one_that_the_reference_ends_otherwise(host_firmware) -> None:
    import subprocess

    said = subprocess.run(
        [host_firmware().program], input=b"name%db load 99%db load%", capture_output=True, check=True
    ).stdout
    assert re.findall(rb"[^\r]\n", said) == [b"0\n"]
    assert b"Supplied buffer size 99 exceeds maximum of 10\nm-ready\r\n" in said


def test_what_exceeds_eighty_characters_is_dropped_as_by_the_reference(firmware) -> None:
    fits, too_long = f"db {'00' * 38}", f"db {'00' * 39}"
    first, second, third = firmware.replies("db load 10", too_long, "db load 10")
    assert second == ["e-[Insufficent number of hex digits]"]
    assert firmware.replies("db load 10", fits)[1] == ["m-load-done"]
    assert first == third == ["m-[Expecting 10 bytes]"]


def test_help_begins_as_the_reference_does(firmware) -> None:
    version, blank, *rest = firmware.replies("help")[0]
    assert (version, blank) == ("ULPMark for tinyML Firmware V0.0.1", "")
    assert rest


def test_a_window_has_two_laps_that_lie_as_far_apart_as_its_inferences(firmware) -> None:
    *_, said = firmware.replies(*LOAD, "infer 5 2")
    laps = [int(line.removeprefix("m-lap-us-")) for line in said if line.startswith("m-lap-us-")]
    assert [line for line in said if not line.startswith("m-lap-us-")] == [
        "m-warmup-start-2",
        "m-warmup-done",
        "m-infer-start-5",
        "m-infer-done",
        SCORES,
    ]
    assert said.index("m-infer-start-5") + 1 == said.index(f"m-lap-us-{laps[0]}")
    assert (
        laps[1] - laps[0] == 6_000
    )  # the clock moves on 1 ms at each look: one for each inference, one after


def test_infer_without_numbers_is_one_inference_after_ten(firmware) -> None:
    said = firmware.replies(*LOAD, "infer")[2]
    assert said[0] == "m-warmup-start-10"
    assert said[2] == "m-infer-start-1"


def test_the_answer_is_kept_and_exact(firmware) -> None:
    *_, results, out, _, later = firmware.replies(
        *LOAD, "infer 1 0", "results", "tb out", "db load 3", "results"
    )
    assert results == later == [SCORES]
    assert out == [f"m-tb-out-[{OUTPUT.hex()}]"]


def test_a_window_that_failed_has_no_laps_and_leaves_no_answer(firmware) -> None:
    order = b"\x71" + INPUT[1:]
    *_, failed, results, timed = firmware.replies(
        *LOAD, "infer 1 0", "db load 10", f"db {order.hex()}", "infer 2 0", "results", "tb lat 1 0"
    )
    assert failed == ["m-warmup-start-0", "m-warmup-done", "m-infer-start-2", "e-[Operator failed]"]
    assert results == ["e-[No inference yet]"]
    assert timed == ["e-[Operator failed]"]


def test_a_window_of_a_hundred_seconds_is_right_beyond_the_counters_range(host_firmware) -> None:
    """2^32 ticks pass some twenty times: 100 s at 480 MHz would be eleven."""
    firmware = host_firmware(ticks_per_look=3_000_000_000)
    said = firmware.replies(*LOAD, "infer 30 0")[2]
    laps = [int(line.removeprefix("m-lap-us-")) for line in said if line.startswith("m-lap-us-")]
    assert (laps[1] - laps[0]) % 2**32 == 31 * 3_000_000_000 % 2**32


def test_caps_and_identity(firmware) -> None:
    caps, identity, unknown, alone = firmware.replies("tb caps", "tb id", "tb what", "tb")
    assert caps == ["m-tb-caps-[1 caps id clk bin out lat mem layers baud]"]
    assert identity == [
        "m-tb-build-id-[0123456789abcdef0123456789abcdef01234567]",
        "m-tb-target-[nucleo-f746]",
        "m-tb-image-[clean]",
        "m-tb-engine-[tiny 1.0]",
        "m-tb-input-[10 int8]",
        "m-tb-output-[10]",
    ]
    assert unknown == alone == ["e-[Unknown command: tb]"]


def test_the_clock_is_reported_and_distrusted(host_firmware) -> None:
    assert host_firmware().replies("tb clk") == [["m-tb-clk-hz-[1000000]", "m-tb-clk-loop-[100000 1000]"]]
    still = host_firmware(ticks_per_look=0).replies("tb clk")
    assert still == [["m-tb-clk-hz-[1000000]", "e-[Clock stands still]"]]


def test_the_clock_of_this_computer_runs(host_firmware) -> None:
    hz, loop = host_firmware(ticks_per_look=None).replies("tb clk")[0]
    assert hz == "m-tb-clk-hz-[1000000000]"
    assert re.fullmatch(r"m-tb-clk-loop-\[100000 [1-9]\d*\]", loop)


def test_times_come_sixteen_to_a_line_and_within_limits(firmware) -> None:
    times, *refused, most = firmware.replies(
        *LOAD, "tb lat 18 2", "tb lat 0", "tb lat 1 -1", "tb lat 257", "tb lat 256"
    )[2:]
    sixteen = " ".join(["1000"] * 16)
    assert times == [f"m-tb-lat-[{sixteen}]", "m-tb-lat-[1000 1000]", SCORES]
    assert refused == [["e-[Number of inferences out of range]"]] * 3
    assert most == [f"m-tb-lat-[{sixteen}]"] * 16 + [SCORES]


def test_memory_in_both_images(host_firmware) -> None:
    clean = host_firmware().replies("tb mem")[0]
    assert clean == ["m-tb-mem-arena-[10 10]", "m-tb-mem-stack-[- 0]", "m-tb-mem-heap-[0 0]"]
    painted = host_firmware(kind="instrumented").replies("tb mem", "tb id")
    assert painted[0] == ["m-tb-mem-arena-[10 10]", "m-tb-mem-stack-[0 0]", "m-tb-mem-heap-[0 0]"]
    assert "m-tb-image-[instrumented]" in painted[1]


def test_layers_only_in_the_instrumented_image(host_firmware) -> None:
    assert host_firmware().replies("tb layers") == [["e-[Not in the clean image]"]]
    said = host_firmware(kind="instrumented").replies(*LOAD, "infer 1 0", "tb layers")[-1]
    assert said == ["m-tb-layer-[0 orders 1000]", "m-tb-layer-[1 increment 1000]"]


def test_a_binary_load_is_the_same_as_a_text_load(firmware) -> None:
    said = firmware.say(b"tb bin 10%" + framed(INPUT) + b"db print%infer 1 0%tb out%")[4:]
    assert said[:4] == ["m-tb-bin-[10]", "m-ready", "m-load-done", "m-ready"]
    assert said[4:6] == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-ff"]
    assert said[-2] == f"m-tb-out-[{OUTPUT.hex()}]"


@pytest.mark.parametrize("broken", range(14))
def test_a_binary_load_with_a_wrong_byte_is_refused_and_forgotten(firmware, broken: int) -> None:
    data = bytearray(framed(INPUT))
    data[broken] ^= 0x10
    said = firmware.say(b"tb bin 10%" + bytes(data) + b"infer 1 0%name%")[4:]
    assert said[2:4] == ["e-[CRC mismatch]", "m-ready"]
    assert said[4:6] == [*NOT_LOADED, "m-ready"]
    assert said[6].startswith("m-name-")


def test_a_binary_load_of_a_wrong_size_is_not_begun(firmware) -> None:
    commands = ("tb bin 0", "tb bin", "tb bin -1", "tb bin 11", "tb bin 99999999999999999999")
    assert firmware.replies(*commands) == [["e-[Load does not fit the buffer]"]] * len(commands)


def test_a_binary_load_that_stops_is_given_up(host_firmware) -> None:
    """Two seconds of this clock are a few looks; the pipe stays open until the firmware has spoken."""
    import subprocess

    firmware = host_firmware(ticks_per_look=500_000)
    with subprocess.Popen([firmware.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"tb bin 10%" + INPUT[:7])
        process.stdin.flush()
        said = [process.stdout.readline().decode().strip() for _ in range(8)]
        assert said[4:] == ["m-tb-bin-[10]", "m-ready", "e-[Data stopped]", "m-ready"]
        rest, _ = process.communicate(b"name%")
        assert rest == b"m-name-dut-[tinybench nucleo-f746]\r\nm-ready\r\n"


def test_baud_rates(firmware) -> None:
    good, *bad = firmware.replies("tb baud 921600", "tb baud", "tb baud 0", "tb baud -9600", "tb baud 300")
    assert good == ["m-tb-baud-[921600]"]
    assert bad == [["e-[Baud rate not possible]"]] * 4


def test_uint8_is_the_tensor_plus_128_on_the_wire(host_firmware) -> None:
    _, _, printed, _, out = host_firmware("uint8").replies(*LOAD, "db print", "infer 2 0", "tb out")
    assert printed == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-ff", ""]
    assert out == [f"m-tb-out-[{bytes((byte + 128 + 1) % 256 for byte in INPUT).hex()}]"]


def test_float32_is_quantised_and_scored_by_its_mean_squared_error(host_firmware) -> None:
    """tiny_engine.c: input = 0.5 * (q - 3), output = 0.25 * (q + 128)."""
    firmware = host_firmware("float32", "mean-squared-error", 4)
    values = (0.0, 0.24, 0.25, -1e9)
    data = struct.pack("<4f", *values)
    quantised = (3, 3, 4, -128)
    answers = [0.25 * (q + 1 + 128) for q in quantised]
    squares = [(answer - value) ** 2 for answer, value in zip(answers, values, strict=True)]
    said = firmware.say(b"tb bin 16%" + framed(data) + b"infer 1 0%tb out%db load 16%results%")
    assert f"m-tb-out-[{bytes((q + 1) % 256 for q in quantised).hex()}]" in said
    results = [line for line in said if line.startswith("m-results-")]
    mean = struct.unpack("<f", struct.pack("<f", sum(squares) / 4))[0]
    assert results == [f"m-results-[{mean:.3f}]"] * 2  # a later load does not change what was answered


COMMANDS = st.sampled_from(
    [
        "name",
        "db load 10",
        f"db {INPUT.hex()}",
        "db",
        "infer 1 1",
        "tb lat 3",
        "tb bin 5",
        "tb id",
        "db print",
        "%",
    ]
)
NOISE = st.one_of(
    st.binary(max_size=120),
    st.text(alphabet="db loadinfertb 0123456789-%", max_size=120).map(str.encode),
    COMMANDS.map(lambda command: f"{command}%".encode()),
)


@settings(max_examples=150, deadline=None)
@given(noise=st.lists(NOISE, max_size=12))
def test_after_any_noise_it_still_knows_its_name(firmware, noise: list[bytes]) -> None:
    """A binary load under way swallows what it was promised, ten bytes and a checksum at most."""
    said = firmware.say(b"".join(noise) + b"%" * 15 + b"name%")
    assert said[-2:] == ["m-name-dut-[tinybench nucleo-f746]", "m-ready"]


@settings(max_examples=100, deadline=None)
@given(command=st.binary(min_size=1, max_size=300).filter(lambda c: b"%" not in c and b"tb" not in c))
def test_every_command_is_answered_once(firmware, command: bytes) -> None:
    said = firmware.say(command + b"%")
    assert said.count("m-ready") == 2, "one for booting, one for the command"
    assert said[-1] == "m-ready"
