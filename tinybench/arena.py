"""Where activations lie: tensor lifetimes, and plans that place them in one arena."""

from __future__ import annotations

from dataclasses import dataclass

from tinybench.records import ArenaBuffer


@dataclass(frozen=True)
class ArenaPlan:
    """Placed buffers, in order of tensor index, and the bytes they need together."""

    buffers: tuple[ArenaBuffer, ...]
    bytes: int
