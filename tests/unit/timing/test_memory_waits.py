"""From counted misses to cycles: what the chips' descriptions say, and what turning a knob changes."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import SetupError
from tinybench.plugins import discover
from tinybench.timing.fitting import fitted, fitted_constants, leave_one_out, with_cycles
from tinybench.timing.memory import (
    ChipMemory,
    Counts,
    MemorySettings,
    Miss,
    Served,
    chip_of,
    chips,
    settings_of,
    stalls,
    with_leads,
)

L4PLUS = chips()["stm32l4plus"]


NOTHING = Counts()


def served(code: Counts = NOTHING, data: Counts = NOTHING, leads: dict[int, int] | None = None) -> Served:
    return Served(
        chip="stm32l4plus",
        chip_version=L4PLUS.version,
        caches_off=frozenset(),
        counts=MappingProxyType({("flash", "code"): code, ("flash", "data"): data}),
        leads=MappingProxyType({"flash": leads} if leads else {}),
    )


@pytest.mark.parametrize("chip", chips().values(), ids=lambda chip: chip.name)
def test_every_number_says_what_it_rests_on(chip: ChipMemory) -> None:
    assert bool(chip.numbers()) == bool(chip.memories)
    for name, number in chip.numbers().items():
        assert number.origin in {"documented", "assumed", "fitted"}, name
        if number.origin == "documented":
            assert any(letter.isdigit() for letter in number.source), f"{name}: which chapter, which figure?"
        if number.origin == "assumed":
            assert chip.assumptions, "what is assumed is said in words as well"


@pytest.mark.parametrize(
    ("mcu", "name"),
    [
        ("STM32L4R5ZI", "stm32l4plus"),
        ("STM32L475VG", "stm32l4"),
        ("STM32F746ZG", "stm32f74"),
        ("STM32F767ZI", "stm32f76"),
        ("STM32H743ZI", "stm32h7"),
        ("nRF52840", "nrf52"),
        ("nRF5340", "nrf5340"),
        ("RP2040", "rp2040"),
        ("STM32G071RB", None),
    ],
)
def test_an_order_code_leads_to_the_description_that_fits_it_longest(mcu: str, name: str | None) -> None:
    found = chip_of(mcu)
    assert (found.name if found else None) == name


def test_every_board_of_ours_has_a_description_or_no_caches() -> None:
    for found in discover().targets.values():
        target = found.part
        if target.virtual is not None:
            assert chip_of(target.mcu) is not None or target.core.caches == "none", target.name


def test_the_l1_caches_are_as_large_as_the_boards_say() -> None:
    for name, code_bytes, data_bytes in (("stm32f74", 4096, 4096), ("stm32f76", 16384, 16384)):
        sizes = {cache.name: cache.size_bytes for cache in chips()[name].caches}
        assert (sizes["instruction"], sizes["data"]) == (code_bytes, data_bytes)


@given(
    misses=st.integers(0, 10**7),
    waits=st.integers(0, 15),
    more=st.integers(1, 5),
)
def test_more_wait_states_cost_as_much_more_as_there_are_misses(misses: int, waits: int, more: int) -> None:
    counted = served(data=Counts(asked=misses, jumped=misses))
    few, many = (
        stalls(counted, L4PLUS, MemorySettings(wait_states=w, prefetch=False)).cycles
        for w in (waits, waits + more)
    )
    assert many - few == misses * more


def test_prefetch_hides_what_the_word_before_takes_and_no_branch() -> None:
    # RM0432, 3.3.4: with prefetch, code that runs on waits for what its instructions do not cover.
    on, off = (MemorySettings(wait_states=5, prefetch=p) for p in (True, False))
    wait = 5 + L4PLUS.memory("flash").read_cycles.value
    running_on = served(code=Counts(next=100), leads={4: 100})
    jumping = served(code=Counts(jumped=100))
    assert stalls(running_on, L4PLUS, off).cycles == 100 * wait
    assert stalls(running_on, L4PLUS, on).cycles == 100 * (wait - 4)
    assert stalls(running_on, L4PLUS, on, cycles_per_instruction=2.0).cycles == 0
    assert stalls(jumping, L4PLUS, on).cycles == stalls(jumping, L4PLUS, off).cycles == 100 * wait


def test_leads_count_the_instructions_of_the_word_before() -> None:
    counted = served()
    missed = Served(
        counted.chip,
        counted.chip_version,
        counted.caches_off,
        counted.counts,
        misses=(Miss("flash", "code", 0x0800_0010, 7, 0), Miss("flash", "code", 0x0800_0018, 0, 3)),
    )
    # Three instructions begin in 0x08000008…0x0800000f.
    starts = (0x0800_0006, 0x0800_0008, 0x0800_000A, 0x0800_000E, 0x0800_0010)
    assert with_leads(missed, L4PLUS, starts).leads == {"flash": {3: 7}}


def test_counts_of_another_chip_or_other_caches_are_refused() -> None:
    with pytest.raises(ValueError, match="stm32l4plus"):
        stalls(served(), chips()["rp2040"], MemorySettings())
    with pytest.raises(ValueError, match="off"):
        stalls(served(), L4PLUS, MemorySettings(caches_off=frozenset({"data"})))


def test_a_board_sets_what_its_options_say() -> None:
    from tinybench.target_options import turned

    target = discover().target("nucleo-l4r5zi")
    assert settings_of(target, L4PLUS) == MemorySettings(wait_states=5, prefetch=True)
    quiet = turned(target, {"prefetch": "off", "data-cache": "off", "wait-states": "8"})
    assert settings_of(quiet, L4PLUS) == MemorySettings(8, prefetch=False, caches_off=frozenset({"data"}))


def test_a_board_that_does_not_say_its_wait_states_has_no_settings() -> None:
    target = discover().target("nucleo-l4r5zi").model_copy(update={"flash_wait_states": None})
    with pytest.raises(SetupError, match="`nucleo-l4r5zi` does not say how many wait states"):
        settings_of(target, L4PLUS)
    assert settings_of(target, chips()["rp2040"]).wait_states == 0  # whose memories have none to set


def test_a_fit_is_the_whole_number_of_least_squares_and_leaving_out_takes_it_from_the_others() -> None:
    misses = {"l4r5zi-ad": 10.0, "l4r5zi-ic": 20.0, "l4r5zi-kws": 30.0, "l4r5zi-vww": 40.0}
    wanted = {"l4r5zi-ad": 9.0, "l4r5zi-ic": 3.1, "l4r5zi-kws": 2.9, "l4r5zi-vww": 3.0}

    def error(row: str, chip: ChipMemory) -> float:
        return misses[row] * (chip.memory("flash").read_cycles.value - wanted[row]) / 1000

    (constant,) = fitted_constants()
    assert set(constant.rows) == set(misses)
    assert fitted(L4PLUS, constant.name, [r for r in misses if r != "l4r5zi-ad"], error) == 3
    assert leave_one_out("l4r5zi-ad", L4PLUS, error) == pytest.approx(10 * (3 - 9) / 1000)
    assert with_cycles(L4PLUS, constant.name, 7).memory("flash").read_cycles.value == 7
    assert L4PLUS.memory("flash").read_cycles.value == constant.cycles


def test_the_fitted_constant_is_what_the_published_rows_give() -> None:
    from tinybench.timing.facts import rows
    from tinybench.timing.validate import estimate_of

    (constant,) = fitted_constants()
    known = {facts.row: (facts, estimate_of(facts)) for facts in rows() if facts.row in constant.rows}
    assert set(known) == set(constant.rows)

    def error(row: str, chip: ChipMemory) -> float:
        facts, answer = known[row]
        counted = facts.memory_served()
        assert counted is not None
        assert answer.stalls is not None
        waited = stalls(counted, chip, facts.settings).cycles
        return (answer.cycles - answer.stalls.cycles + waited) / facts.published.cycles - 1

    assert fitted(L4PLUS, constant.name, constant.rows, error) == constant.cycles
