"""The adapter `host`: this computer, on which an engine's program runs as a child process.

Standard input and output of the child are the line; leaving ends the child, whatever it does.
"""

from __future__ import annotations

import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO

from tinybench.errors import LinkClosed, LinkTimeout, LoadError
from tinybench.target import Device, Image, Link, Target

_READ_BYTES = 65536
_END_S = 5.0


class HostAdapter:
    """This computer: one device, always there."""

    name = "host"
    simulated = False

    def find(self, target: Target) -> Sequence[Device]:
        """One device for the target whose core is the host's."""
        if target.core.name != "host":
            return ()
        return (Device("host", target, self.name, simulated=False, details=_details()),)

    @contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """Start the image's program in a process of its own; LoadError if it is none of this computer's."""
        if not image.elf.is_file():
            raise LoadError(f"`{image.elf}` is no program for `{device.id}`")
        words = [sys.executable, "-m", "tinybench.host_program", str(image.elf), image.build_id]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
            link = HostLink(child)
            try:
                yield link
            finally:
                link.close()


ADAPTERS = (HostAdapter(),)


class HostLink:
    """The host's end of a child's standard input and output.

    A thread reads: pipes have no deadlines on every system.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ended = False
        assert child.stdout is not None
        self._reader = threading.Thread(target=_drain, args=(child.stdout, self._said), daemon=True)
        self._reader.start()

    def write(self, data: bytes) -> None:
        """Send all of `data`; LinkClosed if the child is gone."""
        if self._ended or self._child.stdin is None:
            raise LinkClosed("the program on this computer was ended")
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def read(self, within_s: float) -> bytes:
        """What the child said, at least one byte; LinkTimeout, or LinkClosed if it is gone."""
        if self._ended:
            raise LinkClosed("the program on this computer was ended")
        try:
            said = self._said.get(timeout=within_s) if within_s > 0 else self._said.get_nowait()
        except queue.Empty:
            raise LinkTimeout(f"the program on this computer said nothing within {within_s:g} s") from None
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
        code = self._child.poll()
        return LinkClosed(f"the program on this computer has ended with code `{code}`")


def _drain(stream: IO[bytes], said: queue.SimpleQueue[bytes]) -> None:
    """Everything the child says, and then nothing: its end."""
    with suppress(OSError, ValueError):
        while data := stream.read(_READ_BYTES):
            said.put(data)
    said.put(b"")


def _details() -> Mapping[str, str]:
    """What tells one computer's numbers from another's."""
    return MappingProxyType({"core": f"host {platform.machine()} {_processor()}".strip()})


def _processor() -> str:
    """The processor's name as the system states it, where it does."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor()
