"""What lies at which address of a virtual board: memories, their aliases, and device registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from device_adapters.virtual.profile import BlockHook, Permission

PAGE_BYTES = 1024


class Device(Protocol):
    """Registers that are read and written as aligned words."""

    def read(self, offset: int) -> int:
        """The word at `offset`; may have side effects."""

    def write(self, offset: int, value: int, mask: int) -> None:
        """Write the bits in `mask`; a byte or halfword store has a partial mask."""


@dataclass(frozen=True)
class Memory:
    """Flash or RAM at one address; `alias_of` is the address of the memory that is shown here once more."""

    name: str
    start: int
    size: int
    permissions: int
    alias_of: int | None = None

    @property
    def end(self) -> int:
        """First address after the memory."""
        return self.start + self.size

    @property
    def is_rom(self) -> bool:
        """Whether the core cannot write it."""
        return not self.permissions & Permission.WRITE


@dataclass(frozen=True)
class Mapped:
    """A device and the addresses of its registers."""

    name: str
    start: int
    size: int
    device: Device


class BusError(Exception):
    """Nothing answers at this address. Internal: the core turns it into a fault, a debugger into an error."""


class AddressSpace:
    """The physical memory of a board, shared by the emulated core, its exception entry and the loader."""

    def __init__(self, uc: Any, hook: BlockHook) -> None:
        self._uc = uc
        self._hook = hook
        self._memories: list[Memory] = []
        self._devices: list[Mapped] = []
        self.accesses = 0
        self.in_access = False

    def add_memory(self, memory: Memory) -> None:
        """Map memory; an alias shows the bytes of a memory that was added before."""
        if memory.alias_of is None:
            self._uc.mem_map(memory.start, memory.size)
        target = memory.start if memory.alias_of is None else memory.alias_of
        self._hook.add_range(memory.start, memory.end, target, memory.permissions)
        self._memories.append(memory)

    def add_device(self, mapped: Mapped) -> None:
        """Map registers; `size` is a multiple of a page."""
        device = mapped.device

        def read(_uc: Any, offset: int, size: int, _user: object) -> int:
            self.accesses += 1
            self.in_access = True
            try:
                word = device.read(offset & ~3)
            finally:
                self.in_access = False
            return word >> 8 * (offset & 3) & (1 << 8 * size) - 1

        def write(_uc: Any, offset: int, size: int, value: int, _user: object) -> None:
            self.accesses += 1
            shift = 8 * (offset & 3)
            mask = (1 << 8 * size) - 1
            self.in_access = True
            try:
                device.write(offset & ~3, (value & mask) << shift, mask << shift)
            finally:
                self.in_access = False

        self._uc.mmio_map(mapped.start, mapped.size, read, None, write, None)
        # Without rights Unicorn asks the hook first, which is the only place where it restores the exact PC.
        self._uc.mem_protect(mapped.start, mapped.size, 0)
        self._hook.add_range(
            mapped.start, mapped.start + mapped.size, mapped.start, Permission.READ | Permission.WRITE
        )
        self._devices.append(mapped)

    def memory_at(self, address: int) -> Memory | None:
        """The memory or alias that contains `address`."""
        return next((m for m in self._memories if m.start <= address < m.end), None)

    def device_at(self, address: int) -> Mapped | None:
        """The device that contains `address`."""
        return next((m for m in self._devices if m.start <= address < m.start + m.size), None)

    def executable(self) -> list[Memory]:
        """Everything from which code may run, aliases included."""
        return [m for m in self._memories if m.permissions & Permission.EXEC]

    def read(self, address: int, size: int) -> bytes:
        """Bytes as the core would read them; raises BusError where nothing answers."""
        memory = self.memory_at(address)
        if memory is not None and address + size <= memory.end:
            return bytes(self._uc.mem_read(self._physical(memory, address), size))
        mapped = self.device_at(address)
        if mapped is None or address + size > mapped.start + mapped.size:
            raise BusError(address)
        first = address & ~3
        words = range(first, address + size, 4)
        data = b"".join(mapped.device.read(word - mapped.start).to_bytes(4, "little") for word in words)
        return data[address - first : address - first + size]

    def write(self, address: int, data: bytes, *, rom: bool = False) -> None:
        """Store bytes as the core would, or with `rom` as a programmer of flash would. Raises BusError."""
        memory = self.memory_at(address)
        if memory is None:
            mapped = self.device_at(address)
            if mapped is None or len(data) != 4:  # noqa: PLR2004 - registers are words
                raise BusError(address)
            mapped.device.write(address - mapped.start, int.from_bytes(data, "little"), 0xFFFFFFFF)
            return
        if address + len(data) > memory.end or (memory.is_rom and not rom):
            raise BusError(address)
        self._uc.mem_write(self._physical(memory, address), data)
        if memory.permissions & Permission.EXEC:
            self.discard_code(address, address + len(data))

    def read_ram(self, address: int, size: int) -> bytes:
        """Bytes as a DMA controller reads them. Raises BusError outside RAM."""
        return bytes(self._uc.mem_read(self._ram(address, size), size))

    def write_ram(self, address: int, data: bytes) -> None:
        """Store bytes as a DMA controller does, from within a device's callback too.

        They are data: code that was run from there is not translated anew. Raises BusError outside RAM.
        """
        self._uc.mem_write(self._ram(address, len(data)), data)

    def _ram(self, address: int, size: int) -> int:
        memory = self.memory_at(address)
        if memory is None or memory.is_rom or address + size > memory.end:
            raise BusError(address)
        return self._physical(memory, address)

    def read_word(self, address: int) -> int:
        """A little-endian word."""
        return int.from_bytes(self.read(address, 4), "little")

    def discard_code(self, start: int, end: int) -> None:
        """Bytes changed under the translator, which would go on running the old ones."""
        memory = self.memory_at(start)
        for alias in self._memories:
            if memory and self._physical(alias, alias.start) == self._physical(memory, memory.start):
                offset = alias.start - memory.start
                self._hook.forget(start + offset, end + offset)
        self._uc.ctl_flush_tb()

    @staticmethod
    def _physical(memory: Memory, address: int) -> int:
        return address if memory.alias_of is None else memory.alias_of + address - memory.start
