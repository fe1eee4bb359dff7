"""FLASH of the STM32H743: wait states, unlocking, sector erase, flash words of 256 bits, two banks.

Offsets and bits: FLASH_TypeDef, FLASH_ACR_*, FLASH_SR_*, FLASH_CR_*, FLASH_CCR_* and FLASH_SECTOR_SIZE of
stm32h743xx.h; keys: FLASH_KEY1 and FLASH_KEY2 of stm32h7xx_hal_flash.h; sequences and errors: reference
manual RM0433, chapter 4. Each bank has its own key, control, status and clear register, 0x100 apart;
the CRC unit, secure areas and the swapping of banks are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_ACR, _OPTCR, _OPTSR_CUR, _OPTSR_PRG = 0x00, 0x18, 0x1C, 0x20
_KEYR, _CR, _SR, _CCR, _WPSN_CUR = 0x04, 0x0C, 0x10, 0x14, 0x38
_BANK_STRIDE = 0x100
_KEYS = (0x45670123, 0xCDEF89AB)
_LOCK, _PG, _SER, _BER, _FW, _START = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 7
_SNB_SHIFT, _SNB = 8, 0b111
_WRITABLE = 0x1FFF8000 | _SNB << _SNB_SHIFT | 0b11 << 4 | _PG | _SER | _BER
_BSY, _WBNE, _QW = 1 << 0, 1 << 1, 1 << 2
_EOP, _WRPERR, _PGSERR, _STRBERR, _INCERR = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 21
_CLEARABLE = 0x1FEF0000
_ACR_FIELDS = 0x3F  # LATENCY, WRHIGHFREQ
_OPTLOCK = 1 << 0
_WORD_BYTES = 32  # a flash word: 256 bits, with ten bits of ECC of their own
_SECTORS_PER_BANK = 8


class Parameters(Record):
    """Where bank 2 begins, counted from the first byte of bank 1; ACR and the option bytes as delivered.

    Of `optsr` only readout protection (level 0: 0xAA in bits 8 to 15) means anything here.
    """

    bank_bytes: int = 0x10_0000
    reset: int = 0x37
    latency_bits: int = 4
    optsr: int = 0x0000_AA00


class _Bank:
    """One bank: eight sectors, and the write buffer in front of them."""

    def __init__(self, number: int, parameters: Parameters, wiring: Wiring) -> None:
        self._number = number
        self._wiring = wiring
        self._bytes = parameters.bank_bytes
        self.protected: frozenset[int] = frozenset()
        self.reset()

    def reset(self) -> None:
        """Locked, nothing in the write buffer."""
        self.cr = _LOCK
        self.sr = 0
        self._keys: list[int] | None = []  # None: a wrong key locks until the next reset
        self._word_at = 0
        self._buffer: dict[int, int] = {}

    @property
    def sector_bytes(self) -> int:
        """FLASH_SECTOR_SIZE."""
        return self._bytes // _SECTORS_PER_BANK

    @property
    def origin(self) -> int:
        """The bank's first address."""
        return self._wiring.flash.origin + self._number * self._bytes

    # --- programming ---

    def store(self, address: int, data: bytes) -> None:
        """Bytes go to the write buffer; the flash word is programmed as soon as all 32 are there."""
        if not self.cr & _PG or self.sr & _INCERR:
            self.sr |= _PGSERR
        elif (address - self.origin) // self.sector_bytes in self.protected:
            self.sr |= _WRPERR
        elif self._buffer and address & -_WORD_BYTES != self._word_at:
            self.sr |= _INCERR
            self._empty_buffer()
        else:
            self._word_at = address & -_WORD_BYTES
            places = range(address - self._word_at, address - self._word_at + len(data))
            if any(place in self._buffer for place in places):
                self.sr |= _STRBERR
                return
            self._buffer.update(zip(places, data, strict=True))
            self.sr |= _WBNE
            if len(self._buffer) == _WORD_BYTES:
                self._program()

    def _program(self) -> None:
        flash = self._wiring.flash
        word = bytes(self._buffer.get(place, 0xFF) for place in range(_WORD_BYTES))
        if flash.read(self._word_at, _WORD_BYTES) != b"\xff" * _WORD_BYTES:
            self._wiring.refuse(f"flash word `0x{self._word_at:08x}` is programmed twice: its ECC is spoilt")
        flash.program(self._word_at, word)
        self._empty_buffer()
        self._finish()

    def _empty_buffer(self) -> None:
        self._buffer = {}
        self.sr &= ~_WBNE

    def _finish(self) -> None:
        if self._wiring.flash.defects.never_ready:
            self.sr |= _BSY | _QW
        else:
            self.sr |= _EOP

    # --- registers ---

    def unlock(self, key: int) -> None:
        """KEYR."""
        if self._keys is None or not self.cr & _LOCK:
            return
        if key != _KEYS[len(self._keys)]:
            self._keys = None
            return
        self._keys.append(key)
        if len(self._keys) == len(_KEYS):
            self.cr &= ~_LOCK
            self._keys = []

    def control(self, value: int) -> None:
        """CR: erases, forces a flash word that is not full, or locks."""
        if self.cr & _LOCK or self.sr & _BSY:
            return
        self.cr = value & (_WRITABLE | _LOCK)
        if value & _FW and self._buffer:
            self._program()
        if value & _START and value & (_SER | _BER):
            self._erase()

    def clear(self, value: int) -> None:
        """CCR."""
        self.sr &= ~(value & _CLEARABLE)

    def _erase(self) -> None:
        chosen = range(_SECTORS_PER_BANK) if self.cr & _BER else [self.cr >> _SNB_SHIFT & _SNB]
        if self.protected & set(chosen):
            self.sr |= _WRPERR
            return
        for sector in chosen:
            self._wiring.flash.erase(self.origin + sector * self.sector_bytes, self.sector_bytes)
        self._finish()


