"""What the repository keeps of the validation is what the models say today."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from tinybench.timing.facts import Facts, kept_text, rows
from tinybench.timing.validate import Validation, summary, summary_text, validate


@pytest.fixture(scope="module")
def validation() -> Validation:
    """All rows, estimated once."""
    return validate()


def test_the_kept_errors_are_todays(validation: Validation) -> None:
    kept = files("tinybench.timing").joinpath("validation", "summary.json").read_text(encoding="utf-8")
    assert kept == summary_text(validation.classes), "run: tinybench timing validate --keep"
    assert set(summary()) == {found.models for found in validation.classes}


def test_the_microcontroller_rows_are_as_near_as_promised(validation: Validation) -> None:
    """The targets: 8 % each and 5 % on average, leave-one-out; 10 % where nothing was fitted."""
    with_cmsis_nn = [row for row in validation.rows if row.engine == "microTVM + CMSIS-NN"]
    l4 = [abs(row.error_leave_one_out) for row in with_cmsis_nn if row.board == "NUCLEO-L4R5ZI"]
    nrf = [abs(row.error_leave_one_out) for row in with_cmsis_nn if row.board == "nRF5340 DK"]
    assert len(l4) == len(nrf) == 4
    assert max(l4) <= 0.08
    assert sum(l4) / 4 <= 0.05
    assert max(nrf) <= 0.10


@pytest.mark.parametrize("facts", rows(), ids=lambda facts: facts.row)
def test_a_row_says_what_it_is_and_holds_no_program(facts: Facts) -> None:
    assert facts.published.source
    assert len(facts.build.elf_sha256) == 64
    assert facts.instructions > 100_000
    assert all(0 <= index < len(facts.shapes) for _, indices in facts.blocks for index in indices)
    assert Facts.model_validate(json.loads(kept_text(facts))) == facts


def test_rows_left_out_say_why(validation: Validation) -> None:
    for row in validation.rows:
        assert row.counts or len(row.role) > 10
    assert sum(row.counts for row in validation.rows) >= 14


def test_the_sum_of_the_reasons_is_the_estimate(validation: Validation) -> None:
    for row in validation.rows:
        assert sum(row.reasons.values()) == pytest.approx(row.estimated_cycles)
