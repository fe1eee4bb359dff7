"""A desk of virtual boards: plug some in, run a program among them, take everything away again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from virtual_desk import wire
from virtual_desk.faults import BoardSettings, Faults

_HERE = Path(__file__).resolve().parent.parent
_GOODBYE_S = 10.0


@dataclass(frozen=True)
class Kind:
    """How a type of board comes: its probe, the probe's board id, the letters in its unit's id."""

    probe: str
    board_id: str
    letters: str
    product: str = "STM32 STLink"


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "nucleo-f746": Kind("stlink", "0816", "F746"),
        "nucleo-f767zi": Kind("stlink", "0818", "F767"),
        "nucleo-l4r5zi": Kind("stlink", "0776", "L4R5"),
        "b-l475e-iot01a": Kind("stlink", "0764", "L475"),
        "nucleo-h743zi": Kind("stlink-v3", "0836", "H743", "STLINK-V3"),
        "nrf52840-dk": Kind("cmsis-dap", "1102", "N528", "DAPLink CMSIS-DAP"),
        "rpi-pico": Kind("cmsis-dap", "0000", "PICO", "Debug Probe (CMSIS-DAP)"),
    }
)


@dataclass(frozen=True)
class VirtualBoard:
    """One board that is plugged in; its process is the plug."""

    settings: BoardSettings
    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def uid(self) -> str:
        """The probe's unique id."""
        return self.settings.uid

    @property
    def tty(self) -> str:
        """The serial port's device."""
        return str(self._asked(wire.INFO)["tty"])

    @property
    def is_claimed(self) -> bool:
        """Whether a program holds the probe."""
        return bool(self._asked(wire.STATE)["claimed"])

    @property
    def programmed_bytes(self) -> int:
        """Bytes of flash programmed since it was plugged in."""
        return int(self._asked(wire.STATE)["programmed_bytes"])

    @property
    def claims(self) -> int:
        """How often its probe was opened."""
        return int(self._asked(wire.STATE)["claims"])

    @property
    def is_locked(self) -> bool:
        """Whether its chip keeps debuggers out."""
        return bool(self._asked(wire.STATE)["locked"])

    def unplug(self) -> None:
        """kill -9: no goodbye, a stale socket is left behind."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """The probe is there and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """Take it away in order; it must not need to be killed twice."""
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            self.unplug()
        self.process.stdout.close()
        self.socket.unlink(missing_ok=True)

    def _asked(self, letter: bytes) -> dict[str, Any]:
        with wire.Connection(self.socket) as connection:
            answer: dict[str, Any] = json.loads(connection.ask(letter))
        return answer


class VirtualDesk:
    """`folder` holds the boards' sockets. Use as a context manager: leaving takes every board away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boards: list[VirtualBoard] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plug_in(
        self,
        target: str,
        *,
        uid: str | None = None,
        probe: str | None = None,
        serial_uid: str | None = None,
        wall_scale: float = 1.0,
        throttled: bool = True,
        faults: Faults | None = None,
    ) -> VirtualBoard:
        """One more board; returns when it is on the bus."""
        kind = KINDS[target]
        number = len(self.boards) + 1
        settings = BoardSettings(
            target=target,
            uid=uid or uid_of(target, number),
            probe=probe or kind.probe,
            board_id=kind.board_id,
            product=kind.product,
            port_number=number,
            wall_scale=wall_scale,
            throttled=throttled,
            serial_uid=serial_uid,
            faults=faults or Faults(),
        )
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "virtual_desk.board_process",
                str(self.folder),
                json.dumps(settings.as_dict()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": _path(_HERE)},
        )
        assert process.stdout is not None
        board = VirtualBoard(settings, process, self.folder / f"{settings.uid}.sock")
        self.boards.append(board)
        assert process.stdout.readline() == b"ready\n", f"the virtual {target} does not start"
        return board

    def environment(self) -> dict[str, str]:
        """What makes a program sit at this desk."""
        return {wire.FOLDER_VARIABLE: str(self.folder), "PYTHONPATH": _path(_HERE, _HERE / "inside")}

    def close(self) -> None:
        """Take every board away."""
        while self.boards:
            self.boards.pop().close()


def uid_of(target: str, number: int) -> str:
    """24 characters that say VIRTUAL; a CMSIS-DAP probe's begin with the board id, as DAPLink's do."""
    kind = KINDS[target]
    first = kind.board_id if kind.probe == "cmsis-dap" else ""
    return f"{first}VIRTUAL{kind.letters}".ljust(22, "0") + f"{number:02}"


def _path(*folders: Path) -> str:
    kept = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*map(str, folders), *([kept] if kept else [])])
