"""Static libraries that a user built and gave to an engine, remembered per machine.

They belong to a desk and not to a project, as boards do: `libraries.toml` lies in the user's configuration
folder, and $TINYBENCH_TFLM names another file. `tinybench engine add` writes it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs
from pydantic import ValidationError

from tinybench import archive
from tinybench.archive import Traits
from tinybench.errors import SetupError, UsageError
from tinybench.records import Record
from tinybench.target import Target
from tinybench.workload import Sha256

VARIABLE = "TINYBENCH_TFLM"


class Library(Record):
    """One library as it was when it was given: for which engine, its file, its headers, what it says."""

    engine: str
    archive: Path
    include: Path
    sha256: Sha256
    commit: str = ""
    traits: Traits


class Shelf(Record):
    """Every library of this machine."""

    library: tuple[Library, ...] = ()


def path(environ: Mapping[str, str]) -> Path:
    """Where the libraries are written down."""
    named = environ.get(VARIABLE)
    return Path(named) if named else Path(platformdirs.user_config_path("tinybench")) / "libraries.toml"


def load(file: Path) -> Shelf:
    """What is written down; nothing if there is no file. UsageError names file and field of damage."""
    if not file.exists():
        return Shelf()
    try:
        return Shelf.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"cannot read `{file}`: {error}", hint="move it away and add the libraries"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"`{file}`: {where}: {first['msg']}", hint="tinybench engine add …") from error


def described(engine: str, library: Path, include: Path) -> Library:
    """The library with its digest and traits; raises as `archive.examine` does."""
    return Library(
        engine=engine,
        archive=library.resolve(),
        include=include.resolve(),
        sha256=archive.sha256(library),
        commit=_commit(include),
        traits=archive.examine(library),
    )


def add(file: Path, library: Library) -> None:
    """Write `library` down, in the place of the same archive; SetupError if the file cannot be written."""
    kept = [known for known in load(file).library if not _same(known, library)]
    _write(file, (*kept, library))


def remove(file: Path, engine: str, archive_: Path | None = None) -> tuple[Library, ...]:
    """Forget the libraries of `engine`, or the one at `archive_`; returns what was forgotten.

    UsageError if there is none.
    """
    known = load(file).library
    wanted = archive_.resolve() if archive_ is not None else None
    gone = tuple(one for one in known if one.engine == engine and wanted in (None, one.archive))
    if not gone:
        which = f"`{archive_}`" if archive_ is not None else "a library"
        raise UsageError(f"engine `{engine}` was not given {which}", hint="tinybench engine list")
    _write(file, [one for one in known if one not in gone])
    return gone


def choose(file: Path, engine: str, target: Target) -> Library | None:
    """The library of `engine` for `target`, the last that was added where several fit; None if none was.

    SetupError if those that were added do not fit, or are no longer what they were.
    """
    known = [one for one in load(file).library if one.engine == engine]
    if not known:
        return None
    reasons = {one.archive: archive.unfit(one.traits, target.core) for one in known}
    fitting = [one for one in known if reasons[one.archive] is None]
    if not fitting:
        last = known[-1]
        raise SetupError(
            f"`{last.archive.name}`, given for `{engine}`, does not run on {target.core.name} of "
            f"`{target.name}`: {reasons[last.archive]}",
            hint=f"build it for {target.core.name} and add it too: tinybench engine add {engine} --lib …",
        )
    chosen = fitting[-1]
    found = archive.sha256(chosen.archive)
    if found != chosen.sha256:
        raise SetupError(
            f"`{chosen.archive}` has changed since it was added: sha256 {found[:12]}…, not "
            f"{chosen.sha256[:12]}…",
            hint=f"tinybench engine add {engine} --lib {chosen.archive} --include {chosen.include}",
        )
    return chosen


def _same(one: Library, other: Library) -> bool:
    return (one.engine, one.archive) == (other.engine, other.archive)


def _write(file: Path, libraries: Sequence[Library]) -> None:
    import tomlkit

    document = Shelf(library=tuple(libraries)).model_dump(mode="json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as scratch:
            scratch.write(tomlkit.dumps(document))
            scratch.flush()
            os.fsync(scratch.fileno())
        Path(scratch.name).replace(file)
    except OSError as error:
        raise SetupError(
            f"cannot write `{file}`: {error.strerror}", hint=f"name another file: {VARIABLE}=…"
        ) from error


def _commit(folder: Path) -> str:
    """The commit of the checkout that the headers lie in; nothing if there is none."""
    words = ("git", "-C", str(folder), "rev-parse", "HEAD")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
