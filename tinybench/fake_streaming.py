"""Streaming wake word firmware without a device: its dialect, for tests of whatever talks to it.

Its answers are those of the reference implementation (mlcommons/tiny, sww_ref_util.c), held to a recording of
it by tests/unit/test_streaming.py. The features of a frame are its first bytes, its activations the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tinybench.errors import LinkTimeout
from tinybench.wire import CLASSES, FEATURES

_BUFFER_BYTES = 2048
_LONGEST_COMMAND = 1028
_PER_LINE = 16


@dataclass
class FakeStreaming:
    """A Link to the firmware; virtual time passes while there is nothing to read."""

    name: str = "ML Commons"
    heard: tuple[int, ...] = (-60, 73)  # what `stop` shows
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._now_s = 0.0
        self._typed = bytearray()
        self._said = bytearray()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._expected: int | None = None
        self._loaded = 0
        self._streams = False

    def clock(self) -> float:
        """Seconds of virtual time."""
        return self._now_s

    def write(self, data: bytes) -> None:
        """Bytes to the firmware, which obeys each command at its `%`."""
        for byte in data:
            if byte == ord("%"):
                command = self._typed.decode("ascii", errors="replace")
                self._typed.clear()
                self.commands.append(command)
                self._obey(command)
            elif len(self._typed) < _LONGEST_COMMAND:
                self._typed.append(byte)
            else:
                self._typed[-1] = byte

    def read(self, within_s: float) -> bytes:
        """Whatever it said."""
        if not self._said:
            self._now_s += within_s
            raise LinkTimeout(f"nothing arrived within {within_s:g} s")
        said = bytes(self._said)
        self._said.clear()
        return said

    def _obey(self, command: str) -> None:
        lines = [f"Received command: {command}", *self._answer(command.split()), "m-ready"]
        self._said += "".join(f"{line}\r\n" for line in lines).encode()

    def _answer(self, words: list[str]) -> list[str]:
        verbs: Mapping[str, Callable[[], list[str]]] = {
            "name": lambda: [f"m-name-dut-[{self.name}]"],
            "profile": lambda: ["m-profile-[MLPerf Tiny Firmware V0.1.0]", "m-model-[sww01]"],
            "timestamp": list,
            "db": lambda: self._db(words[1:]),
            "extract_uart_stream": self._step,
            "start": self._start,
            "stop": self._stop,
        }
        return verbs[words[0]]() if words[0] in verbs else [f"Unrecognized command {words[0]}"]

    def _db(self, words: list[str]) -> list[str]:
        if not words:
            needs = "'db load <Nbytes>'; 'db print [Nbytes]', 'db <hexstring>'"
            return [f"Error: db requires a sub-command: {needs}"]
        if words[0] == "load":
            return self._expect(words[1])
        if words[0][0] in "0123456789abcdefABCDEF":
            return self._take(words[0])
        if words[0] == "getptr":
            return [f"m-buff-ptr-{self._loaded}"]
        if words[0] == "print":
            count = int(words[1]) if len(words) > 1 else 0
            return [f"m-buffer-{self._buffer[: count or _BUFFER_BYTES].hex('-')}"]
        return [f"Error: db: Unrecognized sub-command {words[0]}"]

    def _expect(self, number: str) -> list[str]:
        self._expected = int(number) or None
        if self._expected is None:
            return [
                f"Error: Transfer size ({number}) must be valid int; greater than 0.",
                "Usage: 'db load N'; N>0",
            ]
        self._loaded = 0
        return [f"Expecting {number} bytes"]

    def _take(self, digits: str) -> list[str]:
        if self._expected is None:
            return ["Error: Must issue db load <Nbytes> command before transmitting data."]
        if len(digits) % 2:
            return [
                f"Error: number of hex digits in data string must be even. Received {len(digits)}",
                "Still waiting for data",
            ]
        for at in range(0, len(digits), 2):
            pair = digits[at : at + 2]
            if not re.fullmatch("[0-9a-fA-F]{2}", pair):
                return [
                    f"Error: Received non-hex digit in character pair '{pair}' at location {at + 2}",
                    "Canceling segment upload. Still waiting for data",
                ]
            self._buffer[self._loaded] = int(pair, 16)
            self._loaded += 1
            if self._loaded == self._expected:
                self._expected = None
                return ["m-load-done"]
        return [f"{self._loaded} bytes received"]

    def _step(self) -> list[str]:
        values = [byte - 256 if byte > 127 else byte for byte in self._buffer[: FEATURES + CLASSES]]  # noqa: PLR2004 - int8
        shown = [f"{value:+3d}" for value in values]
        return [
            f"m-features-[{', '.join(shown[:FEATURES])}]",
            f"m-activations-[{', '.join(shown[FEATURES:])}]",
        ]

    def _start(self) -> list[str]:
        if self._streams:
            return ["I2S Rx currently in progress. Ignoring request"]
        self._streams = True
        return ["Listening for I2S data ... ", "DMA receive initiated."]

    def _stop(self) -> list[str]:
        if not self._streams:
            return ["I2S is already idle.  Ignoring stop request"]
        self._streams = False
        last = len(self.heard) - 1
        items = [f"{value}{' ' if at == last else ','} " for at, value in enumerate(self.heard)]
        rows = ["".join(items[at : at + _PER_LINE]) for at in range(0, len(items), _PER_LINE)]
        rows[0] = "[" + rows[0]
        return ["Streaming stopped.", "target activations: ", *rows, "]"]
