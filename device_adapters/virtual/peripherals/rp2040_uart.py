"""UART (Arm PL011) and pin functions of the RP2040.

Offsets, bits and reset values: RP2040.svd; rules: RP2040 data sheet, chapters 2.19 (GPIO) and 4.2 (UART).

Time on the wire is treated as by the model of the STM32's USART: it is not waited for by who asks, and bytes
that come faster than they are taken are lost, here after 32.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from device_adapters.virtual.serial_line import Framing
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_DR, _RSR, _FR, _IBRD, _FBRD, _LCR_H, _CR = 0x00, 0x04, 0x18, 0x24, 0x28, 0x2C, 0x30
_BUSY, _RXFE, _RXFF, _TXFE = 1 << 3, 1 << 4, 1 << 6, 1 << 7
_FEN, _PEN, _STP2 = 1 << 4, 1 << 1, 1 << 3
_UARTEN, _TXE, _RXE, _OVERRUN = 1 << 0, 1 << 8, 1 << 9, 1 << 3
_FIFO_BYTES, _BITS_PER_BYTE, _SAMPLES = 32, 10, 16
_FUNCSEL = 0x1F
_BYTES_PER_PIN = 8


class IoBank:
    """IO_BANK0: which function each pin has."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As after power-on: none."""
        self._controls: dict[int, int] = {}

    def function(self, pin: int) -> int:
        """FUNCSEL of a pin."""
        return self._controls.get(_BYTES_PER_PIN * pin + 4, _FUNCSEL) & _FUNCSEL

    def read(self, offset: int) -> int:
        """One aligned word."""
        return self._controls.get(offset, _FUNCSEL if offset & 4 else 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset & 4:
            self._controls[offset] = self.read(offset) & ~mask | value


class Parameters(Record):
    """The board's pins, and the function that connects them."""

    tx: int
    rx: int
    function: int


class Uart:
    """One PL011, polled."""

    def __init__(self, name: str, parameters: Parameters, wiring: Wiring) -> None:
        self._name = name
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._registers = {_CR: 0x0300}
        self._divider = 0  # in 64ths; taken over when LCR_H is written
        self._fifo: deque[int] = deque()
        self._arrives_at: int | None = None
        self._sent = True

    # --- time ---

    def due(self) -> int | None:
        """Never: no interrupt is modelled."""
        return None

    def elapse(self) -> None:
        """Let bytes arrive that had the time to."""
        now = self._wiring.now()
        if not self._wiring.line.to_device:
            self._arrives_at = None
        elif self._arrives_at is None:
            self._arrives_at = now + self._byte_time()
        while self._arrives_at is not None and now >= self._arrives_at:
            self._arrive()

    def _byte_time(self) -> int:
        """Instructions that pass while a byte is on the wire."""
        core_hz = self._wiring.clocks.core_hz() if self._wiring.clocks else 0.0
        return max(int(core_hz * _BITS_PER_BYTE / self._wiring.line.host.baud), 1)

    def _arrive(self) -> None:
        line = self._wiring.line
        byte = line.next_for(self._framing())
        self._arrives_at = self._wiring.now() + self._byte_time() if line.to_device else None
        if not self._is_on(_RXE) or not self._is_connected(self._parameters.rx):
            return
        if len(self._fifo) < (_FIFO_BYTES if self._registers.get(_LCR_H, 0) & _FEN else 1):
            self._fifo.append(byte)
        else:
            self._registers[_RSR] = self._registers.get(_RSR, 0) | _OVERRUN

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset == _DR:
            return self._fifo.popleft() if self._fifo else 0
        if offset == _FR:
            return self._flags()
        return self._registers.get(offset, 0)

    def _flags(self) -> int:
        if not self._fifo:
            if self._wiring.line.to_device:
                self._arrive()
            elif self._sent:
                self._wiring.polled()
        full = _RXFF if len(self._fifo) >= _FIFO_BYTES else 0
        busy = 0 if self._sent else _BUSY
        self._sent = True  # the next time it is asked
        return busy | _TXFE | full | (0 if self._fifo else _RXFE)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self.elapse()
        if offset == _DR:
            self._transmit(value & 0xFF)
        elif offset == _RSR:
            self._registers[_RSR] = 0
        elif offset != _FR:
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value
        if offset == _LCR_H:
            self._divider = self._registers.get(_IBRD, 0) << 6 | self._registers.get(_FBRD, 0) & 0x3F
            if not self._divider >> 6:
                self._wiring.refuse(f"{self._name} has a divider below 1")

    def _transmit(self, byte: int) -> None:
        if self._is_on(_TXE):
            self._sent = False
            if self._is_connected(self._parameters.tx):
                self._wiring.line.send_to_host(byte, self._framing())

    # --- the wire ---

    def _framing(self) -> Framing:
        clock_hz = self._wiring.clocks.frequency(self._name) if self._wiring.clocks else 0.0
        line = self._registers.get(_LCR_H, 0)
        parity = bool(line & _PEN)
        return Framing(
            baud=clock_hz * 64 / (_SAMPLES * self._divider) if self._divider else 0.0,
            data_bits=5 + (line >> 5 & 0b11) + parity,
            parity=parity,
            stop_bits=2 if line & _STP2 else 1,
        )

    def _is_on(self, direction: int) -> bool:
        return self._registers[_CR] & (_UARTEN | direction) == _UARTEN | direction

    def _is_connected(self, pin: int) -> bool:
        return cast("IoBank", self._wiring.parts["io_bank0"]).function(pin) == self._parameters.function


def _io_bank(_name: str, _parameters: Mapping[str, Any], _wiring: Wiring) -> IoBank:
    return IoBank()


def _uart(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Uart:
    return Uart(name, Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"rp2040-io-bank": _io_bank, "pl011": _uart})
