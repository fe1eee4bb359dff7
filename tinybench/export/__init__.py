"""Runs and comparisons in the formats of other tools; nothing here reads or prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.compare import Comparison
from tinybench.errors import UsageError, did_you_mean
from tinybench.export import bencher, github, junit, markdown, mlperf, openmetrics, tables
from tinybench.results.runs import Runs

Writer = Callable[[Runs, Comparison | None], bytes]

FORMATS: Mapping[str, Writer] = MappingProxyType(
    {
        "csv": lambda runs, _: tables.as_csv(runs).encode(),
        "parquet": lambda runs, _: tables.as_parquet(runs),
        "junit": lambda runs, comparison: junit.as_junit(runs.newest(), comparison),
        "markdown": lambda runs, comparison: markdown.as_markdown(runs.newest(), comparison).encode(),
        "mlperf": lambda runs, _: mlperf.as_mlperf(runs.newest()),
        "openmetrics": lambda runs, _: openmetrics.as_openmetrics(runs.newest()).encode(),
        "bencher": lambda runs, _: bencher.as_bencher(runs.newest()).encode(),
        "github-benchmark": lambda runs, _: github.as_benchmark(runs.newest()).encode(),
    }
)


def render(name: str, runs: Runs, comparison: Comparison | None = None) -> bytes:
    """The Runs, and where the format has room for it the comparison, as a file of the format `name`.

    csv and parquet hold every sample of every Run; the others the newest Run of each Case.

    Raises:
        UsageError: there is no such format.
        SetupError: the format needs a package that is missing.
    """
    writer = FORMATS.get(name)
    if writer is None:
        raise UsageError(f"unknown format `{name}`", hint=did_you_mean(name, FORMATS))
    return writer(runs, comparison)
