"""Writes the first files of a part of the user's own: an engine that already works, to be changed."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from tinybench.errors import SetupError, UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ENGINE = {
    "engine.py": "{stem}.py",
    "kernels.h": "{stem}_kernels/{stem}.h",
    "fully_connected.c": "{stem}_kernels/fully_connected.c",
    "test.py": "tests/test_{stem}.py",
}


def write_engine(name: str, into: Path) -> tuple[Path, ...]:
    """A working engine called `name` below `into`, and a test of its contract; returns the new files.

    Raises UsageError if the name will not do or a file is there already, before anything is written;
    SetupError if the folder cannot be written.
    """
    stem = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(stem):
        raise UsageError(
            f"`{name}` cannot name an engine", hint="lower-case words with hyphens, as in `my-engine`"
        )
    paths = {source: into / target.format(stem=stem) for source, target in _ENGINE.items()}
    for path in paths.values():
        if path.exists():
            raise UsageError(f"`{path}` exists already", hint="choose another name, or another --into folder")
    templates = files("tinybench") / "skeletons" / "engine"
    try:
        for source, path in paths.items():
            text = (templates / f"{source}.template").read_text(encoding="utf-8")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(name=name, stem=stem), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"`{into}` cannot be written: {error.strerror or error}") from error
    return tuple(paths.values())
