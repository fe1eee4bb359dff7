"""Finds targets, adapters, engines, monitors, workloads and suites: ours by the same door as a stranger's.

A plug-in is an entry point in the group `tinybench.plugins` that names a package, or a folder given by the
user. Every module directly inside it may offer `ENGINES`, `ADAPTERS` or `MONITORS` (tuples of instances);
every `boards/*.toml` is a Target, every `*/workload.toml` a workload, every `suites/*.toml` a suite, every
`pipelines/*.toml` a pipeline. Nothing is listed anywhere: a new part is a new file.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from pydantic import ValidationError

from tinybench.engine import Engine
from tinybench.errors import UsageError, did_you_mean
from tinybench.pipelines import Pipeline
from tinybench.target import Adapter, Configurable, Target
from tinybench.workload import Suite, WorkloadSpec

ENTRY_POINT_GROUP = "tinybench.plugins"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T")
N = TypeVar("N", bound=_Named)


@dataclass(frozen=True)
class Found(Generic[T]):
    """Something that was found, and who brought it."""

    part: T
    origin: str


@dataclass(frozen=True)
class Broken:
    """A part that could not be loaded: reported and left out, never fatal for the others."""

    origin: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be named on the command line."""

    targets: Mapping[str, Found[Target]] = field(default_factory=dict)
    adapters: Mapping[str, Found[Adapter]] = field(default_factory=dict)
    engines: Mapping[str, Found[Engine]] = field(default_factory=dict)
    workloads: Mapping[str, Found[WorkloadSpec]] = field(default_factory=dict)
    suites: Mapping[str, Found[Suite]] = field(default_factory=dict)
    pipelines: Mapping[str, Found[Pipeline]] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()

    def configured(self, given: Mapping[str, str]) -> Catalogue:
        """The same catalogue, its adapters with the user's settings."""
        adapters = {
            name: Found(found.part.configured(given), found.origin)
            if isinstance(found.part, Configurable)
            else found
            for name, found in self.adapters.items()
        }
        return dataclasses.replace(self, adapters=adapters)

    def target(self, name: str) -> Target:
        """The target of this name or alias; UsageError with the closest names otherwise."""
        by_alias = {alias: found for found in self.targets.values() for alias in found.part.aliases}
        return _pick("device", name, {**by_alias, **self.targets})

    def engine(self, name: str) -> Engine:
        """The engine of this name; UsageError with the closest names otherwise."""
        return _pick("engine", name, self.engines)

    def workload(self, name: str) -> WorkloadSpec:
        """The workload of this id; UsageError with the closest ids otherwise."""
        return _pick("workload", name, self.workloads)

    def suite(self, name: str) -> Suite:
        """The suite of this name; UsageError with the closest names otherwise."""
        return _pick("suite", name, self.suites)

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of this name; UsageError with the closest names otherwise."""
        return _pick("pipeline", name, self.pipelines)


def _pick(what: str, name: str, known: Mapping[str, Found[T]]) -> T:
    if name not in known:
        raise UsageError(f"unknown {what} `{name}`", hint=did_you_mean(name, known))
    return known[name].part


def discover(folders: Sequence[Path] = ()) -> Catalogue:
    """Look through every installed plug-in package and then through `folders`.

    The first part of a name wins and the second is reported as broken, so that a stranger's package cannot
    replace one of ours unseen.
    """
    packages: list[tuple[str, ModuleType]] = []
    broken: list[Broken] = []
    for entry in sorted(
        entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (not e.name.startswith("tinybench-"), e.name)
    ):
        origin = entry.dist.name if entry.dist is not None else entry.name
        try:
            packages.append((origin, entry.load()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything; it must not take ours along
            broken.append(Broken(origin, f"cannot import `{entry.value}`: {error}"))
    modules = [
        (origin, module) for origin, package in packages for module in _modules(origin, package, broken)
    ]
    roots = [
        (origin, Path(path)) for origin, package in packages for path in getattr(package, "__path__", ())
    ]
    for folder in folders:
        modules += [(str(folder), module) for module in _modules_in_folder(folder, broken)]
        roots.append((str(folder), folder))
    adapters: dict[str, Found[Adapter]] = _collect(_offered("ADAPTERS", modules, broken), broken)
    engines: dict[str, Found[Engine]] = _collect(_offered("ENGINES", modules, broken), broken)
    targets = _collect(_targets(roots, broken), broken)
    suites = _collect(((o, s) for o, s in _written(roots, "suites/*.toml", Suite, broken)), broken)
    pipelines = _collect(((o, p) for o, p in _written(roots, "pipelines/*.toml", Pipeline, broken)), broken)
    workloads: dict[str, Found[WorkloadSpec]] = {}
    for origin, spec in _written(roots, "*/workload.toml", WorkloadSpec, broken):
        if spec.id in workloads:
            broken.append(Broken(origin, f"`{spec.id}` is already provided by {workloads[spec.id].origin}"))
        else:
            workloads[spec.id] = Found(spec, origin)
    return Catalogue(targets, adapters, engines, workloads, suites, pipelines, tuple(broken))


def _modules(origin: str, package: ModuleType, broken: list[Broken]) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.iter_modules(getattr(package, "__path__", ())):
        name = f"{package.__name__}.{info.name}"
        try:
            yield importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            broken.append(Broken(origin, f"cannot import `{name}`: {error}"))


def _modules_in_folder(folder: Path, broken: list[Broken]) -> Iterator[ModuleType]:
    for path in sorted(folder.glob("*.py")):
        name = f"tinybench_plugin_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            del sys.modules[name]
            broken.append(Broken(str(folder), f"cannot import `{path.name}`: {error}"))
        else:
            yield module


def _offered(
    attribute: str, modules: Iterable[tuple[str, ModuleType]], broken: list[Broken]
) -> Iterator[tuple[str, N]]:
    for origin, module in modules:
        offered = getattr(module, attribute, ())
        if not isinstance(offered, tuple | list):
            broken.append(Broken(origin, f"`{attribute}` of `{module.__name__}` is not a tuple"))
            continue
        for part in offered:
            if isinstance(part, type) or not isinstance(getattr(part, "name", None), str):
                broken.append(
                    Broken(origin, f"`{attribute}` of `{module.__name__}`: {part!r} is no part with a `name`")
                )
            else:
                yield origin, part


def _targets(roots: Iterable[tuple[str, Path]], broken: list[Broken]) -> Iterator[tuple[str, Target]]:
    for origin, root in roots:
        for path in sorted(root.glob("boards/*.toml")):
            target = _validated(path, Target, origin, broken, folder=path.parent)
            if target is not None:
                yield origin, target


R = TypeVar("R", Suite, Pipeline, WorkloadSpec, Target)


def _written(
    roots: Iterable[tuple[str, Path]], pattern: str, record: type[R], broken: list[Broken]
) -> Iterator[tuple[str, R]]:
    for origin, root in roots:
        for path in sorted(root.glob(pattern)):
            value = _validated(path, record, origin, broken)
            if value is not None:
                yield origin, value


def _validated(path: Path, record: type[R], origin: str, broken: list[Broken], **extra: object) -> R | None:
    try:
        return record.model_validate({**tomllib.loads(path.read_text(encoding="utf-8")), **extra})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        broken.append(Broken(origin, f"cannot read `{path.name}`: {error}"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        broken.append(Broken(origin, f"`{path.name}`: {where}: {first['msg']}"))
    return None


def _collect(parts: Iterable[tuple[str, N]], broken: list[Broken]) -> dict[str, Found[N]]:
    collected: dict[str, Found[N]] = {}
    for origin, part in parts:
        if part.name in collected:
            broken.append(
                Broken(origin, f"`{part.name}` is already provided by {collected[part.name].origin}")
            )
        else:
            collected[part.name] = Found(part, origin)
    return collected
