"""PWR of the STM32F7: voltage scale and overdrive.

Offsets and bits: PWR_CR1_*, PWR_CSR1_* in the CMSIS device header; reset values: the SVD;
sequences: reference manual RM0385, 4.1.4 (overdrive).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_CR1, _CSR1 = 0x00, 0x04
_VOS_SHIFT, _ODEN, _ODSWEN = 14, 1 << 16, 1 << 17
_VOSRDY, _ODRDY, _ODSWRDY = 1 << 14, 1 << 16, 1 << 17
_PLLON, _PLLRDY = 1 << 24, 1 << 25


class PowerParameters(Record):
    """How many instructions the regulator takes; on silicon tens of microseconds."""

    settle: int = 100


class Power:
    """PWR: the clock controller asks it how fast the core may run."""

    def __init__(self, parameters: PowerParameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: voltage scale 1, no overdrive."""
        self._registers = {_CR1: 0x0000C000}
        self._ready_at: dict[int, int] = {}

    @property
    def scale(self) -> int:
        """Voltage scale 1 (fastest) to 3; VOS = 0b00 is reserved and behaves as 3."""
        return {0b11: 1, 0b10: 2}.get(self._registers[_CR1] >> _VOS_SHIFT & 0b11, 3)

    @property
    def overdrive(self) -> bool:
        """Whether the overdrive is ready and switched to."""
        return self._is_ready(_ODRDY) and self._is_ready(_ODSWRDY)

    def _is_ready(self, flag: int) -> bool:
        return flag in self._ready_at and self._wiring.now() >= self._ready_at[flag]

    def _clock_control(self) -> int:
        rcc = self._wiring.parts.get("rcc")
        return rcc.read(0) if rcc is not None else 0

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _CSR1:
            scaled = _VOSRDY if self._clock_control() & _PLLRDY else 0  # a scale is taken when the PLL runs
            return scaled | sum(flag for flag in (_ODRDY, _ODSWRDY) if self._is_ready(flag))
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset == _CSR1:
            return
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR1:
            if self._clock_control() & _PLLON:
                new = new & ~(0b11 << _VOS_SHIFT) | old & 0b11 << _VOS_SHIFT  # VOS: only while the PLL is off
            self._switch_overdrive(old, new)
        self._registers[offset] = new
        if self._wiring.clocks is not None:
            self._wiring.clocks.check()

    def _switch_overdrive(self, old: int, new: int) -> None:
        ready_at = self._wiring.now() + self._parameters.settle
        if new & _ODEN and not old & _ODEN:
            self._ready_at[_ODRDY] = ready_at
        if new & _ODSWEN and not old & _ODSWEN and self._is_ready(_ODRDY):
            self._ready_at[_ODSWRDY] = ready_at
        if not new & _ODEN:
            self._ready_at.clear()
        if not new & _ODSWEN:
            self._ready_at.pop(_ODSWRDY, None)


def _power(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Power:
    return Power(PowerParameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32f7-pwr": _power})
