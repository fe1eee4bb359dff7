"""The firmware of a CMSIS-DAP v2 probe: commands of the public CMSIS-DAP specification, SWD only."""

from __future__ import annotations

import struct
from collections.abc import Callable

from virtual_desk.debug_port import AccessFault, DebugPort, NoAnswer

_PACKET_BYTES, _PACKETS = 512, 4
_ACK_OK, _ACK_FAULT, _ACK_NONE = 1, 4, 7
_AP, _READ = 1 << 0, 1 << 1
_MATCH_VALUE, _MATCH_MASK = 1 << 4, 1 << 5
_INFO_TEXT = {0x01: "Arm", 0x02: "Virtual CMSIS-DAP", 0x04: "2.1.0"}


class CmsisDap:
    """One probe. `send` takes a command and gives its answer."""

    def __init__(self, port: DebugPort, uid: str, drive_reset: Callable[[bool], None]) -> None:
        self._port = port
        self._uid = uid
        self._drive_reset = drive_reset
        self._mask = 0xFFFFFFFF
        self._select = 0

    def send(self, data: bytes) -> bytes:
        """The answer to one command packet."""
        return self._command(data)[0] if data else b""

    def close(self) -> None:
        """The host let go of the interface."""

    def _command(self, data: bytes) -> tuple[bytes, int]:  # noqa: C901, PLR0911 - one line per command
        """The answer, and how many bytes the command took."""
        code = data[0]
        if code == 0x00:
            return bytes((code,)) + self._info(data[1]), 2
        if code == 0x05:
            return self._transfer(data)
        if code == 0x06:
            return self._block(data)
        if code == 0x02:
            return bytes((code, 1)), 2
        if code == 0x10:
            if data[2] & 0x80:
                self._drive_reset(not data[1] & 0x80)
            return bytes((code, data[1] & 0x80)), 7
        if code == 0x12:
            return bytes((code, 0)), 2 + ((data[1] or 256) + 7) // 8
        if code in {0x7F, 0x7E}:  # DAP_ExecuteCommands, DAP_QueueCommands
            return self._several(data)
        lengths = {
            0x01: 3,
            0x03: 1,
            0x04: 6,
            0x07: 1,
            0x08: 6,
            0x09: 3,
            0x0A: 1,
            0x11: 5,
            0x13: 2,
            0x1D: len(data),
        }
        if code == 0x08:
            self._guard(lambda: self._port.write_dp(0, struct.unpack_from("<I", data, 2)[0]))
        if code == 0x0A:
            return bytes((code, 0, 0)), 1
        return (bytes((code, 0)), lengths[code]) if code in lengths else (b"\xff", len(data))

    def _several(self, data: bytes) -> tuple[bytes, int]:
        answers, at = [], 2
        for _ in range(data[1]):
            answer, used = self._command(data[at:])
            answers.append(answer)
            at += used
        return bytes((0x7F, data[1])) + b"".join(answers), at

    def _info(self, kind: int) -> bytes:
        if kind == 0x03:
            return _text(self._uid)
        if kind in _INFO_TEXT:
            return _text(_INFO_TEXT[kind])
        if kind == 0xF0:
            return b"\x01\x11"
        if kind == 0xFE:
            return bytes((1, _PACKETS))
        if kind == 0xFF:
            return struct.pack("<BH", 2, _PACKET_BYTES)
        return b"\0"

    # --- transfers ---

    def _transfer(self, data: bytes) -> tuple[bytes, int]:
        count, at, done, ack = data[2], 3, 0, _ACK_OK
        read = bytearray()
        for _ in range(count):
            request = data[at]
            at += 1
            value = 0
            if not request & _READ or request & _MATCH_VALUE:
                (value,) = struct.unpack_from("<I", data, at)
                at += 4
            if ack != _ACK_OK:
                continue
            ack = self._one(request, value, read)
            done += ack == _ACK_OK
        return bytes((0x05, done, ack)) + bytes(read), at

    def _one(self, request: int, value: int, read: bytearray) -> int:
        if not request & _READ:
            if request & _MATCH_MASK:
                self._mask = value
                return _ACK_OK
            return self._guard(lambda: self._write(request, value))
        found: list[int] = []
        ack = self._guard(lambda: found.append(self._read(request)))
        if ack != _ACK_OK:
            return ack
        if request & _MATCH_VALUE:
            return _ACK_OK if found[0] & self._mask == value else _ACK_OK | 1 << 4
        read += struct.pack("<I", found[0])
        return _ACK_OK

    def _block(self, data: bytes) -> tuple[bytes, int]:
        count, request = struct.unpack_from("<HB", data, 2)
        read = bytearray()
        done, ack = 0, _ACK_OK
        for index in range(count):
            value = 0 if request & _READ else struct.unpack_from("<I", data, 5 + 4 * index)[0]
            ack = self._one(request, value, read)
            if ack != _ACK_OK:
                break
            done += 1
        used = 5 if request & _READ else 5 + 4 * count
        return struct.pack("<BHB", 0x06, done, ack) + bytes(read), used

    def _guard(self, access: Callable[[], object]) -> int:
        try:
            access()
        except AccessFault:
            return _ACK_FAULT
        except NoAnswer:
            return _ACK_NONE
        return _ACK_OK

    def _read(self, request: int) -> int:
        register = request & 0xC
        if not request & _AP:
            return self._port.read_dp(register)
        apsel, bank = self._port.selected
        return self._port.read_ap(apsel, bank | register)

    def _write(self, request: int, value: int) -> None:
        register = request & 0xC
        if not request & _AP:
            self._port.write_dp(register, value)
            return
        apsel, bank = self._port.selected
        self._port.write_ap(apsel, bank | register, value)


def _text(text: str) -> bytes:
    return bytes((len(text) + 1,)) + text.encode() + b"\0"
