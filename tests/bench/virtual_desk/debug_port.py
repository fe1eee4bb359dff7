"""The chip's end of SWD: a Debug Port with its access ports (ADIv5.2, IHI 0031), in front of a board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from device_adapters.virtual.debug import DebugUnit
from device_adapters.virtual.memory import BusError

_DPIDR = 0x5BA02477  # Arm, version 2, JTAG-DP/SW-DP of the Cortex-M7 parts of ST
_ABORT, _CTRL_STAT, _SELECT, _RDBUFF = 0x0, 0x4, 0x8, 0xC
_STICKY_ERROR, _POWER_UP_REQUESTS = 1 << 5, 1 << 28 | 1 << 30
_STKERRCLR = 1 << 2
_CSW, _TAR, _DRW, _BD0, _BD3, _CFG, _BASE, _IDR = 0x00, 0x04, 0x0C, 0x10, 0x1C, 0xF4, 0xF8, 0xFC
_SIZES = {0: 1, 1: 2, 2: 4}
_WRAP_BYTES = {"cortex-m3": 4096, "cortex-m4": 4096}  # the others: what the architecture promises
_SMALLEST_WRAP_BYTES = 1024
_IDRS = {
    "cortex-m0": 0x04770021,
    "cortex-m0plus": 0x04770031,
    "cortex-m3": 0x14770011,
    "cortex-m4": 0x24770011,
    "cortex-m7": 0x74770001,
}


class NoAnswer(Exception):
    """The chip does not acknowledge: no power, or not connected."""


class AccessFault(Exception):
    """The chip answered FAULT, and its sticky error flag is set."""

    def __init__(self, address: int = 0) -> None:
        super().__init__(address)
        self.address = address


class AccessPort(Protocol):
    """Registers behind APSEL."""

    def read(self, register: int) -> int:
        """The word at `register`; raises AccessFault."""

    def write(self, register: int, value: int) -> None:
        """Write the word; raises AccessFault."""


class MemoryAccessPort:
    """AHB-AP: CSW, TAR, DRW, banked data; 8, 16 and 32 bits; TAR increments within 1 KiB."""

    def __init__(self, core: str, debug: DebugUnit, refused: Callable[[int, int], int | None]) -> None:
        """`refused` names the first of so many bytes that the chip keeps from debuggers."""
        self._idr = _IDRS[core]
        self._wrap_bytes = _WRAP_BYTES.get(core, _SMALLEST_WRAP_BYTES)
        self._debug = debug
        self._refused = refused
        self._csw = 0x23000042
        self._tar = 0

    # --- memory, as a probe's own block commands use it ---

    def read_memory(self, address: int, size: int, width: int) -> bytes:
        """`size` bytes in accesses of `width`; raises AccessFault with the address."""
        whole = width == 4 and size > width and not self._is_register(address)
        step = size if whole else width
        return b"".join(self._read(address + at, step) for at in range(0, size, step))

    def write_memory(self, address: int, data: bytes, width: int) -> None:
        """The reverse."""
        step = width if self._is_register(address) else len(data)
        for at in range(0, len(data), step):
            self._write(address + at, data[at : at + step])

    @staticmethod
    def _is_register(address: int) -> bool:
        return 0x40000000 <= address < 0x60000000 or address >= 0xE0000000

    def _read(self, address: int, size: int) -> bytes:
        self._check(address, size)
        try:
            return self._debug.read(address & 0xFFFFFFFF, size)
        except BusError as error:
            raise AccessFault(address) from error

    def _write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        try:
            self._debug.write(address & 0xFFFFFFFF, data)
        except BusError as error:
            raise AccessFault(address) from error

    def _check(self, address: int, size: int) -> None:
        refused = self._refused(address, size)
        if refused is not None:
            raise AccessFault(refused)

    # --- registers ---

    def read(self, register: int) -> int:
        """The word at `register`; DRW reads memory."""
        if register == _DRW:
            width = _SIZES.get(self._csw & 7, 4)
            lane = self._tar & 3
            word = int.from_bytes(self._read(self._tar & -width, width), "little") << 8 * (lane & -width)
            self._increment(width)
            return word & 0xFFFFFFFF
        if _BD0 <= register <= _BD3:
            return int.from_bytes(self._read((self._tar & ~0xF) + register - _BD0, 4), "little")
        return {_CSW: self._csw, _TAR: self._tar, _CFG: 0, _BASE: self._debug.rom_table, _IDR: self._idr}.get(
            register, 0
        )

    def write(self, register: int, value: int) -> None:
        """Write the word; DRW writes memory."""
        if register == _CSW:
            self._csw = value & 0x7F00003F | 0x40
        elif register == _TAR:
            self._tar = value
        elif register == _DRW:
            width = _SIZES.get(self._csw & 7, 4)
            lanes = (value & 0xFFFFFFFF) >> 8 * (self._tar & 3 & -width)
            self._write(self._tar & -width, (lanes & (1 << 8 * width) - 1).to_bytes(width, "little"))
            self._increment(width)
        elif _BD0 <= register <= _BD3:
            self._write((self._tar & ~0xF) + register - _BD0, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def _increment(self, width: int) -> None:
        if self._csw >> 4 & 0b11 == 1:
            self._tar = self._tar & ~(self._wrap_bytes - 1) | self._tar + width & self._wrap_bytes - 1


class ControlAccessPort:
    """Nordic's CTRL-AP: reset, erase-all and the state of APPROTECT (nRF52840 product specification, 4.8)."""

    _RESET, _ERASEALL, _ERASEALLSTATUS, _APPROTECTSTATUS = 0x00, 0x04, 0x08, 0x0C

    def __init__(
        self, is_locked: Callable[[], bool], erase_all: Callable[[], None], reset: Callable[[], None]
    ) -> None:
        self._is_locked = is_locked
        self._erase_all = erase_all
        self._reset = reset

    def read(self, register: int) -> int:
        """The word at `register`."""
        return {self._APPROTECTSTATUS: not self._is_locked(), _IDR: 0x02880000}.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """Erase all, or reset."""
        if register == self._ERASEALL and value & 1:
            self._erase_all()
        elif register == self._RESET and value & 1:
            self._reset()


