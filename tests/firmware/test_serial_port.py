"""A board on a serial port that is not to be flashed: our own firmware behind a pseudo-terminal."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from device_adapters.serial_port import SerialPort
from tinybench import flashed
from tinybench.bench import Bench, Recorded
from tinybench.errors import DeviceError
from tinybench.latency import Rules
from tinybench.model import Quantisation, Tensor
from tinybench.plan import FlashedCase
from tinybench.workload import GoldenInput

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
ELEMENTS = 10


@contextlib.contextmanager
def on_a_terminal(program) -> Iterator[str]:
    """The program at one end of a pseudo-terminal; the name of the other end."""
    import tty

    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    process = subprocess.Popen([program], stdin=ours, stdout=ours)
    try:
        yield os.ttyname(theirs)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.fixture
def workload(tiny):
    """What tiny_engine.c computes: each value plus one, real = 0.25 * (value + 128)."""

    def golden(name, data):
        output = bytes((byte + 1) % 256 for byte in data)
        return GoldenInput(name, data, output, hashlib.sha256(output).hexdigest())

    output = Tensor(1, "out", (1, ELEMENTS), "int8", quantisation=Quantisation((0.25,), (-128,)))
    made = tiny.workload()
    model = replace(made.model, tensors=(*made.model.tensors, output), outputs=(1,))
    goldens = (
        golden("zeros", bytes(ELEMENTS)),
        golden("random", bytes(range(7, 7 + ELEMENTS))),
        golden("structured", bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 255])),
    )
    return replace(made, model=model, goldens=goldens)


def test_a_port_is_joined_proven_and_timed(host_firmware, workload) -> None:
    kept = []
    adapter = SerialPort()
    rules = Rules(name="short", window_s=0.2, windows=5, warmup=1, clock_tolerance=0.5)
    with on_a_terminal(host_firmware(ticks_per_look=None).program) as port:
        unit = adapter.flashed(f"serial:{port}")
        case = FlashedCase(workload, unit, adapter, verify_load=True)
        bench = Bench(build=lambda *_: pytest.fail("nothing is built"), store=kept, timeout_s=60)
        *_, last = flashed.run([case], bench, rules)
    assert isinstance(last, Recorded), last
    assert kept == [last.run]
    assert last.run.measurement("latency").kind == "measured"
    assert len(last.run.measurement("latency").samples) == 5
    assert [check.compared for check in last.run.golden] == ["bytes"] * 3
    assert last.run.provenance.unit == "tinybench nucleo-f746"
    assert any("asserted by the user" in note for note in last.run.provenance.notes)


def test_a_port_is_held_by_one_and_free_afterwards(host_firmware) -> None:
    adapter = SerialPort()
    with on_a_terminal(host_firmware().program) as port:
        unit = adapter.flashed(f"serial:{port}@115200")
        with adapter.join(unit), pytest.raises(DeviceError, match="in use"), adapter.join(unit):
            pass
        with adapter.join(unit) as joined:
            assert joined.baud == 115200
