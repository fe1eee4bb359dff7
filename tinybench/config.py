"""Settings and where each came from: flags > environment > project > user > defaults.

The project's file is `tinybench.toml`, or the table `[tool.tinybench]` of `pyproject.toml`, found upwards
from the working directory; the user's is `config.toml` in the platform's configuration folder. An unknown
key is an error: a setting that is silently ignored is a wrong measurement.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError

from tinybench.errors import UsageError, did_you_mean
from tinybench.records import Record


class Settings(Record):
    """Everything that a file, the environment or a flag may set."""

    results: str = Field(default="results", description="folder or URL of the result store")
    models: Path | None = Field(default=None, description="folder with model files of your own")
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_path("tinybench")),
        description="fetched models and built images; may be deleted at any time",
    )
    plugins: tuple[Path, ...] = Field(
        default=(), description="folders with engines, boards and workloads of your own"
    )
    engine: tuple[str, ...] = Field(default=("reference",), description="engines to run when none is named")
    engine_option: tuple[str, ...] = Field(
        default=(), description="options of engines, `NAME.key=value`; those of flags come after a file's"
    )
    device: tuple[str, ...] = Field(default=(), description="devices to use when none is named")
    target_option: tuple[str, ...] = Field(
        default=(), description="settings of boards, `key=value` or `TARGET.key=value`"
    )
    toolchain: Literal["gcc", "zig"] | None = Field(
        default=None, description="compiler to use; the first found if unset"
    )
    timeout_s: float = Field(
        default=600.0, gt=0, description="deadline of one case, from opening the device, in seconds"
    )
    offline: bool = Field(
        default=False, description="ask no public repository for models (the package index is still asked)"
    )


_LISTS = {"plugins": os.pathsep, "engine": ",", "engine_option": ",", "device": ",", "target_option": ","}


# Settings of which each layer adds to those below it, where others replace them.
_ADDING = frozenset({"engine_option", "target_option"})


@dataclass(frozen=True)
class Config:
    """The settings in force, and for each the place it came from."""

    settings: Settings
    origins: Mapping[str, str]


def load(flags: Mapping[str, Any], *, environ: Mapping[str, str], cwd: Path) -> Config:
    """Merge every layer; raises UsageError naming the file, the key and the closest known key."""
    layers = [
        *_user_layer(environ),
        *_project_layer(cwd),
        _environment_layer(environ),
        ("flag", {key: value for key, value in flags.items() if value is not None}),
    ]
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, values in layers:
        for key, value in values.items():
            if key not in Settings.model_fields:
                raise UsageError(
                    f"{origin}: unknown setting `{key}`", hint=did_you_mean(key, Settings.model_fields)
                )
            added = (
                (*merged.get(key, ()), *value)
                if key in _ADDING and isinstance(value, list | tuple)
                else value
            )
            merged[key], origins[key] = added, origin
    try:
        return Config(Settings.model_validate(merged), origins)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise UsageError(f"{origins.get(key, '?')}: setting `{key}`: {first['msg']}") from error


def _environment_layer(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {}
    for key in Settings.model_fields:
        text = environ.get(_variable(key))
        if text:
            values[key] = [part for part in text.split(_LISTS[key]) if part] if key in _LISTS else text
    return "environment", values


def _variable(key: str) -> str:
    return "TINYBENCH_" + key.removesuffix("_s").upper()


def _project_layer(cwd: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in (cwd, *cwd.parents):
        own, project = folder / "tinybench.toml", folder / "pyproject.toml"
        if own.is_file():
            yield str(own), _relative_to(folder, _read(own))
            return
        if project.is_file():
            table = _read(project).get("tool", {}).get("tinybench")
            if table is not None:
                yield str(project), _relative_to(folder, table)
                return


def _user_layer(environ: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    named = environ.get("TINYBENCH_CONFIG")
    path = Path(named) if named else platformdirs.user_config_path("tinybench") / "config.toml"
    if named and not path.is_file():
        raise UsageError(f"environment: TINYBENCH_CONFIG names `{path}`, which is not a file")
    if path.is_file():
        yield str(path), _relative_to(path.parent, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read `{path}`: {error}") from error


def _relative_to(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Paths in a file are meant from that file's folder, wherever the command runs."""
    changed = dict(values)
    for key in ("models", "cache_dir"):
        if isinstance(changed.get(key), str):
            changed[key] = folder / changed[key]
    if isinstance(changed.get("results"), str) and "://" not in changed["results"]:
        changed["results"] = str(folder / changed["results"])
    if isinstance(changed.get("plugins"), list):
        changed["plugins"] = [folder / str(path) for path in changed["plugins"]]
    if isinstance(changed.get("engine_option"), list):
        changed["engine_option"] = [_path_option(folder, str(word)) for word in changed["engine_option"]]
    return changed


def _path_option(folder: Path, word: str) -> str:
    """An engine option as written in a file: one whose key is `path` is a path like the others."""
    name, equals, value = word.partition("=")
    return f"{name}={folder / value.strip()}" if equals and name.strip().endswith(".path") else word
