"""The device `host` and its engine: real processes, the real interpreter, the real pipeline."""

from __future__ import annotations

import time
from functools import partial

import platformdirs
import pytest

from device_adapters.host import HostAdapter
from tinybench import bench, programs
from tinybench.errors import (
    BuildError,
    LinkClosed,
    LoadError,
    ModelError,
    ProtocolError,
)
from tinybench.fetch import Fetcher, Places
from tinybench.latency import Rules
from tinybench.models.loading import load
from tinybench.models.oracle import installed
from tinybench.plan import PlannedCase
from tinybench.plugins import discover
from tinybench.session import Session
from tinybench.testing import check_adapter, check_engine

pytestmark = pytest.mark.needs("python:tflite_micro")

CACHE = platformdirs.user_cache_path("tinybench")
SHORT = Rules(name="short", window_s=0.05, windows=3, warmup=1, clock_tolerance=0.2)


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def here(catalogue):
    return catalogue.target("host")


@pytest.fixture(scope="module")
def engine(catalogue):
    return catalogue.engine("tflm-host")


@pytest.fixture(scope="module")
def workload(catalogue):
    return load(catalogue.workload("kws01-mltk"), Fetcher(Places(CACHE, offline=True)), installed(CACHE))


@pytest.fixture
def make(tmp_path):
    return partial(programs.make, cache=tmp_path)


@pytest.fixture
def device(here):
    return HostAdapter().find(here)[0]


@pytest.fixture
def image(make, workload, engine, here):
    return make(workload, engine, here, "clean")


def test_this_computer_keeps_the_contract_of_adapters(here, image):
    check_adapter(HostAdapter(), here, image)


def test_its_engine_refuses_boards_as_the_contract_of_engines_asks(catalogue, workload, engine, make):
    board = catalogue.target("nucleo-l4r5zi")
    assert engine.refuses(workload, board) == (
        "`tflm-host` runs on this computer only; for `nucleo-l4r5zi` there is `tflm`"
    )
    check_engine(engine, workload, board, build=make, adapter=HostAdapter())


def test_there_is_no_firmware_of_it(workload, engine, here, tmp_path):
    with pytest.raises(ModelError, match="has no firmware"):
        engine.generate(workload, here, tmp_path)


def test_an_engine_for_boards_makes_no_program(catalogue, workload, here, make):
    with pytest.raises(BuildError, match="`reference` makes firmware"):
        make(workload, catalogue.engine("reference"), here, "clean")


def test_no_board_is_this_computer(catalogue):
    assert HostAdapter().find(catalogue.target("nucleo-f746")) == ()


def test_a_run_says_that_it_measured_this_computer(workload, engine, here, device, make):
    kept = []
    store = type("Kept", (), {"append": staticmethod(kept.append)})()
    case = PlannedCase(workload, engine, here, device, HostAdapter())
    for _ in bench.run([case], bench.Bench(build=make, store=store, rules=SHORT)):
        pass
    (run,) = kept
    assert run.failure is None
    assert run.conditions.core.startswith("host ")
    assert (run.conditions.clock_hz, run.conditions.simulated) == (None, False)
    assert all(check.equal for check in run.golden)
    latency, arena = run.measurement("latency"), run.measurement("ram_arena")
    assert (latency.kind, len(latency.samples)) == ("measured", SHORT.windows)
    assert all(sample > 0 for sample in latency.samples)
    assert (arena.kind, arena.samples) == ("counted", (24272,))  # as the interpreter reports it on x86-64
    absent = ("flash", "ram_static", "ram_stack", "ram_heap", "ram_peak", "instructions")
    assert [run.measurement(metric) for metric in absent] == [None] * len(absent)


def test_the_same_program_has_the_same_build_id_and_another_has_not(make, workload, engine, here):
    clean = make(workload, engine, here, "clean")
    assert clean == make(workload, engine, here, "clean")
    assert clean.build_id != make(workload, engine, here, "instrumented").build_id


class OnlyBatch:
    """A host that does not know our verbs, as the official runner is."""

    def __init__(self, link):
        self.link = link
        self.read = link.read

    def write(self, data):
        self.link.write(data.replace(b"tb caps", b"unheard-of"))


def test_it_can_be_driven_without_our_verbs(device, image, workload):
    with HostAdapter().open(device, image) as link:
        session = Session.connect(OnlyBatch(link), clock=time.monotonic)
        assert session.capabilities() is None
        session.load(workload.goldens[1].data, verify=True)
        window = session.infer(2, 1)
    assert window.stamp.device_s > 0
    assert len(window.results) == len(workload.spec.labels)


def test_bytes_that_arrive_damaged_are_refused(device, image, workload):
    with HostAdapter().open(device, image) as link:
        session = Session.connect(Damaging(link), clock=time.monotonic)
        with pytest.raises(LoadError, match="arrived damaged twice"):
            session.load(workload.goldens[0].data)


class Damaging:
    """A link that spoils the last byte of every load."""

    def __init__(self, link):
        self.link = link
        self.read = link.read

    def write(self, data):
        self.link.write(data if len(data) < 100 else data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda session: session.infer(1, 0), "Input size does not match the tensor"),
        (lambda session: session.output(), "No inference yet"),
        (lambda session: session.load(bytes(100_000)), "Load does not fit the buffer"),
        (lambda session: session.layers(), "Not in the clean image"),
        (lambda session: session.latencies(257, 0), "Number of inferences out of range"),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_words_of_the_wire(device, image, ask, words):
    with HostAdapter().open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic)
        with pytest.raises(ProtocolError, match=words):
            ask(session)


def test_single_latencies_are_in_ticks_of_nanoseconds(device, image, workload):
    with HostAdapter().open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic)
        session.load(workload.goldens[0].data)
        ticks = session.latencies(20, 1)
        assert session.clock().hz == 1_000_000_000
        assert session.output() == workload.goldens[0].output
    assert len(ticks) == 20
    assert all(ticks)


def test_a_program_that_ends_closes_its_link(device, image):
    with HostAdapter().open(device, image) as link:
        Session.connect(link, clock=time.monotonic)
        link._child.kill()
        with pytest.raises(LinkClosed, match="has ended"):
            list(iter(lambda: link.read(60), None))


def test_an_image_that_is_not_there_is_no_program(device, image, tmp_path):
    import dataclasses

    gone = dataclasses.replace(image, elf=tmp_path / "gone.json")
    with pytest.raises(LoadError, match="is no program"), HostAdapter().open(device, gone):
        pass


def test_a_broken_program_is_a_device_that_is_gone(device, image, tmp_path):
    import dataclasses

    broken = tmp_path / "program.json"
    broken.write_text("{}")
    with (
        pytest.raises(LoadError, match="code `1`"),
        HostAdapter().open(device, dataclasses.replace(image, elf=broken)),
    ):
        pass
