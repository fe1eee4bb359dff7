"""`check_adapter` holds for what keeps its promises, and finds each one that is broken."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from tinybench.fakes import FakeAdapter, FakeFirmware, FakeImage, Faults
from tinybench.records import MemoryMap, Toolchain
from tinybench.target import Core, Device, Image, Region, Target
from tinybench.testing import check_adapter

BUILD_ID = "c" * 40
FLASH = Region(name="FLASH", kind="flash", origin=0, size=1 << 20, uses=("vectors", "text", "weights"))
RAM = Region(name="RAM", kind="ram", origin=1 << 29, size=1 << 18, uses=("data", "arena", "stack"))
TARGET = Target(
    name="fake",
    title="Fake",
    mcu="none",
    core=Core(name="cortex-m7"),
    clock_hz=100_000_000,
    clock_source="quartz",
    regions=(FLASH, RAM),
    folder=Path(),
)
DEVICE = Device("fake-1", TARGET, "fake", simulated=False)
NOTHING = MemoryMap(
    sections=(),
    largest_flash_symbols=(),
    largest_ram_symbols=(),
    arena_reserved_bytes=0,
    stack_reserved_bytes=0,
)
IMAGE = Image(
    elf=Path("fake.elf"),
    build_id=BUILD_ID,
    kind="clean",
    toolchain=Toolchain(name="gcc", version="12", compile_flags=(), link_flags=()),
    flash_bytes=1,
    ram_static_bytes=1,
    memory=NOTHING,
    operators=(),
    engine_version="1",
)


class WallClock:
    """Fake firmware whose waiting takes no time, as seen by a host with a real clock."""

    def __init__(self, firmware):
        self.firmware = firmware
        self.read, self.write, self.close = firmware.read, firmware.write, firmware.close


def well(device, image):
    return WallClock(FakeFirmware(FakeImage(build_id=image.build_id)))


def test_an_adapter_that_keeps_its_promises():
    adapter = FakeAdapter(well, devices=(DEVICE,))
    check_adapter(adapter, TARGET, IMAGE)
    assert adapter.open_now == 0


class StaysOpen(FakeAdapter):
    @contextmanager
    def open(self, device, image):
        yield self.make(device, image)


class LeavesFilesOpen(FakeAdapter):
    @contextmanager
    def open(self, device, image):
        self.kept = [*getattr(self, "kept", []), Path(__file__).open()]  # noqa: SIM115 - the leak under test
        with super().open(device, image) as link:
            yield link


def resetting(device, image):
    """Finding this one restarts it."""
    link = well(device, image)
    LINKS.append(link)
    return link


LINKS: list[WallClock] = []


class Disturbs(FakeAdapter):
    def find(self, target):
        for link in LINKS:
            link.firmware.image = FakeImage(build_id="e" * 40)
        return super().find(target)


def makes(image=None, faults=None, **options):
    settings = {"build_id": BUILD_ID, **(image or {})}
    return lambda *_: WallClock(FakeFirmware(FakeImage(**settings), faults, **options))


@pytest.mark.parametrize(
    ("adapter", "complaint"),
    [
        (FakeAdapter(well), "finds no device"),
        (FakeAdapter(well, devices=(DEVICE,), simulated=True), "disagree on `simulated`"),
        (FakeAdapter(well, devices=(DEVICE, DEVICE)), "found once"),
        (FakeAdapter(well, devices=(DEVICE,), name="other"), "names `fake` as its adapter"),
        (FakeAdapter(makes({"build_id": "e" * 40}), devices=(DEVICE,)), "runs `eeee"),
        (FakeAdapter(makes(boots=False), devices=(DEVICE,)), "not started from reset"),
        (
            FakeAdapter(makes(faults=Faults(doubled_ready="tb id")), devices=(DEVICE,)),
            "unasked|asked nothing",
        ),
        (StaysOpen(well, devices=(DEVICE,)), "closed link"),
        (LeavesFilesOpen(well, devices=(DEVICE,)), "holds"),
        (Disturbs(resetting, devices=(DEVICE,)), "disturbs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_broken_promise_is_found(adapter, complaint):
    with pytest.raises(Exception, match=complaint):
        check_adapter(adapter, TARGET, IMAGE)
