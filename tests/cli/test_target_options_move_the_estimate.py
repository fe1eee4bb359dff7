"""What a user turns on a board moves its estimate, in the direction and about the size that is published."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Command

pytestmark = pytest.mark.needs("python:unicorn", "arm-none-eabi-gcc")

BASE = (
    "run",
    "--workload",
    "kws01-mltk",
    "--engine",
    "reference-dsp",
    "--device",
    "nucleo-l4r5zi",
    "--simulate",
)


def run_with(tinybench: Command, *words: str) -> Any:
    options = [part for word in words for part in ("--target-option", word)]
    said = tinybench(*BASE, *options, "--json")
    assert said.code == 0, said.err
    (run,) = said.json["runs"]
    return run


def cycles(run: Any) -> float:
    (found,) = (m for m in run["measurements"] if m["metric"] == "cycles")
    assert found["kind"] == "estimated"
    return float(found["samples"][0])


def test_knobs_of_the_l4_move_its_estimate(tinybench: Command) -> None:
    plain = run_with(tinybench)
    whole = cycles(plain)
    assert plain["case"]["options"] == {}

    # Zephyr, pull request 8227: prefetch gains 5 to 10 %, and much less where hot loops fit the cache.
    no_prefetch = run_with(tinybench, "prefetch=off")
    assert 1.0 < cycles(no_prefetch) / whole < 1.05
    assert no_prefetch["case"]["options"] == {"target.prefetch": "off"}
    assert no_prefetch["conditions"]["caches"].endswith(", prefetch off")

    # RM0432, 3.3.4: without prefetch and caches every 8 bytes of code wait, two to four instructions.
    # On an STM32L476 with 4 wait states short tasks, never quite cached, took 1.5 and 1.9 times as long; a
    # hot loop has more to lose.
    bare = run_with(tinybench, "prefetch=off", "code-cache=off", "data-cache=off")
    assert 1.86 < cycles(bare) / whole < 4

    # A miss costs the wait states and little more: with 8 for 5, what is waited grows by less than 3 / 5.
    slower = run_with(tinybench, "wait-states=8")
    assert 1.0 < cycles(slower) / whole < 1.3
    assert slower["conditions"]["flash_wait_states"] == 8

    copied = run_with(tinybench, "weights=ram")
    assert 0.6 < cycles(copied) / whole < 0.95
    assert copied["conditions"]["weights_region"] == "sram"


def test_what_a_board_cannot_set_is_refused_before_anything_is_built(tinybench: Command) -> None:
    said = tinybench(*BASE[:-2], "rpi-pico", "--simulate", "--target-option", "prefetch=off")
    assert said.code == 2
    assert "`rpi-pico` has no option `prefetch`: its firmware could not set it" in said.err
    assert "weights=flash|ram" in said.err
