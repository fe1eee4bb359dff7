"""The contracts of adapters, virtual boards and engines as functions, and firmware only in memory.

For authors of boards, adapters and engines: call these from a test of yours. They use what is handed to them
as the pipeline would, and raise AssertionError with a sentence that names what was promised and not kept.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tinybench import elf
from tinybench.bench import Build
from tinybench.engine import Engine, Sources
from tinybench.errors import BuildError, LinkClosed, LinkTimeout
from tinybench.fakes import FakeAdapter, FakeFirmware, FakeImage, FakeLine, FakeSimulator, Faults
from tinybench.measure import INVOKE, allowed_difference, check_answers, names_classes
from tinybench.session import Session
from tinybench.target import Adapter, CountsInstructions, Device, Image, Link, Target
from tinybench.workload import Workload

if TYPE_CHECKING:
    from device_adapters.virtual.board import Board

__all__ = [
    "FakeAdapter",
    "FakeFirmware",
    "FakeImage",
    "FakeLine",
    "FakeSimulator",
    "Faults",
    "check_adapter",
    "check_engine",
    "check_virtual_board",
]

_OPERATOR = re.compile(r"tb_op_(\d{3,})(?!\d)")
_OPENINGS = 3
_SHORT_WAIT_S = 0.2
_LATE_S = 2.0  # how much later than asked a read may come back on a busy computer
_READY, _FAULT_SAID = b"m-ready\r\n", b"e-tb-fault-["  # docs/wire.md
_BOOT_INSTRUCTIONS, _SLICE_INSTRUCTIONS = 50_000_000, 100_000
_NOWHERE = range(0x0100_0000, 0x4000_0000, 0x0100_0000)  # code could be there, as far as the core knows
_SLEEP_FOREVER = bytes.fromhex("30bf fde7")  # WFI, and a branch back to it


class _AbandonedError(Exception):
    """Raised inside an open device, to see that it is freed."""


def _abandon() -> None:
    raise _AbandonedError


# --- adapters ---


def check_adapter(adapter: Adapter, target: Target, image: Image) -> None:
    """Everything that an adapter promises, on the first device of `target` that it finds.

    `image` is any image of ours for that target. AssertionError if there is no such device, or a promise is
    broken: devices keep their names, finding does not disturb, opening starts the image from reset, reading
    ends in time, leaving frees the device whatever happened inside, and a closed link says so.
    """
    devices = adapter.find(target)
    assert devices, f"`{adapter.name}` finds no device of target `{target.name}`"
    device = devices[0]
    _check_device(adapter, target, device)
    _check_opening(adapter, device, image)  # what this loads for good, as libraries, is no leak
    before = _held()
    for _ in range(_OPENINGS):
        _check_opening(adapter, device, image)
    after = _held()
    assert after == before, f"`{adapter.name}` holds {after} after {_OPENINGS} openings, and {before} before"


def _check_opening(adapter: Adapter, device: Device, image: Image) -> None:
    with adapter.open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic, baud=device.target.serial.baud)
        assert session.boot, f"`{device.id}` was not started from reset: it says nothing of its start"
        build_id = session.identify().build_id
        assert build_id == image.build_id, f"`{device.id}` runs `{build_id}` and not `{image.build_id}`"
        adapter.find(device.target)
        assert session.identify().build_id == build_id, f"finding disturbs `{device.id}`"
        _check_silence(link)
    _check_closed(link)
    abandoned = adapter.open(device, image)
    with contextlib.suppress(_AbandonedError), abandoned:
        _abandon()


def _check_silence(link: Link) -> None:
    """A device that was asked nothing says nothing, and the read ends in time."""
    for within_s in (0.0, _SHORT_WAIT_S):
        started_s = time.monotonic()
        try:
            said = link.read(within_s)
        except LinkTimeout:
            pass
        else:
            raise AssertionError(f"a device that was asked nothing says `{said!r}`")
        took_s = time.monotonic() - started_s
        assert took_s < within_s + _LATE_S, f"a read within {within_s} s came back after {took_s:.1f} s"


def _check_closed(link: Link) -> None:
    for what, use in (("read", lambda: link.read(0.0)), ("write", lambda: link.write(b"name%"))):
        try:
            use()
        except LinkClosed:
            continue
        except LinkTimeout:
            pass
        raise AssertionError(f"`{what}` on a closed link does not raise LinkClosed")


def _held() -> dict[str, int]:
    """What a process can leak, as far as this system tells: open files and threads."""
    files = next((len(list(p.iterdir())) for p in (Path("/proc/self/fd"), Path("/dev/fd")) if p.is_dir()), 0)
    return {"files": files, "threads": threading.active_count()}


def _check_device(adapter: Adapter, target: Target, device: Device) -> None:
    again = [other.id for other in adapter.find(target)]
    assert again.count(device.id) == 1, f"`{device.id}` is found once at first and `{again}` after that"
    assert device.adapter == adapter.name, f"`{device.id}` names `{device.adapter}` as its adapter"
    assert device.simulated == adapter.simulated, (
        f"`{device.id}` and `{adapter.name}` disagree on `simulated`"
    )
    assert device.target == target, f"`{device.id}` is of another target: `{device.target.name}`"


# --- virtual boards ---


def check_virtual_board(target: Target, image: Image) -> None:
    """Everything that a virtual board promises, with any image of ours for `target`.

    It boots the same way each time, talks, says what faulted where the firmware can, locks up where it
    cannot, sleeps and wakes, and reports what it executed. AssertionError with the promise that is broken.
    """
    _check_boots(target, image)
    _check_talks_and_reports(target, image)
    _check_faults(target, image)
    _check_locks_up(target, image)
    _check_sleeps(target, image)


@contextlib.contextmanager
def _booted(target: Target, image: Image) -> Iterator[Board]:
    """A board of its own that has said it is ready."""
    from device_adapters.virtual.board import make_hook, power_on
    from device_adapters.virtual.table import table_of

    table = table_of(target)
    assert table is not None, f"`{target.name}` has no table `[virtual]`"
    board, _ = power_on(target, table, image.elf, make_hook(), inference=image.invoke)
    try:
        _run_until(board, _READY)
        yield board
    finally:
        board.close()


def _run_until(board: Board, text: bytes) -> None:
    last = board.core.executed + _BOOT_INSTRUCTIONS
    while text not in board.line.to_host:
        said = bytes(board.line.to_host)
        name = board.target.name
        assert board.refusal is None, f"`{name}` refuses its own firmware: {board.refusal}"
        assert board.core.executed < last, f"`{name}` says `{said!r}` and never `{text!r}`"
        assert not board.idle, f"`{name}` sleeps for good after `{said!r}`, before `{text!r}`"
        assert not board.core.locked_up, f"`{name}` locks up after `{said!r}`, before `{text!r}`"
        board.run(_SLICE_INSTRUCTIONS)


def _check_boots(target: Target, image: Image) -> None:
    boots = []
    for _ in range(2):
        with _booted(target, image) as board:
            boots.append((bytes(board.line.to_host), board.core.executed, board.core.time))
    assert boots[0] == boots[1], f"`{target.name}` boots like {boots[0]} once, and then like {boots[1]}"


def _check_talks_and_reports(target: Target, image: Image) -> None:
    from device_adapters.virtual.adapter import VirtualAdapter

    adapter = VirtualAdapter()
    (device,) = adapter.find(target)
    with adapter.open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic, baud=target.serial.baud)
        assert isinstance(link, CountsInstructions), "a virtual board counts what it executes"
        link.reset_profile()
        build_id = session.identify().build_id
        profile = link.profile()
    assert build_id == image.build_id, f"`{device.id}` runs `{build_id}` and not `{image.build_id}`"
    total = sum(profile.functions.values())
    assert profile.instructions > 0, f"`{device.id}` answered without executing anything"
    assert total == profile.instructions, (
        f"functions have {total} instructions of {profile.instructions} on `{device.id}`"
    )


def _nowhere(board: Board) -> int:
    space = board.core.space
    return next(at for at in _NOWHERE if space.memory_at(at) is None and space.device_at(at) is None)


def _check_faults(target: Target, image: Image) -> None:
    with _booted(target, image) as board:
        board.line.to_host.clear()
        board.core.registers.jump(_nowhere(board) | 1)
        _run_until(board, _FAULT_SAID)
        assert board.core.last_fault is not None, f"`{target.name}` speaks of a fault that it did not take"


def _check_locks_up(target: Target, image: Image) -> None:
    from device_adapters.virtual.core import Stop

    with _booted(target, image) as board:
        nowhere = _nowhere(board)
        board.core.system.vtor = nowhere
        board.core.registers.jump(nowhere | 1)
        stop = board.run(_SLICE_INSTRUCTIONS)
        assert stop is Stop.LOCKUP, f"`{target.name}` faults without vectors and goes on: {stop.value}"
        assert board.run(1) is Stop.LOCKUP, f"`{target.name}` leaves lockup by itself"


def _check_sleeps(target: Target, image: Image) -> None:
    from device_adapters.virtual import system_control as sc
    from device_adapters.virtual.core import Stop

    ram = next(region for region in target.regions if region.kind == "ram" and "data" in region.uses)
    with _booted(target, image) as board:
        core = board.core
        core.space.write(ram.origin, _SLEEP_FOREVER)
        core.registers.write("primask", 1)  # an interrupt wakes, and none is taken
        core.registers.jump(ram.origin | 1)
        stop = board.run(_SLICE_INSTRUCTIONS)
        assert stop is Stop.ASLEEP, f"WFI on `{target.name}`, with nothing to wake it: {stop.value}"
        asleep_at = core.time
        core.system.write(sc.Reg.SYST_RVR, _SLICE_INSTRUCTIONS - 1, 0xFFFFFFFF)
        core.system.write(sc.Reg.SYST_CVR, 0, 0xFFFFFFFF)
        core.system.write(sc.Reg.SYST_CSR, 0b111, 0xFFFFFFFF)
        stop = board.run(2)
        assert stop is Stop.BUDGET, f"SysTick does not wake `{target.name}`: {stop.value}"
        slept = core.time - asleep_at
        assert slept >= _SLICE_INSTRUCTIONS, f"`{target.name}` slept {slept} of {_SLICE_INSTRUCTIONS}"


# --- engines ---


def check_engine(
    engine: Engine, workload: Workload, target: Target, *, build: Build, adapter: Adapter
) -> None:
    """Everything that an engine promises for one workload on one target.

    `build` turns it into images, `adapter` runs them (a virtual board, this computer). AssertionError if a
    promise is broken: a refusal is one sentence and the same each time, and what is refused is not generated;
    the same inputs give the same bytes; every operator has its function; answers are the oracle's; memory is
    accounted for. WrongAnswer if an answer is not the oracle's.
    """
    refusal = engine.refuses(workload, target)
    assert refusal == engine.refuses(workload, target), f"`{engine.name}` changes its mind about a refusal"
    if refusal is not None:
        _check_refusal(engine, workload, target, refusal)
        return
    sources = _check_generation(engine, workload, target)
    for index, name in enumerate(sources.operators):
        assert re.fullmatch(r"[^\s\]]+", name), f"operator {index} cannot be named `{name}` on the wire"
    image = build(workload, engine, target, "clean")
    symbols = [function.name for function in elf.functions(image.elf)]
    assert INVOKE in symbols, f"the image of `{engine.name}` lacks the function `{INVOKE}`"
    numbered = {int(match[1]) for symbol in symbols if (match := _OPERATOR.match(symbol))}
    missing = sorted(set(range(len(sources.operators))) - numbered)
    assert not missing, f"the image of `{engine.name}` lacks the functions of operators {missing}"
    build(workload, engine, target, "instrumented")
    _check_running(engine, workload, image, adapter, target)


def _check_refusal(engine: Engine, workload: Workload, target: Target, refusal: str) -> None:
    assert re.fullmatch(r".*\S.*", refusal), f"`{refusal!r}` is not one sentence"
    with TemporaryDirectory() as folder:
        try:
            engine.generate(workload, target, Path(folder))
        except BuildError:
            return
    raise AssertionError(f"`{engine.name}` generates what it refuses: {refusal}")


def _check_generation(engine: Engine, workload: Workload, target: Target) -> Sources:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        one = engine.generate(workload, target, Path(first))
        engine.generate(workload, target, Path(second))
        assert one.version, f"`{engine.name}` does not say its version"
        assert all(file.is_file() for file in one.files), f"`{engine.name}` names files that do not exist"
        assert _contents(Path(first)) == _contents(Path(second)), f"`{engine.name}` is not deterministic"
        return one


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _check_running(
    engine: Engine, workload: Workload, image: Image, adapter: Adapter, target: Target
) -> None:
    device = adapter.find(target)[0]
    with adapter.open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic, baud=target.serial.baud)
        check_answers(
            session, workload.goldens, allowed=allowed_difference(engine), classes=names_classes(workload)
        )
        first = workload.goldens[0]
        session.load(first.data)
        session.infer(3, 1)  # many inferences on one input, as a window has them
        once_more = session.output()
        session.infer(1, 0)
        assert once_more == session.output(), f"`{engine.name}` answers differently when asked again"
        memory = session.memory()
    assert 0 < memory.arena_used <= memory.arena_reserved, (
        f"`{engine.name}` reports {memory.arena_used} of {memory.arena_reserved} bytes of arena in use"
    )
