"""The plugin's counts (count.c), read from the file that QEMU and this process both map."""

from __future__ import annotations

import ctypes as c
import mmap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from device_adapters.virtual.profile_native import cache_folder, compiled
from device_adapters.virtual.symbols import Symbols
from tinybench.errors import DeviceError
from tinybench.target import ExecutionProfile, Invocation

_SOURCE = Path(__file__).with_name("count.c")
_MAX_BLOCKS, _MAX_CALLS, _MAX_WATCHES = 1 << 16, 1 << 16, 1 << 10
_TROUBLES = MappingProxyType(
    {
        1: "executes too many different blocks",
        2: "calls its operators too often",
        4: "nests watched functions",
    }
)


class _Block(c.Structure):
    _fields_ = (
        ("runs", c.c_uint64),
        ("runs_inside", c.c_uint64),
        *((name, c.c_uint32) for name in ("address", "end", "instructions", "watch")),
    )


class _Call(c.Structure):
    _fields_ = (("instructions", c.c_uint64), ("watch", c.c_uint32), ("spare", c.c_uint32))


class _Counts(c.Structure):
    _fields_ = (
        ("executed", c.c_uint64),
        *((name, c.c_uint32) for name in ("blocks", "calls", "troubles", "spare")),
        ("block", _Block * _MAX_BLOCKS),
        ("call", _Call * _MAX_CALLS),
    )


@dataclass(frozen=True)
class Watched:
    """A function whose every call is measured; `operator` is None for the one that is the inference."""

    symbol: str
    address: int
    operator: int | None


def watched(symbols: Symbols, inference: str | None) -> tuple[Watched, ...]:
    """The inference, then the operators. Empty if the image does not have the function."""
    invoke = symbols.named(inference) if inference is not None else None
    if invoke is None:
        return ()
    operators = (Watched(function.name, function.start, index) for function, index in symbols.operators())
    return (Watched(invoke.name, invoke.start, None), *operators)[:_MAX_WATCHES]


@dataclass(frozen=True)
class _Moment:
    """What had been counted at a moment: everything, runs of each block, and calls."""

    executed: int = 0
    runs: Sequence[tuple[int, int]] = ()
    calls: int = 0


class Counting:
    """The host's side of one plugin's counts. When they are read, the guest must only wait for input."""

    def __init__(self, folder: Path, symbols: Symbols, functions: Sequence[Watched]) -> None:
        self._symbols = symbols
        self._functions = functions
        self._path = folder / "counts"
        self._path.write_bytes(b"")
        with self._path.open("r+b") as file:
            file.truncate(c.sizeof(_Counts))
            self._memory = mmap.mmap(file.fileno(), c.sizeof(_Counts))
        self._since = _Moment()

    def options(self, plugin: Path) -> str:
        """The value of QEMU's `-plugin`."""
        watches = (f"watch={function.address:#x}" for function in self._functions)
        return ",".join((str(plugin), f"counts={self._path}", *watches))

    def reset(self) -> None:
        """Count from zero."""
        counts = self._counts()
        self._since = _Moment(counts.executed, tuple(_runs(counts)), counts.calls)

    def profile(self) -> ExecutionProfile:
        """What was executed since the last reset; `instructions` includes what the firmware waited.

        Raises DeviceError if the plugin's tables are too small for this image.
        """
        counts, since = self._counts(), self._since
        calls = [counts.call[i] for i in range(since.calls, counts.calls)]
        functions: Counter[str] = Counter()
        inference: Counter[str] = Counter()
        for index, (runs, inside) in enumerate(_runs(counts)):
            before, before_inside = since.runs[index] if index < len(since.runs) else (0, 0)
            block = counts.block[index]
            name = self._symbols.name_at(block.address)
            functions[name] += (runs - before) * block.instructions
            inference[name] += (inside - before_inside) * block.instructions
        operators: Counter[int] = Counter()
        for call in calls:
            operator = self._functions[call.watch].operator
            if operator is not None:
                operators[operator] += call.instructions
        return ExecutionProfile(
            instructions=functions.total(),
            functions=MappingProxyType(+functions),
            operators=MappingProxyType(dict(operators)),
            invocations=tuple(
                Invocation(self._functions[call.watch].symbol, call.instructions) for call in calls
            ),
            inference=MappingProxyType(+inference),
        )

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _counts(self) -> _Counts:
        counts = _Counts.from_buffer_copy(self._memory)
        if counts.troubles:
            troubles = [text for bit, text in _TROUBLES.items() if counts.troubles & bit]
            raise DeviceError(f"the firmware {' and '.join(troubles)}: QEMU's counts are not whole")
        return counts


def _runs(counts: _Counts) -> list[tuple[int, int]]:
    return [(block.runs, block.runs_inside) for block in counts.block[: counts.blocks]]


def plugin() -> Path | None:
    """The plugin, built once with whatever C compiler is there; None without any."""
    return compiled(cache_folder(), _SOURCE)
