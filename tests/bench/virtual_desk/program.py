"""What a program that ran at the desk said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """What it printed, and how it ended."""

    code: int
    out: str
    err: str


Program = Callable[..., Said]
