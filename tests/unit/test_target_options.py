"""`--target-option`: what is set, what the target then promises, and what is refused."""

from __future__ import annotations

import pytest

from tinybench import target_options
from tinybench.errors import UsageError
from tinybench.plugins import discover
from tinybench.target_options import applied, identifying, refuse_without, turned


def test_nothing_asked_changes_nothing() -> None:
    catalogue = discover()
    assert applied(catalogue, ()) is catalogue
    assert identifying(catalogue.target("nucleo-l4r5zi")) == {}


def test_an_option_reaches_the_compiler_the_conditions_and_the_case() -> None:
    target = applied(discover(), ["prefetch=off"]).target("nucleo-l4r5zi")
    assert target.firmware.defines["TB_FLASH_PREFETCH"] == "0"
    assert target.core.caches.endswith(", prefetch off")
    assert identifying(target) == {"target.prefetch": "off"}


def test_the_default_said_aloud_is_the_default() -> None:
    plain = discover().target("nucleo-l4r5zi")
    assert identifying(applied(discover(), ["prefetch=on"]).target("nucleo-l4r5zi")) == {}
    assert turned(plain, {"prefetch": "on"}).core.caches == plain.core.caches


def test_an_option_for_one_target_leaves_the_others_alone() -> None:
    catalogue = applied(discover(), ["nucleo-l4r5zi.data-cache=off"])
    assert catalogue.target("nucleo-l4r5zi").setting("data-cache") == "off"
    assert catalogue.target("b-l475e-iot01a").setting("data-cache") == "on"


def test_clock_and_wait_states_go_together_and_more_wait_states_win() -> None:
    target = discover().target("nucleo-l4r5zi")
    slow = turned(target, {"clock": "80mhz"})
    assert (slow.clock_hz, slow.flash_wait_states) == (80_000_000, 3)
    slower = turned(target, {"clock": "80mhz", "wait-states": "5"})
    assert (slower.clock_hz, slower.flash_wait_states) == (80_000_000, 5)


def test_weights_move_to_ram() -> None:
    target = turned(discover().target("nucleo-l4r5zi"), {"weights": "ram"})
    assert target.region_for("weights").kind == "ram"
    assert target.region_for("text").kind == "flash"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("prefetch", "is no target option"),
        ("prefetch=", "is no target option"),
        ("=off", "is no target option"),
        ("pretfetch=off", "no target has an option `pretfetch`"),
        ("nucleo-l4r5zi.prefetch=maybe", "cannot set `prefetch=maybe`"),
        ("rpi-pico.prefetch=off", "`rpi-pico` has no option `prefetch`: its firmware could not set it"),
        ("nucleo-l4r6.prefetch=off", "nucleo-l4r6"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        applied(discover(), [word])


def test_an_option_for_all_is_refused_by_a_selected_target_that_cannot_set_it() -> None:
    catalogue = applied(discover(), ["wait-states=8"])
    refuse_without(catalogue.target("nucleo-l4r5zi"), ["wait-states=8"])
    with pytest.raises(UsageError, match="cannot set `wait-states=8`"):
        refuse_without(catalogue.target("b-l475e-iot01a"), ["wait-states=8"])
    with pytest.raises(UsageError, match="has no option `wait-states`"):
        refuse_without(catalogue.target("rpi-pico"), ["wait-states=8"])
    refuse_without(catalogue.target("rpi-pico"), ["nucleo-l4r5zi.wait-states=8"])


def test_every_knob_of_our_boards_can_be_turned_all_the_way() -> None:
    for found in discover().targets.values():
        for name, knob in found.part.knobs.items():
            for value in knob.choices:
                target = turned(found.part, {name: value})
                assert target.setting(name) == value
                assert target_options.identifying(target) == (
                    {} if value == knob.default else {f"target.{name}": value}
                )
