"""Workloads x engines x devices, decided before anything is built: cases to run, and Gaps with reasons."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tinybench import engine_options, finished_elf, target_options
from tinybench.engine import Engine, refusal
from tinybench.engines.elf import NAME as ELF
from tinybench.engines.elf import SCHEME, ElfEngine, ElfOptions
from tinybench.errors import DeviceError, DeviceNotFound, SetupError, UsageError, did_you_mean
from tinybench.fetch import Fetcher
from tinybench.finished_elf import FinishedElf
from tinybench.models.oracle import Oracle
from tinybench.plugins import Catalogue
from tinybench.records import Gap
from tinybench.target import Adapter, Device, Flashed, JoinsFlashed, Target, devices_of
from tinybench.tasks import Cut, Task, comparable, tasks_of
from tinybench.workload import SuiteEntry, Workload


@dataclass(frozen=True)
class Selection:
    """What the user asked for, in the words of the command line; each word may be a comma list.

    `devices` are targets by name or alias, or one unit by its id. `adapter` forces one where several reach
    the same device. `cut` says whether models lose their last SOFTMAX: where one of the engines needs it
    (`auto`), everywhere, or nowhere; all engines of a workload run the same model.
    """

    suites: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    engines: tuple[str, ...] = ("reference",)
    devices: tuple[str, ...] = ()
    simulate: bool = False
    adapter: str | None = None
    target_options: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    verify_load: bool = False
    cut: Cut = "auto"


@dataclass(frozen=True)
class PlannedCase:
    """One cell of the matrix with everything at hand that is needed to run it."""

    workload: Workload
    engine: Engine
    target: Target
    device: Device
    adapter: Adapter
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class LoadedElf:
    """A finished ELF and the device that it is loaded on."""

    elf: FinishedElf
    device: Device
    options: Mapping[str, str]


@dataclass(frozen=True)
class FlashedCase:
    """A workload on a unit that runs firmware from elsewhere: nothing is built.

    Nothing is loaded either, unless the firmware was given as a finished ELF: `loaded`. `verify_load` reads
    every input back.
    """

    workload: Workload
    device: Flashed
    adapter: JoinsFlashed
    verify_load: bool = False
    loaded: LoadedElf | None = None


@dataclass(frozen=True)
class Plan:
    """What will be run, what will not and why, and what the user should know about the choice."""

    cases: tuple[PlannedCase, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    flashed: tuple[FlashedCase, ...] = ()


def plan(selection: Selection, catalogue: Catalogue, fetcher: Fetcher, oracle: Oracle | None) -> Plan:
    """Decide every cell of the matrix; names and devices are checked before any model is fetched.

    Raises UsageError for an unknown name or an empty selection, DeviceNotFound if a device is not there,
    SetupError if no alternative of a task can be had.
    """
    entries = _entries(selection, catalogue)
    engines = _engines(selection, catalogue)
    units = _flashed(selection, catalogue)
    places = _places([name for name in _devices(selection) if name not in units], selection, catalogue)
    for _, device in places:
        target_options.refuse_without(device.target, selection.target_options)
    cases: list[PlannedCase] = []
    flashed: list[FlashedCase] = []
    gaps: list[Gap] = []
    notes: list[str] = []
    for whole in tasks_of(entries, catalogue, fetcher, oracle):
        task = comparable(
            whole, engines, [d.target for _, d in places], cut=selection.cut, fetcher=fetcher, oracle=oracle
        )
        notes += task.notes
        for adapter_of_unit, unit in units.values():
            if task.gap is None:
                case = FlashedCase(whole.wanted, unit, adapter_of_unit, selection.verify_load)
                flashed.append(case)
            else:
                gaps.append(Gap(workload=task.name, engine="flashed", target=unit.id, reason=task.gap))
        for engine, (adapter, device) in itertools.product(engines, places):
            target = device.target
            reason = task.gap or refusal(engine, task.wanted, target)
            if reason is None:
                options = {
                    **selection.options,
                    **task.options,
                    **engine_options.identifying(engine),
                    **target_options.identifying(target),
                }
                cases.append(PlannedCase(task.wanted, engine, target, device, adapter, options))
            else:
                gaps.append(Gap(workload=task.name, engine=engine.name, target=target.name, reason=reason))
        theirs = task if selection.cut == "softmax" else whole
        more, missing = _finished(theirs, selection, places, _elf_options(catalogue))
        flashed += more
        gaps += missing
    return Plan(tuple(cases), tuple(gaps), tuple(dict.fromkeys(notes)), tuple(flashed))


@dataclass(frozen=True)
class Buildable:
    """One image that can be built: what `tinybench build` needs, and no device."""

    workload: Workload
    engine: Engine
    target: Target


def buildable(
    selection: Selection, catalogue: Catalogue, fetcher: Fetcher, oracle: Oracle | None
) -> tuple[tuple[Buildable, ...], tuple[Gap, ...]]:
    """Every image of the selection, for targets by name: nothing need be connected.

    Raises as `plan` does, except that a device need not be there.
    """
    entries = _entries(selection, catalogue)
    engines = _engines(selection, catalogue)
    if _elves(selection):
        raise UsageError(f"`{_elves(selection)[0]}` is built already", hint="tinybench run measures it")
    targets = {target.name: target for target in map(catalogue.target, _devices(selection))}
    for target in targets.values():
        target_options.refuse_without(target, selection.target_options)
    found: list[Buildable] = []
    gaps: list[Gap] = []
    for whole in tasks_of(entries, catalogue, fetcher, oracle):
        task = comparable(
            whole, engines, list(targets.values()), cut=selection.cut, fetcher=fetcher, oracle=oracle
        )
        for engine, target in itertools.product(engines, targets.values()):
            reason = task.gap or refusal(engine, task.wanted, target)
            if reason is None:
                found.append(Buildable(task.wanted, engine, target))
            else:
                gaps.append(Gap(workload=task.name, engine=engine.name, target=target.name, reason=reason))
    return tuple(found), tuple(gaps)


def _entries(selection: Selection, catalogue: Catalogue) -> tuple[SuiteEntry, ...]:
    """The tasks of all named suites, then the workloads named one by one; each once."""
    entries = [entry for name in _words(selection.suites) for entry in catalogue.suite(name).entries]
    entries += [
        SuiteEntry(task=catalogue.workload(name).task, alternatives=(name,))
        for name in _words(selection.workloads)
    ]
    if not entries:
        raise UsageError(
            "no suite and no workload is named",
            hint="name one with --suite; `tinybench list suites` shows all",
        )
    for entry in entries:
        for name in entry.alternatives:
            catalogue.workload(name)
    return tuple(dict.fromkeys(entries))


def _finished(
    task: Task, selection: Selection, places: Sequence[tuple[Adapter, Device]], options: ElfOptions
) -> tuple[list[FlashedCase], list[Gap]]:
    """The finished ELFs of the selection on every device that they are for.

    Raises as `finished_elf.examine` does for one that is for none of them.
    """
    cases: list[FlashedCase] = []
    gaps: list[Gap] = []
    for word in _elves(selection):
        path = Path(word.removeprefix(SCHEME))
        fits, misfits = finished_elf.sorted_out(path, [device for _, device in places], options)
        reasons = [(device.target.name, reason) for device, reason in misfits]
        reasons += [
            (device.target.name, task.gap)
            for _, device in places
            if device.id in fits and task.gap is not None
        ]
        gaps += [Gap(workload=task.name, engine=word, target=name, reason=reason) for name, reason in reasons]
        for adapter, device in places if task.gap is None else ():
            if device.id in fits:
                found = fits[device.id]
                unit = Flashed(device.id, device.id, options.baud, device.simulated or device.virtual)
                loads = finished_elf.LoadsFinished(adapter, device, found.image, options.baud, adapter.name)
                asked = {**selection.options, **task.options, **target_options.identifying(device.target)}
                loaded = LoadedElf(found, device, asked)
                cases.append(FlashedCase(task.wanted, unit, loads, selection.verify_load, loaded))
    return cases, gaps


def _elves(selection: Selection) -> tuple[str, ...]:
    return tuple(word for word in _words(selection.engines) if word.startswith(SCHEME))


def _elf_options(catalogue: Catalogue) -> ElfOptions:
    engine = catalogue.engines.get(ELF)
    return engine.part.options if engine is not None and isinstance(engine.part, ElfEngine) else ElfOptions()


def _engines(selection: Selection, catalogue: Catalogue) -> tuple[Engine, ...]:
    elves = _elves(selection)
    engines = tuple(catalogue.engine(name) for name in _words(selection.engines) if name not in elves)
    if not engines and not elves:
        raise UsageError("no engine is named", hint="tinybench list engines")
    return engines


def _devices(selection: Selection) -> tuple[str, ...]:
    names = _words(selection.devices)
    if not names:
        raise UsageError(
            "no device is named", hint="name one with --device; `tinybench list devices` shows all"
        )
    return names


def _words(names: Sequence[str]) -> tuple[str, ...]:
    """Single names in order, each once; `a,b` and `a`, `b` are the same."""
    return tuple(dict.fromkeys(word.strip() for name in names for word in name.split(",") if word.strip()))


def _flashed(selection: Selection, catalogue: Catalogue) -> dict[str, tuple[JoinsFlashed, Flashed]]:
    """The units among the named devices that are not to be flashed, by name."""
    joining = [f.part for f in catalogue.adapters.values() if isinstance(f.part, JoinsFlashed)]
    units: dict[str, tuple[JoinsFlashed, Flashed]] = {
        name: (adapter, unit)
        for name, adapter in itertools.product(_devices(selection), joining)
        if (unit := adapter.flashed(name)) is not None
    }
    if units and selection.simulate:
        raise UsageError(f"`{next(iter(units))}` is no virtual board", hint="leave out --simulate")
    return units


def _places(
    names: Sequence[str], selection: Selection, catalogue: Catalogue
) -> tuple[tuple[Adapter, Device], ...]:
    """The devices of these names, each once, with the adapter that reaches it."""
    found = [_find(name, selection, catalogue) for name in names]
    return tuple({device.id: (adapter, device) for adapter, device in found}.values())


def _find(name: str, selection: Selection, catalogue: Catalogue) -> tuple[Adapter, Device]:
    """The adapter and the one device that `name` means.

    A target's name means its one board, or its virtual twin; anything else is the id of one unit, or
    `adapter:` and a part of its probe's id that no other has.
    """
    adapters = _adapters(selection, catalogue)
    aliases = {alias for found in catalogue.targets.values() for alias in found.part.aliases}
    if name not in catalogue.targets and name not in aliases:
        targets = [found.part for found in catalogue.targets.values()]
        alike: list[tuple[Adapter, Device]] = []
        for adapter in adapters:
            for device in devices_of(adapter, targets):
                if device.id == name:
                    return adapter, device
                if _abbreviates(name, device):
                    alike.append((adapter, device))
        if len(alike) > 1:
            ids = " or ".join(f"--device {device.id}" for _, device in alike)
            raise UsageError(f"`{name}` means {len(alike)} boards", hint=ids)
        if alike:
            return alike[0]
    return _one_of_target(catalogue.target(name), adapters, selection, catalogue)


def _abbreviates(name: str, device: Device) -> bool:
    """Whether `name` is `adapter:part`, with a part of this device's unit."""
    adapter, colon, part = name.partition(":")
    return bool(colon and part) and adapter == device.adapter and part.lower() in (device.unit or "").lower()


