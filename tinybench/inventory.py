"""The boards on this desk: `bench.toml`, one table per unit, because a desk is not part of a project.

`tinybench devices scan` writes it from what is plugged in and keeps whatever a person added.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import platformdirs
from pydantic import Field, ValidationError

from tinybench.errors import SetupError, UsageError
from tinybench.records import Record
from tinybench.target import Target

VIRTUAL = "VIRTUAL"  # stands in the id of every unit of a virtual desk, and in no maker's serial number


class Unit(Record):
    """One board on this desk, as a person or a scan wrote it down."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the name to give to --device")
    target: str
    probe: str | None = Field(default=None, description="unique id of the debug probe")
    port: str | None = Field(default=None, description="serial port, where it cannot be told from the probe")
    monitor: str | None = Field(default=None, description="power monitor, as the monitors call it")
    power: str | None = Field(default=None, description="what switches its supply")
    notes: str = ""


class Bench(Record):
    """Every unit of this desk; ids and probes are unique."""

    device: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class SeenProbe:
    """A debug probe that is plugged in: its id, and the pyOCD target its board id stands for, if any."""

    uid: str
    description: str
    pyocd_target: str | None = None


@dataclass(frozen=True)
class SeenPort:
    """A serial port that is plugged in, with the USB facts that bind it to a probe."""

    device: str
    serial_number: str | None
    location: str | None


@runtime_checkable
class SeesProbes(Protocol):
    """An adapter that can list what is plugged in, without opening anything."""

    def seen(self) -> tuple[Sequence[SeenProbe], Sequence[SeenPort]]:
        """Every probe and every serial port; DeviceError or SetupError if they cannot be listed."""


def path(environ: Mapping[str, str]) -> Path:
    """Where the inventory lies: $TINYBENCH_BENCH, else `bench.toml` in the user's configuration folder."""
    named = environ.get("TINYBENCH_BENCH")
    return Path(named) if named else Path(platformdirs.user_config_path("tinybench")) / "bench.toml"


def load(file: Path) -> Bench:
    """The inventory; empty if there is no file. Raises UsageError naming file and field if it is damaged."""
    if not file.exists():
        return Bench()
    try:
        bench = Bench.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"cannot read `{file}`: {error}", hint="mend it, or move it away and scan again"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"`{file}`: {where}: {first['msg']}") from error
    for field in ("id", "probe"):
        values = [value for unit in bench.device if (value := getattr(unit, field)) is not None]
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise UsageError(f"`{file}`: {field} `{min(twice)}` stands twice", hint="one table per board")
    return bench


def port_of(uid: str, ports: Iterable[SeenPort], interface: int = 0) -> str | None:
    """The serial port of the probe `uid`: same USB serial number, `interface`-th lowest interface; or None.

    Three families spell a serial number differently on USB and in pyOCD: old ST-Links send twelve raw bytes
    that pyOCD shows in hexadecimal; J-Links pad with zeros that pyOCD drops; the others agree but for case.
    """
    matching = [port for port in ports if port.serial_number and _same_unit(uid, port.serial_number)]
    matching.sort(key=lambda port: (_interface(port.location), port.device))
    return matching[interface].device if interface < len(matching) else None


def is_virtual(uid: str | None) -> bool:
    """Whether a unit's id is of a virtual desk, where every probe and port says so."""
    return VIRTUAL in (uid or "").upper()


def _same_unit(uid: str, serial_number: str) -> bool:
    ours, theirs = uid.lower(), serial_number.lower()
    if ours.isdigit() and theirs.isdigit() and ours.lstrip("0") == theirs.lstrip("0"):
        return True
    return ours in (theirs, serial_number.encode("latin-1", "replace").hex())


def _interface(location: str | None) -> int:
    """The interface number at the end of `1-4:1.2` (Linux) or `20-2:x.2` (Windows); 0 if there is none."""
    found = re.search(r":[0-9x]+\.(\d+)$", location or "")
    return int(found[1]) if found else 0


def propose(
    known: Bench, probes: Iterable[SeenProbe], ports: Sequence[SeenPort], targets: Iterable[Target]
) -> tuple[Unit, ...]:
    """Units for probes that the inventory does not name yet; an unknown board is left to a person."""
    by_pyocd_name = {
        str(name): target for target in targets for name in (target.probe or {}).get("pyocd_targets", ())
    }
    taken = {unit.id for unit in known.device}
    units: list[Unit] = []
    for probe in sorted(probes, key=lambda probe: probe.uid):
        if any(unit.probe == probe.uid for unit in known.device):
            continue
        target = by_pyocd_name.get(probe.pyocd_target or "")
        name = target.name if target else "unknown"
        number = next(n for n in range(1, len(taken) + len(units) + 2) if f"{name}-{n}" not in taken)
        taken.add(f"{name}-{number}")
        port = port_of(probe.uid, ports, target.serial.interface if target else 0)
        units.append(
            Unit(id=f"{name}-{number}", target=name, probe=probe.uid, port=port, notes=probe.description)
        )
    return tuple(units)


def add(file: Path, units: Sequence[Unit]) -> None:
    """Append `units` to the inventory in one step; every line a person wrote stays as it was.

    Raises SetupError if the file cannot be written.
    """
    import tomlkit

    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        document = tomlkit.parse(text)
        tables = document.setdefault("device", tomlkit.aot())
        for unit in units:
            values: dict[str, Any] = unit.model_dump(exclude_none=True, exclude_defaults=True)
            tables.append(tomlkit.item(values))
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as scratch:
            scratch.write(tomlkit.dumps(document))
            scratch.flush()
            os.fsync(scratch.fileno())
        Path(scratch.name).replace(file)
    except OSError as error:
        raise SetupError(
            f"cannot write `{file}`: {error.strerror}", hint="name another file: TINYBENCH_BENCH=…"
        ) from error
