"""What a debugger sees of a virtual board: memory, core registers, halting, breakpoints, vector catch, reset.

Registers and bits: Armv7-M Architecture Reference Manual (DDI 0403), C1.6 (DHCSR, DCRSR, DCRDR, DEMCR),
C1.11 (flash patch and breakpoint unit), B3.2 (AIRCR, DFSR), D1.2 (CoreSight identification), and the ROM
tables in the cores' TRMs. The core runs only in `run`, or while a debugger asks for its state.
"""

from __future__ import annotations

from device_adapters.virtual import system_control as sc
from device_adapters.virtual.board import Board
from device_adapters.virtual.core import Stop
from tinybench.target import Core as CoreKind

_AIRCR, _DFSR, _DHCSR, _DCRSR, _DCRDR, _DEMCR = (
    0xE000ED0C,
    0xE000ED30,
    0xE000EDF0,
    0xE000EDF4,
    0xE000EDF8,
    0xE000EDFC,
)
_FP_CTRL, _FP_COMP0 = 0xE0002000, 0xE0002008
_COMPARATORS = 8
_DBGKEY, _VECTKEY = 0xA05F, 0x05FA
_C_DEBUGEN, _C_HALT, _C_STEP = 1 << 0, 1 << 1, 1 << 2
_S_REGRDY, _S_HALT, _S_SLEEP, _S_LOCKUP, _S_RETIRED, _S_RESET = (
    1 << 16,
    1 << 17,
    1 << 18,
    1 << 19,
    1 << 24,
    1 << 25,
)
_HALTED, _BKPT, _VCATCH = 1 << 0, 1 << 1, 1 << 3
_VC_CORERESET, _VC_HARDERR = 1 << 0, 1 << 10
_CATCHES = {  # bit of DEMCR → exceptions; VC_CHKERR, VC_NOCPERR and VC_STATERR all are usage faults
    4: sc.MEM_MANAGE,
    5: sc.USAGE_FAULT,
    6: sc.USAGE_FAULT,
    7: sc.USAGE_FAULT,
    8: sc.BUS_FAULT,
    10: sc.HARD_FAULT,
}
_VECTRESET, _SYSRESETREQ = 1 << 0, 1 << 2
_CORE_REGISTERS = (*(f"r{n}" for n in range(13)), "sp", "lr", "pc", "xpsr", "msp", "psp")
_SPECIAL, _FPSCR, _S0 = 20, 33, 64
_POLL_INSTRUCTIONS = 100_000  # how far the core gets while a debugger asks once whether it has halted
_ROM_TABLE_CLASS, _GENERIC_CLASS = 0x1, 0xE
_ARM = 0x4BB  # JEP106 code of Arm, as PIDR1 and PIDR2 spread it
_SCS, _DWT, _FPB, _ITM = 0xE000E000, 0xE0001000, 0xE0002000, 0xE0000000
_PARTS = {  # part numbers by core: SCS, DWT, FPB, ITM, ROM table
    "cortex-m0": (0x008, 0x00A, 0x00B, None, 0x471),
    "cortex-m0plus": (0x008, 0x00A, 0x00B, None, 0x4C0),
    "cortex-m3": (0x000, 0x002, 0x003, 0x001, 0x4C3),
    "cortex-m4": (0x00C, 0x002, 0x003, 0x001, 0x4C4),
    "cortex-m7": (0x00C, 0x002, 0x00E, 0x001, 0x4C7),
}
_MVFR = (0xE000EF40, 0xE000EF44, 0xE000EF48)
_FPU_FEATURES = {  # Armv7-M ARM B4.7; DDI 0489 table 8-1
    "none": (0, 0, 0),
    "single": (0x10110021, 0x11000011, 0x00000040),
    "double": (0x10110221, 0x12000011, 0x00000040),
}
_PPB_ROM, _CORE_ROM, _CHIP_ROM = 0xE00FF000, 0xE00FE000, 0xE00FD000


