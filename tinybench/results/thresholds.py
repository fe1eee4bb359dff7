"""How much of a change is let pass: `latency=3%,flash=256B,ram_peak=0B,energy=5%`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tinybench import units
from tinybench.errors import UsageError, did_you_mean
from tinybench.records import METRICS
from tinybench.units import Quantity


@dataclass(frozen=True)
class Thresholds:
    """The user's limits by metric; a metric without one has the default of its class (compare.md)."""

    by_metric: Mapping[str, Quantity] = field(default_factory=lambda: MappingProxyType({}))

    def absolute(self, metric: str, base: float) -> float | None:
        """The limit in the metric's unit for a base of `base`; None where the user gave none."""
        limit = self.by_metric.get(metric)
        if limit is None:
            return None
        return limit.value * abs(base) if limit.unit == "%" else limit.value

    def relative(self, metric: str, base: float) -> float | None:
        """The limit as a share of `base`, which is above zero; None where the user gave none."""
        limit = self.by_metric.get(metric)
        if limit is None:
            return None
        return limit.value if limit.unit == "%" else limit.value / base


def parse_thresholds(text: str) -> Thresholds:
    """Read `metric=limit,…`; a limit is a percentage or a quantity in the metric's unit.

    Raises:
        UsageError: an unknown metric, an unreadable or negative limit, or one in another unit.
    """
    limits: dict[str, Quantity] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, limit = (part.strip() for part in item.partition("="))
        if not equals:
            raise UsageError(f"`{item}` is not a threshold", hint="latency=3%,flash=256B")
        if name not in METRICS:
            raise UsageError(f"unknown metric `{name}` in `{item}`", hint=did_you_mean(name, METRICS))
        limits[name] = _limit(item, limit, METRICS[name].unit)
    return Thresholds(MappingProxyType(limits))


def _limit(item: str, text: str, unit: str) -> Quantity:
    limit = units.parse(text)
    if limit.unit not in ("%", unit):
        wanted = "a percentage or a plain number" if unit == "1" else f"a percentage or in {unit}"
        raise UsageError(f"`{item}` must be {wanted}", hint="latency=3%,flash=256B")
    if limit.value < 0:
        raise UsageError(f"`{item}` is negative", hint="a threshold is how much of a change is let pass")
    return limit
