"""FLASH of the STM32L4 and L4+: wait states, unlocking, page erase, double words, two banks.

Offsets and bits: FLASH_TypeDef, FLASH_SR_*, FLASH_CR_*, FLASH_OPTR_* in the CMSIS device headers; sequences
and error conditions: reference manuals RM0351 and RM0432, chapter 3. Fast programming is not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_ACR, _KEYR, _SR, _CR, _OPTR = 0x00, 0x08, 0x10, 0x14, 0x20
_KEYS = (0x45670123, 0xCDEF89AB)
_EOP, _PROGERR, _WRPERR, _PGAERR, _SIZERR, _PGSERR, _BSY = (
    1 << 0,
    1 << 3,
    1 << 4,
    1 << 5,
    1 << 6,
    1 << 7,
    1 << 16,
)
_PG, _PER, _MER1, _BKER, _MER2, _STRT, _EOPIE, _LOCK = (
    1 << 0,
    1 << 1,
    1 << 2,
    1 << 11,
    1 << 15,
    1 << 16,
    1 << 24,
    1 << 31,
)
_WRITABLE = _PG | _PER | _MER1 | 0xFF << 3 | _BKER | _MER2 | _EOPIE
_CLEARABLE = 0xC3FB
_WORD, _DOUBLE_WORD = 4, 8


class Parameters(Record):
    """Page size with two banks, option bytes as delivered, ACR after reset and the width of LATENCY."""

    page_bytes: int
    bank_bytes: int
    optr: int = 0xFFEFF8AA
    reset: int = 0x600
    latency_bits: int = 4


class FlashInterface:
    """The flash interface in dual-bank mode."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.protected: frozenset[int] = frozenset()  # pages, counted over both banks
        wiring.flash.add_controller(self)
        self.reset()

    def reset(self) -> None:
        """As after power-on: locked."""
        self._acr = self._parameters.reset
        self._sr = 0
        self._cr = _LOCK
        self._keys: list[int] | None = []  # None: a wrong key locks until the next reset
        self._first: tuple[int, bytes] | None = None

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self._acr & (1 << self._parameters.latency_bits) - 1

    # --- FlashController ---

    def is_open(self) -> bool:
        """Whether stores reach the controller."""
        return not self._cr & _LOCK

    def store(self, address: int, data: bytes) -> None:
        """A double word comes as two words, the lower one first."""
        if self._sr & _BSY:
            return
        first, self._first = self._first, None
        if not self._cr & _PG:
            self._sr |= _PGSERR
        elif len(data) != _WORD:
            self._sr |= _SIZERR
        elif first is None:
            if address % _DOUBLE_WORD:
                self._sr |= _PGAERR
            else:
                self._first = address, data
        elif address != first[0] + _WORD:
            self._sr |= _PGAERR
        else:
            self._program(first[0], first[1] + data)

    def _program(self, address: int, data: bytes) -> None:
        flash = self._wiring.flash
        blank = flash.read(address, _DOUBLE_WORD) == b"\xff" * _DOUBLE_WORD
        if (address - flash.origin) // self._parameters.page_bytes in self.protected:
            self._sr |= _WRPERR
        elif not blank and any(data):
            self._sr |= _PROGERR  # the ECC bits of a double word are programmed once
        else:
            flash.program(address, data)
            self._finish()

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self._wiring.flash.settle()
        return {_ACR: self._acr, _SR: self._sr, _CR: self._cr, _OPTR: self._parameters.optr}.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self._wiring.flash.settle()
        if offset == _ACR:
            self._acr = self._acr & ~mask | value
            if self._wiring.clocks is not None:
                self._wiring.clocks.check()
        elif offset == _KEYR:
            self._unlock(value)
        elif offset == _SR:
            self._sr &= ~(value & _CLEARABLE)
        elif offset == _CR and not self._cr & _LOCK and not self._sr & _BSY:
            self._cr = (self._cr & ~mask | value) & (_WRITABLE | _LOCK)
            self._first = None
            if value & _STRT:
                self._erase()

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

    def _erase(self) -> None:
        page_bytes, bank_bytes = self._parameters.page_bytes, self._parameters.bank_bytes
        pages_per_bank = bank_bytes // page_bytes
        chosen: list[int] = []
        if self._cr & _PER:
            chosen.append((self._cr >> 3 & 0xFF) + (pages_per_bank if self._cr & _BKER else 0))
        for bank, bit in enumerate((_MER1, _MER2)):
            if self._cr & bit:
                chosen += range(bank * pages_per_bank, (bank + 1) * pages_per_bank)
        if self.protected & set(chosen):
            self._sr |= _WRPERR
            return
        for page in chosen:
            self._wiring.flash.erase(self._wiring.flash.origin + page * page_bytes, page_bytes)
        self._finish()

    def _finish(self) -> None:
        if self._wiring.flash.defects.never_ready:
            self._sr |= _BSY
        elif self._cr & _EOPIE:
            self._sr |= _EOP


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> FlashInterface:
    return FlashInterface(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32l4-flash": _build})
