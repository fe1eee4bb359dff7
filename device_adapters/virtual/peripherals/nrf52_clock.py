"""CLOCK of the nRF52840 and nRF5340: the core's clock, made by the RC oscillator or held by the crystal.

Offsets, bits and reset values: nrf52840.svd, nrf5340_application.svd; rules: Product Specification, chapter
CLOCK. POWER and APPROTECT have the same base address; of those only what start-up code touches is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_START, _STOP, _STARTED = 0x000, 0x004, 0x100
_RUN, _STATUS, _RC_STATUS = 0x408, 0x40C, 1 << 16
_CRYSTAL = 1 << 0
_SOURCE, _DIVIDER, _HALVED = 0x514, 0x558, 1 << 0  # HFCLKSRC, HFCLKCTRL of the nRF5340
_CORE_HZ, _PERIPHERAL_HZ = 64e6, 16e6
_RC_ERROR = 1.015  # typical (PS, HFINT, f_TOL_HFINT)


class Parameters(Record):
    """Whether the crystal is fitted, and how many instructions it takes to start; on silicon some 0.4 ms.

    `doubled` is the nRF5340: 128 MHz, which HFCLKCTRL halves, after reset too; HFCLKSRC chooses what starts.
    """

    hfxo: bool = True
    settle: int = 500
    doubled: bool = False


class Clock:
    """The clock controller; nothing on this chip is behind an enable bit."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: the RC oscillator."""
        self._registers = {_SOURCE: _CRYSTAL, _DIVIDER: _HALVED} if self._parameters.doubled else {}
        self._crystal_at: int | None = None
        self._announced = False

    # --- what others ask ---

    def core_hz(self) -> float:
        """64 MHz or 128 MHz, more or less."""
        whole = self._parameters.doubled and not self._registers[_DIVIDER] & _HALVED
        return _CORE_HZ * (2 if whole else 1) * (1 if self.is_true else _RC_ERROR)

    def frequency(self, peripheral: str) -> float:
        """What the peripherals divide: 16 MHz, more or less."""
        del peripheral
        return _PERIPHERAL_HZ if self.is_true else _PERIPHERAL_HZ * _RC_ERROR

    def is_clocked(self, register: str, bit: int) -> bool:
        """Always: peripherals ask for their clock themselves."""
        del register, bit
        return True

    def check(self) -> None:
        """Nothing that software sets can make this clock wrong."""

    @property
    def is_true(self) -> bool:
        """Whether the crystal holds the clock."""
        runs = self._crystal_at is not None and self._wiring.now() >= self._crystal_at
        return runs and self._parameters.hfxo

    def _chooses_crystal(self) -> bool:
        return not self._parameters.doubled or bool(self._registers[_SOURCE] & _CRYSTAL)

    # --- registers ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _STARTED:
            if self.is_true and not self._announced:
                self._announced = True
                self._registers[_STARTED] = 1
            return self._registers.get(_STARTED, 0)
        if offset == _RUN:
            return int(self._crystal_at is not None)
        if offset == _STATUS:
            if self._parameters.doubled and not self.is_true:
                return 0  # nothing runs that was asked for
            return _RC_STATUS | (_CRYSTAL if self.is_true else 0)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset == _START:
            if value & 1 and self._crystal_at is None and self._chooses_crystal():
                self._crystal_at = self._wiring.now() + self._parameters.settle
                self._announced = False
        elif offset == _STOP:
            if value & 1:
                self._crystal_at = None
        elif offset not in (_RUN, _STATUS):
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Clock:
    clock = Clock(Parameters.model_validate(parameters), wiring)
    wiring.clocks = clock
    return clock


MODELS = MappingProxyType({"nrf52-clock": _build})
