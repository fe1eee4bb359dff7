"""The block hook in Python, for a machine without a C compiler: the numbers of profile.c, far slower."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from device_adapters.virtual import thumb
from device_adapters.virtual.profile import (
    FOREVER,
    OUTSIDE,
    Access,
    Block,
    Cause,
    Edge,
    Permission,
    Watch,
)

_NOWHERE = Block(0, 0, 0)
_PAGE_BYTES = 1024
_IT_BITS = 0x0600FC00
_THUMB_BIT = 1 << 24


@dataclass(frozen=True)
class _Frame:
    started: int
    return_address: int
    sp: int
    watch: int
    context: int


@dataclass(frozen=True)
class _Range:
    start: int
    end: int
    target: int
    permissions: int


class PythonHook:
    """A `BlockHook` without native code."""

    kind = "python"

    def __init__(self) -> None:
        self.executed = 0
        self.stop_at = FOREVER
        self.interrupt = 0
        self.traps = 0
        self.quiet = False
        self.cause = int(Cause.NONE)
        self.refused_page = 0
        self.refused_kind = 0
        self._uc: Any = None
        self._arm: Any = None
        self._ranges: list[_Range] = []
        self._executed_pages: set[int] = set()
        self._watches: list[Watch] = []
        self._watched: dict[int, int] = {}
        self._blocks: dict[tuple[int, int], tuple[Block, int]] = {}
        self._counts: defaultdict[tuple[int, Block, Block], int] = defaultdict(int)
        self._calls: list[tuple[int, int]] = []
        self._frames: list[_Frame] = []
        self._context = OUTSIDE
        self._last = self._previous = _NOWHERE
        self._last_edge: tuple[int, Block, Block] | None = None

    def attach(self, uc: Any) -> None:
        """Install the hooks."""
        import unicorn as u
        from unicorn import arm_const

        self._uc, self._arm = uc, arm_const
        uc.hook_add(u.UC_HOOK_BLOCK, self._on_block)
        uc.hook_add(u.UC_HOOK_TLB_FILL, self._on_tlb)
        uc.hook_add(u.UC_HOOK_MEM_READ_PROT | u.UC_HOOK_MEM_WRITE_PROT, self._on_device)

    @property
    def running(self) -> tuple[int, int]:
        """Address and size of the block that ran last; (0, 0) if that is not known."""
        return self._last.address, self._last.size

    def add_range(self, start: int, end: int, target: int, permissions: int) -> None:
        """Let the core touch [start, end), found at the physical address `target`."""
        self._ranges.append(_Range(start, end, target, permissions))

    def remove_range(self, start: int, permissions: int) -> None:
        """Take back what `add_range` granted with the same start and permissions."""
        found = next(
            known for known in self._ranges if (known.start, known.permissions) == (start, permissions)
        )
        self._ranges.remove(found)

    def watch(self, watch: Watch) -> None:
        """Measure every call of a function."""
        self._watched.setdefault(watch.address, len(self._watches))
        self._watches.append(watch)

    def account(self, address: int, size: int) -> None:
        """Count instructions that ran outside the hook."""
        self._leave(address)
        self._count(*self._block(address, size))

    def truncate(self, pc: int) -> None:
        """The running block broke off before the instruction at `pc`."""
        block = self._last
        if self._last_edge is None or not block.address <= pc < block.address + block.size:
            return
        self._counts[self._last_edge] -= 1
        self.executed -= block.instructions
        self._last = self._previous
        self._last_edge = None
        if pc == block.address:
            return
        part, _ = self._block(block.address, pc - block.address)
        self._counts[self._context, self._last, part] += 1
        self.executed += part.instructions
        self._last = part

    def break_chain(self) -> None:
        """What runs next did not come from the running block."""
        self._last = self._previous = _NOWHERE
        self._last_edge = None

    def forget(self, start: int, end: int) -> None:
        """The bytes in [start, end) were changed from outside."""
        for address, size in [key for key in self._blocks if key[0] < end and sum(key) > start]:
            del self._blocks[address, size]

    def restart(self) -> None:
        """The core was reset: no function is being executed. Counts are kept."""
        self._frames.clear()
        self._context = OUTSIDE
        self.break_chain()

    def reset(self) -> None:
        """Count from zero."""
        self._counts.clear()
        self._calls.clear()
        self._last_edge = None

    def edges(self) -> list[Edge]:
        """What was counted since the last reset, without edges that never ran."""
        return [Edge(context, source, to, n) for (context, source, to), n in self._counts.items() if n]

    def invocations(self) -> list[tuple[int, int]]:
        """(index of the watch, inclusive instructions) of each finished call, in the order of returns."""
        return list(self._calls)

    def close(self) -> None:
        """Let go of the engine."""
        self._uc = None

    def _stop(self, cause: Cause) -> None:
        self.cause = int(cause)
        self._uc.emu_stop()

    def _on_block(self, _uc: Any, address: int, size: int, _user: object) -> None:
        if self.quiet:
            return
        if self.executed >= self.stop_at:
            self._stop(Cause.BUDGET)
        elif self.interrupt and self._interrupt_is_open():
            self._stop(Cause.INTERRUPT)
        else:
            self._leave(address)
            block, found = self._block(address, size)
            if found & self.traps:
                self._stop(Cause.TRAP)
            else:
                self._count(block, found)

    def _interrupt_is_open(self) -> bool:
        read, arm = self._uc.reg_read, self._arm
        if read(arm.UC_ARM_REG_PRIMASK) & 1 or read(arm.UC_ARM_REG_FAULTMASK) & 1:
            return False
        mask = read(arm.UC_ARM_REG_BASEPRI)
        return bool(mask == 0 or self.interrupt - 1 < mask)

    def _block(self, address: int, size: int) -> tuple[Block, int]:
        known = self._blocks.get((address, size))
        if known is None:
            code = bytes(self._uc.mem_read(self._physical(address), size))
            known = Block(address, size, thumb.count(code)), thumb.traits(code)
            self._blocks[address, size] = known
        return known

    def _count(self, block: Block, _traits: int) -> None:
        watch = self._watched.get(block.address)
        if watch is not None:
            self._enter(watch)
        edge = self._context, self._last, block
        self._counts[edge] += 1
        self.executed += block.instructions
        self._previous, self._last, self._last_edge = self._last, block, edge

    def _enter(self, watch: int) -> None:
        sp = self._uc.reg_read(self._arm.UC_ARM_REG_R13) & 0xFFFFFFFF
        return_address = self._uc.reg_read(self._arm.UC_ARM_REG_R14) & 0xFFFFFFFE
        if self._frames:
            top = self._frames[-1]
            if (top.watch, top.sp, top.return_address) == (watch, sp, return_address):
                return
        self._frames.append(_Frame(self.executed, return_address, sp, watch, self._context))
        if self._watches[watch].operator != OUTSIDE:
            self._context = self._watches[watch].operator

    def _leave(self, address: int) -> None:
        if not self._frames or self._frames[-1].return_address != address:
            return
        sp = self._uc.reg_read(self._arm.UC_ARM_REG_R13) & 0xFFFFFFFF
        while self._frames and (self._frames[-1].return_address, self._frames[-1].sp) == (address, sp):
            frame = self._frames.pop()
            self._calls.append((frame.watch, self.executed - frame.started))
            self._context = frame.context

    def _physical(self, address: int) -> int:
        for known in self._ranges:
            if known.start <= address < known.end:
                return known.target + address - known.start
        return address

    def _on_tlb(self, _uc: Any, page: int, kind: int, entry: Any, _user: object) -> bool:
        need = {Access.WRITE: Permission.WRITE, Access.FETCH: Permission.EXEC}.get(
            Access(kind), Permission.READ
        )
        for known in self._ranges:
            if known.start <= page < known.end and known.permissions & need:
                entry.paddr = known.target + page - known.start
                entry.perms = self._grant(known, page, kind)
                if kind != Access.FETCH:
                    self._clear_it()
                return True
        self.refused_page, self.refused_kind = page, kind
        return False

    def _grant(self, known: _Range, page: int, kind: int) -> int:
        both = Permission.WRITE | Permission.EXEC
        if known.permissions & both != both:
            return known.permissions
        if kind == Access.FETCH:
            self._executed_pages.add(page)
            return Permission.READ | Permission.EXEC
        if kind == Access.WRITE and page in self._executed_pages:
            self._uc.ctl_remove_cache(page, page + _PAGE_BYTES)
            self.forget(page, page + _PAGE_BYTES)
            self._executed_pages.discard(page)  # last: removing may itself ask for the page as code
        return Permission.READ if page in self._executed_pages else Permission.READ | Permission.WRITE

    def _on_device(self, *_arguments: object) -> bool:
        self._clear_it()
        return True

    def _clear_it(self) -> None:
        if self._uc.reg_read(self._arm.UC_ARM_REG_XPSR) & _IT_BITS:
            self._uc.reg_write(self._arm.UC_ARM_REG_EPSR, _THUMB_BIT)
