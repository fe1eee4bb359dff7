"""What the peripherals of one virtual board need of each other and of the board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from device_adapters.virtual.flash import FlashArray
from device_adapters.virtual.memory import AddressSpace, Device
from device_adapters.virtual.serial_line import SerialLine


class Resettable(Protocol):
    """A peripheral that a reset controller or a reset of the board brings back to its initial state."""

    def reset(self) -> None:
        """As after power-on."""


class ClockTree(Protocol):
    """What a clock controller tells the peripherals behind it."""

    def frequency(self, peripheral: str) -> float:
        """The kernel clock of a peripheral in Hz; 0 if it has none."""

    def is_clocked(self, register: str, bit: int) -> bool:
        """Whether the enable bit of a peripheral is set."""

    def core_hz(self) -> float:
        """The core's clock in Hz."""

    def check(self) -> None:
        """Refuse what silicon does not allow: call it when wait states or voltage have changed."""


class HasWaitStates(Protocol):
    """What a clock controller asks of the flash interface."""

    @property
    def wait_states(self) -> int:
        """Wait states of a read, as the interface is set now."""


class Port(Protocol):
    """A group of pins."""

    def alternate(self, pin: int) -> int | None:
        """The alternate function that is connected to a pin; None if the pin does something else."""


@dataclass
class Wiring:
    """Late-bound: parts are found by name when they are used, so that a TOML may list them in any order."""

    now: Callable[[], int]
    refuse: Callable[[str], None]
    interrupt: Callable[[int, bool], None]
    polled: Callable[[], None]
    line: SerialLine
    flash: FlashArray
    memory: AddressSpace
    parts: dict[str, Device] = field(default_factory=dict)
    clocks: ClockTree | None = None
    ports: dict[str, Port] = field(default_factory=dict)
    resets: dict[tuple[str, int], Resettable] = field(default_factory=dict)

    def hold_in_reset(self, register: str, bits: int) -> None:
        """Bring back what is behind the set `bits` of a reset register, named as the enable register is."""
        for (known, bit), part in self.resets.items():
            if known == register and bits >> bit & 1:
                part.reset()
