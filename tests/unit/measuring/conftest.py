"""A workload, a target and a device that exist only in memory, and the case that they make."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tinybench.fakes import FakeAdapter, FakeFirmware, FakeImage, FakeSimulator
from tinybench.model import Model, Operator, Tensor
from tinybench.models.arena import ArenaPlan
from tinybench.plan import PlannedCase
from tinybench.records import ArenaBuffer, MemoryMap, Toolchain
from tinybench.session import Session
from tinybench.target import Core, Device, Image, Region, Target
from tinybench.workload import GoldenInput, GoldenSpec, InputSpec, ModelSpec, Workload, WorkloadSpec

DIGEST = "a" * 64
BUILD_IDS = {"clean": "c" * 40, "instrumented": "d" * 40}


def inverted(data):
    """The model of this workload: each byte inverted."""
    return bytes(byte ^ 0xFF for byte in data)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def workload():
    inputs = {"zeros": bytes(4), "random": b"\x07\x80\xfe\x13", "structured": b"\0\1\2\3"}
    spec = WorkloadSpec(
        id="inverter",
        title="Inverter",
        task="inverter",
        protocol_id="vww01",
        model=ModelSpec(file="inverter.tflite", sha256=DIGEST, normalised_sha256=DIGEST, sources=()),
        input=InputSpec(encoding="int8"),
        golden=GoldenSpec(
            oracle="test",
            inputs_sha256=DIGEST,
            outputs_sha256={name: sha256(inverted(data)) for name, data in inputs.items()},
        ),
    )
    weights = Tensor(1, "weights", (4, 4), "int8", data=bytes(16))
    model = Model(
        tensors=(Tensor(0, "in", (1, 4), "int8"), weights, Tensor(2, "out", (1, 4), "int8")),
        operators=(
            Operator(0, "FULLY_CONNECTED", (0, 1), (2,)),
            Operator(1, "SOFTMAX", (2,), (2,)),
        ),
        inputs=(0,),
        outputs=(2,),
    )
    return Workload(
        spec=spec,
        model=model,
        model_path=Path("inverter.tflite"),
        model_sha256=DIGEST,
        source_sha256=DIGEST,
        source="a test",
        goldens=tuple(
            GoldenInput(name, data, inverted(data), sha256(inverted(data))) for name, data in inputs.items()
        ),
        oracle="test 1.0",
    )


@pytest.fixture
def target():
    flash = Region(name="FLASH", kind="flash", origin=0, size=1 << 20, uses=("vectors", "text", "weights"))
    ram = Region(name="RAM", kind="ram", origin=1 << 29, size=1 << 18, uses=("data", "arena", "stack"))
    return Target(
        name="fake",
        title="Fake",
        mcu="none",
        core=Core(name="cortex-m7"),
        clock_hz=100_000_000,
        clock_source="quartz",
        regions=(flash, ram),
        folder=Path(),
    )


def image(kind):
    return Image(
        elf=Path("fake.elf"),
        build_id=BUILD_IDS[kind],
        kind=kind,
        toolchain=Toolchain(name="gcc", version="12", compile_flags=("-O2",), link_flags=()),
        flash_bytes=5000,
        ram_static_bytes=300,
        memory=MemoryMap(
            sections=(),
            largest_flash_symbols=(),
            largest_ram_symbols=(),
            arena_reserved_bytes=2048,
            stack_reserved_bytes=4096,
        ),
        operators=("FULLY_CONNECTED", "SOFTMAX"),
        engine_version="1.0",
        arena=ArenaPlan((ArenaBuffer(name="in", offset=0, bytes=4, first_operator=0, last_operator=0),), 4),
    )


def firmware(kind="clean", faults=None, line=None, **image_settings):
    """Firmware of that kind which runs the inverter; the instrumented one is a tenth slower."""
    settings = {
        "build_id": BUILD_IDS[kind],
        "kind": kind,
        "invoke": inverted,
        "latency_s": 0.0011 if kind == "instrumented" else 0.001,
        "instructions": 1100 if kind == "instrumented" else 1000,
        **image_settings,
    }
    return FakeFirmware(FakeImage(**settings), faults, line)


@dataclass(frozen=True)
class FakeEngine:
    name: str = "fake"
    exactness: str = "exact"

    def refuses(self, workload, target):
        return None

    def generate(self, workload, target, into):
        raise AssertionError("these images are not built")


@dataclass(frozen=True)
class Desk:
    """The firmware's makers and the case, handed to tests as one thing."""

    workload: Workload
    target: Target

    def device(self, *, simulated=False):
        return Device("fake-1", self.target, "fake", simulated, unit="SN1")

    def firmware(self, *arguments, **settings):
        return firmware(*arguments, **settings)

    def image(self, kind="clean"):
        return image(kind)

    def session(self, link, baud=115200):
        return Session.connect(link, clock=link.clock, baud=baud)

    def case(self, make, *, simulated=False, **engine):
        adapter = FakeAdapter(make, simulated=simulated)
        device = self.device(simulated=simulated)
        return PlannedCase(self.workload, FakeEngine(**engine), self.target, device, adapter)

    def simulator(self, *arguments, **settings):
        return FakeSimulator(firmware(*arguments, **settings))

    def with_further(self, count):
        """The workload with inputs beyond its golden ones, as an oracle at hand gives it."""
        samples = [bytes((number, 2, 3, 4)) for number in range(count)]
        further = (
            GoldenInput(f"random {n}", data, inverted(data), sha256(inverted(data)))
            for n, data in enumerate(samples, 2)
        )
        return replace(self.workload, further=tuple(further))

    def with_outputs_unknown(self):
        goldens = tuple(replace(golden, output=None) for golden in self.workload.goldens)
        return replace(self.workload, goldens=goldens)


@pytest.fixture
def desk(workload, target):
    return Desk(workload, target)
