"""Where trained workloads get their samples in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from tinybench.fetch import Fetcher, Places
from tinybench.plugins import discover
from tinybench.workload import TrainedSource, WorkloadSpec


@pytest.fixture(scope="session")
def samples_of() -> Callable[[str], tuple[WorkloadSpec, TrainedSource, list[Path]]]:
    """A trained workload by name, its source, and its files of samples."""
    catalogue = discover()
    fetcher = Fetcher(Places(platformdirs.user_cache_path("tinybench"), offline=True))

    def of(name: str) -> tuple[WorkloadSpec, TrainedSource, list[Path]]:
        spec = catalogue.workload(name)
        (source,) = (item for item in spec.model.sources if isinstance(item, TrainedSource))
        return spec, source, [fetcher.data(name, file) for file in source.data]

    return of
