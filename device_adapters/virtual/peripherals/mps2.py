"""UART and timer of Arm's Cortex-M System Design Kit, and the clock of the FPGA board MPS2.

Registers and rules: Cortex-M System Design Kit TRM (DDI 0479), chapter 4, APB timer and APB UART.

Time on the wire is treated as by the model of the STM32's USART: it is not waited for by who asks, and bytes
that come faster than they are taken are lost, here after one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field

from device_adapters.virtual.serial_line import Framing
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_DATA, _STATE, _CTRL, _BAUDDIV = 0x00, 0x04, 0x08, 0x10
_RX_FULL, _RX_OVERRUN = 1 << 1, 1 << 3
_TX_ENABLE, _RX_ENABLE = 1 << 0, 1 << 1
_LEAST_DIVIDER, _BITS_PER_BYTE = 16, 10
_TIMER_CTRL, _TIMER_VALUE, _TIMER_RELOAD, _TIMER_ENABLE = 0x00, 0x04, 0x08, 1 << 0


class Parameters(Record):
    """The one clock of the board, in Hz."""

    hz: float = Field(gt=0)


class Clock:
    """A fixed oscillator that drives everything: there is nothing to set."""

    def __init__(self, parameters: Parameters, wiring: Wiring) -> None:
        self._hz = parameters.hz
        self._led = 0
        wiring.clocks = self

    def reset(self) -> None:
        """As after power-on: the LEDs are dark."""
        self._led = 0

    def core_hz(self) -> float:
        """The core's clock."""
        return self._hz

    def frequency(self, peripheral: str) -> float:
        """Every peripheral's clock."""
        del peripheral
        return self._hz

    def is_clocked(self, register: str, bit: int) -> bool:
        """Always."""
        del register, bit
        return True

    def check(self) -> None:
        """Nothing can be wrong."""

    def read(self, offset: int) -> int:
        """The FPGA's I/O registers: LEDs at 0, the rest reads as 0."""
        return self._led if offset == 0 else 0

    def write(self, offset: int, value: int, mask: int) -> None:
        """Light an LED."""
        if offset == 0:
            self._led = self._led & ~mask | value


class Timer:
    """One APB timer: 32 bits, down, from RELOAD again."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: stopped."""
        self._control = self._reload = self._held = 0
        self._started_at = 0

    def read(self, offset: int) -> int:
        """One aligned word."""
        if offset == _TIMER_VALUE:
            return self._value()
        return {_TIMER_CTRL: self._control, _TIMER_RELOAD: self._reload}.get(offset, 0)

    def _value(self) -> int:
        """Counts are instructions, as nothing here is slower than another; 0 is followed by RELOAD."""
        if not self._control & _TIMER_ENABLE:
            return self._held
        passed = self._wiring.now() - self._started_at
        if passed <= self._held:
            return self._held - passed
        return self._reload - (passed - self._held - 1) % (self._reload + 1)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word; a new VALUE or CTRL counts from there."""
        if offset == _TIMER_RELOAD:
            self._reload = self._reload & ~mask | value
            return
        held = self._value()
        if offset == _TIMER_VALUE:
            held = held & ~mask | value
        elif offset == _TIMER_CTRL:
            self._control = self._control & ~mask | value
        self._held, self._started_at = held, self._wiring.now()


class Uart:
    """One APB UART, polled: a buffer of one character each way."""

    def __init__(self, name: str, wiring: Wiring) -> None:
        self._name = name
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on: off."""
        self._control = self._divider = self._state = self._byte = 0
        self._arrives_at: int | None = None

    def due(self) -> int | None:
        """Never: no interrupt is modelled."""
        return None

    def elapse(self) -> None:
        """Let a byte arrive that had the time to."""
        now = self._wiring.now()
        if not self._wiring.line.to_device:
            self._arrives_at = None
        elif self._arrives_at is None:
            self._arrives_at = now + self._byte_time()
        while self._arrives_at is not None and now >= self._arrives_at:
            self._arrive()

    def _byte_time(self) -> int:
        clocks = self._wiring.clocks
        core_hz = clocks.core_hz() if clocks else 0.0
        return max(int(core_hz * _BITS_PER_BYTE / self._wiring.line.host.baud), 1)

    def _arrive(self) -> None:
        line = self._wiring.line
        byte = line.next_for(self._framing())
        self._arrives_at = self._wiring.now() + self._byte_time() if line.to_device else None
        if not self._control & _RX_ENABLE:
            return
        if self._state & _RX_FULL:
            self._state |= _RX_OVERRUN
        else:
            self._state |= _RX_FULL
            self._byte = byte

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset == _DATA:
            self._state &= ~_RX_FULL
            return self._byte
        if offset == _STATE:
            return self._flags()
        return {_CTRL: self._control, _BAUDDIV: self._divider}.get(offset, 0)

    def _flags(self) -> int:
        if not self._state & _RX_FULL:
            if self._wiring.line.to_device:
                self._arrive()
            else:
                self._wiring.polled()
        return self._state

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word; overruns are cleared by writing their bit."""
        self.elapse()
        if offset == _DATA:
            if self._control & _TX_ENABLE:
                self._wiring.line.send_to_host(value & 0xFF, self._framing())
        elif offset == _STATE:
            self._state &= ~(value & _RX_OVERRUN)
        elif offset == _CTRL:
            self._control = self._control & ~mask | value
        elif offset == _BAUDDIV:
            self._divider = self._divider & ~mask | value
            if self._divider < _LEAST_DIVIDER:
                self._wiring.refuse(f"{self._name} has a divider below {_LEAST_DIVIDER}")

    def _framing(self) -> Framing:
        clocks = self._wiring.clocks
        hz = clocks.frequency(self._name) if clocks else 0.0
        baud = hz / self._divider if self._divider else 0.0
        return Framing(baud=baud, data_bits=8, parity=False, stop_bits=1)


def _clock(_name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Clock:
    return Clock(Parameters.model_validate(parameters), wiring)


def _timer(_name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Timer:
    return Timer(wiring)


def _uart(name: str, _parameters: Mapping[str, Any], wiring: Wiring) -> Uart:
    return Uart(name, wiring)


MODELS = MappingProxyType({"mps2-fpgaio": _clock, "cmsdk-timer": _timer, "cmsdk-uart": _uart})
