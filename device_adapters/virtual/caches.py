"""Counts how a chip's memories serve the firmware (caches.c): the other side of `tinybench.timing.memory`.

Watching a memory makes Unicorn take its slow path for every load and store, several times slower: so this is
switched on for one inference, and only memories that the chip's description names are watched.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.profile_native import cache_folder, compiled
from tinybench.errors import DeviceError, SetupError
from tinybench.timing.memory import PORTS, ChipMemory, Counts, MemorySettings, Miss, Port, PortFacts, Served

_SOURCE = Path(__file__).with_name("caches.c")
_MEMORIES, _CACHES = 8, 4
_NOTHING = -1


class _Cache(c.Structure):
    _fields_ = (
        *((name, c.c_uint32) for name in ("sets", "ways", "line_bytes", "part_bytes", "write_back", "spare")),
        *((name, c.c_void_p) for name in ("lines", "parts", "modified")),
    )


class _Port(c.Structure):
    _fields_ = (
        ("cache", c.c_int32),
        *((name, c.c_uint32) for name in ("word_bytes", "holds", "last")),
        *((name, c.c_uint64) for name in Counts._fields),
    )


class _Memory(c.Structure):
    _fields_ = (("start", c.c_uint32), ("end", c.c_uint32), ("ports", _Port * len(PORTS)))


class _Site(c.Structure):
    _fields_ = (
        ("address", c.c_uint32),
        ("memory", c.c_uint16),
        ("port", c.c_uint16),
        ("next", c.c_uint64),
        ("jumped", c.c_uint64),
        ("asked", c.c_uint64),
    )


class _State(c.Structure):
    _fields_ = (
        *((name, c.c_uint32) for name in ("memory_count", "cache_count", "site_count", "full")),
        *((name, c.c_uint32) for name in ("entry", "within", "return_address", "spare", "pc_after", "sp")),
        *((name, c.c_int32) for name in ("r13", "r14", "r15", "xpsr")),
        ("reg_read", c.c_void_p),
        ("reg_write", c.c_void_p),
        ("memories", _Memory * _MEMORIES),
        ("caches", _Cache * _CACHES),
        ("sites", c.POINTER(_Site)),
    )


class MemoryObserver:
    """Hooks on a Unicorn engine that simulate the caches of a chip; `close` takes them off.

    `entry`: the function inside which is counted. Raises SetupError without a C compiler.
    """

    def __init__(self, uc: Any, chip: ChipMemory, settings: MemorySettings, entry: int) -> None:
        library = compiled(cache_folder(), _SOURCE)
        if library is None:
            raise SetupError(
                "simulating caches needs a C compiler, and none was found", hint="pip install ziglang"
            )
        self._code = _load(library)
        self._uc = uc
        self._chip = chip
        self._settings = settings
        self._hooks: list[int] = []
        state = self._code.tbc_new()
        if not state:
            raise MemoryError
        self._state = state
        self._describe(chip, settings)
        state.contents.entry = entry & ~1
        self._attach(uc)

    def served(self) -> Served:
        """What was counted since the beginning, or since `reset`."""
        head = self._state.contents
        if head.full:
            raise MemoryError("the table of misses is full")
        names = [memory.name for memory in self._chip.memories]
        counts: dict[tuple[str, Port], Counts] = {}
        for index, memory in enumerate(self._chip.memories):
            for number, port in enumerate(PORTS):
                if memory.port(port) is not None:
                    raw = head.memories[index].ports[number]
                    counts[memory.name, port] = Counts(*(int(getattr(raw, name)) for name in Counts._fields))
        sites = (_Site * head.site_count)()
        found = self._code.tbc_sites(self._state, sites)
        misses = sorted(
            Miss(names[site.memory], PORTS[site.port], int(site.address), int(site.next), int(site.jumped))
            for site in sites[:found]
            if site.next or site.jumped
        )
        loads = {int(site.address): int(site.asked) for site in sites[:found] if site.asked}
        return Served(
            chip=self._chip.name,
            chip_version=self._chip.version,
            caches_off=self._settings.caches_off,
            counts=MappingProxyType(counts),
            misses=tuple(misses),
            loads=MappingProxyType(dict(sorted(loads.items()))),
        )

    def reset(self) -> None:
        """Count from zero; what the caches hold stays."""
        self._code.tbc_reset(self._state)

    def close(self) -> None:
        """Take the hooks off and free the tables; the engine must not be running."""
        if self._state is None:
            return
        for hook in self._hooks:
            _remove(self._uc, hook)
        self._uc.ctl_flush_tb()
        self._code.tbc_free(self._state)
        self._state = None
        self._uc = None

    def _describe(self, chip: ChipMemory, settings: MemorySettings) -> None:
        numbers: dict[str, int] = {}
        for cache in chip.caches:
            numbers[cache.name] = len(numbers)
            sizes = (cache.sets, cache.ways, cache.line_bytes, cache.part_bytes, int(cache.write_back))
            _need(self._code.tbc_add_cache(self._state, *sizes))
        for index, memory in enumerate(chip.memories):
            _need(self._code.tbc_add_memory(self._state, memory.start, memory.end))
            for number, port in enumerate(PORTS):
                facts = memory.port(port)
                if facts is not None:
                    self._set_port(index, number, facts, numbers, settings)

    def _set_port(
        self, memory: int, port: int, facts: PortFacts, numbers: Mapping[str, int], settings: MemorySettings
    ) -> None:
        on = facts.cache is not None and facts.cache not in settings.caches_off
        cache = numbers[facts.cache] if on and facts.cache is not None else _NOTHING
        self._code.tbc_set_port(self._state, memory, port, cache, facts.word_bytes, int(facts.holds))

    def _attach(self, uc: Any) -> None:
        import unicorn as u
        from unicorn import arm_const as arm
        from unicorn.unicorn_py3.unicorn import uclib

        state = self._state.contents
        state.r13, state.r14, state.r15 = arm.UC_ARM_REG_R13, arm.UC_ARM_REG_R14, arm.UC_ARM_REG_R15
        state.xpsr = arm.UC_ARM_REG_XPSR
        state.reg_read = c.cast(uclib.uc_reg_read, c.c_void_p)
        state.reg_write = c.cast(uclib.uc_reg_write, c.c_void_p)
        engine = uc._uch  # noqa: SLF001 - the engine's handle: hooks in C cannot be added otherwise

        def add(kinds: int, function: Any, first: int, last: int) -> None:
            handle = c.c_size_t()
            status = uclib.uc_hook_add(
                engine,
                c.byref(handle),
                c.c_int(kinds),
                c.cast(function, c.c_void_p),
                c.cast(self._state, c.c_void_p),
                c.c_uint64(first),
                c.c_uint64(last),
            )
            if status != u.UC_ERR_OK:
                raise DeviceError(f"Unicorn refused a hook with status `{status}`")
            self._hooks.append(int(handle.value))

        add(u.UC_HOOK_BLOCK, self._code.tbc_on_block, 1, 0)
        for memory in self._chip.memories:
            if memory.data is not None:
                stores = memory.write_back_cycles is not None or memory.store_cycles is not None
                kinds = u.UC_HOOK_MEM_READ | (u.UC_HOOK_MEM_WRITE if stores else 0)
                add(kinds, self._code.tbc_on_access, memory.start, memory.end - 1)
        uc.ctl_flush_tb()


def _remove(uc: Any, hook: int) -> None:
    from unicorn.unicorn_py3.unicorn import uclib

    uclib.uc_hook_del(uc._uch, c.c_size_t(hook))  # noqa: SLF001 - as above: added in C, removed in C


def _need(done: bool) -> None:
    if not done:
        raise MemoryError("a chip with more memories or caches than fit, or larger lines")


def _load(library: Path) -> Any:
    code = c.CDLL(str(library))
    state = c.POINTER(_State)
    word = c.c_uint32
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "tbc_new": (state, ()),
        "tbc_free": (None, (state,)),
        "tbc_reset": (None, (state,)),
        "tbc_sites": (word, (state, c.POINTER(_Site))),
        "tbc_add_cache": (c.c_bool, (state, word, word, word, word, word)),
        "tbc_add_memory": (c.c_bool, (state, word, word)),
        "tbc_set_port": (None, (state, word, word, c.c_int32, word, word)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(code, name)
        function.restype = result
        function.argtypes = arguments
    return code
