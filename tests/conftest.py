"""What every test may ask for: tools by name, models by name, a cache that is not the user's."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"


def pytest_configure() -> None:
    """Tests share one cache below the user's, so that a second run is fast, but never the user's results."""
    os.environ.pop("TINYBENCH_RESULTS", None)
    os.environ["TINYBENCH_OFFLINE"] = "1"  # the package index is still asked; public repositories are not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("needs"):
            for tool in marker.args:
                if not _present(tool):
                    _leave_out(item, f"needs `{tool}`, which is not installed")
        if item.get_closest_marker("hil") and not os.environ.get("TINYBENCH_HIL"):
            item.add_marker(pytest.mark.skip(reason="hil: needs a real board (set TINYBENCH_HIL=1)"))


def _present(tool: str) -> bool:
    """A command on the PATH, a Python package written as `python:NAME`, or a `file:PATH`."""
    kind, _, name = tool.rpartition(":")
    if kind == "file":
        return Path(name).is_file()
    return importlib.util.find_spec(name) is not None if kind == "python" else shutil.which(name) is not None


def _leave_out(item: pytest.Item, reason: str) -> None:
    """Skipped by name on a desk; in CI, which installs every tool, a failure."""
    if IN_CI:
        item.add_marker(pytest.mark.usefixtures("_missing_in_ci"))
    else:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def _missing_in_ci(request: pytest.FixtureRequest) -> None:
    pytest.fail(f"{request.node.nodeid}: CI lacks a tool this test needs", pytrace=False)


@pytest.fixture(scope="session")
def official_models() -> Path:
    """The folder of official model files that the user named in $TINYBENCH_MODELS."""
    folder = os.environ.get("TINYBENCH_MODELS")
    if not folder:
        pytest.skip("given: the official model files are not at hand (set TINYBENCH_MODELS)")
    return Path(folder).resolve()
