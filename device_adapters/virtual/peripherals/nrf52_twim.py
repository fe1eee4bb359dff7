"""TWIM of the nRF52 with nobody on its bus: every address stays unacknowledged.

Offsets and bits: NRF_TWIM_Type and TWIM_* of nrf52833_bitfields.h (nrfx); rules: Product Specification,
chapter TWIM. Firmware that looks for sensors finds none, as on a bare chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_STARTRX, _STARTTX, _STOP = 0x000, 0x008, 0x014
_STOPPED, _ERROR = 0x104, 0x124
_FIRST_EVENT, _SHORTS, _INTENSET, _INTENCLR, _ERRORSRC, _ENABLE = 0x100, 0x200, 0x304, 0x308, 0x4C4, 0x500
_ADDRESS_NACK, _ENABLED = 1 << 1, 6


class Parameters(Record):
    """The interrupt's number, shared with SPI and the older TWI."""

    interrupt: int


class Twim:
    """One TWI master. What it is told to send or receive fails before it returns."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._registers: dict[int, int] = {}
        self._events: set[int] = set()
        self._interrupts = 0

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset in (_INTENSET, _INTENCLR):
            return self._interrupts
        if _FIRST_EVENT <= offset < _SHORTS:
            return int(offset in self._events)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset < _FIRST_EVENT:
            if value & 1 and self._registers.get(_ENABLE, 0) == _ENABLED:
                self._task(offset)
        elif offset < _SHORTS:
            (self._events.add if value & 1 else self._events.discard)(offset)
        elif offset == _INTENSET:
            self._interrupts |= value
        elif offset == _INTENCLR:
            self._interrupts &= ~value
        elif offset == _ERRORSRC:
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) & ~value
        else:
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value
        raised = any(self._interrupts >> (event - _FIRST_EVENT) // 4 & 1 for event in self._events)
        self._wiring.interrupt(self._parameters.interrupt, raised)

    def _task(self, offset: int) -> None:
        if offset in (_STARTRX, _STARTTX):
            self._events.add(_ERROR)
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) | _ADDRESS_NACK
        elif offset == _STOP:
            self._events.add(_STOPPED)


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Twim:
    return Twim(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"nrf52-twim": _build})
