"""A block of registers that hold what is written to them and do nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field

from device_adapters.virtual.wiring import Wiring
from tinybench.records import Record


class Parameters(Record):
    """`values` are those after reset, by offset written as in the reference manual (`"0x00"`)."""

    values: dict[str, int] = Field(default_factory=dict)
    read_only: tuple[int, ...] = ()


class PlainRegisters:
    """For what start-up code sets and nothing depends on (SYSCFG), and for constants (device ids)."""

    def __init__(self, parameters: Parameters) -> None:
        self._initial = {int(offset, 0): value for offset, value in parameters.values.items()}
        self._read_only = frozenset(parameters.read_only)
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self._values = dict(self._initial)

    def read(self, offset: int) -> int:
        """One aligned word."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int, mask: int) -> None:
        """One aligned word."""
        if offset not in self._read_only:
            self._values[offset] = self._values.get(offset, 0) & ~mask | value


def _build(_name: str, parameters: Mapping[str, Any], _wiring: Wiring) -> PlainRegisters:
    return PlainRegisters(Parameters.model_validate(parameters))


MODELS = MappingProxyType({"plain-registers": _build})
