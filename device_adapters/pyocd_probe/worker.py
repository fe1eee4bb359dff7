"""The child that holds a probe: `python -m device_adapters.pyocd_probe.worker`, asked by process.py.

One line of JSON in, one out. Whatever pyOCD prints goes to stderr, whatever it raises becomes one of our
errors by name (causes.py): this is the boundary at which pyOCD's exceptions stop.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from device_adapters.pyocd_probe import algorithms, causes
from device_adapters.pyocd_probe.facts import ProbeFacts
from tinybench.elf import load_segments
from tinybench.errors import DeviceNotFound, LoadError, SetupError, TinyBenchError, UsageError

# Armv7-M ARM B3.2: fault status and address registers
_FAULT_REGISTERS = {"cfsr": 0xE000ED28, "hfsr": 0xE000ED2C, "mmfar": 0xE000ED34, "bfar": 0xE000ED38}
_READ_BACK_BYTES = 1 << 14
_EXC_RETURN = 0xFFFFFF  # upper 24 bits of LR in a handler: Armv7-M ARM B1.5.8


class Worker:
    """Answers questions about one probe."""

    def __init__(self) -> None:
        self._session: Any = None

    def list(self) -> dict[str, Any]:
        """Every probe that is plugged in, and the target its board id stands for."""
        from pyocd.core.helpers import ConnectHelper

        probes = ConnectHelper.get_all_connected_probes(blocking=False)
        return {
            "probes": [
                {
                    "uid": probe.unique_id,
                    "description": f"{probe.vendor_name} {probe.product_name}".strip(),
                    "target": info.target if (info := probe.associated_board_info) else None,
                }
                for probe in probes
            ]
        }

    def connect(
        self, *, uid: str, facts: dict[str, Any], pack: str | None, unlock: bool, cache: str
    ) -> dict[str, Any]:
        """Open the probe `uid`, halt the core and check that the chip is the one the board's TOML names."""
        from pyocd.core import exceptions

        known = ProbeFacts.model_validate(facts)
        target = _choose_target(known, pack, Path(cache))
        options = {
            "target_override": target,
            "pack": pack,
            "auto_unlock": unlock,
            "connect_mode": "halt",
            "hide_programming_progress": True,
            "resume_on_disconnect": False,
            "chip_erase": "sector",
            "keep_unwritten": False,
        }
        try:
            self._open(uid, options)
        except exceptions.Error as error:
            if "not detected" not in str(error):
                raise
            # the firmware on the chip may have disabled its debug pins
            self._open(uid, {**options, "connect_mode": "under-reset"})
        self._check_chip(known)
        return {"target": target}

    def load(self, elf: str) -> dict[str, Any]:
        """Program the image's segments, having made sure that pyOCD's map of the chip holds them all."""
        from pyocd.flash.file_programmer import FileProgrammer

        memory_map = self._session.board.target.memory_map
        for address, data in load_segments(Path(elf)):
            region = memory_map.get_region_for_address(address)
            if region is None or not region.is_flash or not region.contains_range(address, length=len(data)):
                raise LoadError(f"pyOCD knows no flash for {len(data)} bytes at 0x{address:08x}")
        FileProgrammer(self._session, smart_flash=True, trust_crc=False).program(elf, file_format="elf")
        return {}

    def verify(self, elf: str) -> dict[str, Any]:
        """Read back every byte that was to be written: pyOCD does not."""
        target = self._session.board.target
        for address, data in load_segments(Path(elf)):
            for offset in range(0, len(data), _READ_BACK_BYTES):
                wanted = data[offset : offset + _READ_BACK_BYTES]
                found = bytes(target.read_memory_block8(address + offset, len(wanted)))
                if found != wanted:
                    at = next(i for i, (a, b) in enumerate(zip(wanted, found, strict=True)) if a != b)
                    raise LoadError(
                        f"flash at 0x{address + offset + at:08x} reads 0x{found[at]:02x} "
                        f"after 0x{wanted[at]:02x} was programmed",
                        hint="try once more; a bit that stays stuck means worn or damaged flash",
                    )
        return {}

    def start(self) -> dict[str, Any]:
        """Reset the chip and let it run, with no trace of this visit in its fault status."""
        target = self._session.board.target
        target.selected_core.clear_debug_cause_bits()
        target.reset()
        return {}

    def diagnose(self) -> dict[str, Any]:
        """Why the firmware is silent: the core's state, registers and fault status; the core halts."""
        target = self._session.board.target
        state = target.get_state().name.lower()
        if state != "halted":
            target.halt()
        registers = {
            name: target.read_core_register_raw(name) & 0xFFFFFFFF for name in ("pc", "lr", "sp", "xpsr")
        }
        registers |= {name: target.read32(address) for name, address in _FAULT_REGISTERS.items()}
        return {"state": state, "registers": registers, "stacked": self._stacked(registers)}

    def close(self) -> None:
        """Let go of the probe."""
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def _open(self, uid: str, options: dict[str, Any]) -> None:
        from pyocd.core.session import Session

        self.close()
        self._session = Session(_probe(uid), auto_open=False, no_config=True, options=options)
        self._session.open()

    def _check_chip(self, facts: ProbeFacts) -> None:
        chip = facts.chip_id
        found = self._session.board.target.read32(chip.address) & chip.mask
        if found not in chip.values:
            wanted = " or ".join(f"0x{value:x}" for value in chip.values)
            raise LoadError(
                f"the chip behind this probe is not {chip.name}: its id reads 0x{found:x}, not {wanted}",
                hint="is the probe on the board that you named? `tinybench devices` lists both",
            )

    def _stacked(self, registers: dict[str, int]) -> dict[str, int] | None:
        """PC, LR and xPSR as the exception stacked them (Armv7-M ARM B1.5.6), if the core is in a handler."""
        handler_mode = registers["xpsr"] & 0x1FF
        if not handler_mode or registers["lr"] >> 8 != _EXC_RETURN:
            return None
        target = self._session.board.target
        pointer = target.read_core_register_raw("psp" if registers["lr"] & 4 else "msp")
        lr, pc, psr = target.read_memory_block32(pointer + 20, 3)
        return {"pc": pc, "lr": lr, "psr": psr}


