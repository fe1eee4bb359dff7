"""How a Cortex-M takes exceptions and returns from them, escalates faults, and gives up.

Armv7-M Architecture Reference Manual (DDI 0403), B1.5. Two things are not as on silicon: FPU registers are
stacked at once rather than lazily, and a faulting store is reported precisely where a write buffer would
report it late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_adapters.virtual import system_control as sc
from device_adapters.virtual.memory import AddressSpace, BusError
from device_adapters.virtual.profile import BlockHook
from device_adapters.virtual.registers import THUMB_BIT, Registers

_ALIGNED_BIT = 1 << 9
_BASIC_FRAME, _FPU_FRAME = 0x20, 0x68
_CONTROL_SPSEL, _CONTROL_FPCA = 1 << 1, 1 << 2
_FORCED = 1 << 30
_FAULTS = (sc.HARD_FAULT, sc.MEM_MANAGE, sc.BUS_FAULT, sc.USAGE_FAULT)
_STACKED = ("r0", "r1", "r2", "r3", "r12", "lr")
_TO_HANDLER, _TO_MSP, _TO_PSP = 0x1, 0x9, 0xD  # the last digit of EXC_RETURN (Table B1-8)
_WITHOUT_FPU_FRAME = 1 << 4


@dataclass(frozen=True)
class Fault:
    """The state in which a fault was taken; addresses of instructions without the Thumb bit."""

    exception: int
    pc: int
    lr: int
    sp: int
    psr: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int


class Exceptions:
    """Exception entry, return and escalation; called between instructions only.

    `last_fault` is the latest since reset, `first_fault` the one whose handler took the others; `event` is
    the event register that WFE clears (B1.5.18).
    """

    def __init__(
        self, registers: Registers, space: AddressSpace, system: sc.SystemControl, hook: BlockHook
    ) -> None:
        self._registers = registers
        self._space = space
        self._system = system
        self._hook = hook
        self.caught: frozenset[int] = frozenset()
        self.on_fault: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        """As after reset: nothing taken, nothing lost."""
        self.locked_up = False
        self.catching = False
        self.event = False
        self.last_fault: Fault | None = None
        self.first_fault: Fault | None = None

    def take_pending(self) -> bool:
        """Take the most urgent exception that may be taken now; True if one wakes a sleeping core."""
        number = self._system.preempting()
        if number is None:
            self._hook.interrupt = 0
            return False
        if number == sc.NMI or self._system.group(self._system.priority(number)) < self._mask_priority():
            self.enter(number)
            number = self._system.preempting()
        # The masks may be opened by an instruction that no one sees: the hook watches them.
        self._hook.interrupt = 0 if number is None else 1 + max(self._system.priority(number), 0)
        return True

    def fault(self, exception: int, cfsr: int, hfsr: int = 0) -> None:
        """Take a fault at the current instruction, escalate it to HardFault, or lock up (B1.5.14)."""
        self._system.cfsr |= cfsr
        self._system.hfsr |= hfsr
        running = min(self._system.active_priority(), self._mask_priority())
        priority = self._system.group(self._system.priority(exception))
        if exception != sc.HARD_FAULT and not (self._system.is_enabled(exception) and priority < running):
            self._system.hfsr |= _FORCED
            exception = sc.HARD_FAULT
        self.last_fault = Fault(
            exception=exception,
            pc=self._registers.pc,
            lr=self._registers.read("lr"),
            sp=self._registers.read("sp"),
            psr=self._registers.xpsr,
            cfsr=self._system.cfsr,
            hfsr=self._system.hfsr,
            mmfar=self._system.mmfar,
            bfar=self._system.bfar,
        )
        if not any(number in self._system.active for number in _FAULTS):
            self.first_fault = self.last_fault
        self.on_fault()
        if exception == sc.HARD_FAULT and running <= -1:
            self.locked_up = True
        else:
            self.enter(exception)

    def supervisor_call(self) -> None:
        """SVC: taken at once, or it is a HardFault."""
        running = min(self._system.active_priority(), self._mask_priority())
        if self._system.group(self._system.priority(sc.SVCALL)) < running:
            self.enter(sc.SVCALL)
        else:
            self.fault(sc.HARD_FAULT, 0, hfsr=_FORCED)

    def enter(self, exception: int) -> None:
        """Stack the frame and go to the vector (B1.5.6)."""
        registers = self._registers
        control = registers.read("control")
        has_fpu_frame = bool(control & _CONTROL_FPCA) and self._system.identity.fpu
        sp = registers.read("sp")
        top = sp - (_FPU_FRAME if has_fpu_frame else _BASIC_FRAME)
        frame = top & ~7 & 0xFFFFFFFF
        psr = registers.xpsr & ~_ALIGNED_BIT | (_ALIGNED_BIT if top & 4 else 0)
        words = [*(registers.read(name) for name in _STACKED), registers.pc, psr]
        if has_fpu_frame:
            words += [*(registers.read(f"s{number}") for number in range(16)), registers.read("fpscr"), 0]
        try:
            self._space.write(frame, b"".join(word.to_bytes(4, "little") for word in words))
        except BusError:
            # The frame is lost, the handler runs all the same, on a stack that is not there (B1.5.14).
            self._system.cfsr |= 1 << 12  # STKERR
            if exception not in {sc.NMI, sc.HARD_FAULT}:
                self._system.hfsr |= _FORCED
                exception = sc.HARD_FAULT
        handler_mode = bool(self._system.active)
        digit = _TO_HANDLER if handler_mode else _TO_PSP if control & _CONTROL_SPSEL else _TO_MSP
        registers.write("sp", frame)
        registers.write("lr", 0xFFFFFFE0 | (0 if has_fpu_frame else _WITHOUT_FPU_FRAME) | digit)
        registers.write_xpsr(psr & 0xF80F0000 | THUMB_BIT | exception)
        registers.write("control", registers.read("control") & ~_CONTROL_FPCA)
        self._system.activate(exception)
        self.event = True
        self._hook.break_chain()
        self.catching = exception in self.caught
        self._go_to_vector(exception)

    def _go_to_vector(self, exception: int) -> None:
        try:
            vector = self._space.read_word(self._system.vtor + 4 * exception)
        except BusError:
            self.fault(sc.HARD_FAULT, 0, hfsr=1 << 1)  # VECTTBL
            return
        self._registers.jump(vector)

    def return_from(self, value: int) -> None:
        """Unstack the frame that EXC_RETURN names (B1.5.8)."""
        registers, system = self._registers, self._system
        digit = value & 0xF
        legal = digit in {_TO_HANDLER, _TO_MSP, _TO_PSP}
        legal &= (digit == _TO_HANDLER) == (len(system.active) > 1) and bool(system.active)
        if system.active:
            if system.active[-1] != sc.NMI:
                registers.write("faultmask", 0)
            system.deactivate(system.active[-1])
        self.event = True
        if not legal:
            self.fault(sc.USAGE_FAULT, 1 << 18)  # INVPC
            return
        has_fpu_frame = not value & _WITHOUT_FPU_FRAME
        sp_name = "psp" if digit == _TO_PSP else "msp"
        frame = registers.read(sp_name)
        size = _FPU_FRAME if has_fpu_frame else _BASIC_FRAME
        try:
            data = self._space.read(frame, size)
        except BusError:
            self.fault(sc.BUS_FAULT, 1 << 11)  # UNSTKERR
            return
        words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, size, 4)]
        psr = words[7]
        control = registers.read("control") & ~(_CONTROL_FPCA | _CONTROL_SPSEL)
        control |= has_fpu_frame and _CONTROL_FPCA
        for name, word in zip(_STACKED, words, strict=False):
            registers.write(name, word)
        if has_fpu_frame:
            for number, word in enumerate(words[8:24]):
                registers.write(f"s{number}", word)
            registers.write("fpscr", words[24])
        registers.write(sp_name, frame + size + (4 if psr & _ALIGNED_BIT else 0))
        registers.write("control", control)  # FPCA while still privileged; SPSEL cannot change in a handler
        registers.write_xpsr(psr & ~0x3FF | (system.active[-1] if system.active else 0))
        if not system.active:
            registers.write("control", control | (_CONTROL_SPSEL if digit == _TO_PSP else 0))
        registers.refresh_flags()
        self._hook.break_chain()
        registers.resume_at(words[6])

    def _mask_priority(self) -> int:
        """Priority that PRIMASK, FAULTMASK and BASEPRI lend to what is executing (B1.5.4)."""
        if self._registers.read("faultmask") & 1:
            return -1
        if self._registers.read("primask") & 1:
            return 0
        mask = self._registers.read("basepri")
        return self._system.group(mask) if mask else sc.IDLE_PRIORITY
