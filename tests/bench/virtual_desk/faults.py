"""What is wrong with a virtual board, its probe, its cable or its firmware: settings, all off by default."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Faults:
    """One field per fault. Counts are of bytes stored to flash or sent over the serial line."""

    unpowered: bool = False  # the probe is there, the chip is not
    unplug_on_claim: int | None = None  # listed, and gone at its n-th opening; listing opens it once
    unplug_after_flash_bytes: int | None = None  # the USB cable comes out while flashing
    brown_out_after_flash_bytes: int | None = None  # the supply sags once while flashing
    hang_after_flash_bytes: int | None = None  # the probe stops answering while flashing
    locked: bool = False  # nRF52: APPROTECT
    readout_protected: bool = False  # STM32: RDP level 1
    protected_sectors: tuple[int, ...] = ()  # STM32: write protection
    flash_never_ready: bool = False
    unreadable: tuple[int, ...] = ()  # addresses where the bus answers a debugger's read with an error
    stuck_at_one: tuple[tuple[int, int], ...] = ()  # (address, bits) that cannot be programmed
    serial_missing: bool = False  # a probe without a serial port
    serial_vanishes_after_bytes: int | None = None
    serial_garbage: bool = False  # noise on the line, before every byte that the firmware sends
    mute: bool = False  # the firmware's words never arrive

    def as_dict(self) -> dict[str, Any]:
        """For the board's process."""
        return asdict(self)


@dataclass(frozen=True)
class BoardSettings:
    """One virtual board: what it is, its probe, where it is plugged in."""

    target: str
    uid: str
    probe: str = "stlink"  # or "stlink-v3", "cmsis-dap"
    board_id: str = "0000"
    product: str = "STM32 STLink"
    port_number: int = 1
    wall_scale: float = 1.0  # device time per host time
    throttled: bool = True  # bytes cross no faster than the line rate allows
    serial_uid: str | None = None  # what the serial port says of itself, if not `uid` (swapped cables)
    faults: Faults = field(default_factory=Faults)

    def as_dict(self) -> dict[str, Any]:
        """For the board's process."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> BoardSettings:
        """The same, back."""
        faults = dict(values["faults"])
        faults["protected_sectors"] = tuple(faults["protected_sectors"])
        faults["unreadable"] = tuple(faults["unreadable"])
        faults["stuck_at_one"] = tuple((int(a), int(b)) for a, b in faults["stuck_at_one"])
        return BoardSettings(**{**values, "faults": Faults(**faults)})
