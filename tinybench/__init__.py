"""tinybench: how fast, how small, how hungry and how right is this model, with this engine, on this chip?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tinybench.results.runs import Runs

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(results: str | Path = "results") -> Runs:
    """The Runs in a results folder, in one `.jsonl` file, or behind a URL that fsspec understands.

    Oldest first; iterate for whole Runs, or take `.frame()` for a pandas DataFrame with one row per sample
    in SI units. An unfinished last line, left by a writer that was killed, is left out.

    Raises:
        UsageError: there are no results at that place.
        StoreDamaged: a line is unreadable; the message names file and line.
        SetupError: a line was written by a newer tinybench; the hint says which one to install.
    """
    from tinybench.store import Store

    return Store(results).read().runs
