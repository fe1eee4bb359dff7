"""Firmware that exists only in memory: the end of the wire for tests, with its faults as settings.

Time is virtual. `FakeFirmware.clock` is the clock to hand to whatever talks to it: it advances while a reader
waits, and never otherwise, so that hours pass in no time and no test depends on the machine it runs on.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from tinybench.errors import LinkClosed, LinkTimeout
from tinybench.target import Device, ExecutionProfile, Image, Invocation, Link, Target

NO_CAPABILITIES: tuple[str, ...] = ()
ALL_CAPABILITIES = ("caps", "id", "clk", "bin", "out", "lat", "mem", "layers", "baud")
_BUFFER_CHARACTERS = 80
_LAPS_START_US = (1 << 32) - 100_000  # the counter wraps soon after reset: nobody may forget that it does
_CLOCK_LOOP_ITERATIONS = 10_000
_BAUD_CONFIRM_S = 1.0


@dataclass(frozen=True)
class Faults:
    """What is wrong with a device. A `str` names the verb (the start of a command) that the fault strikes.

    `mute` answers nothing. `late_s` delays every reply. `truncated` stops in the middle of a reply.
    `doubled_ready` ends a reply twice. `garbage` and `debug_text` put a line of noise, or of chatter, between
    lines. `resets` prints the boot block instead of a reply's end. `faults` reports a processor fault.
    `crc_damage` spoils so many binary loads. `flipped_bit` is wrong in every output. `clock_stuck` and
    `clock_ratio` are about the device's clock; with `wrap_mhz` its timestamps are 32-bit cycles divided by
    that, so they wrap every 2^32 cycles. `trailing_comma` follows the results. `plain_errors` have no `e-[`
    and end in a bare line feed. `closes_after` is the number of bytes after which the pipe is gone.
    `deaf_above` is the speed above which nothing gets through. `drift_per_s` is the share by which an
    inference takes longer with every second since the board was cold, `warm_s` of which passed before.
    `timeless` knows no `timestamp`.
    """

    mute: bool = False
    late_s: float = 0.0
    truncated: str | None = None
    doubled_ready: str | None = None
    garbage: str | None = None
    debug_text: str | None = None
    resets: str | None = None
    faults: str | None = None
    crc_damage: int = 0
    flipped_bit: int | None = None
    clock_stuck: bool = False
    clock_ratio: float = 1.0
    wrap_mhz: int | None = None
    trailing_comma: bool = False
    plain_errors: bool = False
    closes_after: int | None = None
    deaf_above: int | None = None
    drift_per_s: float = 0.0
    warm_s: float = 0.0
    timeless: bool = False


FAULT_REGISTERS = (
    "pc=08000123 lr=08000457 psr=61000000 cfsr=00008200 hfsr=40000000 mmfar=00000000 bfar=60000000"
)


@dataclass(frozen=True)
class FakeImage:
    """The firmware and model that a FakeFirmware pretends to be: `invoke` turns input into output bytes."""

    build_id: str = "0" * 40
    target: str = "fake"
    kind: str = "clean"
    engine: str = "fake 1.0"
    model: str = "vww01"
    profile: str = "ULPMark for tinyML Firmware V0.0.1"
    input_bytes: int = 4
    encoding: str = "int8"
    invoke: Callable[[bytes], bytes] = bytes
    output_bytes: int = 4
    latency_s: float = 0.001
    instructions: int = 1000
    arena: tuple[int, int] = (1024, 2048)
    stack: tuple[int, int] = (512, 4096)
    layers: tuple[tuple[str, int], ...] = (("CONV_2D", 600), ("SOFTMAX", 400))
    capabilities: tuple[str, ...] = ALL_CAPABILITIES


@dataclass(frozen=True)
class FakeLine:
    """The serial line: its speed, and the seconds it takes the device to notice a command.

    `jitter_s` comes on top of them, in turn; `heard_late_s` passes, in turn, before a host that is busy reads
    what has arrived.
    """

    baud: int = 115200
    turnaround_s: float = 0.001
    jitter_s: Sequence[float] = (0.0,)
    heard_late_s: Sequence[float] = (0.0,)
    clock_hz: int = 100_000_000


class FakeFirmware:
    """A Link at whose other end `image` runs, as the batch dialect and our `tb` verbs have it."""

    def __init__(
        self,
        image: FakeImage | None = None,
        faults: Faults | None = None,
        line: FakeLine | None = None,
        *,
        boots: bool = True,
    ) -> None:
        self.image = image or FakeImage()
        self.faults = faults or Faults()
        self.line = line or FakeLine()
        self.received = bytearray()
        self.commands: list[str] = []
        self.invocations = 0
        self.closed = False
        self._now_s = 0.0
        self._device_s = 0.0
        self._arrivals: deque[tuple[float, bytes]] = deque()
        self._sent_bytes = 0
        self._typed = bytearray()
        self._raw_expected = 0
        self._buffer = bytearray()
        self._buffer_size = 0
        self._output = b""
        self._damaged_loads = 0
        self._turns = 0
        self._reads = 0
        self._baud = self._host_baud = self._safe_baud = self.line.baud
        self._baud_until_s = math.inf
        if boots and not self.faults.mute:
            self._print([*self._boot_block(), "m-ready"])

    def clock(self) -> float:
        """Seconds of virtual time."""
        return self._now_s

    # --- the Link ---

    def write(self, data: bytes) -> None:
        """Send bytes to the firmware, which acts on each complete command at once."""
        self._refuse_if_closed()
        self.received += data
        if self._now_s > self._baud_until_s:
            self._baud, self._baud_until_s = self._safe_baud, math.inf
        if self._host_baud != self._baud or (self.faults.deaf_above or math.inf) < self._baud:
            return
        self._device_s = max(self._device_s, self._now_s) + len(data) * 10 / self._baud
        for byte in data:
            if self._raw_expected:
                self._take_raw(byte)
            elif byte == ord("%"):
                command = self._typed.decode("ascii", errors="replace").lstrip("\r\n")
                self._typed.clear()
                self._obey(command)
            elif len(self._typed) < _BUFFER_CHARACTERS:
                self._typed.append(byte)
            else:
                self._typed[-1] = byte

    def read(self, within_s: float) -> bytes:
        """What has arrived by then; virtual time passes while there is nothing."""
        self._refuse_if_closed()
        if not self._arrivals or self._arrivals[0][0] > self._now_s + within_s:
            self._now_s += within_s
            raise LinkTimeout(f"nothing arrived within {within_s:g} s")
        arrival_s, data = self._arrivals.popleft()
        self._reads += 1
        late_s = self.line.heard_late_s[self._reads % len(self.line.heard_late_s)]
        self._now_s = max(self._now_s, arrival_s) + late_s
        limit = self.faults.closes_after
        if limit is not None and self._sent_bytes + len(data) >= limit:
            data = data[: limit - self._sent_bytes]
            self.closed = True
        self._sent_bytes += len(data)
        if not data:
            self._refuse_if_closed()
        return data

    def set_baud(self, baud: int) -> None:
        """Change the speed of the host's end."""
        self._host_baud = baud

    def close(self) -> None:
        """The cable is pulled."""
        self.closed = True

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise LinkClosed("the fake device is gone")

    # --- printing ---

    def _print(self, lines: Sequence[str], ending: str = "\r\n") -> None:
        self._print_bytes("".join(line + ending for line in lines).encode())

    def _print_bytes(self, data: bytes) -> None:
        self._device_s += len(data) * 10 / self._baud
        self._arrivals.append((self._device_s, data))

    def _boot_block(self) -> list[str]:
        return ["m-timestamp-mode-performance", f"m-lap-us-{self._lap_us()}", "m-init-done"]

    def _obey(self, command: str) -> None:
        self.commands.append(command)
        if self.faults.mute:
            return
        self._turns += 1
        jitter_s = self.line.jitter_s[self._turns % len(self.line.jitter_s)]
        self._device_s += self.line.turnaround_s + self.faults.late_s + jitter_s
        self._reply(command, self._answer(command))

    def _reply(self, command: str, lines: list[str]) -> None:
        def struck(verb: str | None) -> bool:
            return verb is not None and command.startswith(verb)

        middle = len(lines) // 2
        if struck(self.faults.debug_text):
            lines.insert(middle, "DEBUG: heap 1234")
        if struck(self.faults.faults):
            lines = [*lines[:middle], f"e-tb-fault-[{FAULT_REGISTERS}]"]
        if struck(self.faults.resets):
            lines = [*lines[:middle], *self._boot_block()]
        if struck(self.faults.truncated):
            self._print(lines[:middle])
            self._print_bytes(b"m-rea")
            return
        if struck(self.faults.garbage):
            self._print(lines[:middle])
            self._print_bytes(b"\xff\x00\xfe\x80garbage\n")
            lines = lines[middle:]
        bare = self.faults.plain_errors and lines and not lines[0].startswith(("m-", "e-"))
        self._print(lines, ending="\n" if bare else "\r\n")
        self._print(["m-ready"] * (2 if struck(self.faults.doubled_ready) else 1))
        self._note_speed(command)

    def _note_speed(self, command: str) -> None:
        """A new rate holds from here on, if a `name` confirms it in time."""
        if command == "name":
            self._baud_until_s = math.inf
        elif command.startswith("tb baud") and "baud" in self.image.capabilities:
            self._safe_baud, self._baud = self._baud, int(command.removeprefix("tb baud"))
            self._baud_until_s = self._now_s + _BAUD_CONFIRM_S

    # --- the verbs ---

    def _answer(self, command: str) -> list[str]:
        verb, _, rest = command.partition(" ")
        answers: dict[str, Callable[[], list[str]]] = {
            "": list,
            "name": lambda: ["m-name-dut-[fake]"],
            "profile": lambda: [f"m-profile-[{self.image.profile}]", f"m-model-[{self.image.model}]"],
            "timestamp": lambda: [f"m-lap-us-{self._lap_us()}"],
            "results": lambda: [self._results()],
            "db": lambda: self._db(rest),
            "infer": lambda: self._infer(rest),
        }
        if self.image.capabilities:
            answers["tb"] = lambda: self._tb(rest)
        if self.faults.timeless:
            del answers["timestamp"]
        return answers[verb]() if verb in answers else [f"e-[Unknown command: {verb}]"]

    def _db(self, rest: str) -> list[str]:
        match rest.split():
            case ["load", number] if number.isdigit():
                if int(number) != self.image.input_bytes and self.faults.plain_errors:
                    return [f"Supplied buffer size {number} exceeds maximum of {self.image.input_bytes}"]
                self._buffer, self._buffer_size = bytearray(), int(number)
                return [f"m-[Expecting {number} bytes]"]
            case ["print"]:
                rows = [self._buffer[i : i + 8] for i in range(0, len(self._buffer), 8)]
                return [*(f"m-buffer-{row.hex('-')}" for row in rows), *([""] if len(rows[-1]) % 8 else [])]
            case [digits]:
                if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", digits):
                    return ["e-[Insufficent number of hex digits]"]
                self._buffer += bytes.fromhex(digits)
                return ["m-load-done"] if len(self._buffer) == self._buffer_size else []
        return ["e-[Command 'db' requires a subcommand]"]

    def _infer(self, rest: str) -> list[str]:
        n, warmup = (int(word) for word in rest.split())
        if len(self._buffer) != self.image.input_bytes:
            return [f"Input db has {len(self._buffer)} elemented, expected {self.image.input_bytes}"]
        self._invoke(warmup)
        first_us = self._lap_us()
        self._invoke(n)
        last_us = self._lap_us()
        return [
            f"m-warmup-start-{warmup}",
            "m-warmup-done",
            f"m-infer-start-{n}",
            f"m-lap-us-{first_us}",
            f"m-lap-us-{last_us}",
            "m-infer-done",
            self._results(),
        ]

    def _invoke(self, times: int) -> None:
        drift = self.faults.drift_per_s * (self.faults.warm_s + self._device_s)
        self._device_s += times * self.image.latency_s * (1 + drift)
        self.invocations += times
        self._output = self.image.invoke(bytes(self._buffer))
        if self.faults.flipped_bit is not None:
            output = bytearray(self._output)
            output[self.faults.flipped_bit // 8] ^= 1 << self.faults.flipped_bit % 8
            self._output = bytes(output)

    def _tb(self, rest: str) -> list[str]:
        verb, _, arguments = rest.partition(" ")
        answers: Mapping[str, Callable[[], list[str]]] = {
            "caps": lambda: [f"m-tb-caps-[1 {' '.join(self.image.capabilities)}]"],
            "id": self._tb_id,
            "clk": self._tb_clk,
            "bin": lambda: self._tb_bin(int(arguments)),
            "out": lambda: [f"m-tb-out-[{self._output.hex()}]"],
            "lat": lambda: self._tb_lat(*(int(word) for word in arguments.split())),
            "mem": self._tb_mem,
            "layers": self._tb_layers,
            "baud": lambda: [f"m-tb-baud-[{arguments}]"],
        }
        if verb not in self.image.capabilities:
            return [f"e-[Unknown command: tb {verb}]"]
        return answers[verb]()

    def _tb_id(self) -> list[str]:
        image = self.image
        return [
            f"m-tb-build-id-[{image.build_id}]",
            f"m-tb-target-[{image.target}]",
            f"m-tb-image-[{image.kind}]",
            f"m-tb-engine-[{image.engine}]",
            f"m-tb-input-[{image.input_bytes} {image.encoding}]",
            f"m-tb-output-[{image.output_bytes}]",
        ]

    def _tb_clk(self) -> list[str]:
        if self.faults.clock_stuck:
            return ["e-[Clock stands still]"]
        return [
            f"m-tb-clk-hz-[{self.line.clock_hz}]",
            f"m-tb-clk-loop-[{_CLOCK_LOOP_ITERATIONS} {3 * _CLOCK_LOOP_ITERATIONS}]",
        ]

    def _tb_bin(self, size: int) -> list[str]:
        self._buffer, self._buffer_size, self._raw_expected = bytearray(), size, size + 4
        return [f"m-tb-bin-[{size}]"]

    def _take_raw(self, byte: int) -> None:
        self._buffer.append(byte)
        self._raw_expected -= 1
        if self._raw_expected:
            return
        if self._damaged_loads < self.faults.crc_damage:
            self._damaged_loads += 1
            self._buffer[0] ^= 0x10
        data, crc = bytes(self._buffer[:-4]), int.from_bytes(self._buffer[-4:], "little")
        self._buffer = bytearray(data)
        self._reply("raw", ["m-load-done"] if zlib.crc32(data) == crc else ["e-[CRC mismatch]"])

    def _tb_lat(self, n: int, warmup: int) -> list[str]:
        self._invoke(warmup + n)
        ticks = str(round(self.image.latency_s * self.line.clock_hz * self.faults.clock_ratio))
        rows = [[ticks] * min(16, n - start) for start in range(0, n, 16)]
        return [*(f"m-tb-lat-[{' '.join(row)}]" for row in rows), self._results()]

    def _tb_mem(self) -> list[str]:
        used = self.image.stack[0] if self.image.kind == "instrumented" else "-"
        return [
            "m-tb-mem-arena-[{} {}]".format(*self.image.arena),
            f"m-tb-mem-stack-[{used} {self.image.stack[1]}]",
            "m-tb-mem-heap-[0 0]",
        ]

    def _tb_layers(self) -> list[str]:
        if self.image.kind != "instrumented":
            return ["e-[Not in the clean image]"]
        return [f"m-tb-layer-[{i} {name} {ticks}]" for i, (name, ticks) in enumerate(self.image.layers)]

    def _results(self) -> str:
        values = ",".join(f"{byte / 256:.3f}" for byte in self._output)
        return f"m-results-[{values}{',' if self.faults.trailing_comma else ''}]"

    def _lap_us(self) -> int:
        if self.faults.wrap_mhz is not None:
            return (round(self._device_s * self.faults.wrap_mhz * 1e6) % (1 << 32)) // self.faults.wrap_mhz
        return (_LAPS_START_US + round(self._device_s * 1e6 * self.faults.clock_ratio)) % (1 << 32)


class FakeSimulator:
    """A FakeFirmware that counts what it executes, as a virtual board does."""

    simulator = "fake 1.0"

    def __init__(self, firmware: FakeFirmware) -> None:
        self._firmware = firmware
        self._counted_from = 0
        self.write = firmware.write
        self.read = firmware.read
        self.clock = firmware.clock
        self.close = firmware.close

    def reset_profile(self) -> None:
        """Start counting from zero."""
        self._counted_from = self._firmware.invocations

    def profile(self) -> ExecutionProfile:
        """What was executed since: the inferences, and nothing else."""
        each = self._firmware.image.instructions
        times = self._firmware.invocations - self._counted_from
        return ExecutionProfile(
            instructions=each * times + 123,
            functions={"tb_engine_invoke": each * times, "tb_serve": 123},
            operators=dict.fromkeys(range(len(self._firmware.image.layers)), each * times // 2),
            invocations=(Invocation("tb_engine_invoke", each),) * times,
            inference={"tb_engine_invoke": each * times},
        )


@runtime_checkable
class _Closes(Protocol):
    def close(self) -> None: ...


@dataclass
class FakeAdapter:
    """Opens whatever `make` makes of a device and an image, and counts what is open."""

    make: Callable[[Device, Image], Link]
    devices: tuple[Device, ...] = ()
    simulated: bool = False
    name: str = "fake"
    opened: int = 0
    open_now: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def find(self, target: Target) -> Sequence[Device]:
        """The devices of this target among `devices`."""
        return [device for device in self.devices if device.target.name == target.name]

    @contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """A link to what `make` makes."""
        self.opened += 1
        self.open_now += 1
        self.kinds[image.kind] += 1
        try:
            link = self.make(device, image)
            try:
                yield link
            finally:
                if isinstance(link, _Closes):
                    link.close()
        finally:
            self.open_now -= 1
