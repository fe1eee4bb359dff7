"""The registers of an emulated core, by the names that debuggers use."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

THUMB_BIT = 1 << 24
_MASK = 0xFFFFFFFF
_UNICORN_NAMES = MappingProxyType(
    {"sp": "R13", "lr": "R14", "pc": "R15", "sb": "R9", "sl": "R10", "fp": "R11", "ip": "R12"}
)


class Registers:
    """r0 to r12, sp, lr, pc, xpsr, msp, psp, control, primask, faultmask, basepri, fpscr, s0 to s31."""

    def __init__(self, uc: Any) -> None:
        from unicorn import arm_const

        self._uc, self._arm = uc, arm_const
        self._numbers: dict[str, int] = {}

    def read(self, name: str) -> int:
        """An unsigned word."""
        return int(self._uc.reg_read(self._number(name))) & _MASK

    def write(self, name: str, value: int) -> None:
        """A word; a new PC begins a new instruction stream."""
        if name == "pc":
            self.jump(value | 1)
        else:
            self._uc.reg_write(self._number(name), value & _MASK)

    @property
    def pc(self) -> int:
        """Address of the next instruction, without the Thumb bit."""
        return self.read("pc") & ~1

    @property
    def xpsr(self) -> int:
        """Flags, IT state, Thumb bit and exception number."""
        return self.read("xpsr")

    @property
    def in_thumb_state(self) -> bool:
        """Whether the core can execute at all."""
        return bool(self.xpsr & THUMB_BIT)

    def write_xpsr(self, value: int) -> None:
        """All of xPSR. A new exception number makes Unicorn swap MSP and PSP where it must."""
        self._uc.reg_write(self._arm.UC_ARM_REG_XPSR_NZCVQG, value)
        self.refresh_flags()

    def refresh_flags(self) -> None:
        """Make Unicorn notice handler mode: it recomputes its translation flags only on this write."""
        self._uc.reg_write(self._arm.UC_ARM_REG_APSR_NZCV, self.xpsr & 0xF0000000)

    def jump(self, address: int) -> None:
        """Go to a code address whose lowest bit says Thumb, with no IT block open."""
        self._uc.reg_write(self._arm.UC_ARM_REG_EPSR, THUMB_BIT if address & 1 else 0)
        self._uc.reg_write(self._arm.UC_ARM_REG_R15, address)

    def resume_at(self, address: int) -> None:
        """Go to an address with IT state and Thumb bit as they are."""
        self._uc.reg_write(self._arm.UC_ARM_REG_R15, address & ~1 | self.in_thumb_state)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            unicorn_name = _UNICORN_NAMES.get(name, name.upper())
            self._numbers[name] = int(getattr(self._arm, f"UC_ARM_REG_{unicorn_name}"))
        return self._numbers[name]
