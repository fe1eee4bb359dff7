"""The block hook in C (profile.c): built once with whatever compiler is there, then loaded from the cache."""

from __future__ import annotations

import ctypes as c
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from device_adapters.virtual.profile import FOREVER, OUTSIDE, Block, Edge, Watch
from tinybench.errors import DeviceError

_SOURCE = Path(__file__).with_name("profile.c")
_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
_ZIG = (sys.executable, "-m", "ziglang", "cc")
_BUILD_SECONDS = 300


class _Unicorn(c.Structure):
    _fields_ = (
        *((name, c.c_void_p) for name in ("emu_stop", "reg_read", "reg_write", "mem_read", "ctl")),
        ("remove_cache", c.c_uint32),
        *((name, c.c_int32) for name in ("r13", "r14", "xpsr", "epsr", "primask", "faultmask", "basepri")),
    )


class _Block(c.Structure):
    _fields_ = (
        ("key", c.c_uint64),
        *((name, c.c_uint32) for name in ("address", "size", "instructions", "traits", "watch")),
        ("hints", c.c_uint32 * 2),
    )


class _Edge(c.Structure):
    _fields_ = (
        ("count", c.c_uint64),
        ("source", c.c_uint32),
        ("to", c.c_uint32),
        ("context", c.c_int32),
        ("spare", c.c_uint32),
    )


class _Invocation(c.Structure):
    _fields_ = (("instructions", c.c_uint64), ("watch", c.c_uint32), ("spare", c.c_uint32))


class _Head(c.Structure):
    _fields_ = (
        ("executed", c.c_uint64),
        ("stop_at", c.c_uint64),
        *((name, c.c_uint32) for name in ("interrupt", "traps", "quiet", "cause")),
        *((name, c.c_uint32) for name in ("last", "previous", "last_edge")),
        ("context", c.c_int32),
        *((name, c.c_uint32) for name in ("depth", "refused_page", "refused_kind")),
        *(
            (name, c.c_uint32)
            for name in ("block_count", "edge_count", "invocation_count", "watch_count", "range_count")
        ),
        ("blocks", c.POINTER(_Block)),
        ("edges", c.POINTER(_Edge)),
        ("invocations", c.POINTER(_Invocation)),
    )


def compiled(cache: Path, source: Path = _SOURCE) -> Path | None:
    """The shared library of a C file, built into `cache` if it is not there; None without any compiler."""
    digest = hashlib.sha256(source.read_bytes() + repr((_FLAGS, sys.platform)).encode()).hexdigest()[:16]
    library = cache / f"{source.stem}-hook-{digest}.so"  # unlike any module: Python would import it instead
    if library.exists():
        return library
    for compiler in _compilers():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            built = Path(folder) / "hook.so"
            command = (*compiler, *_FLAGS, "-o", str(built), str(source))
            result = subprocess.run(command, capture_output=True, check=False, timeout=_BUILD_SECONDS)
            if result.returncode == 0 and built.exists():
                built.replace(library)  # atomic: two processes may build at the same time
                return library
    return None


def _compilers() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if shutil.which("cc"):
        found.append(("cc",))
    if importlib.util.find_spec("ziglang") is not None:
        found.append(_ZIG)
    return found


