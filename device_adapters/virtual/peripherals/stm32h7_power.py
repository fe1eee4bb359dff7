"""PWR of the STM32H743: the supply, voltage scales 1 to 3, and on revision V scale 0.

Offsets, bits and reset values: STM32H743.svd; rules: reference manual RM0433, chapter 6. Scale 0 is scale 1
with SYSCFG_PWRCR_ODEN set (__HAL_PWR_VOLTAGESCALING_CONFIG of stm32h7xx_hal_pwr.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_CSR1, _CR3, _D3CR = 0x04, 0x0C, 0x18
_ACTVOSRDY, _VOSRDY, _VOS_SHIFT = 1 << 13, 1 << 13, 14
_PWRCR, _ODEN = 0x2C, 1 << 0  # of SYSCFG
_BYPASS, _LDOEN, _SUPPLY = 1 << 0, 1 << 1, 0xFF
_SCALES = MappingProxyType({0b11: 1, 0b10: 2, 0b01: 3})


class Parameters(Record):
    """How many instructions the regulator takes (on silicon some tens of microseconds), and the revision."""

    settle: int = 100
    revision: Literal["Y", "V"] = "Y"


class Power:
    """PWR: the clock controller asks it how fast the core may run."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: scale 3, the supply not chosen."""
        self._registers = {_CR3: 0x00000006, _D3CR: 0x00004000}
        self._supply_chosen = False
        self._reached = 3
        self._ready_at = 0

    @property
    def scale(self) -> int:
        """The voltage scale that has been reached: 0 (fast, revision V only) to 3."""
        if self._wiring.now() >= self._ready_at:
            self._reached = _SCALES.get(self._registers[_D3CR] >> _VOS_SHIFT & 0b11, 3)
            if self._reached == 1 and self._is_boosted():
                self._reached = 0
        return self._reached

    def _is_boosted(self) -> bool:
        system = self._wiring.parts.get("syscfg")
        return self._parameters.revision == "V" and system is not None and bool(system.read(_PWRCR) & _ODEN)

    def read(self, offset: int) -> int:
        """One aligned word."""
        ready = self._wiring.now() >= self._ready_at
        if offset == _CSR1:
            active = {scale: field for field, scale in _SCALES.items()}[self.scale or 1]
            return active << _VOS_SHIFT | (_ACTVOSRDY if self._supply_chosen and ready else 0)
        if offset == _D3CR:
            return self._registers[_D3CR] | (_VOSRDY if ready else 0)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR3:
            new = self._choose_supply(old, new)
        elif offset == _D3CR:
            new &= 0b11 << _VOS_SHIFT
            if not self._supply_chosen:
                return  # the voltage cannot be changed before (RM0433 6.4.1)
            self._scale_to(new)
        elif offset == _CSR1:
            return
        self._registers[offset] = new
        if self._wiring.clocks is not None:
            self._wiring.clocks.check()

    def _choose_supply(self, old: int, new: int) -> int:
        if self._supply_chosen:
            return new & ~_SUPPLY | old & _SUPPLY  # once after power-on
        if new & (_LDOEN | _BYPASS) != _LDOEN:
            self._wiring.refuse(f"the supply is set to `{new & _SUPPLY:#x}`; this board has the LDO")
        self._supply_chosen = True
        self._ready_at = self._wiring.now() + self._parameters.settle
        return new

    def _scale_to(self, new: int) -> None:
        if new >> _VOS_SHIFT not in _SCALES:
            self._wiring.refuse("voltage scale field `0` is chosen, which revision Y reserves")
        elif new != self._registers[_D3CR]:
            self._reached = self.scale
            self._ready_at = self._wiring.now() + self._parameters.settle


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Power:
    return Power(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32h7-pwr": _build})