class DebugUnit:
    """Debugger's access to one board with power on."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._core = board.core
        self._identities = _identities(board.target.core)
        self.reset_asserted = False
        self._control = 0
        self._dfsr = 0
        self._dcrdr = 0
        self._was_reset = True
        self._comparators = [0] * _COMPARATORS
        self._fpb_on = False
        self.halted = False

    @property
    def rom_table(self) -> int:
        """The MEM-AP's BASE: where discovery starts."""
        return (_CHIP_ROM if self._board.target.core.name == "cortex-m7" else _PPB_ROM) | 3

    # --- time ---

    def run(self, instructions: int) -> Stop:
        """Let the core run, unless it is halted or held in reset."""
        if self.halted or self.reset_asserted:
            return Stop.ASLEEP
        stop = self._board.run(instructions)
        caught = self._debugging and self._core.system.demcr & _VC_HARDERR
        if stop is Stop.RESET:
            self._came_out_of_reset()
        elif stop is Stop.BREAKPOINT:
            self._halt(_BKPT)
        elif stop is Stop.CAUGHT or (stop is Stop.LOCKUP and caught):
            self._halt(_VCATCH)
        return stop

    def assert_reset(self, level: bool) -> None:
        """Drive nRESET: True holds the chip in reset, False lets it go."""
        if self.reset_asserted and not level:
            self.reset_asserted = False
            self._reset()
        self.reset_asserted = level

    # --- memory ---

    def read(self, address: int, size: int) -> bytes:
        """Bytes as a debugger sees them; raises BusError where nothing answers."""
        self._core.flash.settle()
        if size == 4 and address & 3 == 0:  # noqa: PLR2004 - registers are words
            word = self._register(address)
            if word is not None:
                return word.to_bytes(4, "little")
        return self._core.space.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Bytes as a debugger writes them: flash cannot be written so. Raises BusError."""
        word = int.from_bytes(data, "little")
        if len(data) == 4 and self._set_register(address, word):  # noqa: PLR2004 - as above
            return
        self._core.space.write(address, data)
        if self._core.system.reset_requested:
            self._reset()

    def _register(self, address: int) -> int | None:  # noqa: PLR0911 - one line per register
        if address in self._identities:
            return self._identities[address]
        if address == _DHCSR:
            return self._status()
        if address == _DCRDR:
            return self._dcrdr
        if address == _DFSR:
            return self._dfsr
        if address == _DEMCR:
            return self._core.system.demcr
        if address == _FP_CTRL:
            revision = 1 if self._board.target.core.name == "cortex-m7" else 0
            return revision << 28 | _COMPARATORS << 4 | self._fpb_on
        index, odd = divmod(address - _FP_COMP0, 4)
        if not odd and 0 <= index < _COMPARATORS:
            return self._comparators[index]
        return None

    def _set_register(self, address: int, word: int) -> bool:  # noqa: PLR0911 - one line per register
        if address == _DHCSR:
            if word >> 16 == _DBGKEY:
                self._command(word & 0xF)
            return True
        if address == _DCRSR:
            self._transfer(word & 0x7F, write=bool(word >> 16 & 1))
            return True
        if address == _DCRDR:
            self._dcrdr = word
            return True
        if address == _DFSR:
            self._dfsr &= ~word
            return True
        if address == _DEMCR:
            self._core.system.write(_DEMCR & 0xFFF, word, 0xFFFFFFFF)
            self._update_catches()
            return True
        if address == _AIRCR and word >> 16 == _VECTKEY and word & _VECTRESET:
            self._core.reset()
            self._came_out_of_reset()
            return True
        return self._set_breakpoint_unit(address, word)

    def _set_breakpoint_unit(self, address: int, word: int) -> bool:
        index, odd = divmod(address - _FP_COMP0, 4)
        if address == _FP_CTRL:
            if word & 2:
                self._fpb_on = bool(word & 1)
        elif not odd and 0 <= index < _COMPARATORS:
            self._comparators[index] = word
        else:
            return False
        self._update_breakpoints()
        return True

    # --- control ---

    @property
    def _debugging(self) -> bool:
        return bool(self._control & _C_DEBUGEN)

    def _status(self) -> int:
        if not self.halted:
            self.run(_POLL_INSTRUCTIONS)
        status = self._control | _S_REGRDY | _S_RETIRED
        status |= self.halted * _S_HALT | self._core.asleep * _S_SLEEP | self._core.locked_up * _S_LOCKUP
        if self._was_reset:
            self._was_reset = self.reset_asserted
            status |= _S_RESET
        return status

    def _command(self, bits: int) -> None:
        self._control = bits if bits & _C_DEBUGEN else 0
        self._core.debugged = self._debugging
        self._update_breakpoints()
        self._update_catches()
        if not self._debugging:
            self.halted = False
        elif bits & _C_HALT:
            if not self.halted:
                self._halt(_HALTED)
        elif self.halted:
            self.halted = False
            if bits & _C_STEP:
                self._step()

    def _step(self) -> None:
        stop = self._core.step()
        if stop is Stop.RESET:
            self._reset()
        self._halt(_HALTED)

    def _halt(self, reason: int) -> None:
        self.halted = True
        self._dfsr |= reason
        self._control |= _C_HALT
        self._core.revive()

    def _reset(self) -> None:
        self._board.reset()
        self._came_out_of_reset()

    def _came_out_of_reset(self) -> None:
        self._was_reset = True
        self.halted = False
        self._control &= ~(_C_HALT | _C_STEP)
        if self._debugging and self._core.system.demcr & _VC_CORERESET:
            self._halt(_VCATCH)

    def _update_catches(self) -> None:
        demcr = self._core.system.demcr if self._debugging else 0
        self._core.exceptions.caught = frozenset(
            number for bit, number in _CATCHES.items() if demcr >> bit & 1
        )

    def _update_breakpoints(self) -> None:
        on = self._fpb_on and self._debugging
        self._core.break_at(frozenset(_addresses(self._comparators)) if on else frozenset())

    # --- core registers ---

    def _transfer(self, selector: int, *, write: bool) -> None:
        if write:
            self._write_register(selector, self._dcrdr)
        else:
            self._dcrdr = self._read_register(selector)

    def _read_register(self, selector: int) -> int:
        registers = self._core.registers
        if selector == _SPECIAL:
            names = ("primask", "basepri", "faultmask", "control")
            return sum((registers.read(name) & 0xFF) << 8 * lane for lane, name in enumerate(names))
        name = _register_name(selector)
        if name == "pc":
            return registers.pc
        return registers.read(name) if name else 0

    def _write_register(self, selector: int, value: int) -> None:
        registers = self._core.registers
        if selector == _SPECIAL:
            for lane, special in enumerate(("primask", "basepri", "faultmask", "control")):
                registers.write(special, value >> 8 * lane & 0xFF)
            return
        name = _register_name(selector)
        if name == "pc":
            registers.resume_at(value)  # the Thumb bit is xPSR's, whatever the lowest bit of the address
        elif name == "xpsr":
            registers.write_xpsr(value)
        elif name:
            registers.write(name, value)


def _register_name(selector: int) -> str | None:
    if selector < len(_CORE_REGISTERS):
        return _CORE_REGISTERS[selector]
    if selector == _FPSCR:
        return "fpscr"
    return f"s{selector - _S0}" if _S0 <= selector < _S0 + 32 else None


def _addresses(comparators: list[int]) -> list[int]:
    """Breakpoints of version 2 (bit 0 with the address), and of version 1 (REPLACE in the top bits)."""
    found = []
    for value in comparators:
        if not value & 1:
            continue
        replace = value >> 30
        if replace == 0 or (value >= 1 << 29 and not _is_version_1(value)):
            found.append(value & ~1)
        else:
            found += [(value & 0x1FFFFFFC) + 2 * half for half in (0, 1) if replace >> half & 1]
    return found


def _is_version_1(value: int) -> bool:
    """Version 1 reaches code addresses only, so its REPLACE field is the only reason for a high bit."""
    return value >> 29 & 1 == 0


def _identities(kind: CoreKind) -> dict[int, int]:
    """ROM tables and identification registers by address."""
    core = kind.name
    scs, dwt, fpb, itm, rom = _PARTS[core]
    words = dict(zip(_MVFR, _FPU_FEATURES[kind.fpu], strict=True))
    components = {_SCS: scs, _DWT: dwt, _FPB: fpb} | ({_ITM: itm} if itm is not None else {})
    for page, part in components.items():
        words |= _component(page, part, _GENERIC_CLASS)
    words |= _rom_table(_PPB_ROM, rom, list(components))
    if core == "cortex-m7":
        words |= _rom_table(_CORE_ROM, rom, [_PPB_ROM])
        words |= _rom_table(_CHIP_ROM, 0x449, [_CORE_ROM])
    return words


def _rom_table(page: int, part: int, entries: list[int]) -> dict[int, int]:
    words = {page + 4 * n: 0 for n in range(0x3C0)}
    words |= {page + 4 * n: (entry - page & 0xFFFFF000) | 3 for n, entry in enumerate(entries)}
    words[page + 0xFCC] = 1  # MEMTYPE: system memory is there too
    return words | _component(page, part, _ROM_TABLE_CLASS)


def _component(page: int, part: int, kind: int) -> dict[int, int]:
    """PIDR4 to CIDR3 (D1.2.1)."""
    peripheral = (0x4, 0, 0, 0, part & 0xFF, (_ARM & 0xF) << 4 | part >> 8, 0x8 | _ARM >> 4 & 0x7, 0)
    component = (0x0D, kind << 4, 0x05, 0xB1)
    words = {page + 0xFD0 + 4 * n: value for n, value in enumerate((*peripheral, *component))}
    return {page + 0xFBC: 0, page + 0xFC8: 0, page + 0xFCC: 0} | words
