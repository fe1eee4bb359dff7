"""UARTE of the nRF52: the UART that moves its bytes by DMA.

Offsets and bits: NRF_UARTE_Type and UARTE_* of nrf52833_bitfields.h (nrfx); rules: Product Specification,
chapter UARTE. Time on the wire is kept, unless firmware polls: a transfer ends when its last byte has left or
come. While it is enabled it drives its pins itself; how GPIO configures them matters only in System OFF (the
same chapter, pin configuration).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from device_adapters.virtual.memory import BusError
from device_adapters.virtual.serial_line import Framing
from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record

_STARTRX, _STOPRX, _STARTTX, _STOPTX, _FLUSHRX = 0x000, 0x004, 0x008, 0x00C, 0x02C
_RXDRDY, _ENDRX, _TXDRDY, _ENDTX, _ERROR = 0x108, 0x110, 0x11C, 0x120, 0x124
_RXTO, _RXSTARTED, _TXSTARTED, _TXSTOPPED = 0x144, 0x14C, 0x150, 0x158
_FIRST_EVENT, _SHORTS, _INTEN, _INTENSET, _INTENCLR = 0x100, 0x200, 0x300, 0x304, 0x308
_ENDRX_STARTRX, _ENDRX_STOPRX = 1 << 5, 1 << 6
_ERRORSRC, _ENABLE, _PSEL_TXD, _PSEL_RXD, _BAUDRATE, _CONFIG = 0x480, 0x500, 0x50C, 0x514, 0x524, 0x56C
_RXD_PTR, _RXD_MAXCNT, _RXD_AMOUNT = 0x534, 0x538, 0x53C
_TXD_PTR, _TXD_MAXCNT, _TXD_AMOUNT = 0x544, 0x548, 0x54C
_ENABLED, _DISCONNECTED, _OVERRUN, _MAXCNT = 8, 0xFFFFFFFF, 1 << 0, 0xFFFF
_PINS = (0x508, _PSEL_TXD, 0x510, _PSEL_RXD)
_FIFO_BYTES, _BITS_PER_BYTE = 4, 10
_BAUD_UNITS = 1 << 32
_PARITY, _TWO_STOP_BITS = 0b111 << 1, 1 << 4


class Parameters(Record):
    """The pins that lead to the host, numbered 32 * port + pin, and the interrupt's number.

    `polled` is for firmware that waits by asking: what it asks for in vain has come when it asks again, so
    that nobody waits for the wire.
    """

    tx: int
    rx: int
    interrupt: int
    polled: bool = False


class Uarte:
    """One UARTE. What it receives while no buffer is open waits in four bytes, then is lost."""

    def __init__(self, name: str, parameters: Parameters, wiring: Wiring) -> None:
        self._name = name
        self._parameters = parameters
        self._wiring = wiring
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._registers = {_BAUDRATE: 0x04000000, **dict.fromkeys(_PINS, _DISCONNECTED)}
        self._events: set[int] = set()
        self._interrupts = 0
        self._fifo: deque[int] = deque()
        self._receiving = False
        self._buffer: tuple[int, int] | None = None  # where the next byte goes, and how many more fit
        self._received = 0
        self._sending = b""
        self._arrives_at: int | None = None
        self._sent_at: int | None = None

    # --- time ---

    def due(self) -> int | None:
        """The end of what is being sent, or the arrival of a byte that is listened for."""
        arrives_at = self._arrives_at if self._receiving and self._wiring.line.to_device else None
        return min((at for at in (self._sent_at, arrives_at) if at is not None), default=None)

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
            self._arrive(self._arrives_at)
        self._update_interrupt()

    def _byte_time(self) -> int:
        """Instructions that pass while a byte is on the wire."""
        clocks = self._wiring.clocks
        core_hz = clocks.core_hz() if clocks is not None else 0.0
        return max(int(core_hz * _BITS_PER_BYTE / self._wiring.line.host.baud), 1)

    def _arrive(self, at: int) -> None:
        line = self._wiring.line
        byte = line.next_for(self._framing())
        self._arrives_at = at + self._byte_time() if line.to_device else None
        if not self._hears():
            return
        if len(self._fifo) >= _FIFO_BYTES:
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) | _OVERRUN
            self._events.add(_ERROR)
            return
        self._fifo.append(byte)
        self._events.add(_RXDRDY)
        self._store_received()

    # --- transfers ---

    def _store_received(self) -> None:
        """Move what waits into the open buffer; a full one ends, and by a shortcut the next one starts."""
        while self._fifo and self._buffer is not None:
            address, room = self._buffer
            if room:
                self._write_ram(address, bytes((self._fifo.popleft(),)))
                self._received += 1
            self._buffer = address + 1, room - 1
            if room <= 1:
                self._end_reception()

    def _end_reception(self) -> None:
        self._buffer = None
        self._registers[_RXD_AMOUNT] = self._received
        self._events.add(_ENDRX)
        shorts = self._registers.get(_SHORTS, 0)
        if shorts & _ENDRX_STARTRX:
            self._start_reception()
        elif shorts & _ENDRX_STOPRX:
            self._stop_reception()

    def _start_reception(self) -> None:
        """PTR and MAXCNT are taken over now: software may set the next ones from RXSTARTED on."""
        self._receiving = True
        self._received = 0
        self._buffer = self._registers.get(_RXD_PTR, 0), self._registers.get(_RXD_MAXCNT, 0) & _MAXCNT
        self._events.add(_RXSTARTED)
        self._store_received()

    def _stop_reception(self) -> None:
        self._receiving = False
        if self._buffer is not None:
            self._buffer = None
            self._registers[_RXD_AMOUNT] = self._received
            self._events.add(_ENDRX)
        self._events.add(_RXTO)

    def _flush(self) -> None:
        """FLUSHRX: what is left in the FIFO goes to the buffer that PTR names."""
        room = self._registers.get(_RXD_MAXCNT, 0) & _MAXCNT
        left = bytes(self._fifo.popleft() for _ in range(min(room, len(self._fifo))))
        self._write_ram(self._registers.get(_RXD_PTR, 0), left)
        self._registers[_RXD_AMOUNT] = len(left)
        self._events.add(_ENDRX)

    def _start_sending(self) -> None:
        if self._sent_at is not None:
            self._wiring.refuse(f"{self._name} starts to send while it sends")
            return
        size = self._registers.get(_TXD_MAXCNT, 0) & _MAXCNT
        self._sending = self._read_ram(self._registers.get(_TXD_PTR, 0), size)
        self._events.add(_TXSTARTED)
        self._sent_at = self._wiring.now() + size * self._byte_time()

    def _finish_sending(self) -> None:
        self._sent_at = None
        if self._registers[_PSEL_TXD] == self._parameters.tx:
            framing = self._framing()
            for byte in self._sending:
                self._wiring.line.send_to_host(byte, framing)
        self._registers[_TXD_AMOUNT] = len(self._sending)
        self._events |= {_ENDTX, _TXDRDY} if self._sending else {_ENDTX}

    # --- memory: RAM only, EasyDMA reaches nothing else ---

    def _read_ram(self, address: int, size: int) -> bytes:
        try:
            return self._wiring.memory.read_ram(address, size)
        except BusError:
            self._wiring.refuse(f"{self._name} sends from `{address:#010x}`, which is not RAM")
            return b""

    def _write_ram(self, address: int, data: bytes) -> None:
        try:
            self._wiring.memory.write_ram(address, data)
        except BusError:
            self._wiring.refuse(f"{self._name} receives to `{address:#010x}`, which is not RAM")

    # --- the bus ---

    def read(self, offset: int) -> int:
        """One aligned word."""
        self.elapse()
        if offset in (_INTEN, _INTENSET, _INTENCLR):
            return self._interrupts
        if _FIRST_EVENT <= offset < _SHORTS:
            happened = offset in self._events
            if not happened:
                self._asked_in_vain(offset)
            return int(happened)
        return self._registers.get(offset, 0)

    def _asked_in_vain(self, event: int) -> None:
        polled = self._parameters.polled
        if event == _ENDTX and self._sent_at is not None:
            if polled:
                self._finish_sending()
        elif event == _ENDRX and self._wiring.line.to_device:
            if polled and self._buffer is not None:
                self._arrive(self._wiring.now())
        elif event == _ENDRX and self._sent_at is None:
            self._wiring.polled()

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        self.elapse()
        if offset < _FIRST_EVENT:
            if value & 1 and self._registers.get(_ENABLE, 0) == _ENABLED:
                self._task(offset)
        elif offset < _SHORTS:
            (self._events.add if value & 1 else self._events.discard)(offset)
        elif offset == _INTEN:
            self._interrupts = value
        elif offset == _INTENSET:
            self._interrupts |= value
        elif offset == _INTENCLR:
            self._interrupts &= ~value
        elif offset == _ERRORSRC:
            self._registers[_ERRORSRC] = self._registers.get(_ERRORSRC, 0) & ~value
        elif offset in _PINS and self._registers.get(_ENABLE, 0) == _ENABLED:
            self._wiring.refuse(f"{self._name} gets another pin while it is enabled")
        else:
            self._registers[offset] = self._registers.get(offset, 0) & ~mask | value
        self._update_interrupt()

    def _task(self, offset: int) -> None:
        if offset == _STARTRX:
            self._start_reception()
        elif offset == _STOPRX:
            self._stop_reception()
        elif offset == _STARTTX:
            self._start_sending()
        elif offset == _STOPTX:
            self._events.add(_TXSTOPPED)
        elif offset == _FLUSHRX:
            self._flush()

    # --- the wire ---

    def _hears(self) -> bool:
        return self._receiving and self._registers[_PSEL_RXD] == self._parameters.rx

    def _framing(self) -> Framing:
        """BAUDRATE is bits per 16 MHz cycle in 2**-32, within 0.9 % of the actual rates in the SVD."""
        clocks = self._wiring.clocks
        hz = clocks.frequency(self._name) if clocks is not None else 0.0
        config = self._registers.get(_CONFIG, 0)
        parity = bool(config & _PARITY)
        return Framing(
            baud=self._registers[_BAUDRATE] * hz / _BAUD_UNITS,
            data_bits=8 + parity,
            parity=parity,
            stop_bits=2 if config & _TWO_STOP_BITS else 1,
        )

    def _update_interrupt(self) -> None:
        raised = any(self._interrupts >> (event - _FIRST_EVENT) // 4 & 1 for event in self._events)
        self._wiring.interrupt(self._parameters.interrupt, raised)


def _build(name: str, parameters: Mapping[str, Any], wiring: Wiring) -> Uarte:
    return Uarte(name, Parameters.model_validate(parameters), wiring)


MODELS = MappingProxyType({"nrf52-uarte": _build})
