"""Flash cells: what programming and erasing does to them, whoever asks.

Programming turns ones into zeros and nothing else; only erasing gives ones back. A controller (in
`peripherals/`) decides when the core's stores reach the cells, and what each one does. While none is allowed,
flash is read-only memory and costs nothing; a store then faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from device_adapters.virtual.memory import AddressSpace, Memory
from device_adapters.virtual.profile import BlockHook, Permission

_GRANTED = Permission.READ | Permission.WRITE


class FlashController(Protocol):
    """What flash asks of the registers in front of it."""

    def is_open(self) -> bool:
        """Whether stores of the core reach the controller; if not, they fault."""

    def store(self, address: int, data: bytes) -> None:
        """The core stored `data`, up to four bytes, at an address in flash."""


@dataclass
class FlashDefects:
    """What is wrong with this piece of silicon."""

    stuck_at_one: dict[int, int] = field(default_factory=dict)  # address of a byte → bits never programmed
    never_ready: bool = False  # the next operation does not end


class FlashArray:
    """The cells of all flash regions of a board."""

    def __init__(self, uc: Any, space: AddressSpace, hook: BlockHook) -> None:
        self._uc = uc
        self._space = space
        self._hook = hook
        self._memories: list[Memory] = []
        self._controllers: list[FlashController] = []
        self._store_hooks: list[int] = []
        self._truth: dict[int, bytes] = {}  # what a store should have left, where Unicorn wrote it raw
        self._dirty: tuple[int, int] | None = None
        self.defects = FlashDefects()
        self.programmed_bytes = 0  # since power-on

    def add_memory(self, memory: Memory) -> None:
        """A region whose cells these are."""
        self._memories.append(memory)

    def add_controller(self, controller: FlashController) -> None:
        """Registers that let stores through."""
        self._controllers.append(controller)

    # --- for controllers ---

    @property
    def origin(self) -> int:
        """Lowest address."""
        return min(memory.start for memory in self._memories)

    def read(self, address: int, size: int) -> bytes:
        """What the cells hold."""
        self.settle()
        return self._space.read(address, size)

    def program(self, address: int, data: bytes) -> None:
        """Zeros are written, ones leave what is there."""
        self.programmed_bytes += len(data)
        old = self._space.read(address, len(data))
        new = bytearray(a & b for a, b in zip(old, data, strict=True))
        for at, bits in self.defects.stuck_at_one.items():
            if address <= at < address + len(data):
                new[at - address] |= bits
        self._write(address, bytes(new))

    def erase(self, address: int, size: int) -> None:
        """Ones everywhere."""
        self.settle()
        self._write(address, b"\xff" * size)

    # --- for the core ---

    def refused_store(self, page: int) -> bool:
        """The core may not store at `page`: whether it may now, because a controller is open."""
        memory = next((m for m in self._memories if m.start <= page < m.end), None)
        if memory is None or self._store_hooks or not any(c.is_open() for c in self._controllers):
            return False
        import unicorn

        for each in self._memories:
            self._hook.add_range(each.start, each.end, each.start, _GRANTED)
            self._store_hooks.append(
                self._uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._on_store, None, each.start, each.end - 1)
            )
        self._forget_translations()
        return True

    def settle(self) -> None:
        """Put the modelled contents where Unicorn performed a store as to RAM."""
        while self._truth:
            address, data = self._truth.popitem()
            self._uc.mem_write(address, data)

    def between_slices(self) -> None:
        """Nothing runs: mend the cells, drop stale translations, lock stores out if no controller is open."""
        self.settle()
        if self._dirty is not None:
            (start, end), self._dirty = self._dirty, None
            self._space.discard_code(start, end)
        if self._store_hooks and not any(c.is_open() for c in self._controllers):
            for handle in self._store_hooks:
                self._uc.hook_del(handle)
            self._store_hooks.clear()
            for each in self._memories:
                self._hook.remove_range(each.start, _GRANTED)
            self._forget_translations()

    def _on_store(self, _uc: Any, _kind: int, address: int, size: int, value: int, _user: object) -> None:
        self.settle()
        stored = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        for controller in self._controllers:
            if controller.is_open():
                controller.store(address, stored)
        self._truth.clear()
        left = bytes(self._uc.mem_read(address, size))
        if left != stored:
            self._truth[address] = left

    def _write(self, address: int, data: bytes) -> None:
        self._uc.mem_write(address, data)
        start, end = self._dirty or (address, address)
        self._dirty = min(start, address), max(end, address + len(data))

    def _forget_translations(self) -> None:
        import unicorn

        self._uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
        self._uc.ctl_flush_tb()
