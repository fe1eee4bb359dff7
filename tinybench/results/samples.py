"""Every sample of many Runs side by side, as flat columns: for frames, histories and the index."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinybench.records import Measurement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class SampleLists:
    """Columns while they grow: one item per measurement, all samples of all measurements in `samples`."""

    owner: array[int] = field(default_factory=lambda: array("q"))
    metric: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    unit: list[str] = field(default_factory=list)
    count: array[int] = field(default_factory=lambda: array("q"))
    samples: array[float] = field(default_factory=lambda: array("d"))

    def add(self, owner: int, measurements: Iterable[Measurement]) -> None:
        """Append the measurements of the Run number `owner`."""
        for measurement in measurements:
            self.owner.append(owner)
            self.metric.append(measurement.metric)
            self.kind.append(measurement.kind)
            self.unit.append(measurement.unit)
            self.count.append(len(measurement.samples))
            self.samples.extend(float(sample) for sample in measurement.samples)

    def columns(self) -> SampleColumns:
        """The same as numpy columns."""
        import numpy as np

        return SampleColumns(
            owner=np.array(self.owner, dtype=np.int64),
            metric=np.array(self.metric, dtype=object),
            kind=np.array(self.kind, dtype=object),
            unit=np.array(self.unit, dtype=object),
            count=np.array(self.count, dtype=np.int64),
            samples=np.array(self.samples, dtype=np.float64),
        )


@dataclass(frozen=True)
class SampleColumns:
    """Numpy columns, one item per measurement; `owner` is the position of its Run.

    `samples` holds the samples of all measurements one after the other, `count` of each, in SI units.
    """

    owner: NDArray[np.int64]
    metric: NDArray[Any]
    kind: NDArray[Any]
    unit: NDArray[Any]
    count: NDArray[np.int64]
    samples: NDArray[np.float64]

    def picked(self, mask: NDArray[np.bool_]) -> SampleColumns:
        """The measurements where `mask` is true, with their samples."""
        import numpy as np

        return SampleColumns(
            owner=self.owner[mask],
            metric=self.metric[mask],
            kind=self.kind[mask],
            unit=self.unit[mask],
            count=self.count[mask],
            samples=self.samples[np.repeat(mask, self.count)],
        )

    def owned_by(self, owners: list[int], positions: list[int]) -> SampleColumns:
        """The measurements of `owners` only, renumbered: owner `owners[i]` becomes `positions[i]`."""
        import numpy as np

        renumbered = np.full(max([*owners, int(self.owner.max(initial=0))]) + 1, -1, dtype=np.int64)
        renumbered[owners] = positions
        owner = renumbered[self.owner]
        kept = self.picked(owner >= 0)
        return SampleColumns(owner[owner >= 0], kept.metric, kept.kind, kept.unit, kept.count, kept.samples)

    def medians(self) -> NDArray[np.float64]:
        """The median of each measurement."""
        import numpy as np

        starts = np.cumsum(self.count) - self.count
        medians = np.empty(len(self.count), dtype=np.float64)
        for count in np.unique(self.count):
            chosen = np.flatnonzero(self.count == count)
            grid = self.samples[starts[chosen, None] + np.arange(count)]
            medians[chosen] = np.median(grid, axis=1)
        return medians


def joined(parts: list[SampleColumns]) -> SampleColumns:
    """The columns one after the other."""
    import numpy as np

    if not parts:
        return SampleLists().columns()
    return SampleColumns(
        owner=np.concatenate([part.owner for part in parts]),
        metric=np.concatenate([part.metric for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        unit=np.concatenate([part.unit for part in parts]),
        count=np.concatenate([part.count for part in parts]),
        samples=np.concatenate([part.samples for part in parts]),
    )
