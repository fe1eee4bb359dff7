"""What is on this desk: reachable boards of every target, and new ones written into bench.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tinybench import inventory
from tinybench.errors import DeviceError, SetupError
from tinybench.plugins import Catalogue
from tinybench.target import devices_of

Table = tuple[Sequence[str], list[Sequence[str]]]


def table(catalogue: Catalogue) -> Table:
    """A row for each device that an adapter reaches; an adapter that cannot look says why."""
    head = ("id", "target", "adapter", "unit", "port", "state")
    rows: list[Sequence[str]] = []
    targets = [target.part for target in catalogue.targets.values()]
    for name, found in sorted(catalogue.adapters.items()):
        try:
            for device in devices_of(found.part, targets):
                port = (device.details or {}).get("port") or "-"
                state = "virtual" if device.simulated or device.virtual else "ready"
                rows.append((device.id, device.target.name, name, device.unit or "-", port, state))
        except (DeviceError, SetupError) as error:
            rows.append(("-", "-", name, "-", "-", error.message))
    return head, rows


def scan(catalogue: Catalogue, environ: Mapping[str, str]) -> tuple[tuple[inventory.Unit, ...], Path]:
    """Write the boards that are plugged in and not yet in the inventory into it; returns them, and the file.

    Raises SetupError if the file cannot be written, DeviceError if the probes cannot be listed.
    """
    file = inventory.path(environ)
    known = inventory.load(file)
    targets = [found.part for found in catalogue.targets.values()]
    units: tuple[inventory.Unit, ...] = ()
    for found in catalogue.adapters.values():
        if isinstance(found.part, inventory.SeesProbes):
            probes, ports = found.part.seen()
            units += inventory.propose(known, probes, ports, targets)
    if units:
        inventory.add(file, units)
    return units, file
