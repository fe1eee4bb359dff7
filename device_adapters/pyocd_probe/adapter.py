"""Finds boards by their probes and opens one: flash, read back, reset, and an open serial link."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from device_adapters.pyocd_probe.facts import ProbeFacts, probe_facts
from device_adapters.pyocd_probe.process import ProbeProcess
from device_adapters.serial_link import SerialLink
from tinybench import inventory
from tinybench.config import Settings
from tinybench.elf import load_segments
from tinybench.errors import (
    BuildError,
    DeadlineExceeded,
    DeviceError,
    DeviceNotFound,
    FirmwareFault,
    LinkTimeout,
    LoadError,
)
from tinybench.faults import explain
from tinybench.target import Device, Image, Link, Target

# Hard deadlines of the stages, in seconds. A Nucleo takes about 10 s for 300 KB over ST-LINK at 1 MHz; the
# stages that move an image have some eight times what that takes, and what the largest sectors need to erase.
LIST_S = 20.0
CONNECT_S = 20.0
LOAD_S, LOAD_BYTES_PER_S = 45.0, 4_000
VERIFY_S, VERIFY_BYTES_PER_S = 30.0, 8_000
START_S = 10.0
DIAGNOSE_S = 10.0

_ANSWERS_BUILD_ID_S = 0.5


@dataclasses.dataclass(frozen=True)
class PyocdAdapter:
    """Boards behind CMSIS-DAP, ST-LINK and J-Link probes; `pack` names a CMSIS-Pack, `unlock` may erase."""

    name: str = "pyocd"
    simulated: bool = False
    pack: Path | None = None
    unlock: bool = False
    cache: Path = dataclasses.field(default_factory=lambda: Settings().cache_dir)

    def configured(self, given: Mapping[str, str]) -> PyocdAdapter:
        """This adapter with the user's `pack`, `unlock` and `cache`."""
        pack = given.get("pack")
        return dataclasses.replace(
            self,
            pack=Path(pack) if pack else None,
            unlock="unlock" in given,
            cache=Path(given["cache"]) if "cache" in given else self.cache,
        )

    def seen(self) -> tuple[Sequence[inventory.SeenProbe], Sequence[inventory.SeenPort]]:
        """Every probe and every serial port that is plugged in; nothing is opened."""
        known = [inventory.SeenProbe(p["uid"], p["description"], p["target"]) for p in _listed()]
        return known, _ports()

    def find(self, target: Target) -> Sequence[Device]:
        """Every plugged-in board of `target`: by its unit in bench.toml, else by its probe's board id.

        Lists the USB bus only; no probe is opened, no board disturbed.
        """
        return self.find_all((target,))

    def find_all(self, targets: Iterable[Target]) -> Sequence[Device]:
        """The boards of every one of `targets`, for one look at the USB bus."""
        known = [(target, facts) for target in targets if (facts := probe_facts(target)) is not None]
        if not known:
            return ()
        bench = inventory.load(inventory.path(_environment()))
        units = {unit.probe: unit for unit in bench.device if unit.probe is not None}
        probes, ports = _listed(), _ports()
        return tuple(
            self._device(target, probe, units.get(probe["uid"]), ports)
            for target, facts in known
            for probe in probes
            if _is_on(target, facts, probe, units.get(probe["uid"]))
        )

    def _device(
        self,
        target: Target,
        probe: Mapping[str, Any],
        unit: inventory.Unit | None,
        ports: Sequence[inventory.SeenPort],
    ) -> Device:
        port = (unit and unit.port) or inventory.port_of(probe["uid"], ports, target.serial.interface)
        return Device(
            id=unit.id if unit else f"{self.name}:{probe['uid']}",
            target=target,
            adapter=self.name,
            simulated=False,
            unit=probe["uid"],
            details={
                "probe": probe["description"],
                "port": port or "",
                "port_from": "bench.toml" if unit and unit.port else "probe",
            },
            virtual=inventory.is_virtual(probe["uid"]),
        )

    @contextlib.contextmanager
    def open(self, device: Device, image: Image) -> Iterator[Link]:
        """Put `image` on the board unless it runs there already, start it, and hand back its port.

        The port is opened before the reset, so that no byte of the boot block is lost. The probe is left
        alone while the link is in use. Raises DeviceNotFound, LoadError, DeviceError, SetupError; a firmware
        that falls silent is examined through the probe, and its fault is raised as FirmwareFault.
        """
        facts = probe_facts(device.target)
        assert facts is not None, "find() offers no device without a probe table"
        _check_fits(device.target, image)
        with contextlib.ExitStack() as held:
            link = held.enter_context(_serial_link(device))
            process = held.enter_context(ProbeProcess())
            self._load(process, device, facts, image, link)
            process.ask("start", START_S)
            try:
                yield link
            except (DeadlineExceeded, LinkTimeout) as silence:
                _examine(process, image, silence)
                raise

    def _load(
        self, process: ProbeProcess, device: Device, facts: ProbeFacts, image: Image, link: SerialLink
    ) -> None:
        there = _answers_build_id(link, image.build_id)
        process.ask(
            "connect",
            CONNECT_S,
            uid=device.unit,
            facts=facts.model_dump(mode="json"),
            pack=str(self.pack) if self.pack else None,
            unlock=self.unlock,
            cache=str(self.cache),
        )
        if not there:
            size = sum(len(data) for _, data in load_segments(image.elf))
            process.ask("load", LOAD_S + size / LOAD_BYTES_PER_S, elf=str(image.elf))
            process.ask("verify", VERIFY_S + size / VERIFY_BYTES_PER_S, elf=str(image.elf))


