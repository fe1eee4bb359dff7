"""The adapter `host`: this computer, on which an engine's program runs as a child process.

Standard input and output of the child are the line; leaving ends the child, whatever it does.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from device_adapters.child_link import ChildLink
from tinybench.errors import LinkClosed, LinkTimeout, LoadError
from tinybench.target import Device, Image, Link, Target

_START_S = 60.0


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
            link = ChildLink(child, "the program on this computer")
            try:
                _start(link)
                yield link
            finally:
                link.close()


ADAPTERS = (HostAdapter(),)


def _start(link: ChildLink) -> None:
    """Until the program says something, or not: a mute one is the session's to judge."""
    try:
        link.await_start(_START_S)
    except LinkTimeout:
        return
    except LinkClosed as gone:
        raise LoadError(f"the program of this computer does not start: {gone.message}") from gone


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