def _adapters(selection: Selection, catalogue: Catalogue) -> list[Adapter]:
    """Those of the kind that was asked for, in the catalogue's order."""
    if selection.adapter is not None and selection.adapter not in catalogue.adapters:
        raise UsageError(
            f"unknown adapter `{selection.adapter}`", hint=did_you_mean(selection.adapter, catalogue.adapters)
        )
    return [
        found.part
        for name, found in catalogue.adapters.items()
        if found.part.simulated == selection.simulate and selection.adapter in (None, name)
    ]


def _one_of_target(
    target: Target, adapters: Sequence[Adapter], selection: Selection, catalogue: Catalogue
) -> tuple[Adapter, Device]:
    """The first adapter that reaches a device of `target`; UsageError if it reaches several."""
    broken: list[SetupError | DeviceError] = []
    for adapter in adapters:
        try:
            devices = adapter.find(target)
        except (SetupError, DeviceError) as error:
            broken.append(error)
            continue
        if len(devices) > 1:
            ids = " or ".join(f"--device {device.id}" for device in devices)
            raise UsageError(f"{len(devices)} boards of target `{target.name}` are connected", hint=ids)
        if devices:
            return adapter, devices[0]
    missing = _missing(target, selection, catalogue)
    for reason in broken:
        missing.add_note(reason.message)
    raise missing


def _missing(target: Target, selection: Selection, catalogue: Catalogue) -> DeviceNotFound:
    if selection.simulate:
        return DeviceNotFound(
            f"there is no virtual board of target {target.name}",
            hint="`tinybench list devices` shows the boards that have one",
        )
    virtual = any(found.part.find(target) for found in catalogue.adapters.values() if found.part.simulated)
    return DeviceNotFound(
        f"no board of target {target.name} was found",
        hint="add --simulate to run on the virtual board"
        if virtual
        else "connect it, then: tinybench doctor",
    )
