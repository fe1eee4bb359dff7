"""FLASH of the STM32F7: wait states and ART, unlocking, sector erase, programming, write protection.

Offsets and bits: FLASH_TypeDef, FLASH_ACR_*, FLASH_SR_*, FLASH_CR_*, FLASH_OPTCR_* in the CMSIS device
header; sequences and error conditions: reference manual RM0385, chapter 3 (single bank).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_ACR, _KEYR, _SR, _CR, _OPTCR, _OPTCR1 = 0x00, 0x04, 0x0C, 0x10, 0x14, 0x18
_KEYS = (0x45670123, 0xCDEF89AB)
_EOP, _WRPERR, _PGPERR, _ERSERR, _BSY = 1 << 0, 1 << 4, 1 << 6, 1 << 7, 1 << 16
_PG, _SER, _MER, _PSIZE_SHIFT, _STRT, _EOPIE, _LOCK = 1 << 0, 1 << 1, 1 << 2, 8, 1 << 16, 1 << 24, 1 << 31
_WRITABLE = _PG | _SER | _MER | 0xF << 3 | 0b11 << _PSIZE_SHIFT | _EOPIE | 1 << 25
_NWRP_SHIFT = 16
_CLEARABLE = 0xF3
_KIB = 1024


class Parameters(Record):
    """Sectors in KiB in the order in which they lie (RM0385, table "flash module organization").

    `optcr` is FLASH_OPTCR as delivered, without its nWRP bits.
    """

    sectors_kib: tuple[int, ...] = (32, 32, 32, 32, 128, 256, 256, 256)
    optcr: int = 0xC000_AAFD


class FlashInterface:
    """The flash interface, single bank."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._wiring = wiring
        self._optcr = parameters.optcr
        sizes = [kib * _KIB for kib in parameters.sectors_kib]
        self._sectors = list(zip(itertools.accumulate(sizes, initial=0), sizes, strict=False))
        self.protected: frozenset[int] = frozenset()  # sectors whose nWRP option bit is 0
        wiring.flash.add_controller(self)
        self.reset()

    def reset(self) -> None:
        """As after power-on: no wait state, locked."""
        self._acr = self._sr = 0
        self._cr = _LOCK
        self._keys: list[int] | None = []  # None: a wrong key locks until the next reset

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self._acr & 0xF

    # --- FlashController ---

    def is_open(self) -> bool:
        """Whether stores reach the controller."""
        return not self._cr & _LOCK

    def store(self, address: int, data: bytes) -> None:
        """Program one element of the size that PSIZE says."""
        if self._sr & _BSY:
            return
        if not self._cr & _PG:
            self._sr |= _ERSERR
        elif len(data) != 1 << (self._cr >> _PSIZE_SHIFT & 0b11):
            self._sr |= _PGPERR
        elif self._sector_at(address) in self.protected:
            self._sr |= _WRPERR
        else:
            self._wiring.flash.program(address, data)
            self._finish()

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self._wiring.flash.settle()
        unprotected = sum(1 << n for n in range(len(self._sectors)) if n not in self.protected)
        return {
            _ACR: self._acr,
            _SR: self._sr,
            _CR: self._cr,
            _OPTCR: self._optcr | unprotected << _NWRP_SHIFT,
            _OPTCR1: 0x00400080,
        }.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self._wiring.flash.settle()
        if offset == _ACR:
            self._acr = (self._acr & ~mask | value) & 0xB0F
            if self._wiring.clocks is not None:
                self._wiring.clocks.check()
        elif offset == _KEYR:
            self._unlock(value)
        elif offset == _SR:
            self._sr &= ~(value & _CLEARABLE)
        elif offset == _CR and not self._cr & _LOCK and not self._sr & _BSY:
            self._control(self._cr & ~mask | value)

    def _unlock(self, key: int) -> None:
        if self._keys is None or not self._cr & _LOCK:
            return
        if key != _KEYS[len(self._keys)]:
            self._keys = None
            return
        self._keys.append(key)
        if len(self._keys) == len(_KEYS):
            self._cr &= ~_LOCK
            self._keys = []

    def _control(self, value: int) -> None:
        self._cr = value & (_WRITABLE | _LOCK)
        if value & _STRT and value & (_SER | _MER):
            self._erase()

    def _erase(self) -> None:
        number = self._cr >> 3 & 0xF
        chosen = range(len(self._sectors)) if self._cr & _MER else [number]
        if any(n in self.protected or n >= len(self._sectors) for n in chosen):
            self._sr |= _WRPERR
            return
        for n in chosen:
            offset, size = self._sectors[n]
            self._wiring.flash.erase(self._wiring.flash.origin + offset, size)
        self._finish()

    def _finish(self) -> None:
        if self._wiring.flash.defects.never_ready:
            self._sr |= _BSY
        elif self._cr & _EOPIE:
            self._sr |= _EOP

    def _sector_at(self, address: int) -> int:
        offset = address - self._wiring.flash.origin
        return next(n for n, (start, size) in enumerate(self._sectors) if start <= offset < start + size)


def _flash(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> FlashInterface:
    return FlashInterface(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32f7-flash": _flash})
