"""TensorFlow Lite Micro itself, where its libraries are given.

$TINYBENCH_TFLM names the list of libraries that `tinybench engine add` writes when the same variable is set:

    export TINYBENCH_TFLM=~/tflm.toml
    tinybench engine add tflm --lib gen/…_release_with_logs_gcc/lib/libtensorflow-microlite.a --include .
    tinybench engine add tflm-cmsis-nn --lib gen/…_cmsis_nn_gcc/lib/libtensorflow-microlite.a --include .

They are to be upstream's, for TARGET_ARCH=cortex-m4+fp and BUILD_TYPE=release_with_logs, made by gcc 12.
"""

from __future__ import annotations

import os
import time
from functools import partial

import platformdirs
import pytest

from device_adapters.virtual.adapter import VirtualAdapter
from tinybench import libraries, toolchain
from tinybench.build import build
from tinybench.fetch import Fetcher, Places
from tinybench.measure import INVOKE
from tinybench.models.loading import load
from tinybench.models.oracle import installed
from tinybench.plugins import discover
from tinybench.session import Session
from tinybench.testing import check_engine

pytestmark = [
    pytest.mark.given,
    pytest.mark.needs("arm-none-eabi-g++", "python:unicorn", "python:tflite_micro"),
]

CACHE = platformdirs.user_cache_path("tinybench")
ENGINES = ("tflm", "tflm-cmsis-nn")
TASKS = ("vww01", "kws01", "ic01", "ad01", "sww01")

# Instructions of one inference and arena in bytes: upstream's commit 90b983c2 with CMSIS-NN 4ab83cc3, counted
# by QEMU 7.2 (Cortex-M4, kernels -O2, without asserts). sww01 was not counted there.
COUNTED = {
    ("tflm", "vww01"): (100_252_077, 100_660),
    ("tflm", "kws01"): (43_043_122, 22_772),
    ("tflm", "ic01"): (107_405_668, 54_340),
    ("tflm", "ad01"): (1_952_812, 2_260),
    ("tflm-cmsis-nn", "vww01"): (24_103_556, 100_708),
    ("tflm-cmsis-nn", "kws01"): (7_700_568, 22_820),
    ("tflm-cmsis-nn", "ic01"): (29_864_178, 54_996),
    ("tflm-cmsis-nn", "ad01"): (583_494, 2_580),
}


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def board(catalogue):
    return catalogue.target("nucleo-l4r5zi")


@pytest.fixture(params=ENGINES)
def engine(request, catalogue, board):
    shelf = libraries.path(os.environ)
    if libraries.VARIABLE not in os.environ or libraries.choose(shelf, request.param, board) is None:
        pytest.skip(f"given: a library for `{request.param}` is not at hand (set TINYBENCH_TFLM)")
    return catalogue.engine(request.param)


@pytest.fixture
def workload(request, catalogue, official_models):
    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    fetcher = Fetcher(Places(CACHE, official_models, offline=True), siblings=siblings)
    return load(catalogue.workload(request.param), fetcher, installed(CACHE))


@pytest.fixture
def make():
    return partial(build, compiler=toolchain.find("gcc", CACHE), cache=CACHE)


@pytest.mark.parametrize("workload", TASKS, indirect=True)
def test_it_keeps_the_contract_of_engines(engine, workload, board, make):
    check_engine(engine, workload, board, build=make, adapter=VirtualAdapter())


@pytest.mark.parametrize("workload", TASKS, indirect=True)
def test_instructions_and_arena_are_those_counted_elsewhere(engine, workload, board, make):
    adapter = VirtualAdapter()
    image = make(workload, engine, board, "clean")
    with adapter.open(adapter.find(board)[0], image) as link:
        session = Session.connect(link, clock=time.monotonic)
        memory = session.memory()
        session.load(workload.goldens[1].data)
        session.infer(1, 0)
        link.reset_profile()
        session.infer(1, 0)
        profile = link.profile()
        assert session.output() == workload.goldens[1].output
    (invoked,) = [one.instructions for one in profile.invocations if one.symbol == INVOKE]
    assert sum(profile.operators.values()) == pytest.approx(invoked, rel=0.01)
    assert memory.arena_used <= memory.arena_reserved <= image.memory.arena_reserved_bytes
    counted = COUNTED.get((engine.name, workload.spec.id))
    if counted is not None:
        instructions, arena_bytes = counted
        assert invoked == pytest.approx(instructions, rel=0.02)
        assert memory.arena_used == pytest.approx(arena_bytes, abs=64)
