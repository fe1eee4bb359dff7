"""One virtual board with its probe, as a process of its own: `kill -9` is pulling the plug.

python -m virtual_desk.board_process FOLDER SETTINGS-AS-JSON
It ends when its standard input closes, so that no board outlives the bench that started it.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_adapters.virtual.core import Stop
from virtual_desk import wire
from virtual_desk.faults import BoardSettings
from virtual_desk.serial_side import SerialSide
from virtual_desk.unit import VirtualUnit

_SLICE_INSTRUCTIONS = 200_000
_REST_S = 0.05
_SLOW_LINE_S = 0.001


@dataclass
class _Client:
    socket: socket.socket
    token: bytes = b""


@dataclass
class _Reading:
    """A host that waits for bytes from the IN endpoint."""

    client: _Client
    size: int
    until_s: float


@dataclass
class _Endpoint:
    """What the probe has to say, packet by packet."""

    packets: deque[bytes] = field(default_factory=deque)
    readings: list[_Reading] = field(default_factory=list)


class BoardProcess:
    """Serves the socket, the pty and the core, in turns."""

    def __init__(self, folder: Path, settings: BoardSettings) -> None:
        self._settings = settings
        self._faults = settings.faults
        self._unit = VirtualUnit(settings)
        self._serial = (
            None if self._faults.serial_missing else SerialSide(self._faults, throttled=settings.throttled)
        )
        self._path = folder / f"{settings.uid}.sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._end)
        if self._serial is not None:
            self._selector.register(self._serial.master, selectors.EVENT_READ, lambda: None)
        self._owner: bytes | None = None
        self._claims = 0
        self._endpoint = _Endpoint()
        self._alive = True
        self._frozen = False

    def serve(self) -> None:
        """Until the plug is pulled."""
        rest_s = 0.0
        while self._alive:
            for key, _ in self._selector.select(rest_s):
                key.data()
            self._expire_readings()
            rest_s = _REST_S if self._frozen else min(self._turn(), self._patience_s())
        self._unit.close()
        self._path.unlink(missing_ok=True)

    def _turn(self) -> float:
        """Let the core and the line go on; how long nothing will happen by itself."""
        stop = self._unit.run(_SLICE_INSTRUCTIONS)
        self._look_at_flash()
        if self._serial is not None:
            busy = bool(self._unit.line.to_host or self._unit.line.to_device)
            self._serial.pump(self._unit.line)
            self._look_at_serial(self._serial)
            if self._unit.line.to_device or (stop is Stop.ASKED and busy):
                return 0.0
            if self._serial is not None and self._serial.is_waiting():
                return _SLOW_LINE_S
        return 0.0 if stop in (Stop.BUDGET, Stop.RESET) else _REST_S

    # --- faults that strike at a moment ---

    def _look_at_flash(self) -> None:
        done = self._unit.programmed_bytes
        if _reached(self._faults.unplug_after_flash_bytes, done):
            os._exit(1)
        if _reached(self._faults.hang_after_flash_bytes, done):
            self._frozen = True
        if _reached(self._faults.brown_out_after_flash_bytes, done):
            self._unit.brown_out()

    def _look_at_serial(self, serial: SerialSide) -> None:
        if _reached(self._faults.serial_vanishes_after_bytes, serial.sent_bytes):
            self._selector.unregister(serial.master)
            serial.close()
            self._serial = None

    # --- USB ---

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        client = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._serve_client(client))

    def _end(self) -> None:
        self._alive = False

    def _serve_client(self, client: _Client) -> None:
        try:
            request = client.socket.recv(wire.LARGEST_PACKET_BYTES)
        except OSError:
            request = b""
        if not request:
            self._hang_up(client)
            return
        if self._frozen and request[:1] != wire.INFO:
            return  # what it is, the host's system knows from when it was plugged in; anything else hangs
        answer = self._answer(client, request[:1], request[1:])
        if answer is not None:
            self._send(client, answer)

    def _send(self, client: _Client, answer: bytes) -> None:
        try:
            client.socket.send(answer)
        except OSError:
            self._hang_up(client)

    def _hang_up(self, client: _Client) -> None:
        self._selector.unregister(client.socket)
        client.socket.close()
        self._endpoint.readings = [r for r in self._endpoint.readings if r.client is not client]
        if client.token and client.token == self._owner:
            self._release()

    def _release(self) -> None:
        self._owner = None
        self._endpoint = _Endpoint()
        self._unit.probe_released()

    def _answer(self, client: _Client, letter: bytes, payload: bytes) -> bytes | None:  # noqa: PLR0911 - by letter
        if letter == wire.INFO:
            return wire.answer(json.dumps(self._info()).encode())
        if letter == wire.STATE:
            return wire.answer(json.dumps(self._state()).encode())
        if letter == wire.HELLO:
            client.token = payload
            return wire.answer()
        if letter == wire.CLAIM:
            if self._owner not in (None, client.token):
                return wire.answer(code=errno.EBUSY)
            self._owner = client.token
            self._claims += 1
            if self._claims == self._faults.unplug_on_claim:
                os._exit(1)
            return wire.answer()
        if letter == wire.RELEASE:
            if self._owner == client.token:
                self._release()
            return wire.answer()
        if self._owner != client.token:
            return wire.answer(code=errno.EIO)
        return self._transfer(client, letter, payload)

    def _transfer(self, client: _Client, letter: bytes, payload: bytes) -> bytes | None:
        if letter == wire.OUT:
            said = self._unit.probe.send(payload[1:])
            if said:
                self._endpoint.packets.append(said)
                self._serve_readings()
            return wire.answer()
        _, size, timeout_ms = struct.unpack("<BII", payload)
        self._endpoint.readings.append(_Reading(client, size, time.monotonic() + timeout_ms / 1000))
        self._serve_readings()
        return None

    def _serve_readings(self) -> None:
        while self._endpoint.packets and self._endpoint.readings:
            reading = self._endpoint.readings.pop(0)
            packet = self._endpoint.packets.popleft()
            if len(packet) > reading.size:
                self._endpoint.packets.appendleft(packet[reading.size :])
            self._send(reading.client, wire.answer(packet[: reading.size]))

    def _expire_readings(self) -> None:
        now_s = time.monotonic()
        late = [reading for reading in self._endpoint.readings if reading.until_s <= now_s]
        for reading in late:
            self._endpoint.readings.remove(reading)
            self._send(reading.client, wire.answer(code=errno.ETIMEDOUT))

    def _patience_s(self) -> float:
        now_s = time.monotonic()
        return max(min((r.until_s - now_s for r in self._endpoint.readings), default=_REST_S), 0.0)

    # --- what it says of itself ---

    def _info(self) -> dict[str, Any]:
        settings = self._settings
        return {
            **self._unit.usb,
            "uid": settings.uid,
            "serial_uid": settings.serial_uid or settings.uid,
            "product": settings.product,
            "port_number": settings.port_number,
            "tty": self._serial.path if self._serial is not None else None,
        }

    def _state(self) -> dict[str, Any]:
        return {
            "claimed": self._owner is not None,
            "claims": self._claims,
            "locked": self._unit.is_locked,
            "programmed_bytes": self._unit.programmed_bytes,
        }


def _reached(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit


def main() -> None:
    """Serve one board."""
    folder, settings = sys.argv[1:]
    process = BoardProcess(Path(folder), BoardSettings.from_dict(json.loads(settings)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    process.serve()


if __name__ == "__main__":
    main()
