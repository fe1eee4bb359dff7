"""GPIO of the nRF52840: P0 and P1, 0x300 apart, in one block of addresses.

Offsets, bits and reset values: nrf52840.svd; rules: Product Specification, chapter GPIO.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_PORT_DISTANCE, _FIRST = 0x300, 0x500
_OUT, _OUTSET, _OUTCLR, _IN, _DIR, _DIRSET, _DIRCLR, _PIN_CNF = (
    0x504,
    0x508,
    0x50C,
    0x510,
    0x514,
    0x518,
    0x51C,
    0x700,
)
_OUTPUT, _DISCONNECTED, _PULL_UP = 1 << 0, 1 << 1, 3 << 2
_PINS, _WORDS = 32, 0xFFFFFFFF


class Parameters(Record):
    """Pins, numbered 32 * port + pin, that resistors of the board pull up."""

    pulled_up: tuple[int, ...] = ()


class _Port:
    def __init__(self, pulled_up: int) -> None:
        self._pulled_up = pulled_up
        self.out = 0
        self.configurations = [_DISCONNECTED] * _PINS

    @property
    def directions(self) -> int:
        """DIR: the lowest bit of every PIN_CNF."""
        return sum(1 << pin for pin, word in enumerate(self.configurations) if word & _OUTPUT)

    def set_directions(self, bits: int) -> None:
        self.configurations = [
            word & ~_OUTPUT | bits >> pin & 1 for pin, word in enumerate(self.configurations)
        ]

    def read(self, offset: int) -> int:
        if offset >= _PIN_CNF:
            return self.configurations[(offset - _PIN_CNF) // 4]
        if offset in (_OUT, _OUTSET, _OUTCLR):
            return self.out
        if offset in (_DIR, _DIRSET, _DIRCLR):
            return self.directions
        return self._levels() if offset == _IN else 0

    def _levels(self) -> int:
        """IN: what the pins show whose input buffer is connected."""
        connected = pulled_up = 0
        for pin, word in enumerate(self.configurations):
            connected |= (not word & _DISCONNECTED) << pin
            pulled_up |= (word & _PULL_UP == _PULL_UP) << pin
        outputs = self.directions
        return connected & (self.out & outputs | (pulled_up | self._pulled_up) & ~outputs)

    def write(self, offset: int, value: int, mask: int) -> None:
        if offset >= _PIN_CNF:
            pin = (offset - _PIN_CNF) // 4
            self.configurations[pin] = self.configurations[pin] & ~mask | value
        elif offset == _OUT:
            self.out = self.out & ~mask | value
        elif offset == _OUTSET:
            self.out |= value
        elif offset == _OUTCLR:
            self.out &= ~value & _WORDS
        elif offset == _DIR:
            self.set_directions(self.directions & ~mask | value)
        elif offset == _DIRSET:
            self.set_directions(self.directions | value)
        elif offset == _DIRCLR:
            self.set_directions(self.directions & ~value)


class Gpio:
    """Both ports; pins are numbered 32 * port + pin, as PSEL does."""

    def __init__(self, parameters: Parameters) -> None:
        pins = sum(1 << pin for pin in parameters.pulled_up)
        self._pulled_up = (pins & _WORDS, pins >> _PINS)
        self.reset()

    def reset(self) -> None:
        """As after power-on: inputs, disconnected."""
        self._ports = tuple(_Port(pins) for pins in self._pulled_up)

    def is_output(self, pin: int) -> bool:
        """Whether DIR says so."""
        return bool(self._configuration(pin) & _OUTPUT)

    def is_input(self, pin: int) -> bool:
        """Whether the input buffer is connected."""
        return not self._configuration(pin) & (_OUTPUT | _DISCONNECTED)

    def level(self, pin: int) -> bool:
        """Whether an output pin is driven high."""
        return self.is_output(pin) and bool(self._ports[pin // _PINS].out >> pin % _PINS & 1)

    def _configuration(self, pin: int) -> int:
        return self._ports[pin // _PINS].configurations[pin % _PINS]

    def read(self, offset: int) -> int:
        """One aligned word."""
        port = offset >= _FIRST + _PORT_DISTANCE
        return self._ports[port].read(offset - port * _PORT_DISTANCE) if offset >= _FIRST else 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        port = offset >= _FIRST + _PORT_DISTANCE
        if offset >= _FIRST:
            self._ports[port].write(offset - port * _PORT_DISTANCE, value, mask)


def _build(_name: str, parameters: Mapping[str, Any], _wiring: Wiring) -> Gpio:
    return Gpio(Parameters.model_validate(parameters))


MODELS = MappingProxyType({"nrf52-gpio": _build})
