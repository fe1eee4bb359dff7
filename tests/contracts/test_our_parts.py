"""Our own adapters and engines keep the contracts we ask of others: real compilers, real virtual boards."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

import platformdirs
import pytest

from tinybench import build, toolchain
from tinybench.errors import WrongAnswer
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import load
from tinybench.plugins import discover
from tinybench.session import Session
from tinybench.testing import check_adapter, check_engine

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang")

CACHE = platformdirs.user_cache_path("tinybench")


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def make():
    return partial(build.build, compiler=toolchain.find(None, CACHE), cache=CACHE)


@pytest.fixture(scope="module")
def workload(catalogue):
    return load(catalogue.workload("kws01-mltk"), Fetcher(Places(CACHE, offline=True)), None)


@pytest.fixture(scope="module")
def board(catalogue):
    return catalogue.target("nucleo-f746")


@pytest.fixture(scope="module")
def parts(catalogue, make, workload, board):
    adapter = catalogue.adapters["virtual"].part
    return {"workload": workload, "target": board, "build": make, "adapter": adapter}


def test_the_virtual_boards_keep_the_contract_of_adapters(catalogue, make, workload, board):
    image = make(workload, catalogue.engine("reference"), board, "clean")
    check_adapter(catalogue.adapters["virtual"].part, board, image)


def test_the_reference_engine_keeps_the_contract_of_engines(catalogue, parts):
    check_engine(catalogue.engine("reference"), **parts)


class OnlyBatch:
    """A host that does not know our verbs, as the official runner is."""

    def __init__(self, link):
        self.link = link
        self.read = link.read

    def write(self, data):
        assert data == b"tb caps%" or not data.startswith(b"tb")
        self.link.write(data.replace(b"tb caps", b"help"))


def test_our_firmware_can_be_driven_without_our_verbs(parts, make, catalogue):
    workload, board, adapter = parts["workload"], parts["target"], parts["adapter"]
    image = make(workload, catalogue.engine("reference"), board, "clean")
    with adapter.open(adapter.find(board)[0], image) as link:
        session = Session.connect(OnlyBatch(link), clock=time.monotonic)
        assert session.capabilities() is None
        session.load(workload.goldens[1].data, verify=True)
        window = session.infer(2, 1)
        assert window.device_s > 0
        assert len(window.results) == len(workload.spec.labels)


@dataclass
class Broken:
    """The reference engine with one promise broken."""

    engine: object
    how: str
    name: str = "broken"
    exactness: str = "exact"
    asked: int = 0

    def refuses(self, workload, target):
        self.asked += 1
        if self.how == "fickle":
            return f"reason {self.asked}"
        return "no such operator" if self.how == "generates what it refuses" else None

    def generate(self, workload, target, into):
        sources = self.engine.generate(workload, target, into)
        self.asked += 1
        if self.how == "random":
            (into / "model.c").write_text(f"/* {self.asked} */")
        if self.how == "one operator too many":
            return replace(sources, operators=(*sources.operators, "EXTRA"))
        if self.how == "pads one row too few":
            model = (into / "model.c").read_text()
            (into / "model.c").write_text(model.replace(".pad_y = 4", ".pad_y = 3", 1))
        return sources


@pytest.fixture
def broken(catalogue):
    return lambda how: Broken(catalogue.engine("reference"), how)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("fickle", "changes its mind"),
        ("generates what it refuses", "generates what it refuses"),
        ("random", "not deterministic"),
        ("one operator too many", r"lacks the functions of operators \[13\]"),
    ],
)
def test_an_engine_that_breaks_a_promise_is_found_out(parts, broken, how, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_engine(broken(how), **parts)


def test_a_broken_operator_is_a_wrong_answer(parts, broken):
    with pytest.raises(WrongAnswer, match=r"zeros|random|structured"):
        check_engine(broken("pads one row too few"), **parts)
