"""Boards that already run MLPerf Tiny firmware, from anyone: `--device serial:/dev/ttyACM0`.

Nothing is flashed and nothing is reset on purpose (opening the port may reset a board that wires DTR so).
`serial:PORT@BAUD` fixes the speed; without it the usual ones are tried until `name` is answered. PORT may
be any URL that pyserial understands (`socket://host:port`, `rfc2217://…`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from device_adapters.serial_link import SerialLink, no_such_port
from tinybench.errors import DeadlineExceeded, LinkTimeout, UsageError
from tinybench.inventory import is_virtual
from tinybench.links import Clock, Deadline, Lines, text
from tinybench.target import Device, Flashed, Image, Joined, Link, Target

SCHEME = "serial:"
# What the firmwares of MLPerf Tiny are built for: most tasks, ad01, energy mode; and then what others use.
RATES = (115200, 921600, 9600, 460800, 230400, 57600, 38400, 19200)
BOOT_S = 2.0  # the official runner sleeps as long after opening the port
_ANSWER_S = 1.0
_ASKED = 2  # what a wrong rate left in the device's buffer spoils the first question, not the second


class _Tunable(Link, Protocol):
    def set_baud(self, baud: int) -> None: ...


def look_for(port: str) -> bool:
    """Whether the port is one of a virtual desk; DeviceNotFound if it is nowhere. URLs are not looked for."""
    if "://" in port:
        return False
    from serial.tools import list_ports

    there = str(Path(port).resolve())
    seen = [known for known in list_ports.comports() if known.device in (port, there)]
    if not seen and not Path(port).exists():
        raise no_such_port(port)
    return any(is_virtual(known.serial_number) for known in seen)


class SerialPort:
    """Serial ports: `look_for` finds one, `open_port` opens it, `clock` bounds the search for its speed."""

    name = "serial"
    simulated = False

    def __init__(
        self,
        open_port: Callable[[str, int], SerialLink] = SerialLink,
        clock: Clock = time.monotonic,
        look_for: Callable[[str], bool] = look_for,
    ) -> None:
        self._open_port = open_port
        self._clock = clock
        self._look_for = look_for

    def find(self, target: Target) -> Sequence[Device]:  # noqa: ARG002 - the seam's signature
        """Nothing: what a board on a port is of cannot be told from here."""
        return ()

    def open(self, device: Device, image: Image) -> AbstractContextManager[Link]:
        """Refused: this adapter loads nothing."""
        raise UsageError(
            f"image `{image.build_id[:12]}` cannot be loaded on `{device.id}` through a serial port",
            hint="name a board with a debug probe: tinybench devices",
        )

    def flashed(self, word: str) -> Flashed | None:
        """The port of `serial:PORT` or `serial:PORT@BAUD`; it is looked for, and not opened.

        Raises UsageError if one is named badly, DeviceNotFound if there is no such port.
        """
        if not word.startswith(SCHEME):
            return None
        match = re.fullmatch(r"(.+?)(?:@([0-9]+))?", word.removeprefix(SCHEME))
        if match is None:
            raise UsageError(f"`{word}` names no port", hint="--device serial:/dev/ttyACM0")
        baud = int(match[2]) if match[2] else None
        if baud == 0:
            raise UsageError(f"`{word}` has no speed", hint=f"--device {SCHEME}{match[1]}@115200")
        return Flashed(word, match[1], baud, virtual=self._look_for(match[1]))

    @contextmanager
    def join(self, unit: Flashed) -> Iterator[Joined]:
        """The port, held by this process alone, at the speed at which `name` is answered.

        Raises DeviceNotFound, DeviceError if the port is taken, DeadlineExceeded if no speed is answered,
        LinkClosed.
        """
        with self._open_port(unit.port, unit.baud or RATES[0]) as link:
            if unit.baud is not None:
                yield Joined(link, unit.baud)
            else:
                yield find_baud(link, unit.port, clock=self._clock)


def find_baud(link: _Tunable, port: str, *, clock: Clock, rates: Sequence[int] = RATES) -> Joined:
    """The link at the first of `rates` at which the device answers to `name`, and what it said before.

    Raises DeadlineExceeded if it answers at none.
    """
    wait = BOOT_S
    for baud in rates:
        link.set_baud(baud)
        boot = _settle(link, wait, clock)
        if any(_answers(link, clock) for _ in range(_ASKED)):
            _settle(link, 0.0, clock)
            return Joined(link, baud, boot)
        wait = 0.0
    raise DeadlineExceeded(
        f"nobody answers to `name` on `{port}` at any of {', '.join(map(str, rates))} baud",
        hint=f"does the firmware speak the MLPerf Tiny protocol? another speed: {SCHEME}{port}@BAUD",
    )


def _settle(link: Link, within_s: float, clock: Clock) -> tuple[str, ...]:
    """What a device says that was reset by opening its port: up to `m-ready`, or a silence."""
    lines, deadline = Lines(link), Deadline.after(within_s, clock)
    said: list[bytes] = []
    try:
        while not said or not said[-1].endswith(b"m-ready"):
            said.append(lines.read(deadline))
    except LinkTimeout:
        pass
    lines.unread()
    return tuple(map(text, said))


def _answers(link: Link, clock: Clock) -> bool:
    """Whether `name` is answered as a device of the protocol does, to the end of its reply."""
    lines, deadline = Lines(link), Deadline.after(_ANSWER_S, clock)
    link.write(b"name%")
    try:
        while b"m-name-" not in lines.read(deadline):
            pass
        while not lines.read(deadline).endswith(b"m-ready"):
            pass
    except LinkTimeout:
        return False
    return True


ADAPTERS = (SerialPort(),)
