"""Models trained here answer on the virtual board as they were judged: held-out samples, to the bit."""

# ruff: noqa: PLR0917 - fixtures and parameters

from __future__ import annotations

import pytest

from tinybench.fetch import Fetcher, Places
from tinybench.making import recipes
from tinybench.models import golden
from tinybench.workload import TrainedSource

from .conftest import CACHE

SAMPLES = 40
pytestmark = pytest.mark.needs("python:unicorn")


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("digits", "reference"),
        ("movements", "cmsis-nn"),
        pytest.param("digits-forest", "emlearn", marks=pytest.mark.needs("python:emlearn")),
    ],
)
def test_held_out_samples_are_answered_as_the_oracle_answers_them(
    name, engine, catalogue, workload_of, on_board, judged
):
    workload = workload_of(name)
    (source,) = (item for item in workload.spec.model.sources if isinstance(item, TrainedSource))
    files = [Fetcher(Places(CACHE, offline=True)).data(name, file) for file in source.data]
    held = recipes.held_out(source.recipe, files)
    chosen = range(0, len(held.y), max(len(held.y) // SAMPLES, 1))
    wire = [recipes.on_the_wire(held.x[index], workload.spec.input.encoding) for index in chosen]
    with on_board(catalogue.engine(engine), workload) as run:
        answers = [run(sample) for sample in wire]
    assert answers == judged(
        workload, [golden.to_tensor(workload.spec, workload.model, item) for item in wire]
    )
    scores = [golden.values(answer, "int8") for answer in answers]
    right = sum(score.index(max(score)) == held.y[index] for score, index in zip(scores, chosen, strict=True))
    accuracy = workload.spec.accuracy
    assert accuracy is not None
    # Three standard deviations of a share counted on as many samples.
    spread = 3 * (accuracy.top1 * (1 - accuracy.top1) / len(wire)) ** 0.5
    assert right / len(wire) == pytest.approx(accuracy.top1, abs=spread)
