"""A board, the debug port in front of it and the probe on the desk, put together from settings."""

from __future__ import annotations

from typing import Any, Protocol

from device_adapters.virtual.board import Board, make_hook
from device_adapters.virtual.core import Stop
from device_adapters.virtual.debug import DebugUnit
from device_adapters.virtual.flash import FlashDefects
from device_adapters.virtual.serial_line import SerialLine
from device_adapters.virtual.table import table_of
from tinybench import plugins
from virtual_desk.cmsis_dap import CmsisDap
from virtual_desk.debug_port import ControlAccessPort, DebugPort, MemoryAccessPort
from virtual_desk.faults import BoardSettings
from virtual_desk.stlink import StLink

_STLINK_USB = {
    "vid": 0x0483,
    "manufacturer": "STMicroelectronics",
    "interface": "ST-Link Debug",
    "subclass": 0xFF,
}
_USB: dict[str, dict[str, Any]] = {
    "stlink": {**_STLINK_USB, "pid": 0x374B, "packet_bytes": 64, "endpoints": (0x01, 0x81, 0x82)},
    "stlink-v3": {**_STLINK_USB, "pid": 0x374E, "packet_bytes": 512, "endpoints": (0x01, 0x81, 0x82)},
    "cmsis-dap": {
        "vid": 0x0D28,
        "pid": 0x0204,
        "manufacturer": "Arm",
        "interface": "CMSIS-DAP v2",
        "subclass": 0,
        "packet_bytes": 512,
        "endpoints": (0x01, 0x81),
    },
}


class Probe(Protocol):
    """The probe's firmware."""

    def send(self, data: bytes) -> bytes:
        """What it answers to a packet; nothing if it waits for more."""

    def close(self) -> None:
        """The host let go."""


class VirtualUnit:
    """One board on the desk."""

    def __init__(self, settings: BoardSettings) -> None:
        faults = settings.faults
        target = plugins.discover().target(settings.target)
        table = table_of(target)
        assert table is not None, f"`{settings.target}` has no virtual board"
        self._board = Board(target, table, make_hook(), wall_scale=settings.wall_scale)
        self._flash = [region for region in target.regions if region.kind == "flash"]
        self._erase_all()
        self._board.core.flash.defects = FlashDefects(dict(faults.stuck_at_one), faults.flash_never_ready)
        for part in self._board.parts.values():
            if faults.protected_sectors and hasattr(part, "protected"):
                part.protected = frozenset(faults.protected_sectors)
        self._board.line.on_line_sent = self._board.core.ask
        self._board.reset()
        self._debug = DebugUnit(self._board)
        self._powered = not faults.unpowered
        self._browned_out = False
        self._locked = faults.locked
        self._unreadable = faults.unreadable
        self._readout_protected = faults.readout_protected
        memory = MemoryAccessPort(target.core.name, self._debug, self._refused)
        control = ControlAccessPort(lambda: self._locked, self._unlock, self._board.reset)
        ports = {0: memory, 1: control} if "nrf52" in settings.target else {0: memory}
        port = DebugPort(dict(ports), lambda: self._powered)
        self.probe: Probe = (
            CmsisDap(port, settings.uid, self._debug.assert_reset)
            if settings.probe == "cmsis-dap"
            else StLink(
                port, settings.board_id, 3 if settings.probe == "stlink-v3" else 2, self._debug.assert_reset
            )
        )
        self.usb = _USB[settings.probe]

    @property
    def line(self) -> SerialLine:
        """The serial wires."""
        return self._board.line

    @property
    def programmed_bytes(self) -> int:
        """Bytes programmed into flash so far."""
        return self._board.core.flash.programmed_bytes

    def run(self, instructions: int) -> Stop:
        """Let the core run if it has power."""
        return self._debug.run(instructions) if self._powered else Stop.ASLEEP

    def probe_released(self) -> None:
        """The host let go of the probe; the supply has recovered by the time it comes back."""
        self.probe.close()
        if self._browned_out and not self._powered:
            self._powered = True
            self._board.reset()

    def brown_out(self) -> None:
        """The supply sags, once."""
        if not self._browned_out:
            self._browned_out = True
            self._powered = False

    def close(self) -> None:
        """Power off for good."""
        self._board.close()

    @property
    def is_locked(self) -> bool:
        """Whether APPROTECT keeps debuggers out."""
        return self._locked

    def _refused(self, address: int, size: int) -> int | None:
        in_flash = any(r.origin <= address < r.end for r in self._flash)
        if self._locked or (self._readout_protected and in_flash):
            return address
        return next((bad for bad in self._unreadable if address <= bad < address + size), None)

    def _unlock(self) -> None:
        self._erase_all()
        self._locked = False

    def _erase_all(self) -> None:
        for region in self._flash:
            self._board.erase(region.origin, region.size)
