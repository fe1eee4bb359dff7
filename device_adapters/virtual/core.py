"""A Cortex-M core on Unicorn.

The core runs in slices: `run` returns a `Stop`, never a closed loop, so that a link, a debugger or a test can
sit on top. Time is the number of executed instructions, plus what was slept away. WFE sleeps until a device
changes by itself, which may be earlier than on silicon: the architecture allows WFE to wake for no reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from device_adapters.virtual import system_control as sc
from device_adapters.virtual import thumb
from device_adapters.virtual.exceptions import Exceptions, Fault
from device_adapters.virtual.flash import FlashArray
from device_adapters.virtual.memory import AddressSpace, BusError
from device_adapters.virtual.profile import Access, BlockHook, Cause, Trait
from device_adapters.virtual.registers import THUMB_BIT, Registers

if TYPE_CHECKING:
    from device_adapters.virtual.caches import MemoryObserver
    from tinybench.timing.memory import ChipMemory, MemorySettings

_DIVISION = re.compile(
    rb"(?=[\x90-\x9f\xb0-\xbf]\xfb[\xf0-\xff][\xf0-\xff])"
)  # SDIV, UDIV (A7.7.127, A7.7.195)
_EXCP_SVC, _EXCP_DATA_ABORT, _EXCP_BKPT, _EXCP_RETURN, _EXCP_NOCP = (
    2,
    4,
    7,
    8,
    17,
)  # Unicorn's numbers of exceptions
_DIVISION_BY_ZERO = 1000  # ours: no exception of Unicorn has this number
_YIELD, _WFE, _WFI, _SEV = 0xBF10, 0xBF20, 0xBF30, 0xBF40
_DIV_0_TRP = 1 << 4
_SLEEPONEXIT = 1 << 1
_LONGEST_BLOCK_BYTES = 1024
_LOCKUP_ADDRESS = 0xFFFFFFFE
_EXECUTE_NEVER = ((0x40000000, 0x60000000), (0xA0000000, 0x100000000))  # the default memory map (B3.1)


class Stop(Enum):
    """Why a run ended."""

    BUDGET = "the instructions that were asked for are executed"
    ASKED = "a device or the owner of the core asked for it"
    ASLEEP = "WFI, and nothing inside the board can wake it"
    BREAKPOINT = "the next instruction has a breakpoint"
    CAUGHT = "a caught exception is about to run its first instruction"
    RESET = "software asked for a reset"
    LOCKUP = "a fault in the HardFault handler, or none to take"


class Clocked(Protocol):
    """A device that changes by itself as time passes."""

    def due(self) -> int | None:
        """The time of the next change that software could notice without reading a register."""

    def elapse(self) -> None:
        """Catch up with the time."""


UNICORN_MODELS = MappingProxyType(
    {
        "cortex-m0": "UC_CPU_ARM_CORTEX_M0",
        "cortex-m0plus": "UC_CPU_ARM_CORTEX_M0",  # the same instructions
        "cortex-m3": "UC_CPU_ARM_CORTEX_M3",
        "cortex-m4": "UC_CPU_ARM_CORTEX_M4",
        "cortex-m7": "UC_CPU_ARM_CORTEX_M7",
        "cortex-m33": "UC_CPU_ARM_CORTEX_M33",
    }
)


@dataclass(frozen=True)
class CoreModel:
    """Which core to be: a key of `UNICORN_MODELS`, and whether its FPU lacks double precision."""

    name: str
    identity: sc.Identity
    single_precision_only: bool = False


class Core:
    """One core with its memory and time. Not thread-safe; close it before it is dropped."""

    def __init__(self, model: CoreModel, hook: BlockHook) -> None:
        import unicorn
        from unicorn import arm_const

        self._u: Any = unicorn
        # Never UC_MODE_MCLASS: it ignores the model and always emulates a Cortex-M33.
        self._uc: Any = self._u.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self._uc.ctl_set_cpu_model(getattr(arm_const, UNICORN_MODELS[model.name]))
        self._uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._uc.ctl_exits_enabled(True)
        self._model = model
        self._hook = hook
        hook.attach(self._uc)
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        self.registers = Registers(self._uc)
        self.space = AddressSpace(self._uc, hook)
        self.system = sc.SystemControl(model.identity, lambda: self.time)
        self.system.changed = self._system_changed
        self.exceptions = Exceptions(self.registers, self.space, self.system, hook)
        self.clocked: list[Clocked] = [self.system]
        self.on_system_change: Callable[[], None] = lambda: None
        self.flash = FlashArray(self._uc, self.space, hook)
        self.debugged = False  # BKPT halts for a debugger rather than faulting
        self._at_bkpt = False
        self._breakpoints: frozenset[int] = frozenset()
        self._division_hooks: list[int] = []
        self._counted = (0, 0)
        self._slept = 0
        self._spun = 0
        self._running = self._asleep = self._asked = False
        self._trap: tuple[int, int] | None = None
        self._began = (0, 0)  # where the latest emulation began, and what had been executed

    # --- time ---

    @property
    def time(self) -> int:
        """Instructions since power-on, executed or skipped; exact even inside a device's callback."""
        return self.executed + self.skipped

    @property
    def awake(self) -> int:
        """The same without sleep: what a cycle counter counts."""
        return self.executed + self._spun

    @property
    def skipped(self) -> int:
        """Time that passed without executing: asleep, or spinning."""
        return self._slept + self._spun

    @property
    def executed(self) -> int:
        """Instructions executed since power-on, without the one that is being executed."""
        if not self._running:
            return self._hook.executed
        if not self.space.in_access:
            return self._executed_until(self.registers.pc)
        if self._counted[0] != self.space.accesses:  # devices ask several times during one access
            self._counted = self.space.accesses, self._executed_until(self.registers.pc)
        return self._counted[1]

    def _executed_until(self, pc: int) -> int:
        address, size = self._hook.running
        if not address <= pc < address + size:
            return self._hook.executed
        return self._hook.executed - thumb.count(self.space.read(pc, address + size - pc))

    # --- what an owner does ---

    def reset(self) -> None:
        """As a local reset: the vector table gives SP and PC. A reset into nothing locks up."""
        self.system.reset()
        self.exceptions.reset()
        self._asleep = self._asked = self._at_bkpt = False
        self._trap = None
        self._hook.restart()
        self.registers.write_xpsr(THUMB_BIT)
        for name in ("control", "primask", "faultmask", "basepri", "fpscr"):
            self.registers.write(name, 0)
        for number in range(13):
            self.registers.write(f"r{number}", 0)
        self.registers.write("lr", 0xFFFFFFFF)
        self.registers.refresh_flags()
        self._system_changed()
        try:
            stack, entry = (self.space.read_word(self.system.vtor + offset) for offset in (0, 4))
        except BusError:
            self.exceptions.locked_up = True
            return
        self.registers.write("sp", stack & ~3)
        self.registers.jump(entry)

    def run(self, instructions: int) -> Stop:
        """Run until `instructions` more are executed, judged at starts of blocks, or something else stops."""
        limit = self._hook.executed + instructions
        while True:
            stop = self._before_slice(limit)
            if stop is not None:
                return stop
            if self.registers.pc in self._breakpoints:
                return Stop.BREAKPOINT
            self._slice(limit)

    def step(self) -> Stop:
        """Execute one instruction (IT together with what it conditions), or take one exception."""
        stop = self._before_slice(self._hook.executed + 1)
        if stop is not None:
            return stop
        if not self._refuses(self.registers.pc):
            self._step()
        return Stop.BUDGET

    def ask(self) -> None:
        """Stop before the next block: what a device calls from inside the emulation."""
        self._asked = True
        self._hook.stop_at = 0

    def spin(self, instructions: int) -> None:
        """Let time pass in which the firmware would only have gone round the same loop."""
        self._spun += instructions

    def observe_memory(self, chip: ChipMemory, settings: MemorySettings, entry: int) -> MemoryObserver:
        """Count what the function at `entry` asks of the chip's memories, until the observer is closed."""
        from device_adapters.virtual.caches import MemoryObserver

        return MemoryObserver(self._uc, chip, settings, entry)

    def break_at(self, addresses: frozenset[int]) -> None:
        """Stop before the instructions at these addresses, from now on."""
        self._breakpoints = addresses
        self._uc.ctl_set_exits(sorted(addresses))
        self._uc.ctl_flush_tb()

    def revive(self) -> None:
        """A debugger halted the core: it sleeps no more, and leaves lockup (Armv7-M ARM, B1.5.15)."""
        if self.exceptions.locked_up:
            self.registers.jump(_LOCKUP_ADDRESS | 1)
        self._asleep = self._asked = self._at_bkpt = self.exceptions.locked_up = False

    @property
    def asleep(self) -> bool:
        """Whether the core waits for an interrupt."""
        return self._asleep

    @property
    def locked_up(self) -> bool:
        """Whether the core has given up until reset."""
        return self.exceptions.locked_up

    @property
    def last_fault(self) -> Fault | None:
        """The latest fault since reset."""
        return self.exceptions.last_fault

    def close(self) -> None:
        """Free the engine now: Unicorn's own finalizer would do so at a time of the collector's choosing."""
        assert not self._running, "a callback must not close the engine that called it"
        self._uc._Uc__finalizer()  # noqa: SLF001 - Unicorn offers no other way to close an engine early
        self._hook.close()

    # --- between slices ---

    def _before_slice(self, limit: int) -> Stop | None:  # noqa: PLR0911 - one line per reason to stop
        """Deal with everything that happens between instructions; the reason to stop, or None to go on."""
        while True:
            if self.system.reset_requested:
                return Stop.RESET
            self._catch_up()
            if not self.locked_up and self.exceptions.take_pending():
                self._asleep = False  # even if PRIMASK holds the interrupt back (B1.5.19)
            if self.locked_up:
                return Stop.LOCKUP
            if self.exceptions.catching:
                self.exceptions.catching = False
                return Stop.CAUGHT
            if self._at_bkpt:
                self._at_bkpt = False
                return Stop.BREAKPOINT
            if self._asked:
                self._asked = False
                return Stop.ASKED
            if not self._asleep:
                return Stop.BUDGET if self._hook.executed >= limit else None
            if not self._sleep():
                return Stop.ASLEEP

    def _catch_up(self) -> None:
        wanted = bool(self.system.ccr & _DIV_0_TRP)
        if wanted != bool(self._division_hooks):
            self._trap_divisions(wanted=wanted)
        for device in self.clocked:
            device.elapse()

    def _due(self) -> list[int]:
        return [due for device in self.clocked if (due := device.due()) is not None]

    def _sleep(self) -> bool:
        """Skip to the next moment at which a device changes by itself; False if there is none."""
        times = self._due()
        if times:
            self._slept += max(min(times) - self.time, 0)
        return bool(times)

    def _slice(self, limit: int) -> None:
        self._hook.stop_at = max(min([limit, *(due - self.skipped for due in self._due())]), 0)
        self._hook.cause = Cause.NONE
        self._emulate(count=0)
        if self._trap is not None:
            self._take_trap()
        elif self._hook.cause == Cause.TRAP:
            self._run_into_refusal()
        elif self._hook.cause == Cause.FULL:
            raise MemoryError("the block hook's tables are full")
        elif self._hook.cause == Cause.NONE and self.registers.pc not in self._breakpoints:
            self._asleep = True  # Unicorn returns by itself only from WFI

    def _step(self) -> None:
        pc = self.registers.pc
        first = self._halfword(pc)
        conditions = thumb.it_conditions(first)
        passing = sum(thumb.condition_holds(condition, self.registers.xpsr) for condition in conditions)
        size = self._extent(pc, len(conditions))
        self._hook.quiet = True
        self._uc.ctl_set_exits([])  # a breakpoint under the step would stop it
        self._uc.ctl_flush_tb()  # blocks that are translated already do not count their instructions
        try:
            self._emulate(count=1 + passing)
        finally:
            self._uc.ctl_set_exits(sorted(self._breakpoints))
            self._hook.quiet = False
        unfinished = self._trap is not None and self._trap[0] not in {_EXCP_SVC, _EXCP_RETURN}
        if not unfinished:
            self._hook.account(pc, size)
            self._asleep = first == _WFI
        elif self._trap and self._trap[1] > pc:
            self._hook.account(pc, self._trap[1] - pc)
        if self._trap is not None:
            self._take_trap()

    def _emulate(self, count: int) -> None:
        """Let Unicorn run; what it could not do itself is in `_trap` afterwards."""
        self._trap = None
        self._hook.refused_kind = 0
        pc = self.registers.pc
        if not self.registers.in_thumb_state:
            self._trap = -self._u.UC_ERR_INSN_INVALID, pc
            return
        self._began = pc, self._hook.executed
        self._running = True
        self.flash.between_slices()
        try:
            self._uc.emu_start(pc | 1, 0, 0, count)
        except self._u.UcError as error:
            if self._uc._hook_exception is not None:  # noqa: SLF001 - a callback's own failure comes first
                raise self._uc._hook_exception from error  # noqa: SLF001 - as above
            self._trap = self._trap or (-error.errno, self.registers.pc)
        finally:
            self._running = False

    def _on_interrupt(self, uc: Any, number: int, _user: object) -> None:
        self._trap = number, self.registers.read("pc")
        uc.emu_stop()

    def _halfword(self, address: int) -> int:
        """The code at an address, 0 where there is none."""
        try:
            return int.from_bytes(self.space.read(address, 2), "little")
        except BusError:
            return 0

    def _extent(self, address: int, more: int) -> int:
        """Bytes of the instruction at `address` and of `more` after it."""
        at = address
        for _ in range(more + 1):
            at += thumb.length(self._halfword(at))
        return at - address

    # --- what Unicorn could not do ---

    def _take_trap(self) -> None:
        assert self._trap is not None
        (number, pc), self._trap = self._trap, None
        if number == _EXCP_SVC:
            self.exceptions.supervisor_call()
        elif number == _EXCP_RETURN:
            self.exceptions.return_from(pc | 1)
            self._asleep = bool(self.system.scr & _SLEEPONEXIT) and not self.system.active
        elif number == -self._u.UC_ERR_EXCEPTION and self._hook.refused_kind == Access.FETCH:
            never = any(start <= pc < end for start, end in _EXECUTE_NEVER)
            self.exceptions.fault(*((sc.MEM_MANAGE, 1 << 0) if never else (sc.BUS_FAULT, 1 << 8)))
        else:
            self._hook.truncate(pc)
            if not (number == -self._u.UC_ERR_INSN_INVALID and self._is_behind_hint(pc)):
                self._take_fault(number, pc)
            elif self._halfword(pc - 2) == _WFE:
                self._wait_for_event(pc)

    def _is_behind_hint(self, pc: int) -> bool:
        """Unicorn leaves WFE and YIELD as it leaves an invalid instruction, but with the PC behind them."""
        return self._halfword(pc - 2) in (_YIELD, _WFE) and (pc, self._hook.executed) != self._began

    def _wait_for_event(self, pc: int) -> None:
        """WFE: go on if there was an event since the last one, else when a device changes (B1.5.18).

        SEV leaves no trace in Unicorn; it is seen where it stands right before, as in SEV, WFE, WFE.
        """
        if self.exceptions.event or self._halfword(pc - 4) == _SEV:
            self.exceptions.event = False
        else:
            self._sleep()

    def _take_fault(self, number: int, pc: int) -> None:
        fault = self.exceptions.fault
        if number == -self._u.UC_ERR_EXCEPTION and self._hook.refused_kind:
            if self._hook.refused_kind == Access.WRITE and self.flash.refused_store(self._hook.refused_page):
                self.registers.resume_at(pc)
                return
            code = self.space.read(pc, self._extent(pc, 0))
            self.system.bfar = thumb.accessed_address(code, pc, self._hook.refused_page, self.registers.read)
            fault(sc.BUS_FAULT, 1 << 9 | 1 << 15)  # PRECISERR, BFARVALID
        elif number == _EXCP_DATA_ABORT:
            fault(sc.USAGE_FAULT, 1 << 24)  # UNALIGNED
        elif number == _EXCP_NOCP:
            fault(sc.USAGE_FAULT, 1 << 19)  # NOCP
        elif number == _EXCP_BKPT and self.debugged:
            self.registers.resume_at(pc)
            self._at_bkpt = True
        elif number == _EXCP_BKPT:
            fault(sc.HARD_FAULT, 0, hfsr=1 << 31)  # DEBUGEVT: no debugger is there to halt for
        elif number == _DIVISION_BY_ZERO:
            self.registers.resume_at(pc)
            fault(sc.USAGE_FAULT, 1 << 25)  # DIVBYZERO
        elif number == -self._u.UC_ERR_INSN_INVALID:
            fault(
                sc.USAGE_FAULT, 1 << 16 if self.registers.in_thumb_state else 1 << 17
            )  # UNDEFINSTR, INVSTATE
        else:
            raise AssertionError(
                f"Unicorn stopped at `{pc:#010x}` with `{number}`, which has no meaning here"
            )

    def _run_into_refusal(self) -> None:
        """The next block has an instruction that this core, as it is set up, lacks: go there step by step."""
        end = self.registers.pc + _LONGEST_BLOCK_BYTES
        while not self._refuses(pc := self.registers.pc):
            self._step()
            if not pc < self.registers.pc < end or self._asleep:
                return

    def _refuses(self, pc: int) -> bool:
        """Take the fault if the instruction at `pc` needs an FPU that is off or not there."""
        conditions = thumb.it_conditions(self._halfword(pc))
        condition = conditions[0] if conditions else thumb.ALWAYS
        found = thumb.traits(self.space.read(pc, self._extent(pc, len(conditions)))) & self._hook.traps
        if not found or not thumb.condition_holds(condition, self.registers.xpsr):
            return False
        self.exceptions.fault(sc.USAGE_FAULT, 1 << 19 if found & Trait.FPU else 1 << 16)  # NOCP, UNDEFINSTR
        return True

    # --- settings that change what the core can do ---

    def _system_changed(self) -> None:
        """A register of the system control space was written, or an interrupt line moved."""
        lacks_fpu = self.system.identity.fpu and not self.system.fpu_enabled
        self._hook.traps = lacks_fpu * Trait.FPU | self._model.single_precision_only * Trait.DOUBLE
        if self._running:
            self._hook.stop_at = 0  # let the main loop look before the next block
        self.on_system_change()

    def _trap_divisions(self, *, wanted: bool) -> None:
        """Watch every place where code may divide: Unicorn's division by zero silently gives zero."""
        for handle in self._division_hooks:
            self._uc.hook_del(handle)
        self._division_hooks.clear()
        for memory in self.space.executable() if wanted else ():
            data = self.space.read(memory.start, memory.size)
            for match in _DIVISION.finditer(data):
                if match.start() & 1 == 0:
                    self._watch_division(memory.start + match.start())
        if wanted and not self._division_hooks:
            self._watch_division(0xFFFFFFFE)  # nothing divides: remember at least that it was asked for
        self._uc.ctl_flush_tb()

    def _watch_division(self, site: int) -> None:
        handle = self._uc.hook_add(self._u.UC_HOOK_CODE, self._on_division, None, site, site)
        self._division_hooks.append(handle)

    def _on_division(self, uc: Any, address: int, _size: int, _user: object) -> None:
        divisor = self.space.read(address + 2, 1)[0] & 0xF
        if self.registers.read(f"r{divisor}") == 0:
            self._trap = _DIVISION_BY_ZERO, address
            uc.emu_stop()
