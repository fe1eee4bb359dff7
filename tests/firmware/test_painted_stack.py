"""The stack's high-water mark by painting is the deepest word written, seen by a hook on every store."""

from __future__ import annotations

import ctypes as c
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest

from tinybench import build, config, elf, toolchain
from tinybench.fetch import Fetcher, Places
from tinybench.models import oracle
from tinybench.plan import PlannedCase, Selection, plan
from tinybench.plugins import discover

if TYPE_CHECKING:
    from device_adapters.virtual.board import Board

pytestmark = pytest.mark.needs("python:unicorn")

SOURCE = Path(__file__).with_name("deepest_write.c")
PLENTY = 10**8
FIRST_AFTER_PAINTING = "tb_port_init"


class Deepest(c.Structure):
    """deepest_write.c's state."""

    _fields_ = (
        *((name, c.c_uint32) for name in ("lowest", "writes")),
        ("xpsr", c.c_int32),
        ("spare", c.c_uint32),
        ("reg_read", c.c_void_p),
        ("reg_write", c.c_void_p),
    )


Planned = Callable[[str, str, str], PlannedCase]


@pytest.fixture(scope="module")
def cache_dir() -> Path:
    """What commands under test share: images are built once for all of them."""
    return platformdirs.user_cache_path("tinybench-tests")


@pytest.fixture(scope="module")
def planned(cache_dir: Path) -> Planned:
    catalogue = discover()
    environ = {**os.environ, "TINYBENCH_CACHE_DIR": str(cache_dir)}
    settings = config.load({}, environ=environ, cwd=Path.cwd()).settings
    fetcher = Fetcher(Places.of(settings))

    def one(workload: str, engine: str, target: str) -> PlannedCase:
        wanted = Selection(workloads=(workload,), engines=(engine,), devices=(target,), simulate=True)
        made = plan(wanted, catalogue, fetcher, oracle.installed(cache_dir))
        assert len(made.cases) == 1, made.gaps
        return made.cases[0]

    return one


@contextmanager
def watched(board: Board, start: int, end: int, cache: Path) -> Iterator[Deepest]:
    """Every store of the core to [start, end)."""
    import unicorn as u
    from unicorn import arm_const as arm
    from unicorn.unicorn_py3.unicorn import uclib

    from device_adapters.virtual.profile_native import compiled

    library = compiled(cache, SOURCE)
    assert library is not None, "no C compiler"
    code: Any = c.CDLL(str(library))
    state = Deepest(
        lowest=end,
        xpsr=arm.UC_ARM_REG_XPSR,
        reg_read=c.cast(uclib.uc_reg_read, c.c_void_p),
        reg_write=c.cast(uclib.uc_reg_write, c.c_void_p),
    )
    uc = board.core._uc
    handle = c.c_size_t()
    status = uclib.uc_hook_add(
        uc._uch,
        c.byref(handle),
        c.c_int(u.UC_HOOK_MEM_WRITE),
        c.cast(code.on_write, c.c_void_p),
        c.byref(state),
        c.c_uint64(start),
        c.c_uint64(end - 1),
    )
    assert status == u.UC_ERR_OK
    uc.ctl_flush_tb()
    yield state
    uclib.uc_hook_del(uc._uch, handle)


def say(board: Board, data: bytes) -> str:
    """What the firmware answers."""
    board.line.to_device.extend(data)
    reply = bytearray()
    while not reply.endswith(b"m-ready\r\n"):
        board.run(PLENTY)
        reply += board.line.to_host
        board.line.to_host.clear()
    assert b"e-[" not in reply, reply
    return reply.decode()


@pytest.mark.parametrize(
    ("workload", "engine", "target"),
    [
        *(
            ("fcnn-1x100", "reference", target)
            for target in ("nucleo-f746", "nucleo-l4r5zi", "nucleo-h743zi", "nrf52840-dk", "rpi-pico")
        ),
        *(
            ("kws01-mltk", engine, "nucleo-f746")
            for engine in ("reference", "reference-dsp", "cmsis-nn", "bakenn-smlad", "emx")
        ),
        ("kws01-mltk", "reference", "rpi-pico"),
        ("kws01-synthetic-float32", "reference", "nucleo-l4r5zi"),
        ("kws01-synthetic-int16x8", "reference", "nucleo-l4r5zi"),
        ("ad01-mltk", "emlearn", "nucleo-l4r5zi"),
    ],
)
def test_painting_finds_the_deepest_word_that_was_written(
    planned: Planned, cache_dir: Path, workload: str, engine: str, target: str
) -> None:
    from device_adapters.virtual.board import power_on
    from device_adapters.virtual.table import table_of

    case = planned(workload, engine, target)
    table = table_of(case.target)
    assert table is not None
    compiler = toolchain.find(None, cache_dir)
    image = build.build(
        case.workload, case.engine, case.target, "instrumented", compiler=compiler, cache=cache_dir
    )
    start, size = elf.spans(image.elf)[".tb_stack"]
    board, symbols = power_on(case.target, table, image.elf)
    painted = symbols.named(FIRST_AFTER_PAINTING)
    assert painted is not None
    board.core.break_at(frozenset({painted.start}))
    while board.core.registers.pc != painted.start:
        board.core.run(PLENTY)
    board.core.break_at(frozenset())
    with watched(board, start, start + size, cache_dir) as seen:
        say(board, b"")
        data = case.workload.goldens[1].data
        say(board, f"tb bin {len(data)}%".encode())
        say(board, data + zlib.crc32(data).to_bytes(4, "little"))
        say(board, b"infer 1 0%")
        told = re.search(r"m-tb-mem-stack-\[(\d+) (\d+)\]", say(board, b"tb mem%"))
    board.close()
    assert told is not None
    assert seen.writes > 100
    assert (int(told[1]), int(told[2])) == (start + size - seen.lowest, size)