def cache_folder() -> Path:
    """Where built things are kept: $TINYBENCH_CACHE_DIR, else the user's cache."""
    import platformdirs

    chosen = os.environ.get("TINYBENCH_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("tinybench"))


class NativeHook:
    """A `BlockHook` that runs at a few nanoseconds a block."""

    kind = "native"

    def __init__(self, library: Path) -> None:
        self._code = _load(library)
        self.block_handle = 0
        self._state: Any = None
        self._engine: Any = None
        self._uc: Any = None

    def attach(self, uc: Any) -> None:
        """Install the hooks; `uc` must stay alive until `close`."""
        import unicorn as u
        from unicorn import arm_const as arm
        from unicorn.unicorn_py3.unicorn import uclib

        control = u.UC_CTL_IO_WRITE << 30 | 2 << 26 | u.UC_CTL_TB_REMOVE_CACHE
        functions = (
            uclib.uc_emu_stop,
            uclib.uc_reg_read,
            uclib.uc_reg_write,
            uclib.uc_mem_read,
            uclib.uc_ctl,
        )
        registers = (
            arm.UC_ARM_REG_R13,
            arm.UC_ARM_REG_R14,
            arm.UC_ARM_REG_XPSR,
            arm.UC_ARM_REG_EPSR,
            arm.UC_ARM_REG_PRIMASK,
            arm.UC_ARM_REG_FAULTMASK,
            arm.UC_ARM_REG_BASEPRI,
        )
        api = _Unicorn(*(c.cast(function, c.c_void_p) for function in functions), control, *registers)
        state = self._code.tbp_new(c.byref(api))
        if not state:
            raise MemoryError
        self._state = state
        self._engine = uc._uch  # noqa: SLF001 - the engine's handle: hooks in C cannot be added otherwise
        for kinds, function in (
            (u.UC_HOOK_BLOCK, self._code.tbp_on_block),
            (u.UC_HOOK_TLB_FILL, self._code.tbp_on_tlb),
            (u.UC_HOOK_MEM_READ_PROT | u.UC_HOOK_MEM_WRITE_PROT, self._code.tbp_on_device),
        ):
            handle = c.c_size_t()
            status = uclib.uc_hook_add(
                self._engine,
                c.byref(handle),
                c.c_int(kinds),
                c.cast(function, c.c_void_p),
                c.cast(state, c.c_void_p),
                c.c_uint64(1),
                c.c_uint64(0),
            )
            if kinds == u.UC_HOOK_BLOCK:
                self.block_handle = int(handle.value)
            if status != u.UC_ERR_OK:
                raise DeviceError(f"Unicorn refused a hook with status `{status}`")
        self._uc = uc

    @property
    def executed(self) -> int:
        """Instructions since power-on; inside a callback, with all of the running block."""
        return int(self._state.contents.executed)

    @property
    def stop_at(self) -> int:
        """Stop before the first block that would start at or after this count."""
        return int(self._state.contents.stop_at)

    @stop_at.setter
    def stop_at(self, executed: int) -> None:
        self._state.contents.stop_at = min(executed, FOREVER)

    @property
    def interrupt(self) -> int:
        """1 + priority of the interrupt that waits for the masks to open; 0: none."""
        return int(self._state.contents.interrupt)

    @interrupt.setter
    def interrupt(self, value: int) -> None:
        self._state.contents.interrupt = value

    @property
    def traps(self) -> int:
        """Traits that stop before a block."""
        return int(self._state.contents.traps)

    @traps.setter
    def traps(self, value: int) -> None:
        self._state.contents.traps = value

    @property
    def quiet(self) -> bool:
        """Whether the hook neither counts nor stops."""
        return bool(self._state.contents.quiet)

    @quiet.setter
    def quiet(self, value: bool) -> None:
        self._state.contents.quiet = value

    @property
    def cause(self) -> int:
        """Why the hook stopped the core; set to 0 before a run."""
        return int(self._state.contents.cause)

    @cause.setter
    def cause(self, value: int) -> None:
        self._state.contents.cause = value

    @property
    def refused_page(self) -> int:
        """The page of the last access that was refused."""
        return int(self._state.contents.refused_page)

    @property
    def refused_kind(self) -> int:
        """What that access was (`Access`); 0 if there was none since it was set to 0."""
        return int(self._state.contents.refused_kind)

    @refused_kind.setter
    def refused_kind(self, value: int) -> None:
        self._state.contents.refused_kind = value

    @property
    def running(self) -> tuple[int, int]:
        """Address and size of the block that ran last; (0, 0) if that is not known."""
        head = self._state.contents
        block = head.blocks[head.last]
        return int(block.address), int(block.size)

    def add_range(self, start: int, end: int, target: int, permissions: int) -> None:
        """Let the core touch [start, end), found at the physical address `target`."""
        _need(self._code.tbp_add_range(self._state, start, end, target, permissions))

    def remove_range(self, start: int, permissions: int) -> None:
        """Take back what `add_range` granted with the same start and permissions."""
        self._code.tbp_remove_range(self._state, start, permissions)

    def watch(self, watch: Watch) -> None:
        """Measure every call of a function."""
        _need(self._code.tbp_watch_function(self._state, watch.address, watch.operator))

    def account(self, address: int, size: int) -> None:
        """Count instructions that ran outside the hook."""
        _need(self._code.tbp_account(self._state, self._engine, address, size))

    def truncate(self, pc: int) -> None:
        """The running block broke off before the instruction at `pc`."""
        _need(self._code.tbp_truncate(self._state, self._engine, pc))

    def break_chain(self) -> None:
        """What runs next did not come from the running block."""
        self._code.tbp_break(self._state)

    def forget(self, start: int, end: int) -> None:
        """The bytes in [start, end) were changed from outside."""
        self._code.tbp_forget(self._state, start, end)

    def restart(self) -> None:
        """The core was reset: no function is being executed. Counts are kept."""
        self._state.contents.depth = 0
        self._state.contents.context = OUTSIDE
        self.break_chain()

    def reset(self) -> None:
        """Count from zero."""
        self._code.tbp_reset(self._state)

    def edges(self) -> list[Edge]:
        """What was counted since the last reset, without edges that never ran."""
        head = self._state.contents
        raw = [head.blocks[index] for index in range(head.block_count)]
        blocks = [Block(block.address, block.size, block.instructions) for block in raw]
        edges = (head.edges[index] for index in range(1, head.edge_count))
        return [
            Edge(edge.context, blocks[edge.source], blocks[edge.to], edge.count)
            for edge in edges
            if edge.count
        ]

    def invocations(self) -> list[tuple[int, int]]:
        """(index of the watch, inclusive instructions) of each finished call, in the order of returns."""
        head = self._state.contents
        calls = (head.invocations[index] for index in range(head.invocation_count))
        return [(int(call.watch) - 1, int(call.instructions)) for call in calls]

    def close(self) -> None:
        """Free the tables; the engine must not run any more."""
        self._code.tbp_free(self._state)
        self._state = None
        self._uc = None


def _need(done: bool) -> None:
    if not done:
        raise MemoryError("the block hook's tables are full")


def _load(library: Path) -> Any:
    code = c.CDLL(str(library))
    head = c.POINTER(_Head)
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "tbp_new": (head, (c.c_void_p,)),
        "tbp_free": (None, (head,)),
        "tbp_add_range": (c.c_bool, (head, *(4 * (c.c_uint32,)))),
        "tbp_remove_range": (None, (head, c.c_uint32, c.c_uint32)),
        "tbp_watch_function": (c.c_bool, (head, c.c_uint32, c.c_int32)),
        "tbp_account": (c.c_bool, (head, c.c_void_p, c.c_uint32, c.c_uint32)),
        "tbp_truncate": (c.c_bool, (head, c.c_void_p, c.c_uint32)),
        "tbp_break": (None, (head,)),
        "tbp_forget": (None, (head, c.c_uint32, c.c_uint32)),
        "tbp_reset": (None, (head,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(code, name)
        function.restype = result
        function.argtypes = arguments
    return code
