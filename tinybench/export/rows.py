"""The newest number of every metric of every Case, for formats that keep one number each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinybench.records import Measurement, Run
from tinybench.results.runs import CaseKey, Runs, key_of
from tinybench.results.verdict import Summary, summary_of


@dataclass(frozen=True)
class Row:
    """One metric of one Run with its summary, in the metric's unit."""

    run: Run
    case: CaseKey
    measurement: Measurement
    summary: Summary

    @property
    def name(self) -> str:
        """A name by which other tools can tell cases apart: `vww01/tflm/nucleo-f746`."""
        return "/".join([*self.case[:3], *(f"{name}={value}" for name, value in self.case.options)])


def rows_of(runs: Runs, *, rehearsed: bool = False) -> Iterator[Row]:
    """Every measurement of every Run; failed Runs have none.

    What was rehearsed on a virtual board is only for formats that show the kind beside every number.
    """
    for run in runs:
        for measurement in run.measurements:
            if rehearsed or measurement.kind != "rehearsed":
                yield Row(run, key_of(run.case), measurement, summary_of(measurement))
