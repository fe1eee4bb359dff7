"""The language of the wire: dialects as data, replies as values. Nothing here reads, writes or waits.

Source: docs/wire.md, and the reference implementation of the MLPerf Tiny API (mlcommons/tiny,
`benchmark/api/internally_implemented.cpp` for the batch dialect,
`benchmark/reference_submissions/streaming_wakeword` for the streaming one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

READY = b"m-ready"
WIRE_VERSION = 1
LAP_MODULUS_US = 1 << 32


@dataclass(frozen=True)
class Dialect:
    """How one family of firmware differs from the others.

    `harmless` lines are no data and no error; `echo` leads the line that repeats a command; `print_all` shows
    the whole buffer, of N bytes.
    """

    name: str
    profile: re.Pattern[bytes]
    command_limit: int
    chunk_bytes: int
    harmless: tuple[re.Pattern[bytes], ...] = ()
    echo: bytes | None = None
    print_all: str = "db print"


# 31 bytes of data in a command, as the official runner sends: there is room for it in every known buffer.
BATCH = Dialect(name="batch", profile=re.compile(rb"ULPMark"), command_limit=80, chunk_bytes=31)
STREAMING = Dialect(
    name="streaming",
    profile=re.compile(rb"MLPerf Tiny Firmware"),
    command_limit=1028,  # EE_CMD_SIZE of sww_ref_util.h
    chunk_bytes=512,
    echo=b"Received command: ",
    print_all="db print {}",
    harmless=(
        re.compile(rb"Received command: "),
        re.compile(rb"Expecting \d+ bytes$"),
        re.compile(rb"\d+ bytes received$"),
    ),
)
DIALECTS = (BATCH, STREAMING)


def dialect_of(profile: bytes, *, echoes: bool) -> Dialect:
    """The dialect that a firmware's `profile` names, or else its habit of echoing; BATCH if neither tells."""
    named = next((dialect for dialect in DIALECTS if dialect.profile.search(profile)), None)
    return named or (STREAMING if echoes else BATCH)


def command_bytes(command: str, limit: int) -> bytes:
    """What is sent for `command`; ValueError for anything that harms a firmware of the reference API.

    An empty command crashes it, a line feed becomes part of the verb, and what exceeds the buffer overwrites
    its last byte in silence.
    """
    if not command.strip() or not command.isascii() or not command.isprintable() or "%" in command:
        raise ValueError(f"`{command!r}` is not a command")
    if len(command) > limit:
        raise ValueError(f"`{command[:20]}…` has {len(command)} characters of at most {limit}")
    return command.encode("ascii") + b"%"


class Saying(Enum):
    """What a line from the device is."""

    READY = auto()
    DATUM = auto()
    ERROR = auto()
    FAULT = auto()
    RESET = auto()
    HARMLESS = auto()
    STRAY = auto()


_PREFIXES = (
    (Saying.FAULT, (b"e-tb-fault-[",)),
    (Saying.ERROR, (b"e-[",)),
    (Saying.RESET, (b"m-timestamp-mode-", b"m-init-done")),
    (Saying.DATUM, (b"m-",)),
)


def saying(line: bytes, dialect: Dialect) -> Saying:
    """What `line` is, in this dialect. The marks of a boot block mean that the device was reset."""
    for kind, prefixes in _PREFIXES:
        if line.startswith(prefixes):
            return Saying.READY if line == READY else kind
    if not line.strip() or any(pattern.match(line) for pattern in dialect.harmless):
        return Saying.HARMLESS
    return Saying.STRAY


@dataclass(frozen=True)
class Reply:
    """Everything between a command and its `m-ready`, sorted; `lines` holds it all, in order."""

    command: str
    lines: tuple[bytes, ...]
    data: tuple[bytes, ...]
    errors: tuple[bytes, ...]
    strays: tuple[bytes, ...]

    def values(self, name: str) -> Iterator[str]:
        """What stands in the brackets of each `m-<name>-[…]`, in order."""
        prefix = f"m-{name}-[".encode()
        for line in self.data:
            if line.startswith(prefix) and line.endswith(b"]"):
                yield line[len(prefix) : -1].decode("ascii", errors="replace")

    def value(self, name: str) -> str | None:
        """What stands in the brackets of the only `m-<name>-[…]`; None if there is none, or not just one."""
        values = tuple(self.values(name))
        return values[0] if len(values) == 1 else None

    def laps_us(self) -> tuple[int, ...]:
        """The timestamps, in microseconds of the device's clock modulo 2^32."""
        matches = (re.fullmatch(rb"m-lap-us-(\d+)", line) for line in self.data)
        return tuple(int(match[1]) for match in matches if match)

    def counted(self) -> int | None:
        """How many bytes of a load the firmware says it has, where it says so."""
        matches = (re.fullmatch(rb"(\d+) bytes received", line) for line in self.lines)
        return next((int(match[1]) for match in matches if match), None)

    def integers(self, name: str, count: int) -> tuple[int, ...] | None:
        """The `count` signed numbers in the only `m-<name>-[…]`; None if they are not these and int8."""
        words = [word.strip() for word in (self.value(name) or "").split(",")]
        if len(words) != count or not all(re.fullmatch(r"[+-]?[0-9]{1,3}", word) for word in words):
            return None
        numbers = tuple(map(int, words))
        return numbers if all(-128 <= number <= 127 for number in numbers) else None  # noqa: PLR2004 - int8

    def printed_buffer(self) -> bytes:
        """What `db print` shows: `m-buffer-01-02-…`, or bare hexadecimal digits as some firmware has it."""
        pairs = re.compile(rb"(?:m-buffer-)?((?:[0-9A-Fa-f]{2}-?)*)")
        matches = (pairs.fullmatch(line.replace(b" ", b"")) for line in self.lines)
        return b"".join(bytes.fromhex(match[1].replace(b"-", b"").decode()) for match in matches if match)


