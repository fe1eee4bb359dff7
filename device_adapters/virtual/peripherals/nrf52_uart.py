"""UART of the nRF52840, the one without DMA.

Offsets, bits, reset values and baud rates: nrf52840.svd; rules: Product Specification, chapter UART.

Time on the wire is treated as by the model of the STM32's USART: it is not waited for by who asks, and bytes
that come faster than they are taken are lost, here after six.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from device_adapters.virtual.peripherals.nrf52_gpio import Gpio
from device_adapters.virtual.serial_line import Framing
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_STARTRX, _STOPRX, _STARTTX, _STOPTX = 0x000, 0x004, 0x008, 0x00C
_RXDRDY, _TXDRDY, _ERROR = 0x108, 0x11C, 0x124
_INTENSET, _INTENCLR, _ERRORSRC, _ENABLE = 0x304, 0x308, 0x480, 0x500
_PSEL_TXD, _PSEL_RXD, _RXD, _TXD, _BAUDRATE, _CONFIG = 0x50C, 0x514, 0x518, 0x51C, 0x524, 0x56C
_EVENTS = frozenset({0x100, 0x104, _RXDRDY, _TXDRDY, _ERROR, 0x144})
_PINS = frozenset({0x508, _PSEL_TXD, 0x510, _PSEL_RXD})
_ENABLED, _DISCONNECTED, _OVERRUN = 4, 0xFFFFFFFF, 1 << 0
_FIFO_BYTES, _BITS_PER_BYTE = 6, 10
_CLOCK_HZ = 16e6
_PARITY, _TWO_STOP_BITS = 0b111 << 1, 1 << 4
_MADE_BAUD = MappingProxyType(  # the SVD's "actual rate"
    {
        0x0004F000: 1205,
        0x0009D000: 2396,
        0x0013B000: 4808,
        0x00275000: 9598,
        0x003B0000: 14414,
        0x004EA000: 19208,
        0x0075F000: 28829,
        0x00800000: 31250,
        0x009D5000: 38462,
        0x00E50000: 55944,
        0x00EBF000: 57762,
        0x013A9000: 76923,
        0x01D7E000: 115942,
        0x03AFB000: 231884,
        0x04000000: 250000,
        0x075F7000: 470588,
        0x0EBED000: 941176,
        0x10000000: 1000000,
    }
)


class Parameters(Record):
    """The pins that lead to the debug probe, numbered 32 * port + pin, and the interrupt's number."""

    tx: int
    rx: int
    interrupt: int


