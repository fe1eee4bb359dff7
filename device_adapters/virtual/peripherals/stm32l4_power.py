"""PWR of the STM32L4 and L4+: voltage range, boost mode, the supply of port G, access to the backup domain.

Offsets, bits and reset values: STM32L475.svd, and for CR5 STM32L4R5.svd by way of stm32-rs; rules: RM0432 and
RM0351, chapter 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_CR1, _CR2, _SR2, _CR5 = 0x00, 0x04, 0x14, 0x80
_VOS_SHIFT, _DBP, _IOSV, _R1MODE, _VOSF = 9, 1 << 8, 1 << 9, 1 << 8, 1 << 10


class Parameters(Record):
    """How many instructions the regulator takes to rise; on silicon some 20 µs."""

    settle: int = 100


class Power:
    """PWR: the clock controller asks it how fast the core may run."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: range 1, normal mode, backup domain closed, VDDIO2 not trusted."""
        self._registers = {_CR1: 0x0200, _CR5: _R1MODE}
        self._risen_at = 0

    @property
    def voltage_range(self) -> int:
        """1 (fast) or 2; 1 only once the regulator has risen."""
        chosen = self._registers[_CR1] >> _VOS_SHIFT & 0b11
        return 1 if chosen == 1 and self._wiring.now() >= self._risen_at else 2

    @property
    def boost(self) -> bool:
        """Range 1 boost mode (L4+)."""
        return self.voltage_range == 1 and not self._registers[_CR5] & _R1MODE

    @property
    def backup_domain_open(self) -> bool:
        """Whether RCC_BDCR can be written."""
        return bool(self._registers[_CR1] & _DBP)

    @property
    def supplied(self) -> bool:
        """Whether the pins behind VDDIO2 (PG2 to PG15) are let work."""
        return bool(self._registers.get(_CR2, 0) & _IOSV)

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _SR2:
            return _VOSF if self._wiring.now() < self._risen_at else 0
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset == _SR2:
            return
        old = self._registers.get(offset, 0)
        new = old & ~mask | value
        if offset == _CR1 and new >> _VOS_SHIFT & 0b11 != old >> _VOS_SHIFT & 0b11:
            if new >> _VOS_SHIFT & 0b11 not in (1, 2):
                self._wiring.refuse(
                    f"voltage range `{new >> _VOS_SHIFT & 0b11}` is chosen; there are 1 and 2"
                )
                return
            self._risen_at = self._wiring.now() + self._parameters.settle
        self._registers[offset] = new
        if self._wiring.clocks is not None:
            self._wiring.clocks.check()


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Power:
    return Power(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32l4-pwr": _build})
