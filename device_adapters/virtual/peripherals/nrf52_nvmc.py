"""NVMC of the nRF52: write enable, erase enable, page erase.

Offsets and values: NRF_NVMC_Type, NVMC_CONFIG_WEN_* of the public nRF52840 header; rules: nRF52840 product
specification, chapter "NVMC". UICR cannot be programmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_READY, _READYNEXT, _CONFIG, _ERASEPAGE, _ERASEALL = 0x400, 0x408, 0x504, 0x508, 0x50C
_READ_ONLY, _WRITE_ENABLED, _ERASE_ENABLED = 0, 1, 2
_WORD = 4


class Parameters(Record):
    """Bytes of a page, and of all pages."""

    page_bytes: int = 4096
    flash_bytes: int = 0x100000


class Nvmc:
    """The controller; a write or an erase has ended when it is asked whether it has."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        wiring.flash.add_controller(self)
        self.reset()

    def reset(self) -> None:
        """As after power-on: read only."""
        self._config = _READ_ONLY
        self._busy = False
        self._plain: dict[int, int] = {}

    # --- FlashController ---

    def is_open(self) -> bool:
        """Whether stores reach the controller."""
        return self._config == _WRITE_ENABLED

    def store(self, address: int, data: bytes) -> None:
        """Program one word; anything smaller is ignored."""
        if len(data) == _WORD and not self._busy:
            self._wiring.flash.program(address, data)
            self._finish()

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self._wiring.flash.settle()
        if offset in (_READY, _READYNEXT):
            return int(not self._busy)
        return self._config if offset == _CONFIG else self._plain.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        del mask
        self._wiring.flash.settle()
        flash = self._wiring.flash
        if offset == _CONFIG:
            self._config = value & 0b11
        elif offset == _ERASEPAGE and self._config == _ERASE_ENABLED:
            flash.erase(value & -self._parameters.page_bytes, self._parameters.page_bytes)
            self._finish()
        elif offset == _ERASEALL and value & 1 and self._config == _ERASE_ENABLED:
            flash.erase(flash.origin, self._parameters.flash_bytes)
            self._finish()
        elif offset not in (_READY, _READYNEXT):
            self._plain[offset] = value

    def _finish(self) -> None:
        self._busy = self._wiring.flash.defects.never_ready


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Nvmc:
    return Nvmc(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"nrf52-nvmc": _build})