def _environment() -> Mapping[str, str]:
    import os

    return os.environ


def _listed() -> Sequence[Mapping[str, Any]]:
    """Every probe on the USB bus: `uid`, `description`, and `target` as pyOCD names it, if it knows."""
    with ProbeProcess() as process:
        probes: list[dict[str, Any]] = process.ask("list", LIST_S)["probes"]
    return probes


def _is_on(target: Target, facts: ProbeFacts, probe: Mapping[str, Any], unit: inventory.Unit | None) -> bool:
    """Whether `probe` is on a board of `target`: what a person wrote down wins over its board id."""
    return unit.target == target.name if unit else probe["target"] in facts.pyocd_targets


def _ports() -> list[inventory.SeenPort]:
    from serial.tools import list_ports

    return [inventory.SeenPort(p.device, p.serial_number, p.location) for p in list_ports.comports()]


def _port(device: Device) -> str:
    """The port that a person named, or the probe's as it is now: names are given anew after unplugging."""
    details = device.details or {}
    if details.get("port_from") == "bench.toml":
        return details["port"]
    assert device.unit is not None, "find() names the probe"
    port = inventory.port_of(device.unit, _ports(), device.target.serial.interface)
    if port is None:
        raise DeviceNotFound(
            f"no serial port belongs to the probe of `{device.id}`",
            hint="name it in bench.toml: `port = …`; `tinybench devices scan` writes the file",
        )
    return port


def _serial_link(device: Device) -> SerialLink:
    """The board's serial port, opened; where there is none, whether its probe is gone as well."""
    try:
        return SerialLink(_port(device), device.target.serial.baud)
    except DeviceNotFound as missing:
        if any(probe["uid"] == device.unit for probe in _listed()):
            raise
        raise DeviceNotFound(
            f"`{device.id}` is not plugged in: neither its probe nor its serial port is there",
            hint="plug it in again; then `tinybench devices`",
        ) from missing


def _check_fits(target: Target, image: Image) -> None:
    """Refuse, before any probe is touched, an image that is damaged or is not all for the target's flash."""
    try:
        segments = load_segments(image.elf)
    except BuildError as error:
        raise LoadError(error.message, hint="remove it from the cache and build it again") from error
    if not segments:
        raise LoadError(f"`{image.elf.name}` has nothing to load", hint="tinybench build")
    for address, data in segments:
        if not any(
            region.kind == "flash" and region.origin <= address and address + len(data) <= region.end
            for region in target.regions
        ):
            raise LoadError(
                f"the image has {len(data):,} bytes at 0x{address:08x}, outside the flash of {target.title}",
                hint="was it built for another board? `tinybench build` makes one for this board",
            )


def _answers_build_id(link: SerialLink, build_id: str) -> bool:
    """Whether the board already runs this very image: any firmware may be asked, only ours answers."""
    link.write(b"tb id%")
    heard = b""
    with contextlib.suppress(LinkTimeout):
        while b"m-ready" not in heard:
            heard += link.read(_ANSWERS_BUILD_ID_S)
    return b"m-tb-build-id-[" + build_id.encode() + b"]" in heard


def _examine(process: ProbeProcess, image: Image, silence: Exception) -> None:
    """Raise FirmwareFault if the silent firmware took a fault or locked up; else say where it was."""
    try:
        found: dict[str, Any] = process.ask("diagnose", DIAGNOSE_S)
    except DeviceError as error:
        silence.add_note(f"and the probe could not say why: {error.message}")
        return
    registers: dict[str, int] = found["registers"]
    where: dict[str, int] = {**registers, **(found["stacked"] or {})}
    if found["state"] == "lockup" or registers["cfsr"] or registers["hfsr"]:
        fault = FirmwareFault(
            "the firmware locked up" if found["state"] == "lockup" else "the firmware took a fault"
        )
        for line in explain(image.elf, where):
            fault.add_note(line)
        raise fault from silence
    for line in explain(image.elf, {"pc": registers["pc"], "lr": registers["lr"]}):
        silence.add_note(f"the core was at {line}")
