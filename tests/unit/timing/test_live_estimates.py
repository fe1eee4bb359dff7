"""When a link gives an estimate, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tinybench.errors import SetupError
from tinybench.plugins import discover
from tinybench.target import Target
from tinybench.timing.core import core_timing
from tinybench.timing.estimate import Estimate, Models
from tinybench.timing.live import measurements_of, watch
from tinybench.timing.memory import ChipMemory, MemorySettings, Served, chip_of
from tinybench.timing.pipeline import CoreCycles
from tinybench.timing.validate import error_of


class NothingCounted:
    """The edges of a run that executed nothing."""

    edges: Sequence[object] = ()


class CountingLink:
    """A link that counts by edge and does not observe memory."""

    def edges(self) -> NothingCounted:
        return NothingCounted()


class UnobservableLink:
    """A link that counts by edge, and could observe memory if its setup were complete."""

    def edges(self) -> NothingCounted:
        return NothingCounted()

    def observe_memory(self, chip: ChipMemory, settings: MemorySettings) -> None:
        raise SetupError("simulating caches needs a C compiler, and none was found")

    def memory_served(self) -> Served:
        raise AssertionError("nothing was observed")


@pytest.fixture(scope="module")
def boards() -> dict[str, Target]:
    """Every board there is."""
    return {name: found.part for name, found in discover().targets.items()}


def test_every_simulated_board_has_a_core_and_a_chip_that_are_described(boards: dict[str, Target]) -> None:
    simulated = [board for board in boards.values() if board.virtual is not None]
    assert len(simulated) >= 7
    for board in simulated:
        assert core_timing(board.core.name) is not None, board.name
        assert chip_of(board.mcu) is not None, board.name


def test_a_link_that_does_not_count_by_edge_has_no_estimate(boards: dict[str, Target]) -> None:
    found = watch(object(), boards["nucleo-f746"])(Path("unused.elf"))
    assert found.measurements == ()
    assert found.notes == ("no estimate: this simulator does not count by edge",)


def test_a_link_that_does_not_observe_memory_has_no_estimate(boards: dict[str, Target]) -> None:
    (note,) = watch(CountingLink(), boards["nucleo-f746"])(Path("unused.elf")).notes
    assert "memories" in note


def test_a_link_that_cannot_observe_memory_says_why_and_the_run_goes_on(boards: dict[str, Target]) -> None:
    found = watch(UnobservableLink(), boards["nucleo-f746"])(Path("unused.elf"))
    assert found.measurements == ()
    assert found.notes == ("no estimate: simulating caches needs a C compiler, and none was found",)


def test_a_core_without_a_model_says_why(boards: dict[str, Target]) -> None:
    board = boards["nucleo-f746"]
    helium = board.model_copy(update={"core": board.core.model_copy(update={"name": "cortex-m55"})})
    (note,) = watch(CountingLink(), helium)(Path("unused.elf")).notes
    assert "`cortex-m55` is not modelled" in note


def test_an_estimate_carries_its_models_and_the_error_of_their_class() -> None:
    core, chip = core_timing("cortex-m4"), chip_of("STM32L4R5ZI")
    assert core is not None
    models = Models.of(core, chip)
    cycles, latency = measurements_of(
        Estimate(CoreCycles(1.2e6, 1_000_000, {"issue": 1.2e6}, {}), None, models), 120_000_000
    )
    validated = error_of(models)
    assert validated is not None
    assert cycles.kind == latency.kind == "estimated"
    assert (cycles.samples, latency.samples) == ((1_200_000,), (0.01,))
    assert cycles.error == latency.error == validated.largest
    assert "cortex-m4 1 + stm32l4plus 1" in (cycles.estimator or "")


def test_models_that_no_row_tested_have_no_error() -> None:
    assert error_of(Models("cortex-m3", 1, None, None)) is None
    assert error_of(Models("cortex-m4", 99, "stm32l4plus", 1)) is None
