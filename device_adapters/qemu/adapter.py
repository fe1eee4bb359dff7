"""The adapter `qemu`: every target with a `[qemu]` table, on the machine that the table names.

[qemu]
machine = "mps2-an386"

A guest's standard serial port is this process's pipe to it; leaving ends QEMU, whatever the guest does. QEMU
is right about what is computed and wrong about when: nothing is timed on it. Instructions are counted by a
plugin (count.c) where a C compiler is there to build it and QEMU takes it, and otherwise not at all.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from device_adapters.child_link import ChildLink
from device_adapters.qemu.counting import Counting, plugin, watched
from device_adapters.virtual.symbols import Symbols
from tinybench.errors import LinkClosed, LinkTimeout, LoadError, SetupError, UsageError
from tinybench.records import Record
from tinybench.target import Device, ExecutionProfile, Image, Link, Target

PROGRAM = "qemu-system-arm"
_VERSION_S = 20.0
_START_S = 20.0


class Machine(Record):
    """The `[qemu]` table: QEMU's name of the machine, and options of it (`-cpu` …), word by word."""

    machine: str
    options: tuple[str, ...] = ()


class QemuAdapter:
    """Boards that QEMU emulates, each in a process of its own."""

    name = "qemu"
    simulated = True

    def find(self, target: Target) -> Sequence[Device]:
        """One device for a target that names its machine, whether QEMU is installed or not."""
        if machine_of(target) is None:
            return ()
        return (Device(id=f"qemu:{target.name}", target=target, adapter=self.name, simulated=True),)

    @contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """Start the machine with the image in its memory, and hand back its serial port.

        Raises SetupError without QEMU, LoadError if it does not take the image.
        """
        machine = machine_of(device.target)
        if machine is None:
            raise UsageError(f"`{device.target.name}` names no machine of QEMU")
        program = _program(device.target)
        with ExitStack() as open_things:
            folder = Path(open_things.enter_context(tempfile.TemporaryDirectory(prefix="tinybench-qemu-")))
            counting = _counting(folder, image, open_things)
            words = [program, *_words(machine, image.elf, counting)]
            errors = open_things.enter_context((folder / "stderr").open("w+b"))
            child = open_things.enter_context(
                subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
                )
            )
            link = ChildLink(child, f"`{PROGRAM}` with machine `{machine.machine}`")
            open_things.callback(link.close)
            _start(link, program, errors)
            yield link if counting is None else CountingLink(link, counting, f"QEMU {_version(program)}")


ADAPTERS = (QemuAdapter(),)


class CountingLink:
    """A guest's serial port, and the plugin's counts beside it."""

    def __init__(self, link: ChildLink, counting: Counting, simulator: str) -> None:
        self.simulator = f"{simulator}, TCG plugin"
        self._counting = counting
        self.write, self.read = link.write, link.read

    def reset_profile(self) -> None:
        """Start counting from zero."""
        self._counting.reset()

    def profile(self) -> ExecutionProfile:
        """What was executed since the last reset of the profile, waiting included."""
        return self._counting.profile()


def machine_of(target: Target) -> Machine | None:
    """The validated table of a target, None if it has none; raises UsageError naming the wrong field."""
    if target.qemu is None:
        return None
    try:
        return Machine.model_validate(target.qemu)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"`{target.name}.toml`: qemu.{where}: {first['msg']}") from error


def _program(target: Target) -> str:
    found = shutil.which(PROGRAM)
    if found is None:
        other = f", or --device virtual:{target.name}" if target.virtual is not None else ""
        raise SetupError(f"`{PROGRAM}` is not installed", hint=f"apt install qemu-system-arm{other}")
    return found


def _counting(folder: Path, image: Image, open_things: ExitStack) -> Counting | None:
    """Counts of this image, if there is a plugin and a function that is one inference."""
    from elftools.common.exceptions import ELFError

    try:
        symbols = Symbols.of(image.elf)
    except (OSError, ELFError) as error:
        raise LoadError(f"`{image.elf.name}` cannot be read as an ELF file: {error}") from error
    functions = watched(symbols, image.invoke)
    if not functions or plugin() is None:
        return None
    counting = Counting(folder, symbols, functions)
    open_things.callback(counting.close)
    return counting


def _words(machine: Machine, elf: Path, counting: Counting | None) -> list[str]:
    """QEMU without a window, a monitor or a network; `signal=off`: Ctrl-C is ours."""
    library = plugin()
    words = ["-machine", machine.machine, *machine.options, "-nodefaults", "-display", "none"]
    words += ["-monitor", "none", "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"]
    words += ["-kernel", str(elf)]
    if counting is not None and library is not None:
        words += ["-plugin", counting.options(library)]
    return words


def _start(link: ChildLink, program: str, errors: IO[bytes]) -> None:
    """Until the guest says something, or not; LoadError with QEMU's own words if it has ended."""
    try:
        link.await_start(_START_S)
    except LinkTimeout:
        return  # a mute guest is the session's to judge
    except LinkClosed as gone:
        errors.seek(0)
        said = errors.read().decode("utf-8", errors="replace").strip().splitlines()
        last = said[-1] if said else gone.message
        raise LoadError(f"QEMU did not start: {last}", hint=f"{program} --version") from gone


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=_VERSION_S)
    found = re.search(r"version (\S+)", said.stdout.decode("utf-8", errors="replace"))
    return found[1] if found else "of an unknown version"
