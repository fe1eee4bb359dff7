"""The access control register of a flash interface, for families whose flash controller is not modelled.

FLASH_ACR.LATENCY, by the SVD. Everything else of the interface reads as zero, and unlocking it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_ACR = 0x00


class HasWaitStates(Protocol):
    """What a clock controller asks of the flash interface."""

    @property
    def wait_states(self) -> int:
        """Wait states of a read, as the interface is set now."""


class Parameters(Record):
    """Value after reset, and the width of LATENCY."""

    reset: int = 0
    latency_bits: int = 4


class FlashLatency:
    """Wait states, and nothing to program with."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._acr = self._parameters.reset

    @property
    def wait_states(self) -> int:
        """LATENCY."""
        return self._acr & (1 << self._parameters.latency_bits) - 1

    def read(self, offset: int) -> int:
        """One aligned word."""
        return self._acr if offset == _ACR else 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset != _ACR:
            self._wiring.refuse("the firmware programs the flash, which this virtual board does not model")
            return
        self._acr = self._acr & ~mask | value
        if self._wiring.clocks is not None:
            self._wiring.clocks.check()


def _build(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> FlashLatency:
    return FlashLatency(Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32-flash-latency": _build})