def sort_reply(command: str, lines: tuple[bytes, ...], dialect: Dialect) -> Reply:
    """The reply to `command` that consists of `lines`, `m-ready` left out."""

    def of(kind: Saying) -> tuple[bytes, ...]:
        return tuple(line for line in lines if saying(line, dialect) is kind)

    return Reply(command, lines, of(Saying.DATUM), of(Saying.ERROR), of(Saying.STRAY))


def elapsed_s(first_us: int, last_us: int) -> float:
    """Seconds between two timestamps of a 32-bit microsecond counter that may have wrapped once."""
    return ((last_us - first_us) % LAP_MODULUS_US) / 1e6


@dataclass(frozen=True)
class Profile:
    """What firmware says of itself, and the dialect that follows from it."""

    firmware: str
    model: str
    dialect: Dialect


@dataclass(frozen=True)
class Capabilities:
    """The version of our wire that a firmware speaks, and the `tb` verbs it knows."""

    version: int
    verbs: frozenset[str]


@dataclass(frozen=True)
class Identity:
    """What our firmware answers to `tb id`; sizes in bytes of the wire's input and the output tensor."""

    build_id: str
    target: str
    image: str
    engine: str
    engine_version: str
    input_bytes: int
    input_encoding: str
    output_bytes: int


@dataclass(frozen=True)
class DeviceClock:
    """The rate of the device's counter, and how far it went across a loop of known length."""

    hz: int
    loop_iterations: int
    loop_ticks: int


@dataclass(frozen=True)
class Stamp:
    """Two readings of the device's clock (the same one, for a single look) between two of the host's.

    The device took both after `sent_s` and before `heard_s`: a command is never acted on before it is sent,
    and an answer never heard before it is given. How much later is unknown, and that is all there is to know.
    """

    sent_s: float
    first_us: int
    last_us: int
    heard_s: float

    @property
    def device_s(self) -> float:
        """Seconds of the device's clock between its two readings."""
        return elapsed_s(self.first_us, self.last_us)

    @property
    def doubt_s(self) -> float:
        """How far the host's two readings lie apart beyond what the device computed between them."""
        return self.heard_s - self.sent_s - self.device_s


@dataclass(frozen=True)
class Window:
    """One timed stretch of `inferences` equal inferences, which lies within `stamp`.

    `host_s` lies between sending the command and `m-ready`, so it holds warm-up, loading the tensor and
    printing as well. `results` is what is printed: rounded; `printed` is the same as it was printed, digits
    and all.
    """

    inferences: int
    stamp: Stamp
    results: tuple[float, ...]
    printed: tuple[str, ...] = ()

    @property
    def device_s(self) -> float:
        """Seconds between the device's two timestamps."""
        return self.stamp.device_s

    @property
    def host_s(self) -> float:
        """Seconds that the host waited for the whole answer."""
        return self.stamp.heard_s - self.stamp.sent_s


@dataclass(frozen=True)
class MemoryUse:
    """Bytes used and reserved; `stack_used` is None in the clean image, which does not paint its stack."""

    arena_used: int
    arena_reserved: int
    stack_used: int | None
    stack_reserved: int
    heap_used: int | None
    heap_reserved: int


@dataclass(frozen=True)
class Layer:
    """One operator of the last inference, in ticks of the device's clock."""

    index: int
    name: str
    ticks: int


# SWW_WINSTRIDE_SAMPLES, NUM_MEL_FILTERS and SWW_MODEL_INPUT_SIZE of sww_ref_util.h.
FRAME_BYTES, FEATURES, CLASSES, MODEL_INPUT = 2 * 512, 40, 3, 1200


@dataclass(frozen=True)
class Step:
    """What streaming firmware makes of 512 samples: a row of features, and its model's activations (int8)."""

    features: tuple[int, ...]
    activations: tuple[int, ...]


def frames(samples: bytes) -> Iterator[bytes]:
    """Mono samples of 16 bits, little-endian, in steps of 512; what is left over is left out."""
    for start in range(0, len(samples) - FRAME_BYTES + 1, FRAME_BYTES):
        yield samples[start : start + FRAME_BYTES]


def model_inputs(steps: Iterable[Step]) -> Iterator[bytes]:
    """The model's input at each step, by the features that the device shows: what its activations must fit.

    The newest 30 rows of 40; before there are so many, zeros (`th_extract_features_on_chunk`).
    """
    window = bytes(MODEL_INPUT)
    for step in steps:
        window = window[FEATURES:] + bytes(value & 0xFF for value in step.features)
        yield window
