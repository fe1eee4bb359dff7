"""How the virtual USB bus reaches a board's process: one packet each way over a unix socket.

A request is one letter and its payload; an answer is an errno (0: done) and its payload.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any, Self

FOLDER_VARIABLE = "TINYBENCH_VIRTUAL_DESK"
LARGEST_PACKET_BYTES = 1 << 17
INFO, HELLO, CLAIM, RELEASE, OUT, IN, STATE = b"I", b"H", b"C", b"R", b"O", b"N", b"S"


class Connection:
    """One end at the host."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if no process listens there: it was unplugged."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, letter: bytes, payload: bytes = b"") -> bytes:
        """The answer's payload; raises OSError with the answer's errno, or if the board is gone."""
        self._socket.send(letter + payload)
        answer = self._socket.recv(LARGEST_PACKET_BYTES)
        if not answer:
            raise ConnectionResetError
        (code,) = struct.unpack_from("<i", answer)
        if code:
            raise OSError(code, os.strerror(code))
        return answer[4:]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def answer(payload: bytes = b"", code: int = 0) -> bytes:
    """One packet back."""
    return struct.pack("<i", code) + payload


def plugged_in(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every board whose process lives, with what it says of itself; a stale socket is no board."""
    found = []
    for path in sorted(folder.glob("*.sock")):
        try:
            with Connection(path) as connection:
                found.append((path, json.loads(connection.ask(INFO))))
        except OSError:
            continue
    return found
