"""docs/workloads.md has a row for every workload of ours, and its figures are those of the models."""

from __future__ import annotations

import re
from pathlib import Path

import platformdirs
import pytest

from tinybench.errors import SetupError
from tinybench.fetch import Fetcher, Places
from tinybench.model import parameters, total_macs
from tinybench.models import tflite
from tinybench.models.loading import model_of
from tinybench.plugins import discover

PAGE = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
ROWS = {
    name: tuple(int(figure.replace(",", "")) for figure in figures)
    for name, *figures in re.findall(
        r"^\| `([\w-]+)` \| .+ \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE
    )
}
CATALOGUE = discover()
OURS = {name: found.part for name, found in CATALOGUE.workloads.items() if found.origin == "tinybench-mcu"}


def test_every_workload_has_its_row():
    assert set(ROWS) == set(OURS)


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_figures_are_those_of_the_model(name, request):
    places = Places(platformdirs.user_cache_path("tinybench"), offline=True)
    siblings = [spec.model for spec in OURS.values()]
    try:
        data = model_of(OURS[name], Fetcher(places, siblings=siblings)).data
    except SetupError:
        folder = request.getfixturevalue("official_models")
        if not (folder / OURS[name].model.file).is_file():
            pytest.skip(f"given: `{OURS[name].model.file}` is not among the model files at hand")
        data = (folder / OURS[name].model.file).read_bytes()
    model = tflite.read(data)
    assert ROWS[name] == (total_macs(model), parameters(model), len(data))


def test_suites_and_pipelines_are_named():
    ours = {name for name, found in CATALOGUE.suites.items() if found.origin == "tinybench-mcu"}
    for name in ours & {"mlperf-tiny", "compression", "residuals", "wearable"}:
        assert f"`{name}`" in PAGE or f"--suite {name}" in PAGE
    assert all(f"tinybench pipeline {name}" in PAGE for name in CATALOGUE.pipelines)


def test_stated_accuracies_are_those_of_the_workloads():
    for name, spec in OURS.items():
        if spec.accuracy is not None:
            (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |") and "%" in line)
            assert f"{100 * spec.accuracy.top1:.1f} %" in row
            assert f"{spec.accuracy.held_out:,}" in row
