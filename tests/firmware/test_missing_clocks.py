"""A board whose oscillator does not start says so at a speed that it can make, and measures nothing."""

from __future__ import annotations

import copy

import pytest

from tinybench import toolchain
from tinybench.build import build
from tinybench.plugins import discover

pytestmark = [pytest.mark.needs("python:unicorn"), pytest.mark.needs("arm-none-eabi-gcc")]
PATIENCE_S = 60  # of this computer: a limit, not an expectation
POLLS = "2000U"  # fewer than on silicon, where each takes less time than here


@pytest.mark.parametrize(
    ("name", "missing", "says"),
    [
        ("nucleo-l4r5zi", ("rcc", "lse", False), "e-[LSE does not start]"),
        ("b-l475e-iot01a", ("rcc", "lse", False), "e-[LSE does not start]"),
        ("nucleo-f767zi", ("rcc", "hse", "none"), "e-[HSE does not start]"),
        ("nrf52840-dk", ("clock", "hfxo", False), "e-[HFXO does not start]"),
        ("nrf5340-dk", ("clock", "hfxo", False), "e-[HFXO does not start]"),
    ],
)
def test_it_says_what_does_not_start(tiny, cache, name, missing, says) -> None:
    from device_adapters.virtual.adapter import VirtualAdapter

    peripheral, parameter, value = missing
    target = discover().target(name)
    table = copy.deepcopy(target.virtual)
    assert table is not None
    (entry,) = (part for part in table["peripherals"] if part["name"] == peripheral)
    entry["parameters"][parameter] = value
    parts = target.firmware.model_copy(update={"defines": {"TB_CLOCK_POLLS": POLLS}})
    broken = target.model_copy(update={"virtual": table, "firmware": parts})
    compiler = toolchain.find("gcc", cache)
    image = build(tiny.workload(), tiny.engine(), broken, "clean", compiler=compiler, cache=cache)
    adapter = VirtualAdapter()
    (device,) = adapter.find(broken)
    said = b""
    with adapter.open(device, image) as link:
        while not said.endswith(b"\n"):
            said += link.read(PATIENCE_S)
    assert said.decode().strip() == says
