"""GPIO of the STM32 families with MODER and AFR registers (F4, F7, L4, H7 …).

Offsets and fields: GPIO_TypeDef and GPIO_BSRR_* in the CMSIS device header; rules: reference manual RM0385,
chapter 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_IDR, _ODR, _BSRR, _AFRL, _BRR = 0x10, 0x14, 0x18, 0x20, 0x28
_MODE_OUTPUT, _MODE_ALTERNATE = 0b01, 0b10
_PINS = 0xFFFF
_FIRST_PIN_OF_VDDIO2 = 2


class Parameters(Record):
    """Values after reset; port A and B begin with the debug pins in their alternate function.

    `supply` names the part that lets pins 2 to 15 work, where they have one of their own (an L4's port G).
    """

    moder: int = 0
    ospeedr: int = 0
    pupdr: int = 0
    supply: str | None = None


class _Supply(Protocol):
    @property
    def supplied(self) -> bool:
        """Whether the pins behind it may work."""


class Gpio:
    """One port of 16 pins. Inputs read as low, outputs as they are driven."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        p = self._parameters
        self._registers = {0x00: p.moder, 0x08: p.ospeedr, 0x0C: p.pupdr}

    def alternate(self, pin: int) -> int | None:
        """The alternate function that is connected to a pin; None if the pin does something else."""
        if self._registers[0x00] >> 2 * pin & 0b11 != _MODE_ALTERNATE:
            return None
        if not self._is_supplied(pin):
            return None
        word = self._registers.get(_AFRL + 4 * (pin // 8), 0)
        return word >> 4 * (pin % 8) & 0xF

    def _is_supplied(self, pin: int) -> bool:
        part = self._parameters.supply
        if part is None or pin < _FIRST_PIN_OF_VDDIO2:
            return True
        return cast("_Supply", self._wiring.parts[part]).supplied

    def level(self, pin: int) -> bool:
        """Whether an output pin is driven high."""
        is_output = self._registers[0x00] >> 2 * pin & 0b11 == _MODE_OUTPUT
        return is_output and bool(self._registers.get(_ODR, 0) >> pin & 1)

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset in (_BSRR, _BRR):
            return 0
        if offset == _IDR:
            return sum(1 << pin for pin in range(16) if self.level(pin))
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        out = self._registers.get(_ODR, 0)
        if offset == _BSRR:
            self._registers[_ODR] = out & ~(value >> 16) | value & _PINS
        elif offset == _BRR:
            self._registers[_ODR] = out & ~value
        elif offset == _ODR:
            self._registers[_ODR] = (out & ~mask | value) & _PINS
        elif offset != _IDR:
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value


def _build(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Gpio:
    gpio = Gpio(Parameters.model_validate(parameters), wiring)
    wiring.ports[name] = gpio
    return gpio


MODELS = MappingProxyType({"stm32-gpio": _build})
