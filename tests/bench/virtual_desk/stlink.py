"""The firmware of an ST-LINK: 16-byte commands in, answers out.

Facts from the drivers of pyOCD.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from virtual_desk.debug_port import AccessFault, DebugPort, NoAnswer

_OK, _CONFIGURATION_CHANGED = 0x80, 0x40
_NO_IDCODE, _AP_FAULT, _DP_ERROR, _UNKNOWN_COMMAND, _BAD_AP = 0x09, 0x11, 0x16, 0x42, 0x1D
_DP_PORT = 0xFFFF
_MASS_STORAGE_MODE, _DEBUG_MODE = 1, 2
_READS, _WRITES = {0x07: 4, 0x0C: 1, 0x47: 2}, {0x08: 4, 0x0D: 1, 0x48: 2}
_COMMAND_BYTES = 16
_VERSION_2 = 2 << 12 | 40 << 6 | 27  # V2J40M27
_VERSION_3 = bytes((3, 0, 13, 3, 0, 0, 0, 0))
_FREQUENCIES_KHZ = (24000, 8000, 3300, 1000, 200)


class StLink:
    """One ST-LINK/V2-1 or V3. `send` takes what the host wrote to the OUT endpoint."""

    def __init__(
        self, port: DebugPort, board_id: str, generation: int, drive_reset: Callable[[bool], None]
    ) -> None:
        self._port = port
        self._board_id = board_id
        self._generation = generation
        self._drive_reset = drive_reset
        self._debugging = False
        self._awaited: tuple[int, int, int, int] | None = None  # width, address, size, AP of data to come
        self._last_status = _OK
        self._last_address = 0

    def send(self, data: bytes) -> bytes:
        """The bytes that the host may read next."""
        if self._awaited is not None:
            (width, address, size, apsel), self._awaited = self._awaited, None
            self._guard_memory(lambda: self._port.memory(apsel).write_memory(address, data[:size], width))
            return b""
        command = data.ljust(_COMMAND_BYTES, b"\0")
        return self._command(command)

    def close(self) -> None:
        """The host let go of the interface."""
        self._awaited = None
        self._debugging = False

    def _command(self, command: bytes) -> bytes:  # noqa: PLR0911 - one line per command
        if command[0] == 0xF1:
            version = _VERSION_2 if self._generation == 2 else 3 << 12
            return struct.pack(">H", version) + struct.pack("<HH", 0x0483, 0x374B)
        if command[0] == 0xFB:
            return _VERSION_3 + struct.pack("<HH", 0x0483, 0x374E)
        if command[0] == 0xF5:
            return bytes((_DEBUG_MODE if self._debugging else _MASS_STORAGE_MODE, 0))
        if command[0] == 0xF7:
            try:
                self._port.need_power()
            except NoAnswer:
                return struct.pack("<II", 1500, 0)
            return struct.pack("<II", 1500, 2062)
        if command[0] == 0xF2:
            return self._debug_command(command)
        return b""  # leaving DFU or SWIM mode

    def _debug_command(self, command: bytes) -> bytes:  # noqa: C901, PLR0911 - one line per command
        code = command[1]
        if code in _READS:
            return self._read_memory(command)
        if code in _WRITES:
            address, size, apsel = struct.unpack_from("<IHB", command, 2)
            self._awaited = _WRITES[code], address, size, apsel
            return b""
        if code == 0x3E:
            return struct.pack("<HHII", self._last_status, 0, self._last_address, 0)
        if code == 0x45:
            return self._read_register(*struct.unpack_from("<HH", command, 2))
        if code == 0x46:
            return self._write_register(*struct.unpack_from("<HHI", command, 2))
        if code == 0x30:
            return self._enter()
        if code == 0x21:
            self._debugging = False
            return b""
        if code == 0x3C:
            for level in {0: (True,), 1: (False,), 2: (True, False)}[command[2]]:
                self._drive_reset(level)
            return _status(_OK)
        if code == 0x56:
            return (_status(_OK) + self._board_id.encode()).ljust(128, b"\0")
        if code in {0x43, 0x44, 0x4B, 0x4C}:  # clock, open and close an AP
            return _status(_OK)
        return self._third_generation(command)

    def _third_generation(self, command: bytes) -> bytes:
        code = command[1]
        if code == 0x61:
            wanted = int.from_bytes(command[4:8], "little")
            got = next((khz for khz in _FREQUENCIES_KHZ if khz <= wanted), _FREQUENCIES_KHZ[-1])
            return struct.pack("<HHI", _OK, 0, got)
        if code == 0x62:
            known = (_FREQUENCIES_KHZ[3], len(_FREQUENCIES_KHZ), *_FREQUENCIES_KHZ)
            return struct.pack(f"<HH{len(known)}I", _OK, 0, *known).ljust(52, b"\0")
        if code == 0x63:
            return struct.pack("<HHI", _OK, 0, 0)
        return _status(_UNKNOWN_COMMAND)

    def _enter(self) -> bytes:
        try:
            self._port.need_power()
        except NoAnswer:
            return _status(_NO_IDCODE)
        self._debugging = True
        return _status(_OK)

    def _read_memory(self, command: bytes) -> bytes:
        address, size, apsel = struct.unpack_from("<IHB", command, 2)
        width = _READS[command[1]]
        read: list[bytes] = []
        self._guard_memory(lambda: read.append(self._port.memory(apsel).read_memory(address, size, width)))
        return read[0] if read else bytes(size)

    def _guard_memory(self, access: Callable[[], None]) -> None:
        self._last_status, self._last_address = _OK, 0
        try:
            self._port.need_power()
            access()
        except AccessFault as fault:
            self._port.fault()
            self._last_status, self._last_address = _AP_FAULT, fault.address & 0xFFFFFFFF
        except NoAnswer:
            self._last_status = _DP_ERROR

    def _read_register(self, port: int, register: int) -> bytes:
        try:
            value = self._port.read_dp(register) if port == _DP_PORT else self._port.read_ap(port, register)
        except AccessFault:
            return struct.pack("<HHI", _AP_FAULT, 0, 0)
        except NoAnswer:
            return struct.pack("<HHI", _DP_ERROR, 0, 0)
        return struct.pack("<HHI", _OK, 0, value)

    def _write_register(self, port: int, register: int, value: int) -> bytes:
        try:
            if port == _DP_PORT:
                self._port.write_dp(register, value)
            else:
                self._port.write_ap(port, register, value)
        except AccessFault:
            return _status(_AP_FAULT)
        except NoAnswer:
            return _status(_DP_ERROR)
        return _status(_OK)


def _status(code: int) -> bytes:
    return struct.pack("<H", code)