class Uart:
    """One UART, polled or by interrupt."""

    def __init__(self, name: str, parameters: Parameters, wiring: Wiring) -> None:
        self._name = name
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._registers = {_BAUDRATE: 0x04000000, **dict.fromkeys(_PINS, _DISCONNECTED)}
        self._fifo: deque[int] = deque()
        self._arrives_at: int | None = None
        self._sent_at: int | None = None
        self._receiving = self._transmitting = False
        self._interrupts = 0

    # --- time ---

    def due(self) -> int | None:
        """The arrival of a byte that would interrupt."""
        wanted = self._interrupts >> (_RXDRDY - 0x100) // 4 & 1
        return self._arrives_at if wanted and self._wiring.line.to_device else None

    def elapse(self) -> None:
        """Let bytes arrive and leave that had the time to."""
        now = self._wiring.now()
        if self._sent_at is not None and now >= self._sent_at:
            self._finish_sending()
        if not self._wiring.line.to_device:
            self._arrives_at = None
        elif self._arrives_at is None:
            self._arrives_at = now + self._byte_time()
        while self._arrives_at is not None and now >= self._arrives_at:
            self._arrive()
        self._update_interrupt()

    def _byte_time(self) -> int:
        """Instructions that pass while a byte is on the wire."""
        core_hz = self._wiring.clocks.core_hz() if self._wiring.clocks else 0.0
        return max(int(core_hz * _BITS_PER_BYTE / self._wiring.line.host.baud), 1)

    def _arrive(self) -> None:
        line = self._wiring.line
        byte = line.next_for(self._framing())
        self._arrives_at = self._wiring.now() + self._byte_time() if line.to_device else None
        if not self._hears():
            return
        if len(self._fifo) >= _FIFO_BYTES:
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) | _OVERRUN
            self._registers[_ERROR] = 1
            return
        self._fifo.append(byte)
        if len(self._fifo) == 1:
            self._registers[_RXDRDY] = 1

    def _finish_sending(self) -> None:
        self._sent_at = None
        self._registers[_TXDRDY] = 1

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset == _RXD:
            return self._take()
        if offset == _RXDRDY and not self._registers.get(_RXDRDY, 0):
            self._asked_in_vain()
        value = self._registers.get(offset, 0)
        if offset == _TXDRDY and self._sent_at is not None:
            self._finish_sending()  # the next time it is asked
        return self._interrupts if offset in (_INTENSET, _INTENCLR) else value

    def _asked_in_vain(self) -> None:
        if self._wiring.line.to_device and not self._fifo:
            self._arrive()
        elif self._sent_at is None:
            self._wiring.polled()

    def _take(self) -> int:
        byte = self._fifo.popleft() if self._fifo else 0
        if self._fifo:
            self._registers[_RXDRDY] = 1
        return byte

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self.elapse()
        if offset <= _STOPTX:
            self._task(offset, value)
        elif offset == _TXD:
            self._send(value & 0xFF)
        elif offset == _INTENSET:
            self._interrupts |= value
        elif offset == _INTENCLR:
            self._interrupts &= ~value
        elif offset == _ERRORSRC:
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) & ~value
        elif offset in _PINS and self._is_enabled():
            self._wiring.refuse(f"{self._name} gets another pin while it is enabled")
        elif offset == _BAUDRATE and value not in _MADE_BAUD:
            self._wiring.refuse(f"{self._name} has a BAUDRATE of `{value:#010x}`, which is none of its rates")
        else:
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value
        if offset == _ENABLE and not self._is_enabled():
            self._receiving = self._transmitting = False
            self._fifo.clear()
        self._update_interrupt()

    def _task(self, offset: int, value: int) -> None:
        if not value & 1:
            return
        if offset in (_STARTRX, _STOPRX):
            self._receiving = offset == _STARTRX and self._is_enabled()
        else:
            self._transmitting = offset == _STARTTX and self._is_enabled()

    def _send(self, byte: int) -> None:
        if not (self._transmitting and self._is_enabled()):
            return
        pin = self._registers[_PSEL_TXD]
        if pin == self._parameters.tx and self._gpio().is_output(pin):
            self._wiring.line.send_to_host(byte, self._framing())
        self._sent_at = self._wiring.now() + self._byte_time()

    # --- the wire ---

    def _is_enabled(self) -> bool:
        return self._registers.get(_ENABLE, 0) == _ENABLED

    def _gpio(self) -> Gpio:
        return cast("Gpio", self._wiring.parts["gpio"])

    def _hears(self) -> bool:
        pin = self._registers[_PSEL_RXD]
        return self._receiving and pin == self._parameters.rx and self._gpio().is_input(pin)

    def _framing(self) -> Framing:
        config = self._registers.get(_CONFIG, 0)
        parity = bool(config & _PARITY)
        return Framing(
            baud=_MADE_BAUD[self._registers[_BAUDRATE]] * self._clock_error(),
            data_bits=8 + parity,
            parity=parity,
            stop_bits=2 if config & _TWO_STOP_BITS else 1,
        )

    def _clock_error(self) -> float:
        clocks = self._wiring.clocks
        return clocks.frequency(self._name) / _CLOCK_HZ if clocks is not None else 0.0

    def _update_interrupt(self) -> None:
        if self._interrupts:
            raised = any(
                self._registers.get(event, 0) and self._interrupts >> (event - 0x100) // 4 & 1
                for event in _EVENTS
            )
            self._wiring.interrupt(self._parameters.interrupt, raised)


def _build(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Uart:
    return Uart(name, Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"nrf52-uart": _build})
