"""QEMU as a device, and as a second opinion on what Unicorn counts: the same ELF, the same number."""

from __future__ import annotations

import functools
import hashlib
import time
from functools import partial

import platformdirs
import pytest

from tinybench import build, toolchain
from tinybench.errors import LoadError, SetupError, UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import load
from tinybench.plugins import discover
from tinybench.session import Session
from tinybench.testing import check_adapter

pytestmark = pytest.mark.needs("qemu-system-arm", "python:unicorn", "python:ziglang")

CACHE = platformdirs.user_cache_path("tinybench")
MPS2 = ("mps2-an385", "mps2-an386", "mps2-an500")  # Cortex-M3, M4, M7


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def make(catalogue):
    made = partial(build.build, compiler=toolchain.find(None, CACHE), cache=CACHE)
    loaded = functools.cache(
        lambda name: load(catalogue.workload(name), Fetcher(Places(CACHE, offline=True)), None)
    )
    return lambda target, engine="reference", workload="kws01-mltk": (
        loaded(workload),
        made(loaded(workload), catalogue.engine(engine), target, "clean"),
    )


def counted(adapter, target, workload, image):
    """One inference of a golden input: what it took, by function and by operator."""
    with adapter.open(adapter.find(target)[0], image) as link:
        session = Session.connect(link, clock=time.monotonic)
        session.load(workload.goldens[1].data)
        session.infer(1, 0)
        link.reset_profile()
        session.infer(1, 0)
        profile = link.profile()
        said = session.output()
        assert hashlib.sha256(bytes(said)).hexdigest() == workload.goldens[1].output_sha256
    return [call for call in profile.invocations if call.symbol == image.invoke], profile


@pytest.mark.parametrize(("name", "engine"), [*((name, "reference") for name in MPS2), (MPS2[1], "cmsis-nn")])
def test_both_count_the_same_to_the_instruction(catalogue, make, name, engine):
    target = catalogue.target(name)
    workload, image = make(target, engine=engine)
    ours, theirs = (
        counted(catalogue.adapters[adapter].part, target, workload, image) for adapter in ("virtual", "qemu")
    )
    assert ours[0] == theirs[0]
    assert len(ours[0]) == 1
    assert ours[0][0].instructions > 1_000_000
    assert dict(ours[1].operators) == dict(theirs[1].operators)
    assert {n: c for n, c in ours[1].inference.items() if c} == dict(theirs[1].inference)


def test_it_keeps_the_contract_of_adapters(catalogue, make):
    target = catalogue.target("mps2-an386")
    check_adapter(catalogue.adapters["qemu"].part, target, make(target)[1])


@pytest.mark.parametrize(("name", "model"), [("mps3-an547", "kws01-mltk"), ("microbit", "fcnn-10x10")])
def test_cores_that_only_qemu_has(catalogue, make, name, model):
    target = catalogue.target(name)
    assert not catalogue.adapters["virtual"].part.find(target)
    workload, image = make(target, workload=model)
    calls, _ = counted(catalogue.adapters["qemu"].part, target, workload, image)
    assert len(calls) == 1


def test_without_qemu_the_way_to_it_is_told(catalogue, make, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    target = catalogue.target("mps2-an386")
    adapter = catalogue.adapters["qemu"].part
    _, image = make(target)
    with (
        pytest.raises(SetupError, match="not installed") as caught,
        adapter.open(adapter.find(target)[0], image),
    ):
        pass
    assert "virtual:mps2-an386" in caught.value.hint


def test_what_qemu_refuses_is_told_in_its_words(catalogue, make):
    target = catalogue.target("mps2-an386")
    wrong = target.model_copy(update={"qemu": {"machine": "mps2-an387"}})
    adapter = catalogue.adapters["qemu"].part
    _, image = make(target)
    with pytest.raises(LoadError, match="machine"), adapter.open(adapter.find(wrong)[0], image):
        pass


def test_a_table_that_is_wrong_says_where(catalogue):
    target = catalogue.target("mps2-an386").model_copy(update={"qemu": {"machines": "mps2-an386"}})
    with pytest.raises(UsageError, match=r"mps2-an386\.toml`: qemu"):
        catalogue.adapters["qemu"].part.find(target)
