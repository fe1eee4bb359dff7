"""What runs in the child process of the adapter `host`: the wire (docs/wire.md) around an inference.

    python -m tinybench.host_program PROGRAM.json BUILD_ID

The window is timed as firmware times it: the input tensor is written anew before every inference, inside the
window, and nothing is said while the clock runs.
"""

from __future__ import annotations

import binascii
import importlib
import math
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol

from tinybench.errors import TinyBenchError
from tinybench.model import Model, Tensor
from tinybench.models import golden, tflite
from tinybench.programs import MODEL, Written
from tinybench.wire import LAP_MODULUS_US, WIRE_VERSION

_VERBS = "caps id clk bin out lat mem layers"
_LOOP = 100_000
_MOST_TIMED = 256
_TIMES_PER_LINE = 16
_COMMAND_CHARACTERS = 80
_CRC_BYTES = 4
_HZ = 1_000_000_000


class Inference(Protocol):
    """A model that is ready to run on this computer."""

    def write(self, tensor: bytes) -> None:
        """Fill the input tensor."""

    def invoke(self) -> None:
        """One inference."""

    def output(self) -> bytes:
        """The bytes of the output tensor."""

    def arena(self) -> tuple[int, int]:
        """Bytes of activation memory in use, and set aside."""


class Refusal(Exception):
    """Something that the wire answers with `e-[…]`."""


