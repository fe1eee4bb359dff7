"""ARCHITECTURE.md has a sentence for every module, and none for a module that is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def parts(package: str) -> set[str]:
    """Modules and packages directly inside a package; dunder modules speak for themselves."""
    folder = ROOT / package
    modules = {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}
    return modules | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def test_every_module_has_its_sentence_and_every_sentence_its_module() -> None:
    named = set(re.findall(r"`(\w+(?:\.py|/))`", PAGE.split("## A sentence per module")[1]))
    packages = (
        "tinybench",
        "tinybench/models",
        "tinybench/making",
        "tinybench/codegen",
        "tinybench/results",
        "tinybench/profile",
        "tinybench/timing",
        "device_adapters",
    )
    ours = set().union(*map(parts, packages))
    assert ours - named == set()
    patterns = ("*/*", "tinybench/firmware/*", "tinybench/timing/*")
    folders = {f"{path.name}/" for pattern in patterns for path in ROOT.glob(pattern)}
    assert named - ours - folders == set()