class DebugPort:
    """SW-DP. Without power nothing acknowledges."""

    def __init__(self, ports: dict[int, AccessPort], is_powered: Callable[[], bool]) -> None:
        self.ports = ports
        self._is_powered = is_powered
        self._control = 0
        self._select = 0
        self._sticky = False
        self._last_read = 0

    def need_power(self) -> None:
        """Raises NoAnswer without power."""
        if not self._is_powered():
            raise NoAnswer

    def memory(self, apsel: int) -> MemoryAccessPort:
        """The MEM-AP behind APSEL; raises AccessFault if it is none."""
        port = self.ports.get(apsel)
        if not isinstance(port, MemoryAccessPort):
            raise AccessFault
        return port

    def fault(self) -> None:
        """An access failed: accesses fail until the sticky flag is cleared."""
        self._sticky = True

    def read_dp(self, register: int) -> int:
        """The word at `register` of the debug port."""
        self.need_power()
        if register & 0xC == _CTRL_STAT:
            if self._bank:
                return 0
            acknowledged = (self._control & _POWER_UP_REQUESTS) << 1
            return self._control | acknowledged | self._sticky * _STICKY_ERROR
        if register & 0xC == _RDBUFF:
            return self._last_read
        return _DPIDR if register & 0xC == 0 else 0

    def write_dp(self, register: int, value: int) -> None:
        """Write the word."""
        self.need_power()
        if register & 0xC == _ABORT:
            if value & _STKERRCLR:
                self._sticky = False
        elif register & 0xC == _CTRL_STAT:
            if not self._bank:
                self._control = value & (_POWER_UP_REQUESTS | 0xFFF << 8)
        elif register & 0xC == _SELECT:
            self._select = value

    @property
    def _bank(self) -> int:
        return self._select & 0xF

    @property
    def selected(self) -> tuple[int, int]:
        """APSEL and APBANKSEL, as SELECT has them."""
        return self._select >> 24, self._select & 0xF0

    def read_ap(self, apsel: int, register: int) -> int:
        """The word at `register` of an access port; one that is not there reads as zero."""
        self._check()
        port = self.ports.get(apsel)
        if port is None:
            return 0
        try:
            self._last_read = port.read(register & 0xFC)
        except AccessFault:
            self.fault()
            raise
        return self._last_read

    def write_ap(self, apsel: int, register: int, value: int) -> None:
        """Write the word."""
        self._check()
        port = self.ports.get(apsel)
        if port is None:
            return
        try:
            port.write(register & 0xFC, value)
        except AccessFault:
            self.fault()
            raise

    def _check(self) -> None:
        self.need_power()
        if self._sticky:
            raise AccessFault
