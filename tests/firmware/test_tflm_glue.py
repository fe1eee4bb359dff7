"""TensorFlow Lite Micro's glue, compiled and run: against a stand-in of its interface, on a virtual board."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial

import pytest
from tflm_library import CORTEX_M4, RELEASE, TREE, StandIn, built

from device_adapters.virtual.adapter import VirtualAdapter
from tinybench import elf, libraries, toolchain
from tinybench.build import build
from tinybench.engines.tflm import TflmEngine
from tinybench.errors import FirmwareFault, ModelError, ProtocolError, SetupError
from tinybench.faults import explain, registers_in
from tinybench.plugins import discover
from tinybench.session import Session
from tinybench.testing import check_engine

pytestmark = pytest.mark.needs("arm-none-eabi-g++", "python:unicorn")

MODEL = StandIn(("ADD", "MUL", "ADD", "MUL", "MUL"), used_bytes=100, planning_bytes=777)


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return built(tmp_path_factory.mktemp("stand-in"), *CORTEX_M4, *RELEASE)


@pytest.fixture(scope="session")
def catalogue():
    return discover()


@pytest.fixture(scope="session")
def board(catalogue):
    return catalogue.target("nucleo-l4r5zi")


@pytest.fixture
def shelf(tmp_path):
    return tmp_path / "libraries.toml"


@pytest.fixture
def engine(shelf, library):
    libraries.add(shelf, libraries.described("tflm", library, TREE))
    return TflmEngine("tflm", environ={"TINYBENCH_TFLM": str(shelf)})


@pytest.fixture
def make(engine, board, cache, tmp_path):
    """The image of a model of the stand-in."""

    def image(model, kind="clean"):
        compiler = toolchain.find("gcc", cache)
        return build(model.workload(tmp_path), engine, board, kind, compiler=compiler, cache=cache)

    return image


@contextmanager
def running(image, board):
    adapter = VirtualAdapter()
    with adapter.open(adapter.find(board)[0], image) as link:
        explained = lambda text: explain(image.elf, registers_in(text))  # noqa: E731 - as bench.py does
        yield link, Session.connect(link, clock=time.monotonic, explain_fault=explained)


def run(session, data):
    session.load(data)
    session.infer(1, 0)
    return session.output()


def test_it_keeps_the_contract_of_engines(engine, board, cache, tmp_path):
    make = partial(build, compiler=toolchain.find("gcc", cache), cache=cache)
    check_engine(engine, MODEL.workload(tmp_path), board, build=make, adapter=VirtualAdapter())


def test_operators_run_in_order_each_in_a_function_of_its_own(board, make):
    image = make(MODEL)
    with running(image, board) as (link, session):
        link.reset_profile()
        assert run(session, bytes([0, 1, 2, 250])) == MODEL.answer(bytes([0, 1, 2, 250]))
        profile = link.profile()
    assert sorted(profile.operators) == [0, 1, 2, 3, 4]
    assert all(profile.operators.values())
    assert profile.operators[0] == profile.operators[2]
    assert profile.operators[1] == profile.operators[3] == profile.operators[4]


def test_the_instrumented_image_names_its_operators(board, make):
    image = make(MODEL, "instrumented")
    with running(image, board) as (_, session):
        run(session, bytes(4))
        layers = session.layers()
    assert [layer.name for layer in layers] == list(MODEL.operators)
    assert all(layer.ticks for layer in layers)


@pytest.mark.parametrize(
    ("used", "planning"), [(100, 0), (100, 101), (16, 1500), (1500, 16), (1, 2), (1, 0), (333, 334)]
)
def test_the_arena_is_found_to_the_byte(board, make, used, planning):
    model = StandIn(("ADD", "MUL"), used, planning)
    with running(make(model), board) as (_, session):
        memory = session.memory()
        assert (memory.arena_used, memory.arena_reserved) == (used, max(used, planning))
        assert run(session, bytes([7, 8, 9, 10])) == model.answer(bytes([7, 8, 9, 10]))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (StandIn(("ADD",), used_bytes=1_000_000), "Arena too small"),
        (StandIn(("ADD", "ABS")), "Operator failed"),
    ],
)
def test_what_the_library_refuses_is_an_error(board, make, model, words):
    with running(make(model), board) as (_, session), pytest.raises(ProtocolError, match=words):
        run(session, bytes(4))


def test_a_library_that_gives_up_faults_where_it_did(board, make):
    with running(make(StandIn(("DIV",))), board) as (_, session):
        session.load(bytes(4))
        with pytest.raises(FirmwareFault) as raised:
            session.infer(1, 0)
    assert "abort" in " ".join((raised.value.message, *raised.value.__notes__))


def test_no_heap_no_printf_no_unwinder_comes_along(make):
    image = make(MODEL)
    names = {function.name for function in elf.functions(image.elf)}
    assert not {name for name in names if name.startswith(("_malloc", "_printf", "_vfprintf", "_Unwind"))}
    assert image.flash_bytes < 16_384


def test_a_library_with_asserts_links_and_says_so(board, shelf, tmp_path, cache):
    asserting = built(tmp_path / "default", *CORTEX_M4, "-O2")
    given = libraries.described("tflm", asserting, TREE)
    libraries.add(shelf, given)
    engine = TflmEngine("tflm", environ={"TINYBENCH_TFLM": str(shelf)})
    compiler = toolchain.find("gcc", cache)
    image = build(MODEL.workload(tmp_path), engine, board, "clean", compiler=compiler, cache=cache)
    assert given.traits.asserts
    assert "asserts-on" in image.engine_version
    assert "__assert_func" in {function.name for function in elf.functions(image.elf)}


def test_without_a_library_the_remedy_is_upstreams_make_target(board, tmp_path, shelf):
    engine = TflmEngine(
        "tflm-cmsis-nn", ("OPTIMIZED_KERNEL_DIR=cmsis_nn",), environ={"TINYBENCH_TFLM": str(shelf)}
    )
    with pytest.raises(SetupError, match="`tflm-cmsis-nn` is a library that is yours to build") as raised:
        engine.generate(MODEL.workload(tmp_path), board, tmp_path / "out")
    for words in ("TARGET=cortex_m_generic", "TARGET_ARCH=cortex-m4+fp", "OPTIMIZED_KERNEL_DIR=cmsis_nn"):
        assert words in (raised.value.hint or "")


def test_zig_refuses_in_a_sentence(engine, board, tmp_path, cache):
    pytest.importorskip("ziglang")
    compiler = toolchain.find("zig", cache)
    with pytest.raises(SetupError, match=r"zig brings no C\+\+ library") as raised:
        build(MODEL.workload(tmp_path), engine, board, "clean", compiler=compiler, cache=cache)
    assert "--toolchain gcc" in (raised.value.hint or "")


def test_an_operator_that_the_library_lacks_is_named(engine, board, tmp_path):
    workload = StandIn(("ADD", "MUL")).workload(tmp_path)
    object.__setattr__(workload.model.operators[1], "name", "SVDF")
    with pytest.raises(ModelError, match="operator 1 is `SVDF`"):
        engine.generate(workload, board, tmp_path / "out")


def test_a_library_for_another_core_is_refused_before_anything_is_built(
    catalogue, board, shelf, tmp_path, library
):
    libraries.add(shelf, libraries.described("tflm", library, TREE))
    engine = TflmEngine("tflm", environ={"TINYBENCH_TFLM": str(shelf)})
    with pytest.raises(SetupError, match=r"does not run on cortex-m0plus .* it is for Armv7E-M"):
        engine.generate(MODEL.workload(tmp_path), catalogue.target("rpi-pico"), tmp_path / "out")


def test_of_two_libraries_the_one_that_fits_is_taken(catalogue, board, shelf, tmp_path, library):
    small = built(tmp_path / "m0", "-mcpu=cortex-m0plus", "-mthumb", "-Os", "-DNDEBUG")
    for one in (library, small):
        libraries.add(shelf, libraries.described("tflm", one, TREE))
    for target, expected in (("nucleo-l4r5zi", library), ("rpi-pico", small)):
        chosen = libraries.choose(shelf, "tflm", catalogue.target(target))
        assert chosen is not None
        assert chosen.archive == expected.resolve()


def test_a_library_that_changed_is_refused(board, shelf, tmp_path):
    mine = built(tmp_path / "mine", *CORTEX_M4, *RELEASE)
    libraries.add(shelf, libraries.described("tflm", mine, TREE))
    mine.write_bytes(mine.read_bytes() + b"\n")
    with pytest.raises(SetupError, match="has changed since it was added"):
        libraries.choose(shelf, "tflm", board)
