"""A virtual board: a core, its memories and its peripherals, with power on."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from device_adapters.virtual.core import Clocked, Core, CoreModel, Stop
from device_adapters.virtual.dwt import Dwt
from device_adapters.virtual.memory import BusError, Device, Mapped, Memory
from device_adapters.virtual.peripherals import build
from device_adapters.virtual.profile import (
    BETWEEN_OPERATORS,
    BlockHook,
    EdgeProfile,
    Permission,
    Watch,
    edge_profile,
)
from device_adapters.virtual.profile_native import NativeHook, cache_folder, compiled
from device_adapters.virtual.profile_python import PythonHook
from device_adapters.virtual.serial_line import SerialLine
from device_adapters.virtual.symbols import Symbols
from device_adapters.virtual.system_control import Identity
from device_adapters.virtual.table import Gate, PeripheralEntry, VirtualTable
from device_adapters.virtual.wall_clock import WallClock
from device_adapters.virtual.wiring import Resettable, Wiring
from tinybench.errors import DeviceError, LoadError, SetupError, UsageError
from tinybench.target import Target

if TYPE_CHECKING:
    from device_adapters.virtual.caches import MemoryObserver
    from tinybench.timing.memory import ChipMemory, MemorySettings, Served

_SYSTEM_CONTROL, _DWT, _ITM = 0xE000E000, 0xE0001000, 0xE0000000
_PAGE_4K = 0x1000
_ERASED = b"\xff"
_PATIENCE = 64
_POLL_INSTRUCTIONS = 1000
_SKIPS_PER_SECOND = 1000
INVOKE = "tb_engine_invoke"


def make_hook() -> BlockHook:
    """The fastest block hook that can be had here; a warning if that is the slow one."""
    library = compiled(cache_folder())
    if library is not None:
        return NativeHook(library)
    warnings.warn(
        "no C compiler was found: the virtual board runs some twenty times slower (pip install ziglang)",
        RuntimeWarning,
        stacklevel=2,
    )
    return PythonHook()


@dataclass
class _Gated:
    """A peripheral behind its clock-enable bit: without a clock it reads as zero and ignores writes."""

    device: Device
    gate: Gate
    wiring: Wiring

    def _is_clocked(self) -> bool:
        clocks = self.wiring.clocks
        return clocks is not None and clocks.is_clocked(self.gate.reg, self.gate.bit)

    def read(self, offset: int) -> int:
        """One aligned word."""
        return self.device.read(offset) if self._is_clocked() else 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if self._is_clocked():
            self.device.write(offset, value, mask)


class _Nothing:
    """Trace registers (ITM) that firmware may touch and that nothing listens to."""

    def read(self, offset: int) -> int:
        """Zero."""
        del offset
        return 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """Ignored."""


class _Waiting:
    """Notices firmware that does nothing but ask an empty receiver, and lets its time pass quickly.

    After `_PATIENCE` polls in a row, with hardly anything in between, each further one lets a millisecond of
    the firmware's time pass, so that its own timeouts expire, and the host's do, without anyone waiting.
    """

    def __init__(self, skip: Callable[[bool], None]) -> None:
        """`skip` lets a millisecond pass, and now and then is told to let the owner look at the time."""
        self._skip = skip
        self._polls = 0
        self._at = 0

    def polled(self, now: int) -> None:
        """The receiver was asked in vain at this time."""
        self._polls = self._polls + 1 if now - self._at <= _POLL_INSTRUCTIONS else 0
        if self._polls >= _PATIENCE:
            self._skip(self._polls % _PATIENCE == 0)
        self._at = now


class Board:
    """One virtual board with power on. Not thread-safe; `close` it."""

    def __init__(
        self, target: Target, table: VirtualTable, hook: BlockHook, wall_scale: float | None = None
    ) -> None:
        """With `wall_scale` the cycle counter follows the host's clock, so many times as fast."""
        self.target = target
        self.line = SerialLine(target.serial.baud)
        self.refusal: str | None = None
        self.idle = False
        self._sent_before_fault = 0
        self._hook = hook
        self._watches: list[Watch] = []
        self._inference: int | None = None
        self._observer: MemoryObserver | None = None
        self.core = Core(_core_model(target, table), hook)
        self._waiting = _Waiting(self._skip_a_while)
        self._wiring = Wiring(
            now=lambda: self.core.time,
            refuse=self._refuse,
            interrupt=self.core.system.set_line,
            polled=self._polled,
            line=self.line,
            flash=self.core.flash,
            memory=self.core.space,
        )
        self.core.system.refuse = self._refuse
        self.core.exceptions.on_fault = self._faulted
        self._resettable: list[Resettable] = []
        self._add_memories(target, table)
        self._add_core_registers(has_lock=target.core.name == "cortex-m7", wall_scale=wall_scale)
        for entry in table.peripherals:
            self._add_peripheral(target, entry)
        if table.serial not in self._wiring.parts:
            raise UsageError(f"`{target.name}.toml`: virtual.serial: there is no peripheral `{table.serial}`")

    @property
    def parts(self) -> Mapping[str, Device]:
        """The peripherals by name."""
        return self._wiring.parts

    @property
    def hook_kind(self) -> str:
        """`native` or `python`."""
        return self._hook.kind

    # --- construction ---

    def _add_memories(self, target: Target, table: VirtualTable) -> None:
        ram = Permission.READ | Permission.WRITE | Permission.EXEC
        rom = Permission.READ | Permission.EXEC
        space = self.core.space
        for region in target.regions:
            is_flash = region.kind == "flash"
            memory = Memory(region.name, region.origin, region.size, rom if is_flash else ram)
            space.add_memory(memory)
            if is_flash:
                self.core.flash.add_memory(memory)
        for extra in table.memories:
            source = space.memory_at(extra.alias_of) if extra.alias_of is not None else None
            if extra.alias_of is not None and source is None:
                raise UsageError(f"`{target.name}.toml`: `{extra.name}` is an alias of nothing")
            permissions = source.permissions if source else ram if extra.writable else rom
            space.add_memory(Memory(extra.name, extra.origin, extra.size, permissions, extra.alias_of))

    def _add_core_registers(self, *, has_lock: bool, wall_scale: float | None) -> None:
        core = self.core
        wall = WallClock(self._core_hz, wall_scale) if wall_scale is not None else None
        dwt = Dwt(wall.cycles if wall else lambda: core.awake, core.system, has_lock)
        core.on_system_change = dwt.refresh
        core.space.add_device(Mapped("system control", _SYSTEM_CONTROL, _PAGE_4K, core.system))
        core.space.add_device(Mapped("dwt", _DWT, _PAGE_4K, dwt))
        core.space.add_device(Mapped("itm", _ITM, _PAGE_4K, _Nothing()))
        self._dwt = dwt

    def _add_peripheral(self, target: Target, entry: PeripheralEntry) -> None:
        try:
            device = build(entry.model, entry.name, entry.parameters, self._wiring)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"`{target.name}.toml`: {entry.name}: {where}: {first['msg']}") from error
        self._wiring.parts[entry.name] = device
        if hasattr(device, "reset"):
            resettable = cast("Resettable", device)
            self._resettable.append(resettable)
            if entry.enable is not None:
                self._wiring.resets[entry.enable.reg, entry.enable.bit] = resettable
        if hasattr(device, "due"):
            self.core.clocked.append(cast("Clocked", device))
        visible = _Gated(device, entry.enable, self._wiring) if entry.enable else device
        self.core.space.add_device(Mapped(entry.name, entry.origin, entry.size, visible))

    # --- what an owner does ---

    def load(self, elf: Path) -> None:
        """Erase the flash and program the loadable segments at their load addresses.

        Raises LoadError for a segment that is not in one of the target's flash regions.
        """
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            with elf.open("rb") as stream:
                segments = [
                    (int(segment["p_paddr"]), segment.data())
                    for segment in ELFFile(stream).iter_segments("PT_LOAD")
                    if segment["p_filesz"]
                ]
        except (OSError, ELFError) as error:
            raise LoadError(f"`{elf.name}` cannot be read as an ELF file: {error}") from error
        flash = [region for region in self.target.regions if region.kind == "flash"]
        for region in flash:
            self.erase(region.origin, region.size)
        for address, data in segments:
            if not any(r.origin <= address and address + len(data) <= r.end for r in flash):
                raise LoadError(
                    f"`{elf.name}` has {len(data)} bytes at `{address:#010x}`, which is not in the flash of "
                    f"{self.target.name}"
                )
            self.core.space.write(address, data, rom=True)

    def erase(self, address: int, size: int) -> None:
        """Flash as it leaves the factory."""
        self.core.space.write(address, _ERASED * size, rom=True)

    def watch(self, symbols: Symbols, inference: str | None = INVOKE) -> None:
        """Measure each call of the function that is one inference, and of each operator."""
        operators = {function.start: (function.name, index) for function, index in symbols.operators()}
        invoke = symbols.named(inference) if inference is not None else None
        if invoke is not None:
            operators.setdefault(invoke.start, (invoke.name, BETWEEN_OPERATORS))
            self._inference = invoke.start
        for address, (name, index) in operators.items():
            watch = Watch(name, address, index)
            self._watches.append(watch)
            self._hook.watch(watch)

    def reset(self) -> None:
        """As the reset button: RAM keeps its contents."""
        for part in self._resettable:
            part.reset()
        self._dwt.refresh()
        self.core.reset()
        self.refusal = None
        self.idle = False

    def run(self, instructions: int) -> Stop:
        """Run firmware, and carry out a reset that it asks for; `idle`: nothing inside can wake it."""
        stop = self.core.run(instructions)
        if stop is Stop.RESET:
            self.reset()
        self.idle = stop is Stop.ASLEEP
        return stop

    def waited_s(self) -> float:
        """Seconds of its own time that the firmware has spent asleep or asking an empty receiver."""
        clocks = self._wiring.clocks
        return self.core.skipped / clocks.core_hz() if clocks is not None else 0.0

    def profile(self) -> EdgeProfile:
        """What was executed since the last `reset_profile`."""
        return edge_profile(self._hook, self._watches)

    def reset_profile(self) -> None:
        """Count from zero."""
        self._hook.reset()

    def observe_memory(self, chip: ChipMemory, settings: MemorySettings) -> None:
        """Count how the chip's memories serve each inference, from now on.

        Raises SetupError if nothing in the image says what an inference is, or without a C compiler.
        """
        if self._inference is None:
            raise SetupError(f"the image has no function `{INVOKE}` inside which memory could be observed")
        self.stop_observing()
        self._observer = self.core.observe_memory(chip, settings, self._inference)

    def memory_served(self) -> Served:
        """What was counted since `observe_memory`, and stop. Raises DeviceError if nobody observed."""
        if self._observer is None:
            raise DeviceError("nobody observes the memories of this board")
        served = self._observer.served()
        self.stop_observing()
        return served

    def stop_observing(self) -> None:
        """Run at full speed again; twice is once."""
        if self._observer is not None:
            self._observer.close()
            self._observer = None

    def code_halfword(self, address: int) -> int:
        """The instruction at an address, 0 where there is none."""
        try:
            return int.from_bytes(self.core.space.read(address, 2), "little")
        except BusError:
            return 0

    def close(self) -> None:
        """Power off."""
        self.stop_observing()
        self.core.close()

    @property
    def spoke_since_fault(self) -> bool:
        """Whether the firmware sent anything after its latest fault: then it has said what happened."""
        return self.line.sent_bytes > self._sent_before_fault

    # --- what the peripherals say ---

    def _core_hz(self) -> float:
        clocks = self._wiring.clocks
        return clocks.core_hz() if clocks is not None else float(self.target.clock_hz)

    def _faulted(self) -> None:
        self._sent_before_fault = self.line.sent_bytes

    def _refuse(self, message: str) -> None:
        if self.refusal is None:
            self.refusal = message
        self.core.ask()

    def _polled(self) -> None:
        if self.line.to_host:
            self.core.ask()  # the host has something to read, and the firmware nothing to do
        else:
            self._waiting.polled(self.core.executed)

    def _skip_a_while(self, look: bool) -> None:
        clocks = self._wiring.clocks
        if look:
            self.core.ask()
        if clocks is not None:
            self.core.spin(int(clocks.core_hz()) // _SKIPS_PER_SECOND)


def _core_model(target: Target, table: VirtualTable) -> CoreModel:
    return CoreModel(
        name=target.core.name,
        identity=Identity(
            cpuid=table.cpuid,
            interrupts=table.interrupts,
            priority_bits=table.priority_bits,
            fpu=target.core.fpu != "none",
            dcache_ccsidr=table.dcache_ccsidr,
            icache_ccsidr=table.icache_ccsidr,
            reset_vector_table=table.boot,
        ),
        single_precision_only=target.core.fpu == "single",
    )


def power_on(
    target: Target,
    table: VirtualTable,
    elf: Path,
    hook: BlockHook | None = None,
    *,
    inference: str | None = INVOKE,
) -> tuple[Board, Symbols]:
    """A board with `elf` in its flash, out of reset and ready to run; and the symbols of `elf`."""
    board = Board(target, table, hook or make_hook())
    with contextlib.ExitStack() as unfinished:
        unfinished.callback(board.close)
        board.load(elf)
        symbols = Symbols.of(elf)
        board.watch(symbols, inference)
        board.reset()
        unfinished.pop_all()
    return board, symbols
