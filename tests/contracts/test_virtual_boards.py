"""Every board that has a virtual twin: it boots, talks, faults, locks up, sleeps and reports as promised."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import platformdirs
import pytest

import device_adapters.boards
from tinybench import build, toolchain
from tinybench.errors import UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import load
from tinybench.plugins import discover
from tinybench.testing import check_virtual_board

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang")

CACHE = platformdirs.user_cache_path("tinybench")
BOARDS = Path(next(iter(device_adapters.boards.__path__)))
FACTS = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(BOARDS.glob("*.toml"))]
NAMES = [facts["name"] for facts in FACTS if "virtual" in facts]


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def make(catalogue):
    made = partial(build.build, compiler=toolchain.find(None, CACHE), cache=CACHE)
    workload = load(catalogue.workload("fcnn-10x10"), Fetcher(Places(CACHE, offline=True)), None)
    return lambda target: made(workload, catalogue.engine("reference"), target, "clean")


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(catalogue, make, name):
    target = catalogue.target(name)
    check_virtual_board(target, make(target))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"serial": "gpio-without-a-wire"}, "there is no peripheral"),
        ({"boot": 0x0F00_0000}, "locks up after `b''`"),
    ],
)
def test_a_board_that_is_wired_wrongly_does_not(catalogue, make, change, says):
    target = catalogue.target("nrf52840-dk")
    image = make(target)
    wrong = target.model_copy(update={"virtual": {**target.virtual, **change}})
    with pytest.raises((AssertionError, UsageError), match=says):
        check_virtual_board(wrong, image)


def test_an_image_that_is_not_the_one_it_runs_is_found(catalogue, make):
    target = catalogue.target("nrf52840-dk")
    with pytest.raises(AssertionError, match="and not"):
        check_virtual_board(target, replace(make(target), build_id="0" * 40))
