"""The two wires between a virtual board and the host, with the speed of each end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_NEWLINE = 0x0A
_TOLERANCE = (
    0.025  # a receiver samples the last of ten bits in its middle: half a bit in 9.5, shared by both ends
)


@dataclass(frozen=True)
class Framing:
    """How one end puts a byte on the wire; 8N1 is 10 bits."""

    baud: float
    data_bits: int = 8
    parity: bool = False
    odd: bool = False
    stop_bits: int = 1

    def frame(self, byte: int) -> list[int]:
        """The levels of one byte, from the start bit on."""
        data = [byte >> bit & 1 for bit in range(self.data_bits - self.parity)]
        check = [(sum(data) + self.odd) & 1] if self.parity else []
        return [0, *data, *check, *(1 for _ in range(self.stop_bits))]

    def hears(self, other: Framing, byte: int) -> int:
        """What this end reads when the other sends `byte`; garbage if it samples at the wrong times."""
        same_shape = (self.data_bits, self.parity) == (other.data_bits, other.parity)
        if same_shape and abs(self.baud - other.baud) <= _TOLERANCE * self.baud:
            return byte
        if self.baud <= 0 or other.baud <= 0:
            return 0xFF
        levels = other.frame(byte)
        heard = 0
        for bit in range(8):
            at = int((bit + 1.5) * other.baud / self.baud)
            heard |= (levels[at] if at < len(levels) else 1) << bit
        return heard


class SerialLine:
    """Bytes in flight. The host's end is always 8N1."""

    def __init__(self, baud: int) -> None:
        self.host = Framing(baud)
        self.to_host = bytearray()
        self.to_device: deque[int] = deque()
        self.sent_bytes = 0
        self.on_line_sent: Callable[[], None] = lambda: None

    def set_host_baud(self, baud: int) -> None:
        """The host's end changes its speed."""
        self.host = Framing(baud)

    def send_to_host(self, byte: int, device: Framing) -> None:
        """The device transmitted a byte with its own framing."""
        self.sent_bytes += 1
        self.to_host.append(self.host.hears(device, byte & 0xFF))
        if byte & 0xFF == _NEWLINE:
            self.on_line_sent()

    def next_for(self, device: Framing) -> int:
        """The next byte from the host, as the device's receiver hears it."""
        return device.hears(self.host, self.to_device.popleft())
