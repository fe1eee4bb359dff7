"""RNG of the nRF52, without the noise: the same bytes after every reset, as every run here repeats.

Offsets and bits: NRF_RNG_Type and RNG_* of nrf52833_bitfields.h (nrfx); rules: Product Specification, chapter
RNG. The bytes are a 32-bit xorshift (Marsaglia, 2003, 13/17/5); each is there as soon as it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring

_START, _STOP, _VALRDY, _SHORTS, _INTENSET, _INTENCLR, _VALUE = (
    0x000,
    0x004,
    0x100,
    0x200,
    0x304,
    0x308,
    0x508,
)
_SEED = 0x2545F491


class Rng:
    """The generator, asked; its interrupt is refused."""

    def __init__(self, name: str, wiring: Wiring) -> None:
        self._name = name
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: stopped."""
        self._state = _SEED
        self._runs = self._ready = False
        self._registers: dict[int, int] = {}

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _VALRDY:
            if self._runs and not self._ready:
                self._next()
            return int(self._ready)
        return self._state & 0xFF if offset == _VALUE else self._registers.get(offset, 0)

    def _next(self) -> None:
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        self._state = state ^ state << 5 & 0xFFFFFFFF
        self._ready = True
        if self._registers.get(_SHORTS, 0) & 1:  # VALRDY_STOP
            self._runs = False

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset in (_START, _STOP):
            if value & 1:
                self._runs = offset == _START
        elif offset == _VALRDY:
            self._ready = bool(value & 1)
        elif offset == _INTENSET and value & 1:
            self._wiring.refuse(f"{self._name} is to interrupt, which its model does not")
        elif offset not in (_INTENCLR, _VALUE):
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value


def _build(name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Rng:
    return Rng(name, wiring)


MODELS = MappingProxyType({"nrf52-rng": _build})
