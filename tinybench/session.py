"""One live conversation with a running image: the MLPerf Tiny text protocol and our `tb` verbs, as host.

Every command waits for its `m-ready` and has a deadline. A reply that does not fit ends the session: what
follows could be the answer to an earlier question, so nothing more is asked of this link.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from tinybench.dialogue import Dialogue, ExplainFault, Patience
from tinybench.errors import ClockSuspect, LoadError
from tinybench.links import Clock, Deadline
from tinybench.target import Link
from tinybench.wire import (
    CLASSES,
    FEATURES,
    WIRE_VERSION,
    Capabilities,
    DeviceClock,
    Dialect,
    Identity,
    Layer,
    MemoryUse,
    Profile,
    Reply,
    Stamp,
    Step,
    Window,
    dialect_of,
)

_BITS_PER_BYTE_ON_LINE = 10  # 8N1
_DAMAGED_IN_TRANSFER = frozenset({b"e-[CRC mismatch]", b"e-[Data stopped]"})
_BAUD_CONFIRM_S = 1.0  # docs/wire.md: without a `name` within this time the device returns to its old rate


class Session:
    """What can be asked of a running image. Made by `connect`; over once anything raises a DeviceError."""

    def __init__(self, dialogue: Dialogue, baud: int) -> None:
        self._dialogue = dialogue
        self._ask = dialogue.ask
        self._unfit = dialogue.unfit
        self._clock = dialogue.clock
        self._patience = dialogue.patience
        self._capabilities: Capabilities | None = None
        self._inference_s: float | None = None
        self._tells_time = True
        self._baud = baud

    @classmethod
    def connect(
        cls,
        link: Link,
        *,
        clock: Clock,
        baud: int = 115200,
        patience: Patience | None = None,
        limit: Deadline | None = None,
        explain_fault: ExplainFault | None = None,
    ) -> Session:
        """Let the device finish booting, agree on who is speaking, and learn dialect and capabilities.

        `baud` is the line's speed, by which time-outs are predicted. `limit` bounds everything this session
        will ever do; `explain_fault` turns the registers of a fault into sentences. Raises DeadlineExceeded
        if nobody answers to `name`, FirmwareFault, LinkClosed, ProtocolError.
        """
        dialogue = Dialogue(
            link,
            clock=clock,
            patience=patience or Patience(),
            limit=limit or Deadline.never(clock),
            explain_fault=explain_fault,
        )
        dialogue.greet()
        session = cls(dialogue, baud)
        dialogue.dialect = session.profile().dialect
        session._capabilities = session._ask_capabilities()
        return session

    @property
    def boot(self) -> tuple[str, ...]:
        """The lines the device said after reset, if it was reset while somebody listened."""
        return self._dialogue.boot

    @property
    def dialect(self) -> Dialect:
        """How this firmware speaks."""
        return self._dialogue.dialect

    # --- who is there ---

    def name(self) -> str:
        """The vendor's name in `m-name-dut-[…]`."""
        reply = self._ask("name", strict=False)
        name = reply.value("name-dut")
        if name is None:
            raise self._unfit(reply, "it does not hold one `m-name-dut-[…]`")
        return name

    def profile(self) -> Profile:
        """Firmware version and model id, and the dialect that follows."""
        reply = self._ask("profile", strict=False)
        firmware, model = reply.value("profile"), reply.value("model")
        if firmware is None or model is None:
            raise self._unfit(reply, "it does not hold one `m-profile-[…]` and one `m-model-[…]`")
        return Profile(firmware, model, dialect_of(firmware.encode(), echoes=self._dialogue.echoes))

    def capabilities(self) -> Capabilities | None:
        """The `tb` verbs of our firmware; None for anybody else's."""
        return self._capabilities

    def offers(self, verb: str) -> bool:
        """Whether the firmware knows `tb <verb>`."""
        return self._capabilities is not None and verb in self._capabilities.verbs

    def identify(self) -> Identity:
        """Build id, target, image, engine and sizes, of our firmware."""
        reply = self._ask("tb id")
        engine, _, version = self._value(reply, "tb-engine").partition(" ")
        input_bytes, _, encoding = self._value(reply, "tb-input").partition(" ")
        return Identity(
            build_id=self._value(reply, "tb-build-id"),
            target=self._value(reply, "tb-target"),
            image=self._value(reply, "tb-image"),
            engine=engine,
            engine_version=version,
            input_bytes=self._integer(reply, input_bytes),
            input_encoding=encoding,
            output_bytes=self._integer(reply, self._value(reply, "tb-output")),
        )

    # --- inputs and outputs ---

    def load(self, data: bytes, *, verify: bool = False) -> None:
        """Fill the input buffer: binary with a checksum where the firmware can, else in hexadecimal.

        `verify` reads the buffer back with `db print`. Raises LoadError if the bytes arrive damaged twice.
        """
        if not data:
            raise ValueError("an input has at least one byte")
        if self.offers("bin"):
            self._load_binary(data)
        else:
            self._load_hex(data)
        if verify:
            self._verify(data)

    def output(self) -> bytes:
        """The bytes of the output tensor after the last inference, exact."""
        reply = self._ask("tb out")
        digits = self._value(reply, "tb-out")
        try:
            return bytes.fromhex(digits)
        except ValueError:
            raise self._unfit(reply, "its digits are not hexadecimal pairs") from None

    # --- inference ---

    def infer(self, n: int, warmup: int) -> Window:
        """`warmup` untimed and then `n` timed inferences on the loaded input."""
        sent_s = self._clock()
        reply = self._ask(f"infer {n} {warmup}", within_s=self._predict_s(n + warmup))
        heard_s = self._clock()
        self._inference_s = (heard_s - sent_s) / (n + warmup)
        laps_us = reply.laps_us()
        if len(laps_us) != 2:  # noqa: PLR2004 - the protocol: one timestamp before the loop and one after it
            raise self._unfit(
                reply,
                f"it holds {len(laps_us)} timestamps and not 2",
                hint="firmware built for energy mode prints none: flash the performance build",
            )
        starts = [line for line in reply.data if line.startswith(b"m-infer-start-")]
        if starts not in ([], [b"m-infer-start-%d" % n]):
            raise self._unfit(reply, f"it is not the answer to {n} inferences")
        return Window(n, Stamp(sent_s, *laps_us, heard_s), self._results(reply), _printed(reply))

    def stamp(self) -> Stamp:
        """The device's clock as it is now, by `timestamp`; where that shows nothing, by one inference."""
        if self._tells_time:
            sent_s = self._clock()
            reply = self._ask("timestamp", strict=False)
            heard_s = self._clock()
            laps_us = reply.laps_us()
            if len(laps_us) == 1:
                return Stamp(sent_s, *laps_us, *laps_us, heard_s)
            self._tells_time = False
        return self.infer(1, 0).stamp

    def latencies(self, n: int, warmup: int) -> tuple[int, ...]:
        """Ticks of each of `n` inferences, timed one by one after `warmup` untimed ones."""
        started_s = self._clock()
        reply = self._ask(f"tb lat {n} {warmup}", within_s=self._predict_s(n + warmup))
        self._inference_s = (self._clock() - started_s) / (n + warmup)
        ticks = tuple(self._integer(reply, word) for line in reply.values("tb-lat") for word in line.split())
        if len(ticks) != n:
            raise self._unfit(reply, f"it holds {len(ticks)} times and not {n}")
        return ticks

    # --- streaming wake word ---

    def step(self, frame: bytes) -> Step:
        """What streaming firmware makes of the next 512 samples (16 bits, mono): no microphone is needed.

        Raises ProtocolError if they arrive damaged, or the answer does not hold features and activations.
        """
        self.load(frame)
        reply = self._ask("extract_uart_stream")
        features, activations = reply.integers("features", FEATURES), reply.integers("activations", CLASSES)
        if features is None or activations is None:
            raise self._unfit(
                reply, f"it does not hold {FEATURES} features and {CLASSES} activations of int8"
            )
        return Step(features, activations)

    def listen(self) -> None:
        """Let the device stream from its microphone's input until `stop_listening`."""
        reply = self._ask("start", strict=False)
        if b"DMA receive initiated." not in reply.lines:
            raise self._unfit(reply, "it does not begin to listen")

    def stop_listening(self) -> tuple[int, ...]:
        """End `listen`; the activations of the wake word since, one for each step."""
        reply = self._ask("stop", strict=False)
        found = re.search(rb"target activations: *\[([-+0-9, ]*)\]$", b" ".join(reply.lines))
        if b"Streaming stopped." not in reply.lines or found is None:
            raise self._unfit(reply, "it does not stop and show the activations")
        return tuple(int(word) for word in found[1].split(b",") if word.strip())

    # --- what the device knows about itself ---

    def clock(self) -> DeviceClock:
        """Rate and progress of the device's counter; ClockSuspect if it stands still."""
        reply = self._ask("tb clk", refusable=True)
        if any(b"Clock stands still" in error for error in reply.errors):
            raise ClockSuspect("the device's clock does not advance while it computes")
        self._dialogue.accept(reply)
        hz = self._integer(reply, self._value(reply, "tb-clk-hz"))
        iterations, ticks = self._integers(reply, "tb-clk-loop", 2)
        if hz == 0 or ticks == 0:
            raise ClockSuspect(f"the device's clock makes `{ticks}` ticks in a loop, at `{hz}` Hz")
        return DeviceClock(hz, iterations, ticks)

    def memory(self) -> MemoryUse:
        """Arena, stack and heap, in bytes."""
        reply = self._ask("tb mem")
        arena_used, arena_reserved = self._integers(reply, "tb-mem-arena", 2)
        heap, _, heap_reserved = self._value(reply, "tb-mem-heap").partition(" ")
        used, _, reserved = self._value(reply, "tb-mem-stack").partition(" ")
        return MemoryUse(
            arena_used=arena_used,
            arena_reserved=arena_reserved,
            stack_used=None if used == "-" else self._integer(reply, used),
            stack_reserved=self._integer(reply, reserved),
            heap_used=None if heap == "-" else self._integer(reply, heap),
            heap_reserved=self._integer(reply, heap_reserved),
        )

    def layers(self) -> tuple[Layer, ...]:
        """Ticks per operator of the last inference, of the instrumented image."""
        reply = self._ask("tb layers")
        layers = []
        for value in reply.values("tb-layer"):
            match = re.fullmatch(r"(\d+) (\S+) (\d+)", value)
            if match is None:
                raise self._unfit(reply, f"`{value}` is not an operator's index, name and ticks")
            layers.append(Layer(int(match[1]), match[2], int(match[3])))
        return tuple(layers)

    def set_baud(self, baud: int, change: Callable[[int], None]) -> bool:
        """Ask for another speed; `change` sets this end of the line.

        False if the device cannot or does not answer at the new one: both ends are at the old one again.
        """
        reply = self._ask(f"tb baud {baud}", refusable=True)
        if reply.errors:
            return False
        if self._value(reply, "tb-baud") != str(baud):
            raise self._unfit(reply, f"it does not confirm `{baud}`")
        change(baud)
        if self._dialogue.hears_name(self._dialogue.limit.sooner(_BAUD_CONFIRM_S, self._clock)):
            self._baud = baud
            return True
        change(self._baud)
        self._dialogue.settle(_BAUD_CONFIRM_S)
        self._dialogue.synchronise(self._dialogue.limit.sooner(self._patience.handshake_s, self._clock))
        return False

    # --- loading, in detail ---

    def _load_binary(self, data: bytes) -> None:
        framed = data + zlib.crc32(data).to_bytes(4, "little")
        line_s = len(framed) * _BITS_PER_BYTE_ON_LINE / self._baud
        for _ in range(2):
            offer = self._ask(f"tb bin {len(data)}")
            if self._value(offer, "tb-bin") != str(len(data)):
                raise self._unfit(offer, f"it does not expect {len(data)} bytes")
            reply = self._dialogue.exchange(
                f"the {len(data)} bytes after `tb bin`",
                framed,
                self._patience.load_s + self._patience.slack * line_s,
            )
            if reply.data == (b"m-load-done",) and not reply.errors and not reply.strays:
                return
            if not reply.errors or not _DAMAGED_IN_TRANSFER.issuperset(reply.errors):
                raise self._unfit(reply, "it is neither `m-load-done` nor a checksum's mismatch")
        raise self._dialogue.end(
            LoadError(
                f"an input of `{len(data)}` bytes arrived damaged twice",
                hint="try a lower baud rate or another cable",
            )
        )

    def _load_hex(self, data: bytes) -> None:
        self._ask(f"db load {len(data)}")
        step = self.dialect.chunk_bytes
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            reply = self._ask(f"db {chunk.hex().upper()}")
            complete = start + step >= len(data)
            if reply.counted() not in (None, start + len(chunk)):
                raise self._unfit(reply, f"it has {reply.counted()} bytes of {start + len(chunk)}")
            if (b"m-load-done" in reply.data) is not complete:
                state = "does not end" if complete else "ends too soon"
                raise self._unfit(
                    reply, f"the load of {len(data)} bytes {state} at byte {start + len(chunk)}"
                )

    def _verify(self, data: bytes) -> None:
        line_s = 4 * len(data) * _BITS_PER_BYTE_ON_LINE / self._baud
        reply = self._ask(
            self.dialect.print_all.format(len(data)),
            strict=False,
            within_s=self._patience.reply_s + self._patience.slack * line_s,
        )
        if reply.printed_buffer() != data:
            raise self._dialogue.end(
                LoadError(f"the `{len(data)}` bytes of input do not read back as they were sent")
            )

    # --- reading replies ---

    def _results(self, reply: Reply) -> tuple[float, ...]:
        printed = _printed(reply)
        try:
            return tuple(map(float, printed))
        except ValueError:
            raise self._unfit(reply, f"its results `{','.join(printed)}` are not numbers") from None

    def _value(self, reply: Reply, name: str) -> str:
        value = reply.value(name)
        if value is None:
            raise self._unfit(reply, f"it does not hold one `m-{name}-[…]`")
        return value

    def _integers(self, reply: Reply, name: str, count: int) -> tuple[int, ...]:
        words = self._value(reply, name).split()
        if len(words) != count:
            raise self._unfit(reply, f"`m-{name}-[…]` does not hold {count} numbers")
        return tuple(self._integer(reply, word) for word in words)

    def _integer(self, reply: Reply, word: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", word):
            raise self._unfit(reply, f"`{word}` is not a number")
        return int(word)

    def _predict_s(self, inferences: int) -> float:
        if self._inference_s is None:
            return self._patience.unpredicted_s
        return self._patience.reply_s + self._patience.slack * inferences * self._inference_s

    def _ask_capabilities(self) -> Capabilities | None:
        reply = self._ask("tb caps", strict=False)
        words = (reply.value("tb-caps") or "").split()
        if not words:
            return None
        version = self._integer(reply, words[0])
        if version != WIRE_VERSION:
            raise self._unfit(
                reply, f"the firmware speaks wire version `{version}`, this host `{WIRE_VERSION}`"
            )
        return Capabilities(version, frozenset(words[1:]))


def _printed(reply: Reply) -> tuple[str, ...]:
    """The words of `m-results-[…]`; a comma may trail."""
    return tuple(word.strip() for word in (reply.value("results") or "").split(",") if word.strip())