class FlashInterface:
    """The flash interface with its two banks."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self._banks = tuple(_Bank(number, parameters, wiring) for number in range(2))
        wiring.flash.add_controller(self)
        self.reset()

    def reset(self) -> None:
        """As after power-on: locked."""
        self._acr = self._parameters.reset
        for bank in self._banks:
            bank.reset()

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self._acr & (1 << self._parameters.latency_bits) - 1

    @property
    def protected(self) -> frozenset[int]:
        """Write-protected sectors, counted over both banks."""
        return frozenset(
            n * _SECTORS_PER_BANK + s for n, bank in enumerate(self._banks) for s in bank.protected
        )

    @protected.setter
    def protected(self, sectors: frozenset[int]) -> None:
        for number, bank in enumerate(self._banks):
            first = number * _SECTORS_PER_BANK
            bank.protected = frozenset(s - first for s in sectors if first <= s < first + _SECTORS_PER_BANK)

    # --- FlashController ---

    def is_open(self) -> bool:
        """Whether stores reach the controller."""
        return any(not bank.cr & _LOCK for bank in self._banks)

    def store(self, address: int, data: bytes) -> None:
        """To the bank that the address belongs to."""
        if not (bank := self._bank_at(address)).sr & _BSY:
            bank.store(address, data)

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self._wiring.flash.settle()
        if offset == _ACR:
            return self._acr
        if offset % _BANK_STRIDE in (_OPTCR, _OPTSR_CUR, _OPTSR_PRG):
            return _OPTLOCK if offset % _BANK_STRIDE == _OPTCR else self._parameters.optsr
        bank = self._banks[offset // _BANK_STRIDE & 1]
        unprotected = sum(1 << n for n in range(_SECTORS_PER_BANK) if n not in bank.protected)
        return {_CR: bank.cr, _SR: bank.sr, _WPSN_CUR: unprotected}.get(offset % _BANK_STRIDE, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self._wiring.flash.settle()
        bank = self._banks[offset // _BANK_STRIDE & 1]
        if offset == _ACR:
            self._acr = (self._acr & ~mask | value) & _ACR_FIELDS
            if self._wiring.clocks is not None:
                self._wiring.clocks.check()
        elif offset % _BANK_STRIDE == _KEYR:
            bank.unlock(value)
        elif offset % _BANK_STRIDE == _CR:
            bank.control(bank.cr & ~mask | value)
        elif offset % _BANK_STRIDE == _CCR:
            bank.clear(value)

    def _bank_at(self, address: int) -> _Bank:
        return self._banks[address >= self._banks[1].origin]


def _flash(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> FlashInterface:
    return FlashInterface(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32h7-flash": _flash})
