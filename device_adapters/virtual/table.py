"""The `[virtual]` table of a board's TOML: what a virtual board has besides the target's own regions.

[virtual]
cpuid = 0x410FC270
boot = 0x00200000                       # where the vector table is after reset
serial = "usart3"

[[virtual.memories]]                    # RAM that no region names, or memory shown at a second address
name = "flash-itcm"
origin = 0x00200000
size = 0x100000
alias_of = 0x08000000

[[virtual.peripherals]]
model = "stm32-usart-v2"
name = "usart3"
origin = 0x40004800
enable = { reg = "APB1ENR", bit = 18 }
parameters = { interrupt = 39, tx = {…}, rx = {…} }
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError

from tinybench.errors import UsageError
from tinybench.records import Record
from tinybench.target import Target


class Gate(Record):
    """The clock-enable bit of a peripheral, by the register's name in the reference manual."""

    reg: str
    bit: int = Field(ge=0, lt=32)


class ExtraMemory(Record):
    """RAM that firmware may use without a region, or an alias of other memory."""

    name: str
    origin: int = Field(ge=0)
    size: int = Field(gt=0, multiple_of=1024)
    alias_of: int | None = None
    writable: bool = True


class PeripheralEntry(Record):
    """One peripheral: which model, where, and behind which clock-enable bit."""

    model: str
    name: str
    origin: int = Field(ge=0, multiple_of=1024)
    size: int = Field(default=1024, gt=0, multiple_of=1024)
    enable: Gate | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class VirtualTable(Record):
    """Everything that the core and the peripherals of a virtual board need to know."""

    cpuid: int
    boot: int = Field(ge=0, description="address of the vector table after reset")
    serial: str = Field(description="name of the peripheral that the host talks to")
    interrupts: int = Field(default=96, ge=0, le=240)
    priority_bits: int = Field(default=4, ge=2, le=8)
    dcache_ccsidr: int = Field(default=0, description="CCSIDR of the data cache; 0: no caches")
    icache_ccsidr: int = 0
    memories: tuple[ExtraMemory, ...] = ()
    peripherals: tuple[PeripheralEntry, ...] = ()


def table_of(target: Target) -> VirtualTable | None:
    """The validated table of a target, None if it has none; raises UsageError naming the wrong field."""
    if target.virtual is None:
        return None
    try:
        return VirtualTable.model_validate(target.virtual)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"`{target.name}.toml`: virtual.{where}: {first['msg']}") from error
