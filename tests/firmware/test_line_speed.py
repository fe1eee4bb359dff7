"""An input crosses a slow line in little more than its bytes take: real firmware, in the board's own time.

The line lets a byte through every ten bits at 115,200 baud, each way; whoever sends more at once waits. The
speed of this computer does not matter; `tests/speed/line.py` does the same on a pseudo-terminal.
"""

from __future__ import annotations

import pytest

from device_adapters.virtual.board import Board, power_on
from device_adapters.virtual.table import table_of
from tinybench import build, toolchain
from tinybench.errors import LinkTimeout
from tinybench.session import Session

VWW_BYTES = 96 * 96 * 3
BAUD = 115_200
BYTE_S = 10 / BAUD
LIMIT_S = VWW_BYTES * BYTE_S
_SLICE = 1000


class SlowLine:
    """A virtual board at the end of a line of `BAUD`, as a Link; `clock` is the board's time."""

    def __init__(self, board: Board, core_hz: int) -> None:
        self._board, self._core_hz = board, core_hz
        self._to_device, self._to_host = bytearray(), bytearray()
        self._in_s = self._out_s = 0.0  # when the line is free for the next byte
        self.crossed_bytes = 0

    def clock(self) -> float:
        return self._board.core.time / self._core_hz

    def write(self, data: bytes) -> None:
        if not self._to_device:
            self._in_s = max(self._in_s, self.clock())
        self._to_device += data

    def read(self, within_s: float) -> bytes:
        until_s = self.clock() + within_s
        while not (heard := self._heard()):
            if self.clock() >= until_s:
                raise LinkTimeout("nothing arrived")
            self._deliver()
            self._board.run(_SLICE)
        return heard

    def _deliver(self) -> None:
        now_s = self.clock()
        count = min(int((now_s - self._in_s) / BYTE_S), len(self._to_device))
        self._board.line.to_device.extend(self._to_device[:count])
        del self._to_device[:count]
        self._in_s += count * BYTE_S
        self.crossed_bytes += count

    def _heard(self) -> bytes:
        now_s = self.clock()
        if not self._to_host:
            self._out_s = max(self._out_s, now_s)
        self._to_host += self._board.line.to_host
        self._board.line.to_host.clear()
        count = min(int((now_s - self._out_s) / BYTE_S), len(self._to_host))
        self._out_s += count * BYTE_S
        heard = bytes(self._to_host[:count])
        del self._to_host[:count]
        return heard


@pytest.fixture(scope="module")
def slow_line(cache, tiny):
    """Our firmware on a NUCLEO-F746ZG, ready for inputs of visual wake words' size."""
    target, workload = tiny.board, tiny.workload("uint8", elements=VWW_BYTES)
    compiler = toolchain.find(None, cache)
    image = build.build(workload, tiny.engine(), target, "clean", compiler=compiler, cache=cache)
    board, _ = power_on(target, table_of(target), image.elf)
    yield SlowLine(board, target.clock_hz)
    board.close()


@pytest.fixture(scope="module")
def session(slow_line):
    return Session.connect(slow_line, clock=slow_line.clock, baud=BAUD)


PICTURE = bytes(n * 7 % 256 for n in range(VWW_BYTES))


def test_a_picture_of_visual_wake_words_takes_what_its_bytes_take(slow_line, session) -> None:
    before_s, before_bytes = slow_line.clock(), slow_line.crossed_bytes
    session.load(PICTURE)
    took_s = slow_line.clock() - before_s
    assert slow_line.crossed_bytes - before_bytes < VWW_BYTES + 40, "binary: hardly a byte beside the picture"
    assert 1.0 <= took_s / LIMIT_S <= 1.1, f"{took_s / LIMIT_S:.3f} times the line's limit of {LIMIT_S:.2f} s"


def test_the_same_in_hexadecimal_takes_more_than_twice_as_long(slow_line, session) -> None:
    """So the limit above is one that can be missed: 31 bytes a command, each answered before the next."""
    a_tenth = PICTURE[: VWW_BYTES // 10]
    before_s = slow_line.clock()
    session._load_hex(a_tenth)  # what is spoken to firmware that has no binary load
    assert (slow_line.clock() - before_s) / (len(a_tenth) * BYTE_S) > 2
