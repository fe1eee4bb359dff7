"""The pyOCD adapter without a board: what its errors become, its flash algorithms, its child process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pyocd.core import exceptions
from pyocd.target.pack.flash_algo import PackFlashAlgo
from usb.core import USBError

from device_adapters.pyocd_probe import PyocdAdapter, algorithms
from device_adapters.pyocd_probe.causes import cause_of
from device_adapters.pyocd_probe.facts import Algorithm, ChipId, ProbeFacts, Sectors, probe_facts
from device_adapters.pyocd_probe.process import ProbeProcess
from tinybench import errors, plugins

STM32F7 = Algorithm(
    source="stm32f7.c",
    flash_origin=0x08000000,
    sectors=(
        Sectors(count=4, bytes=0x8000),
        Sectors(count=1, bytes=0x20000),
        Sectors(count=3, bytes=0x40000),
    ),
    page_bytes=0x1000,
    ram_origin=0x20010000,
    ram_bytes=0x3C000,
)
FACTS = ProbeFacts(
    pyocd_targets=("stm32f746zgtx",),
    chip_id=ChipId(address=0xE0042000, mask=0xFFF, values=(0x449,), name="STM32F74x"),
    algorithm=STM32F7,
)


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


# What pyOCD 0.46 really raises in each situation, and what the user is told.
SITUATIONS = {
    "in use": (USBError("Resource busy", errno=16), "DeviceError", "in use", "close it"),
    "unplugged": (USBError("No such device", errno=19), "DeviceNotFound", "unplugged", "plug it in"),
    "no permission": (USBError("Access denied", errno=13), "SetupError", "permission", "udev"),
    "usb broke": (USBError("Pipe error", errno=32), "DeviceError", "USB", "unplug"),
    "usb below a probe error": (
        chained(exceptions.ProbeError("USB Error"), USBError("gone", errno=19)),
        "DeviceNotFound",
        "unplugged",
        "plug it in",
    ),
    "unpowered": (exceptions.Error("Target not detected: No ACK"), "DeviceError", "sees no chip", "powered"),
    "brown-out": (exceptions.TransferError("No ACK"), "DeviceError", "connection broke", "unplug"),
    "locked nRF": (KeyError("SoCTarget has no selected core"), "DeviceError", "locked", "--unlock"),
    "readout protection": (
        exceptions.TransferFaultError(fault_address=0x08000000),
        "LoadError",
        "0x08000000",
        "--unlock",
    ),
    "write protection": (
        exceptions.FlashProgramFailure("failed", address=0x08008000, result_code=1),
        "LoadError",
        "0x08008000",
        "write-protected",
    ),
    "flash hangs": (
        exceptions.FlashProgramFailure("flash program timeout", address=0x08000000),
        "LoadError",
        "did not finish",
        "power-cycle",
    ),
    "unknown chip": (
        exceptions.TargetSupportError("Target type x not recognized"),
        "SetupError",
        "does not know",
        "pack",
    ),
    "anything": (EOFError("EOF when reading a line"), "DeviceError", "EOFError", "unplug"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_pyocd_lets_through_is_one_of_ours_with_a_hint(situation: str) -> None:
    raised, error, said, hinted = SITUATIONS[situation]
    cause = cause_of(raised, "load")
    assert issubclass(getattr(errors, cause.error), errors.TinyBenchError)
    assert cause.error == error
    assert said in cause.message
    assert hinted in cause.hint


def test_a_flash_algorithm_is_what_pyocd_reads(tmp_path: Path) -> None:
    flm = algorithms.build(STM32F7, tmp_path)
    read = PackFlashAlgo(str(flm))
    assert (read.flash_start, read.flash_size, read.page_size) == (0x08000000, 0x100000, 0x1000)
    assert read.sector_sizes == [(0, 0x8000), (0x20000, 0x20000), (0x40000, 0x40000)]
    assert {"Init", "UnInit", "EraseSector", "ProgramPage"} <= read.symbols.keys()
    assert read.rw_size == read.zi_size == 0
    before = flm.stat().st_mtime_ns
    assert algorithms.build(STM32F7, tmp_path) == flm
    assert flm.stat().st_mtime_ns == before


OURS = sorted(
    name for name, found in plugins.discover().targets.items() if (found.part.probe or {}).get("algorithm")
)


@pytest.mark.parametrize("name", OURS)
def test_the_algorithm_of_a_board_covers_its_flash_and_keeps_no_data(name: str, tmp_path: Path) -> None:
    target = plugins.discover().target(name)
    facts = probe_facts(target)
    assert facts is not None
    assert facts.algorithm is not None
    flash = target.region_for("text")
    read = PackFlashAlgo(str(algorithms.build(facts.algorithm, tmp_path)))
    assert (read.flash_start, read.flash_size) == (flash.origin, flash.size)
    assert {"Init", "UnInit", "EraseSector", "ProgramPage"} <= read.symbols.keys()
    assert read.rw_size == read.zi_size == 0


def test_another_layout_is_another_algorithm(tmp_path: Path) -> None:
    smaller = STM32F7.model_copy(update={"page_bytes": 0x400})
    assert algorithms.build(smaller, tmp_path) != algorithms.build(STM32F7, tmp_path)


def connect(process: ProbeProcess, uid: str, cache: Path) -> None:
    facts = FACTS.model_dump(mode="json")
    process.ask("connect", 60, uid=uid, facts=facts, pack=None, unlock=False, cache=str(cache))


def test_a_probe_that_is_not_there_is_our_error_from_the_child(tmp_path: Path) -> None:
    with ProbeProcess() as process:
        with pytest.raises(errors.DeviceNotFound, match="NO-SUCH-PROBE") as raised:
            connect(process, "NO-SUCH-PROBE", tmp_path)
        assert raised.value.hint == "tinybench devices"
        assert isinstance(process.ask("list", 60)["probes"], list), "one failure does not end the child"


def test_a_child_that_is_too_slow_is_killed_and_the_board_named_free() -> None:
    process = ProbeProcess()
    with pytest.raises(errors.DeviceError, match="did not finish `list` within 1e-06 s"):
        process.ask("list", 1e-6)
    with pytest.raises(errors.DeviceError, match="ended during `list`"):
        process.ask("list", 10)
    process.close()


def test_the_user_s_pack_and_unlock_reach_the_adapter(tmp_path: Path) -> None:
    plain = PyocdAdapter()
    assert (plain.pack, plain.unlock) == (None, False), "nothing is erased unless it was asked for"
    given = plain.configured({"pack": "x.pack", "unlock": "", "cache": str(tmp_path)})
    assert given == dataclasses.replace(plain, pack=Path("x.pack"), unlock=True, cache=tmp_path)
