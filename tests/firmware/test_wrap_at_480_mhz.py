"""A cycle counter of 32 bits at 480 MHz wraps every 8.95 s: within each of MLPerf Tiny's windows of 10 s.

Real firmware on a virtual board, in the board's own time: this computer's speed does not matter. A foreign
firmware that divides before it unwraps is believed by the official runner, 7.7 times too fast; here it is no
number. Ours carries the counter on to 64 bits.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest

from device_adapters.virtual.adapter import VirtualLink
from device_adapters.virtual.board import Board, power_on
from device_adapters.virtual.table import table_of
from tinybench import build, flashed, toolchain
from tinybench.bench import Bench, Failed, Recorded
from tinybench.engine import Sources
from tinybench.latency import MLPERF
from tinybench.model import Quantisation, Tensor
from tinybench.plan import FlashedCase
from tinybench.session import Session
from tinybench.target import Flashed, Image, Joined, Target
from tinybench.workload import GoldenInput

FOLDER = Path(__file__).parent / "at_480_mhz"
CORE_HZ = 480_000_000
WRAP_S = 2**32 / CORE_HZ
INFERENCE_S = 0.1


@dataclass(frozen=True)
class WaitingEngine:
    """The engine of waiting_engine.c: 100 ms each, and the input is the output."""

    name: str = "waiting"
    exactness: str = "exact"

    def refuses(self, workload, target):
        return None

    def generate(self, workload, target, into):
        return Sources(files=(FOLDER / "waiting_engine.c",), flags=(), operators=(), version="1.0")


@pytest.fixture(scope="module")
def board_480() -> Target:
    facts = tomllib.loads((FOLDER / "board_480.toml").read_text(encoding="utf-8"))
    return Target.model_validate({**facts, "folder": FOLDER})


@pytest.fixture(scope="module")
def divided_too_early(board_480) -> Target:
    """The same board with the foreign firmware's ticks."""
    parts = board_480.firmware
    ports = tuple(port for port in parts.ports if port != "cortex_m/cycle_counter.c")
    sources = (*parts.sources, "divided_too_early.c")
    firmware = parts.model_copy(update={"ports": ports, "sources": sources})
    return board_480.model_copy(update={"firmware": firmware})


@pytest.fixture
def workload(tiny):
    made = tiny.workload()

    def golden(name, data):
        return GoldenInput(name, data, data, hashlib.sha256(data).hexdigest())

    output = Tensor(1, "out", (1, 10), "int8", quantisation=Quantisation((0.25,), (-128,)))
    model = replace(made.model, tensors=(*made.model.tensors, output), outputs=(1,))
    goldens = tuple(golden(name, bytes(range(n, n + 10))) for n, name in enumerate(("zeros", "random")))
    return replace(made, model=model, goldens=goldens)


class Wires(NamedTuple):
    """A Link and nothing else."""

    write: Callable[[bytes], None]
    read: Callable[[float], bytes]


@dataclass
class OnABoard:
    """A flashed unit that is a virtual board; `clock` is that board's own time, in 64 bits."""

    target: Target
    image: Image
    name: str = "virtual"
    board: Board | None = None

    def clock(self) -> float:
        return self.board.core.time / CORE_HZ if self.board else 0.0

    def flashed(self, word):
        raise AssertionError("the unit is named below")

    @contextmanager
    def join(self, unit) -> Iterator[Joined]:
        self.board, symbols = power_on(self.target, table_of(self.target), self.image.elf)
        link = VirtualLink(self.board, symbols, self.image)
        try:
            yield Joined(Wires(link.write, link.read), 115200)  # not the instructions that it counts
        finally:
            link.close()


@pytest.fixture
def unit(cache, workload):
    def made(target: Target) -> OnABoard:
        compiler = toolchain.find(None, cache)
        image = build.build(workload, WaitingEngine(), target, "clean", compiler=compiler, cache=cache)
        return OnABoard(target, image)

    return made


def measured(unit: OnABoard, workload):
    kept = []
    bench = Bench(build=None, store=kept, clock=unit.clock, timeout_s=3600)
    *_, last = flashed.run([FlashedCase(workload, Flashed("480", "none"), unit)], bench)
    assert kept == [last.run]
    return last


def test_our_firmware_is_right_across_the_wrap(unit, board_480, workload):
    on_a_board = unit(board_480)
    last = measured(on_a_board, workload)
    assert isinstance(last, Recorded), last.run.failure
    assert on_a_board.board.parts["rcc"].core_hz() == CORE_HZ
    latency = last.run.measurement("latency")
    assert latency.samples == pytest.approx((INFERENCE_S,) * 5, rel=0.01)
    assert last.run.conditions.protocol == MLPERF.protocol, (
        "each window is of ten seconds: longer than a wrap"
    )


def test_a_timestamp_that_wraps_with_the_counter_is_no_number(unit, divided_too_early, workload):
    last = measured(unit(divided_too_early), workload)
    assert isinstance(last, Failed)
    assert (last.run.failure.error, last.run.failure.exit_code) == ("ClockSuspect", 3)
    assert last.run.measurements == ()


def test_that_firmware_is_believed_by_whoever_asks_nobody_else(unit, divided_too_early):
    """What the official runner takes: t1 - t0 of one window."""
    on_a_board = unit(divided_too_early)
    with on_a_board.join(None) as joined:
        session = Session.connect(joined.link, clock=on_a_board.clock)
        session.load(bytes(10))
        inferences = 101
        window = session.infer(inferences, 0)
    truth_s = inferences * INFERENCE_S
    assert truth_s > WRAP_S
    assert window.device_s == pytest.approx(truth_s - WRAP_S, abs=0.01)
    assert truth_s / window.device_s > 7, "so many times too fast"
