"""A model as operators and tensors, as values; `tflite.py` reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (quantised - zero_point), per tensor (one pair) or per channel along `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Tensor:
    """One tensor: `data` holds the little-endian bytes of a constant, None for an activation."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes | None = None
    quantisation: Quantisation | None = None


@dataclass(frozen=True)
class Operator:
    """One operator in execution order; tensors by index, -1 for an absent optional input."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float | bool | tuple[int, ...]]


@dataclass(frozen=True)
class Model:
    """One subgraph, in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str = ""