def _probe(uid: str) -> Any:
    """The one probe whose id is `uid`, or whose id alone contains it; never a prompt."""
    from pyocd.core.helpers import ConnectHelper

    probes = ConnectHelper.get_all_connected_probes(blocking=False)
    exact = [probe for probe in probes if probe.unique_id == uid]
    matching = exact or [probe for probe in probes if uid.lower() in probe.unique_id.lower()]
    if not matching:
        raise DeviceNotFound(f"the probe `{uid}` is not plugged in", hint="tinybench devices")
    if len(matching) > 1:
        raise UsageError(
            f"`{uid}` means {len(matching)} probes: {', '.join(probe.unique_id for probe in matching)}",
            hint="write the whole id",
        )
    return matching[0]


def _choose_target(facts: ProbeFacts, pack: str | None, cache: Path) -> str:
    """A pack that the user names or has installed wins, then what pyOCD knows, then our own algorithm."""
    from pyocd.target import TARGET
    from pyocd.target.pack import pack_target

    if pack is not None:
        if not Path(pack).exists():
            raise SetupError(f"there is no pack `{pack}`", hint="name the file: --pack FILE")
        pack_target.PackTargets.populate_targets_from_pack(pack)
        names = [name for name in facts.pyocd_targets if name in TARGET]
        if not names:
            raise SetupError(f"the pack `{pack}` does not hold `{facts.pyocd_targets[0]}`")
        return names[0]
    for name in facts.pyocd_targets:
        pack_target.ManagedPacks.populate_target(name)
        if name in TARGET:
            return name
    if facts.algorithm is None:
        raise SetupError(
            f"pyOCD does not know `{facts.pyocd_targets[0]}`",
            hint=f"pyocd pack install {facts.pyocd_targets[0]}",
        )
    return algorithms.register(facts.pyocd_targets[0], facts.algorithm, cache)


def _answer(verbs: dict[str, Callable[..., dict[str, Any]]], request: dict[str, Any]) -> dict[str, Any]:
    stage = request.pop("do")
    try:
        return verbs[stage](**request)
    except TinyBenchError as error:
        return _told(type(error).__name__, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - pyOCD lets KeyError, USBError, ELFError, EOFError … through
        cause = causes.cause_of(error, stage)
        return _told(cause.error, cause.message, cause.hint)


def _told(kind: str, message: str, hint: str | None) -> dict[str, Any]:
    return {"error": kind, "message": message, "hint": hint}


def main() -> None:
    """Answer until the parent closes the pipe, then let go of the probe."""
    answers: IO[bytes] = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker()
    verbs = {
        name: getattr(worker, name) for name in ("list", "connect", "load", "verify", "start", "diagnose")
    }
    try:
        for line in sys.stdin.buffer:
            answers.write(json.dumps(_answer(verbs, json.loads(line))).encode() + b"\n")
            answers.flush()
    finally:
        worker.close()


if __name__ == "__main__":
    main()
