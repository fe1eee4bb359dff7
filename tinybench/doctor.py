"""What this machine lacks, and for each lack the one command that mends it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from tinybench.config import Settings
from tinybench.plugins import Catalogue

State = Literal["ok", "missing", "optional"]

_INSTALL = f"{Path(sys.executable).name} -m pip install"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `missing` stops `run --simulate`; `optional` only narrows what can be done."""

    what: str
    state: State
    found: str
    remedy: str | None = None


def examine(
    settings: Settings, catalogue: Catalogue, which: Callable[[str], str | None] = shutil.which
) -> Iterator[Check]:
    """Every check, in the order a run would need them."""
    yield Check("python", "ok", ".".join(str(part) for part in sys.version_info[:3]))
    yield _cross_compiler(which)
    yield _package("unicorn", "virtual boards", "sim", needed=True)
    yield _profile_compiler(which)
    yield _package("tflite_micro", "golden oracle", "oracle", needed=False)
    yield _package("pip", "fetching models from the package index", None, needed=False)
    yield _models(settings)
    yield _writable("cache", settings.cache_dir)
    yield _results(settings)
    yield from _plugins(catalogue)


def lacking(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that stop a run."""
    return tuple(check for check in checks if check.state == "missing")


def _cross_compiler(which: Callable[[str], str | None]) -> Check:
    names = []
    gcc = which("arm-none-eabi-gcc")
    if gcc:
        names.append("arm-none-eabi-gcc")
    if importlib.util.find_spec("ziglang"):
        names.append(f"zig {version('ziglang')}")
    if names:
        return Check("cross compiler", "ok", ", ".join(names))
    return Check("cross compiler", "missing", "neither arm-none-eabi-gcc nor zig", f"{_INSTALL} ziglang")


def _profile_compiler(which: Callable[[str], str | None]) -> Check:
    for name in ("cc", "gcc", "clang"):
        if which(name):
            return Check("compiler of this computer", "ok", name)
    if importlib.util.find_spec("ziglang"):
        return Check("compiler of this computer", "ok", "zig")
    return Check(
        "compiler of this computer",
        "optional",
        "none: virtual boards count with a slower hook, with the same numbers",
        f"{_INSTALL} ziglang",
    )


def _package(name: str, purpose: str, extra: str | None, *, needed: bool) -> Check:
    if importlib.util.find_spec(name):
        try:
            found = f"{name} {version(name)}"
        except PackageNotFoundError:
            found = name
        return Check(purpose, "ok", found)
    remedy = f"{_INSTALL} '{f'tinybench-mcu[{extra}]' if extra else name}'"
    consequence = (
        "" if needed else {"oracle": ": stored digests of its outputs judge instead"}.get(extra or "", "")
    )
    return Check(purpose, "missing" if needed else "optional", f"no package `{name}`{consequence}", remedy)


def _models(settings: Settings) -> Check:
    if settings.models is None:
        return Check("models of your own", "ok", "none named (TINYBENCH_MODELS); the package index serves")
    if settings.models.is_dir():
        count = sum(1 for _ in settings.models.glob("*.tflite"))
        return Check("models of your own", "ok", f"{count} .tflite files in `{settings.models}`")
    return Check(
        "models of your own",
        "missing",
        f"`{settings.models}` is not a folder",
        "unset TINYBENCH_MODELS, or name a folder that exists",
    )


def _writable(what: str, folder: Path) -> Check:
    nearest = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Check(what, "ok", f"`{folder}`")
    return Check(
        what, "missing", f"`{folder}` cannot be written", f"name another: TINYBENCH_{what.upper()}_DIR=…"
    )


def _results(settings: Settings) -> Check:
    if "://" in settings.results:
        return Check("results", "ok", settings.results)
    check = _writable("results", Path(settings.results))
    return Check(check.what, check.state, check.found, check.remedy and "name another folder: --results DIR")


def _plugins(catalogue: Catalogue) -> Iterator[Check]:
    found = (
        f"{len(catalogue.targets)} boards, {len(catalogue.engines)} engines, "
        f"{len(catalogue.adapters)} adapters, "
        f"{len(catalogue.workloads)} workloads, {len(catalogue.suites)} suites"
    )
    yield Check("plug-ins", "ok", found)
    for broken in catalogue.broken:
        yield Check(
            f"plug-in of {broken.origin}", "optional", broken.reason, "mend or uninstall it; the rest works"
        )
