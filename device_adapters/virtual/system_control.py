"""The registers at 0xE000E000 that every Cortex-M has: SysTick, NVIC, system control, FPU and cache control.

Names, offsets and reset values: Armv7-M Architecture Reference Manual (DDI 0403), B3.2 to B3.4, and the
Cortex-M7 TRM (DDI 0489) for the cache registers. Offsets are those within the 4 KiB page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 2, 3, 4, 5, 6
SVCALL, DEBUG_MONITOR, PENDSV, SYSTICK = 11, 12, 14, 15
FIRST_INTERRUPT = 16
IDLE_PRIORITY = 256

_SHCSR_ENABLES = {MEM_MANAGE: 16, BUS_FAULT: 17, USAGE_FAULT: 18}
_SHCSR_ACTIVE = {
    MEM_MANAGE: 0,
    BUS_FAULT: 1,
    USAGE_FAULT: 3,
    SVCALL: 7,
    DEBUG_MONITOR: 8,
    PENDSV: 10,
    SYSTICK: 11,
}
_VECTKEY = 0x05FA
_VECTKEYSTAT = 0xFA05


class Reg(IntEnum):
    """Offsets of the registers with behaviour."""

    ICTR = 0x004
    ACTLR = 0x008
    SYST_CSR = 0x010
    SYST_RVR = 0x014
    SYST_CVR = 0x018
    SYST_CALIB = 0x01C
    NVIC_ISER = 0x100
    NVIC_ICER = 0x180
    NVIC_ISPR = 0x200
    NVIC_ICPR = 0x280
    NVIC_IABR = 0x300
    NVIC_IPR = 0x400
    CPUID = 0xD00
    ICSR = 0xD04
    VTOR = 0xD08
    AIRCR = 0xD0C
    SCR = 0xD10
    CCR = 0xD14
    SHPR1 = 0xD18
    SHCSR = 0xD24
    CFSR = 0xD28
    HFSR = 0xD2C
    DFSR = 0xD30
    MMFAR = 0xD34
    BFAR = 0xD38
    CLIDR = 0xD78
    CTR = 0xD7C
    CCSIDR = 0xD80
    CSSELR = 0xD84
    CPACR = 0xD88
    MPU_TYPE = 0xD90
    MPU_CTRL = 0xD94
    DHCSR = 0xDF0
    DEMCR = 0xDFC
    STIR = 0xF00
    FPCCR = 0xF34


@dataclass(frozen=True)
class Identity:
    """What a core says of itself. Cache geometry as CCSIDR shows it; 0 where there is no cache."""

    cpuid: int
    interrupts: int = 96
    priority_bits: int = 4
    fpu: bool = False
    mpu_regions: int = 8
    dcache_ccsidr: int = 0
    icache_ccsidr: int = 0
    reset_vector_table: int = 0


class SystemControl:
    """State of the system control space. The core asks it which exception to take; it never runs anything."""

    def __init__(self, identity: Identity, now: Callable[[], int]) -> None:
        """`now` is the count that SysTick runs on."""
        self.identity = identity
        self._now = now
        self.changed: Callable[[], None] = lambda: None
        self.refuse: Callable[[str], None] = lambda _message: None
        self.demcr = 0  # a debug register: kept by a local reset, cleared by power-on
        self.reset()

    def reset(self) -> None:
        """As after a local reset."""
        self.vtor = self.identity.reset_vector_table
        self.cfsr = self.hfsr = self.mmfar = self.bfar = 0
        self.ccr = 0x200  # STKALIGN
        self.cpacr = 0
        self.scr = 0
        self.prigroup = 0
        self.shcsr_enables = 0
        self.reset_requested = False
        self.pending: set[int] = set()
        self.active: list[int] = []
        self._enabled: set[int] = set()
        self._lines: set[int] = set()
        self._priorities: dict[int, int] = {}
        self._csselr = 0
        self._plain: dict[int, int] = {}
        self._systick_control = 0
        self._systick_reload = 0
        self._systick_zero = 0  # the count at which the counter was, or will next be, zero
        self._systick_flag = False

    # --- exceptions ---

    def priority(self, exception: int) -> int:
        """The configured priority: lower is more urgent."""
        if exception in (NMI, HARD_FAULT):
            return exception - 4
        return self._priorities.get(exception, 0)

    def group(self, priority: int) -> int:
        """The part of a priority that decides about preemption."""
        return priority if priority < 0 else priority & ~((2 << self.prigroup) - 1)

    def is_enabled(self, exception: int) -> bool:
        """Whether the exception would be taken rather than escalated or left pending."""
        if exception in _SHCSR_ENABLES:
            return bool(self.shcsr_enables >> _SHCSR_ENABLES[exception] & 1)
        return exception < FIRST_INTERRUPT or exception in self._enabled

    def active_priority(self) -> int:
        """Group priority of the most urgent exception being executed."""
        return min((self.group(self.priority(number)) for number in self.active), default=IDLE_PRIORITY)

    def candidate(self) -> int | None:
        """The most urgent enabled pending exception."""
        ready = [number for number in self.pending if self.is_enabled(number)]
        return min(ready, key=lambda number: (self.priority(number), number), default=None)

    def preempting(self) -> int | None:
        """The pending exception that beats what is executing, if the core's masks allow it."""
        number = self.candidate()
        if number is None or self.group(self.priority(number)) >= self.active_priority():
            return None
        return number

    def activate(self, exception: int) -> None:
        """The exception is being taken. An interrupt whose line is still high stays ready to pend again."""
        self.pending.discard(exception)
        self.active.append(exception)

    def deactivate(self, exception: int) -> bool:
        """The exception returned; False if it was not active."""
        if exception not in self.active:
            return False
        self.active.remove(exception)
        if exception in self._lines:
            self.pending.add(exception)
        return True

    def set_line(self, interrupt: int, level: bool) -> None:
        """A device drives its interrupt line; a high level pends it until the device lets go."""
        number = FIRST_INTERRUPT + interrupt
        if level and number not in self._lines:
            self._lines.add(number)
            if number not in self.active:
                self.pending.add(number)
            self.changed()
        elif not level:
            self._lines.discard(number)

    @property
    def fpu_enabled(self) -> bool:
        """CPACR grants privileged access to coprocessors 10 and 11."""
        return self.identity.fpu and self.cpacr >> 20 & 0b101 == 0b101  # noqa: PLR2004 - CP10 and CP11

    # --- SysTick ---

    def due(self) -> int | None:
        """The count at which SysTick will interrupt."""
        if self._systick_control & 0b11 == 0b11 and self._systick_reload:  # noqa: PLR2004 - ENABLE and TICKINT
            return self._systick_zero
        return None

    def elapse(self) -> None:
        """Let SysTick catch up with the count."""
        now = self._now()
        if not self._systick_control & 1 or not self._systick_reload or now < self._systick_zero:
            return
        period = self._systick_reload + 1
        self._systick_zero += ((now - self._systick_zero) // period + 1) * period
        self._systick_flag = True
        if self._systick_control & 2:
            self.pending.add(SYSTICK)

    def _systick_value(self) -> int:
        if not self._systick_control & 1:
            return self._plain.get(Reg.SYST_CVR, 0)
        return min(max(self._systick_zero - self._now(), 0), self._systick_reload)

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset in _READERS:
            return _READERS[offset](self)
        if Reg.SYST_CSR <= offset <= Reg.SYST_CALIB:
            return self._read_systick(offset)
        if Reg.NVIC_ISER <= offset < Reg.NVIC_IPR:
            return self._read_bits(offset)
        if Reg.NVIC_IPR <= offset < Reg.NVIC_IPR + self.identity.interrupts:
            return self._read_priorities(FIRST_INTERRUPT + offset - Reg.NVIC_IPR)
        if Reg.SHPR1 <= offset < Reg.SHCSR:
            return self._read_priorities(4 + offset - Reg.SHPR1)
        return self._plain.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word; only the bits in `mask` were written, which is not all for a byte or halfword."""
        if offset in _WRITERS:
            _WRITERS[offset](self, value, mask)
        elif Reg.NVIC_ISER <= offset < Reg.NVIC_IABR:
            self._write_bits(offset, value)
        elif Reg.NVIC_IPR <= offset < Reg.NVIC_IPR + self.identity.interrupts:
            self._write_priorities(FIRST_INTERRUPT + offset - Reg.NVIC_IPR, value, mask)
        elif Reg.SHPR1 <= offset < Reg.SHCSR:
            self._write_priorities(4 + offset - Reg.SHPR1, value, mask)
        elif offset not in _READERS:
            self._plain[offset] = self._plain.get(offset, 0) & ~mask | value
        self.changed()

    def _read_systick(self, offset: int) -> int:
        self.elapse()
        if offset == Reg.SYST_CSR:
            flag, self._systick_flag = self._systick_flag, False
            return self._systick_control | flag << 16
        if offset == Reg.SYST_RVR:
            return self._systick_reload
        return self._systick_value() if offset == Reg.SYST_CVR else 0

    def _write_systick_control(self, value: int, _mask: int) -> None:
        self.elapse()
        value_left = self._systick_value()
        started = value & 1 and not self._systick_control & 1
        if not value & 1:
            self._plain[Reg.SYST_CVR] = value_left
        self._systick_control = value & 0b111
        if started:
            self._systick_zero = self._now() + (self._plain.get(Reg.SYST_CVR, 0) or self._systick_reload + 1)

    def _write_systick_reload(self, value: int, _mask: int) -> None:
        self._systick_reload = value & 0xFFFFFF

    def _write_systick_value(self, _value: int, _mask: int) -> None:
        self._plain[Reg.SYST_CVR] = 0
        self._systick_flag = False
        self._systick_zero = self._now() + self._systick_reload + 1

    def _bit_set(self, offset: int) -> set[int]:
        if offset < Reg.NVIC_ISPR:
            return self._enabled
        return self.pending if offset < Reg.NVIC_IABR else set(self.active)

    def _read_bits(self, offset: int) -> int:
        first = FIRST_INTERRUPT + (offset & 0x7C) * 8
        return sum(1 << number - first for number in self._bit_set(offset) if 0 <= number - first < 32)  # noqa: PLR2004 - bits of a word

    def _write_bits(self, offset: int, value: int) -> None:
        first = FIRST_INTERRUPT + (offset & 0x7C) * 8
        named = {first + bit for bit in range(32) if value >> bit & 1}
        named = {number for number in named if number < FIRST_INTERRUPT + self.identity.interrupts}
        if offset & 0x80:
            self._bit_set(offset).difference_update(named)
            self.pending |= self._lines & named - set(self.active)
        else:
            self._bit_set(offset).update(named)

    def _read_priorities(self, first: int) -> int:
        return sum(self._priorities.get(first + lane, 0) << 8 * lane for lane in range(4))

    def _write_priorities(self, first: int, value: int, mask: int) -> None:
        implemented = 0xFF << 8 - self.identity.priority_bits & 0xFF
        for lane in range(4):
            if mask >> 8 * lane & 0xFF:
                self._priorities[first + lane] = value >> 8 * lane & implemented

    def _icsr(self) -> int:
        running = self.active[-1] if self.active else 0
        waiting = self.candidate() or 0
        flags = (NMI in self.pending) << 31 | (PENDSV in self.pending) << 28 | (SYSTICK in self.pending) << 26
        external = any(number >= FIRST_INTERRUPT for number in self.pending) << 22
        return flags | external | waiting << 12 | (len(self.active) <= 1) << 11 | running

    def _write_icsr(self, value: int, _mask: int) -> None:
        for bit, exception in ((31, NMI), (28, PENDSV), (26, SYSTICK)):
            if value >> bit & 1:
                self.pending.add(exception)
        for bit, exception in ((27, PENDSV), (25, SYSTICK)):
            if value >> bit & 1:
                self.pending.discard(exception)

    def _write_aircr(self, value: int, _mask: int) -> None:
        if value >> 16 == _VECTKEY:
            self.prigroup = value >> 8 & 7
            self.reset_requested |= bool(value >> 2 & 1)

    def _shcsr(self) -> int:
        active = sum(1 << bit for number, bit in _SHCSR_ACTIVE.items() if number in self.active)
        return self.shcsr_enables | active | (SVCALL in self.pending) << 15

    def _write_shcsr(self, value: int, _mask: int) -> None:
        self.shcsr_enables = value & 0x70000

    def _write_mpu_ctrl(self, value: int, _mask: int) -> None:
        if value & 1:
            self.refuse("the firmware enables the MPU, which the virtual board does not model")

    def _ccsidr(self) -> int:
        return self.identity.icache_ccsidr if self._csselr & 1 else self.identity.dcache_ccsidr

    def _write_vtor(self, value: int, _mask: int) -> None:
        self.vtor = value & 0xFFFFFF80

    def _write_ccr(self, value: int, mask: int) -> None:
        # BP, IC and DC exist where there are caches; STKALIGN reads as one
        writable = 0x31B | (0x70000 if self.identity.dcache_ccsidr else 0)
        self.ccr = (self.ccr & ~(mask & writable) | value & writable) | 0x200

    def _write_cpacr(self, value: int, _mask: int) -> None:
        self.cpacr = value & 0xF00000 if self.identity.fpu else 0

    def _clear_cfsr(self, value: int, _mask: int) -> None:
        self.cfsr &= ~value

    def _clear_hfsr(self, value: int, _mask: int) -> None:
        self.hfsr &= ~value

    def _write_csselr(self, value: int, _mask: int) -> None:
        self._csselr = value & 0xF

    def _write_scr(self, value: int, _mask: int) -> None:
        self.scr = value & 0x16

    def _write_demcr(self, value: int, mask: int) -> None:
        self.demcr = self.demcr & ~mask | value & 0x010F07F1

    def _write_stir(self, value: int, _mask: int) -> None:
        self.pending.add(FIRST_INTERRUPT + (value & 0x1FF))

    def _write_mmfar(self, value: int, _mask: int) -> None:
        self.mmfar = value

    def _write_bfar(self, value: int, _mask: int) -> None:
        self.bfar = value

    def _clidr(self) -> int:
        return 0x09000003 if self.identity.dcache_ccsidr else 0  # one level, separate caches (DDI 0489, 4.4)


_READERS: dict[int, Callable[[SystemControl], int]] = {
    Reg.ICTR: lambda s: (s.identity.interrupts - 1) // 32,
    Reg.CPUID: lambda s: s.identity.cpuid,
    Reg.ICSR: lambda s: s._icsr(),  # noqa: SLF001 - the table stands beside its class
    Reg.VTOR: lambda s: s.vtor,
    Reg.AIRCR: lambda s: _VECTKEYSTAT << 16 | s.prigroup << 8,
    Reg.SCR: lambda s: s.scr,
    Reg.CCR: lambda s: s.ccr,
    Reg.SHCSR: lambda s: s._shcsr(),  # noqa: SLF001 - as above
    Reg.CFSR: lambda s: s.cfsr,
    Reg.HFSR: lambda s: s.hfsr,
    Reg.MMFAR: lambda s: s.mmfar,
    Reg.BFAR: lambda s: s.bfar,
    Reg.CLIDR: lambda s: s._clidr(),  # noqa: SLF001 - as above
    Reg.CTR: lambda s: 0x8303C003 if s.identity.dcache_ccsidr else 0,
    Reg.CCSIDR: lambda s: s._ccsidr(),  # noqa: SLF001 - as above
    Reg.CSSELR: lambda s: s._csselr,  # noqa: SLF001 - as above
    Reg.CPACR: lambda s: s.cpacr,
    Reg.MPU_TYPE: lambda s: s.identity.mpu_regions << 8,
    Reg.DHCSR: lambda _s: 0x01010000,  # S_RESET_ST and S_REGRDY: no debugger
    Reg.DEMCR: lambda s: s.demcr,
}

_WRITERS: dict[int, Callable[[SystemControl, int, int], None]] = {
    Reg.SYST_CSR: SystemControl._write_systick_control,  # noqa: SLF001 - the table stands beside its class
    Reg.SYST_RVR: SystemControl._write_systick_reload,  # noqa: SLF001 - as above
    Reg.SYST_CVR: SystemControl._write_systick_value,  # noqa: SLF001 - as above
    Reg.ICSR: SystemControl._write_icsr,  # noqa: SLF001 - as above
    Reg.VTOR: SystemControl._write_vtor,  # noqa: SLF001 - as above
    Reg.AIRCR: SystemControl._write_aircr,  # noqa: SLF001 - as above
    Reg.SCR: SystemControl._write_scr,  # noqa: SLF001 - as above
    Reg.CCR: SystemControl._write_ccr,  # noqa: SLF001 - as above
    Reg.SHCSR: SystemControl._write_shcsr,  # noqa: SLF001 - as above
    Reg.CFSR: SystemControl._clear_cfsr,  # noqa: SLF001 - as above
    Reg.HFSR: SystemControl._clear_hfsr,  # noqa: SLF001 - as above
    Reg.MMFAR: SystemControl._write_mmfar,  # noqa: SLF001 - as above
    Reg.BFAR: SystemControl._write_bfar,  # noqa: SLF001 - as above
    Reg.CSSELR: SystemControl._write_csselr,  # noqa: SLF001 - as above
    Reg.CPACR: SystemControl._write_cpacr,  # noqa: SLF001 - as above
    Reg.MPU_CTRL: SystemControl._write_mpu_ctrl,  # noqa: SLF001 - as above
    Reg.DEMCR: SystemControl._write_demcr,  # noqa: SLF001 - as above
    Reg.STIR: SystemControl._write_stir,  # noqa: SLF001 - as above
}
