"""The adapter `virtual`: every target with a `[virtual]` table is a device that is always there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from device_adapters.virtual.table import table_of
from tinybench import faults
from tinybench.errors import DeviceNotFound, FirmwareFault, LinkClosed, LinkTimeout
from tinybench.target import Device, ExecutionProfile, Image, Link, Target

if TYPE_CHECKING:
    from device_adapters.virtual.board import Board
    from device_adapters.virtual.profile import EdgeProfile
    from device_adapters.virtual.symbols import Symbols
    from tinybench.timing.memory import ChipMemory, MemorySettings, Served

_SLICE_INSTRUCTIONS = 2_000_000  # some tens of milliseconds: how often deadline and Ctrl-C are looked at
_BRANCHES_TO_SELF = ((0xE7FE,), (0xF7FF, 0xBFFE))  # B, narrow and wide (Armv7-M ARM, A7.7.12)
_FAULTS = range(2, 7)  # NMI to UsageFault


class VirtualAdapter:
    """Virtual boards inside this process: deterministic, and counting every instruction."""

    name = "virtual"
    simulated = True

    def find(self, target: Target) -> Sequence[Device]:
        """One device for a target that says how to simulate it."""
        if target.virtual is None:
            return ()
        return (Device(id=f"virtual:{target.name}", target=target, adapter=self.name, simulated=True),)

    @contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """Program the image into a new board, start it from reset, and hand back its serial port.

        The link also satisfies CountsInstructions and ObservesMemory. Raises LoadError if the image does not
        fit the memory map.
        """
        from device_adapters.virtual.board import power_on

        table = table_of(device.target)
        if table is None:
            raise DeviceNotFound(f"`{device.target.name}` has no virtual board")
        _need_unicorn()
        board, symbols = power_on(device.target, table, image.elf, inference=image.invoke)
        link = VirtualLink(board, symbols, image)
        try:
            yield link
        finally:
            link.close()


def _need_unicorn() -> None:
    import importlib.util

    from tinybench.errors import SetupError

    if importlib.util.find_spec("unicorn") is None:
        raise SetupError(
            "the virtual boards need the package `unicorn`", hint="pip install 'tinybench-mcu[sim]'"
        )


def _branches_to_itself(board: Board, pc: int) -> bool:
    code = (board.code_halfword(pc), board.code_halfword(pc + 2))
    return any(code[: len(branch)] == branch for branch in _BRANCHES_TO_SELF)


class VirtualLink:
    """The host's end of a virtual board's serial port. Firmware runs only inside `read`."""

    def __init__(self, board: Board, symbols: Symbols, image: Image) -> None:
        self._board: Board | None = board
        self._symbols = symbols
        self._elf = image.elf
        self.simulator = f"unicorn {version('unicorn')}, {board.hook_kind} block hook"

    # --- Link ---

    def write(self, data: bytes) -> None:
        """Put bytes on the wire; the firmware receives them when it runs."""
        self._powered().line.to_device.extend(data)

    def read(self, within_s: float) -> bytes:
        """Run the firmware until it has sent something.

        Raises LinkTimeout after `within_s` seconds of this process's work or of the firmware's own time, of
        which the part spent waiting passes quickly, or at once if nothing can wake it; FirmwareFault if it
        locked up, hangs in a fault, or did what silicon forbids.
        """
        board = self._powered()
        deadline_s = self.own_clock() + within_s
        waited_s = board.waited_s()
        while not board.line.to_host:
            self._complain(board)
            if board.idle and not board.line.to_device:
                raise LinkTimeout("the firmware sleeps, and nothing will wake it")
            if self.own_clock() >= deadline_s or board.waited_s() - waited_s >= within_s:
                raise LinkTimeout(f"the firmware sent nothing within `{within_s:g}` s")
            board.run(_SLICE_INSTRUCTIONS)
        sent = bytes(board.line.to_host)
        board.line.to_host.clear()
        return sent

    def set_baud(self, baud: int) -> None:
        """Change the speed of the host's end."""
        self._powered().line.set_host_baud(baud)

    # --- KeepsOwnTime ---

    def own_clock(self) -> float:
        """Seconds that this process has worked: a computer busy with others does not make the board late."""
        return time.process_time()

    # --- CountsInstructions ---

    def reset_profile(self) -> None:
        """Start counting from zero."""
        self._powered().reset_profile()

    def profile(self) -> ExecutionProfile:
        """What was executed since the last reset of the profile."""
        return self._powered().profile().by_function(self._symbols)

    def edges(self) -> EdgeProfile:
        """The same by edge between blocks, for a timing model."""
        return self._powered().profile()

    # --- ObservesMemory ---

    def observe_memory(self, chip: ChipMemory, settings: MemorySettings) -> None:
        """Count how the chip's memories serve inferences from now on; slower while it does."""
        self._powered().observe_memory(chip, settings)

    def memory_served(self) -> Served:
        """What was counted since `observe_memory`, and stop."""
        return self._powered().memory_served()

    # --- the rest ---

    def close(self) -> None:
        """Power off; twice is once."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _powered(self) -> Board:
        if self._board is None:
            raise LinkClosed("the virtual board is switched off")
        return self._board

    def _complain(self, board: Board) -> None:
        """Raise FirmwareFault if nothing good can come any more."""
        core = board.core
        if board.refusal is not None:
            raise self._fault(board.refusal, {"pc": core.registers.pc, "lr": core.registers.read("lr")})
        first, last = core.exceptions.first_fault, core.exceptions.last_fault
        stuck = _branches_to_itself(board, core.registers.pc) and any(
            number in core.system.active for number in _FAULTS
        )
        if not core.locked_up and not stuck:
            return
        what = "locked up" if core.locked_up else "hangs in its fault handler"
        if first is None or last is None:
            raise self._fault(f"the core {what}: there is no vector table", {})
        if stuck and board.spoke_since_fault:
            return  # it said so itself
        where = {"pc": first.pc, "lr": first.lr}
        why = {"cfsr": last.cfsr, "hfsr": last.hfsr, "mmfar": last.mmfar, "bfar": last.bfar}
        raise self._fault(f"the core {what}", where | why)

    def _fault(self, message: str, registers: dict[str, int]) -> FirmwareFault:
        error = FirmwareFault(message)
        for line in faults.explain(self._elf, registers):
            error.add_note(line)
        return error