def main(program: str, build_id: str) -> None:
    """Serve until standard input ends."""
    path = Path(program)
    written = Written.model_validate_json(path.read_text(encoding="utf-8"))
    data = path.with_name(MODEL).read_bytes()
    module, _, name = written.inference.partition(":")
    line = Line(sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    # Whatever else prints in this process, libraries in C included, is talk and not the wire.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inference: Inference = getattr(importlib.import_module(module), name)(data)
    Firmware(written, tflite.read(data), inference, build_id, line).serve()


class Line:
    """Commands in, lines out."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def commands(self) -> Iterator[str]:
        """Each command without its `%`, until the input ends."""
        held = b""
        while byte := self.take(1):
            if byte == b"%":
                yield held.decode("ascii", "replace").strip()
                held = b""
            elif byte not in b"\r\n\0" and len(held) < _COMMAND_CHARACTERS:
                held += byte

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes, or fewer at the end of the input."""
        return self._incoming.read(count)

    def say(self, *lines: str) -> None:
        """Lines, sent at once."""
        self._outgoing.write("".join(f"{line}\r\n" for line in lines).encode("ascii", "replace"))
        self._outgoing.flush()


class Firmware:
    """What a board's firmware is, in Python: verbs, one input buffer, one result."""

    def __init__(
        self, written: Written, model: Model, inference: Inference, build_id: str, line: Line
    ) -> None:
        self._written = written
        self._model = model
        self._inference = inference
        self._build_id = build_id
        self._line = line
        tensor = golden.input_tensor(model)
        self._input_bytes = math.prod(tensor.shape) * golden.WIRE_BYTES[written.spec.input.encoding]
        self._output: Tensor = model.tensors[model.outputs[0]]
        self._loading = bytearray()
        self._expected = 0
        self._loaded: bytes | None = None
        self._result: bytes | None = None

    def serve(self) -> None:
        """Say that it is there, then answer every command."""
        self._line.say("m-timestamp-mode-performance", _lap(time.monotonic_ns()), "m-init-done", "m-ready")
        for command in self._line.commands():
            try:
                said = self._answer(command)
            except Refusal as refusal:
                said = [f"e-[{refusal}]"]
            self._line.say(*said, "m-ready")

    def _answer(self, command: str) -> list[str]:
        verb, *words = command.split() or [""]
        own = verb == "tb" and words
        known = _OWN.get(words[0]) if own else _BATCH.get(verb)
        if known is None:
            if not verb:
                return []
            raise Refusal(f"Unknown command: {command}")
        return known(self, words[1:] if own else words)

    # --- the batch verbs ---

    def name(self, _: list[str]) -> list[str]:
        return ["m-name-dut-[tinybench]"]

    def timestamp(self, _: list[str]) -> list[str]:
        return [_lap(time.monotonic_ns())]

    def profile(self, _: list[str]) -> list[str]:
        # What the official runner looks for; the same as in firmware/core.
        model = self._written.spec.protocol_id
        return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{model}]"]

    def data(self, words: list[str]) -> list[str]:
        if words[:1] == ["load"]:
            return self._begin(words[1:])
        if words[:1] == ["print"]:
            digits = "-".join(f"{byte:02x}" for byte in self._loaded or b"")
            return [f"m-buffer-{digits}"]
        if not self._expected:
            raise Refusal("No load in progress")
        self._loading += bytes.fromhex("".join(words))
        if len(self._loading) < self._expected:
            return []
        self._finish(bytes(self._loading[: self._expected]))
        return ["m-load-done"]

    def infer(self, words: list[str]) -> list[str]:
        count, warmup = _count(words, 0, 1), _count(words, 1, 0)
        tensor = self._tensor()
        self._repeat(tensor, warmup)
        start = time.monotonic_ns()
        self._repeat(tensor, count)
        end = time.monotonic_ns()
        self._result = self._inference.output()
        return [
            f"m-warmup-start-{warmup}",
            "m-warmup-done",
            f"m-infer-start-{count}",
            _lap(start),
            _lap(end),
            "m-infer-done",
            *self.results([]),
        ]

    def results(self, _: list[str]) -> list[str]:
        output = self._last()
        found = self._output.quantisation
        scale, zero = (found.scales[0], found.zero_points[0]) if found and found.scales else (1.0, 0)
        real = [scale * (value - zero) for value in golden.values(output, self._output.dtype)]
        if self._written.spec.results == "mean-squared-error":
            given = struct.unpack(f"<{len(real)}f", self._loaded or b"")
            real = [math.fsum((a - b) ** 2 for a, b in zip(real, given, strict=True)) / len(real)]
        return [f"m-results-[{','.join(f'{value:.3f}' for value in real)}]"]

    # --- our own verbs ---

    def caps(self, _: list[str]) -> list[str]:
        return [f"m-tb-caps-[{WIRE_VERSION} {_VERBS}]"]

    def identity(self, _: list[str]) -> list[str]:
        written = self._written
        output_bytes = math.prod(self._output.shape) * golden.WIRE_BYTES[self._output.dtype]
        return [
            f"m-tb-build-id-[{self._build_id}]",
            f"m-tb-target-[{written.target}]",
            f"m-tb-image-[{written.kind}]",
            f"m-tb-engine-[{written.engine} {written.version}]",
            f"m-tb-input-[{self._input_bytes} {written.spec.input.encoding}]",
            f"m-tb-output-[{output_bytes}]",
        ]

    def clock(self, _: list[str]) -> list[str]:
        start = time.monotonic_ns()
        for _turn in range(_LOOP):
            pass
        ticks = time.monotonic_ns() - start
        return [f"m-tb-clk-hz-[{_HZ}]", f"m-tb-clk-loop-[{_LOOP} {ticks}]"]

    def binary(self, words: list[str]) -> list[str]:
        count = _count(words, 0, 0)
        if count == 0 or count > self._input_bytes:
            raise Refusal("Load does not fit the buffer")
        self._line.say(f"m-tb-bin-[{count}]", "m-ready")
        framed = self._line.take(count + _CRC_BYTES)
        data, check = framed[:count], framed[count:]
        self._loaded = None
        if binascii.crc32(data).to_bytes(_CRC_BYTES, "little") != check:
            raise Refusal("CRC mismatch")
        self._finish(data)
        return ["m-load-done"]

    def output(self, _: list[str]) -> list[str]:
        return [f"m-tb-out-[{self._last().hex()}]"]

    def latencies(self, words: list[str]) -> list[str]:
        count, warmup = _count(words, 0, 1), _count(words, 1, 0)
        if not 0 < count <= _MOST_TIMED:
            raise Refusal("Number of inferences out of range")
        tensor = self._tensor()
        self._repeat(tensor, warmup)
        ticks = []
        for _turn in range(count):
            self._inference.write(tensor)
            start = time.monotonic_ns()
            self._inference.invoke()
            ticks.append(time.monotonic_ns() - start)
        self._result = self._inference.output()
        lines = [ticks[first : first + _TIMES_PER_LINE] for first in range(0, count, _TIMES_PER_LINE)]
        return [*(f"m-tb-lat-[{' '.join(map(str, line))}]" for line in lines), *self.results([])]

    def memory(self, _: list[str]) -> list[str]:
        used, reserved = self._inference.arena()
        return [f"m-tb-mem-arena-[{used} {reserved}]", "m-tb-mem-stack-[- 0]", "m-tb-mem-heap-[- 0]"]

    def layers(self, _: list[str]) -> list[str]:
        if self._written.kind == "clean":
            raise Refusal("Not in the clean image")
        return []

    # --- what they share ---

    def _begin(self, words: list[str]) -> list[str]:
        count = _count(words, 0, 0)
        if count > self._input_bytes:
            raise Refusal(f"Supplied buffer size {count} exceeds maximum of {self._input_bytes}")
        self._expected, self._loading, self._loaded = count, bytearray(), None
        return [f"m-[Expecting {count} bytes]"]

    def _finish(self, data: bytes) -> None:
        self._loaded, self._expected = data, 0

    def _tensor(self) -> bytes:
        if self._loaded is None or len(self._loaded) != self._input_bytes:
            raise Refusal("Input size does not match the tensor")
        return golden.to_tensor(self._written.spec, self._model, self._loaded)

    def _repeat(self, tensor: bytes, count: int) -> None:
        inference = self._inference
        for _turn in range(count):
            inference.write(tensor)
            inference.invoke()

    def _last(self) -> bytes:
        if self._result is None:
            raise Refusal("No inference yet")
        return self._result


Verb = Callable[[Firmware, list[str]], list[str]]

_BATCH: Mapping[str, Verb] = MappingProxyType(
    {
        "name": Firmware.name,
        "timestamp": Firmware.timestamp,
        "profile": Firmware.profile,
        "db": Firmware.data,
        "infer": Firmware.infer,
        "results": Firmware.results,
    }
)
_OWN: Mapping[str, Verb] = MappingProxyType(
    {
        "caps": Firmware.caps,
        "id": Firmware.identity,
        "clk": Firmware.clock,
        "bin": Firmware.binary,
        "out": Firmware.output,
        "lat": Firmware.latencies,
        "mem": Firmware.memory,
        "layers": Firmware.layers,
    }
)


def _lap(nanoseconds: int) -> str:
    return f"m-lap-us-{nanoseconds // 1000 % LAP_MODULUS_US}"


def _count(words: list[str], position: int, otherwise: int) -> int:
    """A word as a number; what is no number is nought, as C's atoi has it."""
    if position >= len(words):
        return otherwise
    return int(words[position]) if words[position].isdecimal() else 0


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TinyBenchError as error:
        sys.stderr.write(f"{error.message}\n")
        raise SystemExit(error.exit_code) from error
