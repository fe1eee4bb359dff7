"""USART of the STM32 families with ISR, ICR, RDR and TDR registers (F0, F3, F7, L4 …), without FIFO.

Offsets and bits: USART_TypeDef, USART_CR1_*, USART_ISR_*, USART_ICR_* in the CMSIS device header; behaviour:
reference manual RM0385, chapter 31.

Time on the wire is not waited for: a transmitter that is asked whether it is ready says "not yet" once and
is ready the next time; a receiver that is asked gets the next byte at once. A receiver that is not asked for
longer than a byte takes loses bytes to overrun, as it would on the desk.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.serial_line import Framing
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_CR1, _CR2, _CR3, _BRR, _RQR, _ISR, _ICR, _RDR, _TDR = 0x00, 0x04, 0x08, 0x0C, 0x18, 0x1C, 0x20, 0x24, 0x28
_UE, _RE, _TE, _RXNEIE, _TCIE, _TXEIE = 1 << 0, 1 << 2, 1 << 3, 1 << 5, 1 << 6, 1 << 7
_PS, _PCE, _M0, _OVER8, _M1 = 1 << 9, 1 << 10, 1 << 12, 1 << 15, 1 << 28
_OVRDIS = 1 << 12
_ORE, _RXNE, _TC, _TXE, _TEACK, _REACK = 1 << 3, 1 << 5, 1 << 6, 1 << 7, 1 << 21, 1 << 22
_CLEARABLE = _TC | _ORE | 0b10111
_SMALLEST_DIVIDER, _SMALLEST_DIVIDER_OF_LPUART = 16, 0x300
_LPUART_STEPS = 256
_BITS_PER_BYTE = 10


class Pin(Record):
    """Where a signal leaves the chip: alternate function `function` of pin `pin` of the port `port`."""

    port: str
    pin: int
    function: int


class Parameters(Record):
    """The pins of this board's port, the interrupt's number, and whether it is an LPUART.

    An LPUART has the same registers; its divider has 20 bits and counts 256 steps per clock (RM0432, LPUART).
    """

    tx: Pin
    rx: Pin
    interrupt: int
    low_power: bool = False


class Usart:
    """One USART, polled or by interrupt."""

    def __init__(self, name: str, parameters: Parameters, wiring: Wiring) -> None:
        self._name = name
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._registers = {_CR1: 0, _CR2: 0, _CR3: 0, _BRR: 0}
        self._received = 0
        self._flags = 0
        self._arrives_at: int | None = None
        self._shifting_until: int | None = None  # the transmitter's shift register is busy
        self._holding: int | None = None  # TDR waits for the shift register
        self._interrupting = False

    # --- time ---

    def due(self) -> int | None:
        """The arrival of a byte that would interrupt."""
        if self._registers[_CR1] & _RXNEIE and self._wiring.line.to_device and self._arrives_at is not None:
            return self._arrives_at
        return None

    def elapse(self) -> None:
        """Let bytes arrive and leave that had the time to."""
        if self._shifting_until is None and self._arrives_at is None and not self._wiring.line.to_device:
            return
        now = self._wiring.now()
        while self._shifting_until is not None and now >= self._shifting_until:
            self._finish_shifting()
        if not self._wiring.line.to_device:
            self._arrives_at = None
        elif self._arrives_at is None:
            self._arrives_at = now + self._byte_time()
        while self._arrives_at is not None and now >= self._arrives_at:
            self._arrive(self._arrives_at)
        self._update_interrupt()

    def _byte_time(self) -> int:
        """Instructions that pass while a byte is on the wire."""
        core_hz = self._wiring.clocks.core_hz() if self._wiring.clocks else 0.0
        return max(int(core_hz * _BITS_PER_BYTE / self._wiring.line.host.baud), 1)

    def _arrive(self, when: int) -> None:
        line = self._wiring.line
        byte = line.next_for(self._framing())
        self._arrives_at = when + self._byte_time() if line.to_device else None
        if not self._is_on(_RE) or not self._is_connected(self._parameters.rx):
            return
        if self._flags & _RXNE and not self._registers[_CR3] & _OVRDIS:
            self._flags |= _ORE  # the new byte is lost
            return
        self._received = byte
        self._flags |= _RXNE

    def _finish_shifting(self) -> None:
        if self._holding is not None:
            byte, self._holding = self._holding, None
            self._shift(byte)
        else:
            self._shifting_until = None
            self._flags |= _TC

    def _shift(self, byte: int) -> None:
        self._shifting_until = self._wiring.now() + self._byte_time()
        if self._is_connected(self._parameters.tx):
            self._wiring.line.send_to_host(byte, self._framing())

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset == _ISR:
            return self._read_status()
        if offset == _RDR:
            self._flags &= ~_RXNE
            self._update_interrupt()
            return self._received
        return self._registers.get(offset, 0)

    def _read_status(self) -> int:
        if not self._flags & _RXNE:
            if self._wiring.line.to_device:
                self._arrive(self._wiring.now())
            elif self._shifting_until is None:
                self._wiring.polled()
        cr1 = self._registers[_CR1]
        on = bool(cr1 & _UE)
        status = self._flags | (0 if self._holding is not None else _TXE)
        status |= _TC if self._shifting_until is None and self._flags & _TC else 0
        status |= (_TEACK if on and cr1 & _TE else 0) | (_REACK if on and cr1 & _RE else 0)
        if self._shifting_until is not None:
            self._finish_shifting()
        return status

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self.elapse()
        if offset == _TDR:
            self._transmit(value)
        elif offset == _ICR:
            self._flags &= ~(value & _CLEARABLE)
        elif offset == _RQR:
            self._flags &= ~_RXNE if value & 1 << 3 else ~0  # RXFRQ
        elif offset == _CR1:
            self._write_control(self._registers[_CR1] & ~mask | value)
        elif offset in (_CR2, _CR3, _BRR) and not self._registers[_CR1] & _UE:
            self._registers[offset] = self._registers[offset] & ~mask | value
            self._check_divider(offset)
        elif offset == _CR3:
            self._registers[_CR3] = self._registers[_CR3] & ~mask | value
        self._update_interrupt()

    def _transmit(self, byte: int) -> None:
        if not self._is_on(_TE):
            return
        self._flags &= ~_TC
        if self._shifting_until is None:
            self._shift(byte)
        else:
            self._holding = byte  # one that was there already is lost, as on silicon

    def _write_control(self, new: int) -> None:
        old = self._registers[_CR1]
        if old & _UE:
            frozen = _M0 | _M1 | _OVER8 | _PCE | _PS
            new = new & ~frozen | old & frozen
        self._registers[_CR1] = new
        if new & _UE and new & _TE and not (old & _UE and old & _TE):
            self._flags |= _TC  # the idle frame is sent
        if old & _UE and not new & _UE:
            self._flags = _TC
            self._holding = self._shifting_until = None

    def _check_divider(self, offset: int) -> None:
        least = _SMALLEST_DIVIDER_OF_LPUART if self._parameters.low_power else _SMALLEST_DIVIDER
        if offset == _BRR and 0 < self._divider() < least:
            self._wiring.refuse(
                f"{self._name} has a divider of `{self._divider()}`; it takes {least} or more"
            )

    # --- the wire ---

    def _divider(self) -> int:
        if self._parameters.low_power:
            return self._registers[_BRR] & 0xFFFFF
        brr = self._registers[_BRR] & 0xFFFF
        return brr & 0xFFF0 | (brr & 0b111) << 1 if self._registers[_CR1] & _OVER8 else brr

    def _framing(self) -> Framing:
        cr1, divider = self._registers[_CR1], self._divider()
        clock_hz = self._wiring.clocks.frequency(self._name) if self._wiring.clocks else 0.0
        factor = _LPUART_STEPS if self._parameters.low_power else 2 if cr1 & _OVER8 else 1
        return Framing(
            baud=factor * clock_hz / divider if divider else 0.0,
            data_bits=8 + bool(cr1 & _M0) - bool(cr1 & _M1),
            parity=bool(cr1 & _PCE),
            odd=bool(cr1 & _PS),
            stop_bits=2 if self._registers[_CR2] >> 12 & 0b10 else 1,
        )

    def _is_on(self, direction: int) -> bool:
        return self._registers[_CR1] & (_UE | direction) == _UE | direction

    def _is_connected(self, pin: Pin) -> bool:
        return self._wiring.ports[pin.port].alternate(pin.pin) == pin.function

    def _update_interrupt(self) -> None:
        cr1 = self._registers[_CR1]
        if not cr1 & (_RXNEIE | _TXEIE | _TCIE) and not self._interrupting:
            return
        self._interrupting = level = bool(cr1 & _UE) and bool(
            (cr1 & _RXNEIE and self._flags & (_RXNE | _ORE))
            or (cr1 & _TXEIE and self._holding is None)
            or (cr1 & _TCIE and self._flags & _TC)
        )
        self._wiring.interrupt(self._parameters.interrupt, level)


def _build(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Usart:
    return Usart(name, Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"stm32-usart-v2": _build})
