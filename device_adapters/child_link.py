"""A child process as a Link: its standard input and output are the line, and closing ends it."""

from __future__ import annotations

import queue
import subprocess
import threading
from contextlib import suppress
from typing import IO

from tinybench.errors import LinkClosed, LinkTimeout

_READ_BYTES = 65536
_END_S = 5.0


class ChildLink:
    """The host's end of the standard input and output of `child`, which messages call `what`.

    A thread reads: pipes have no deadlines on every system.
    """

    def __init__(self, child: subprocess.Popen[bytes], what: str) -> None:
        self._child = child
        self._what = what
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._first = b""
        self._ended = False
        assert child.stdout is not None
        self._reader = threading.Thread(target=_drain, args=(child.stdout, self._said), daemon=True)
        self._reader.start()

    def await_start(self, within_s: float) -> None:
        """Until the child has said something, which stays to be read; LinkTimeout, or LinkClosed at its end.

        A busy computer takes seconds to start a program: only the program's own silence counts as silence.
        """
        self._first = self.read(within_s)

    def write(self, data: bytes) -> None:
        """Send all of `data`; LinkClosed if the child is gone."""
        if self._ended or self._child.stdin is None:
            raise LinkClosed(f"{self._what} was ended")
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def read(self, within_s: float) -> bytes:
        """What the child said, at least one byte; LinkTimeout, or LinkClosed if it is gone."""
        if self._ended:
            raise LinkClosed(f"{self._what} was ended")
        if self._first:
            said, self._first = self._first, b""
            return said
        try:
            said = self._said.get(timeout=within_s) if within_s > 0 else self._said.get_nowait()
        except queue.Empty:
            raise LinkTimeout(f"{self._what} said nothing within {within_s:g} s") from None
        if not said:
            self._said.put(b"")
            raise self._gone()
        return said

    def close(self) -> None:
        """End the child; twice is once."""
        self._ended = True
        if self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()
        self._child.kill()
        self._child.wait(_END_S)
        self._reader.join(_END_S)

    def _gone(self) -> LinkClosed:
        code = None
        with suppress(subprocess.TimeoutExpired):
            code = self._child.wait(_END_S)  # its end was read before it was its parent's to know
        return LinkClosed(f"{self._what} has ended with code `{code}`")


def _drain(stream: IO[bytes], said: queue.SimpleQueue[bytes]) -> None:
    """Everything the child says, and then nothing: its end."""
    with suppress(OSError, ValueError):
        while data := stream.read(_READ_BYTES):
            said.put(data)
    said.put(b"")
