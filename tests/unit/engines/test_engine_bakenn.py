"""BakeNN's three engines: what it generates is right to the bit, and what it refuses is a sentence."""

# ruff: noqa: PLR0917 - fixtures and parameters

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, replace

import pytest

from tinybench import elf
from tinybench.engine import Engine
from tinybench.engines import bakenn
from tinybench.errors import ModelError, SetupError, WrongAnswer
from tinybench.fetch import Fetcher, Places
from tinybench.models import golden, oracle
from tinybench.models.cut import without_softmax
from tinybench.plan import Selection, plan
from tinybench.session import Session
from tinybench.testing import check_engine
from tinybench.workload import InputSpec

from .conftest import CACHE, official

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang", "python:bakenn", "python:tflite_micro")

ENGINES = [engine.name for engine in bakenn.ENGINES]
INPUTS = 20


@pytest.fixture(scope="module")
def fetcher(catalogue):
    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    return Fetcher(Places(CACHE, official(), offline=True), siblings=siblings)


@pytest.fixture(scope="module")
def cut(workload_of, fetcher):
    return without_softmax(workload_of("kws01"), oracle.installed(CACHE), fetcher.keep)


@pytest.mark.parametrize("name", ENGINES)
def test_it_keeps_the_contract(name, catalogue, cut, board, make, adapter):
    check_engine(catalogue.engine(name), cut, board, build=make, adapter=adapter)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("task", ["kws01", "ad01"])
def test_answers_equal_the_judges(name, task, cut, catalogue, workload_of, on_board, judged, inputs):
    workload = cut if task == "kws01" else workload_of(task)
    tensors = inputs(workload.model, INPUTS)
    as_bytes = workload.spec.model_copy(update={"input": InputSpec(encoding="int8")})
    with on_board(catalogue.engine(name), replace(workload, spec=as_bytes)) as run:
        answers = [run(tensor) for tensor in tensors]
    assert answers == judged(workload, tensors)


@dataclass(frozen=True)
class OneWrongBit:
    """An engine with one bit of one weight wrong."""

    engine: Engine
    file: str
    name: str = "one-wrong-bit"
    exactness: str = "exact"

    def refuses(self, workload, target):
        return self.engine.refuses(workload, target)

    def generate(self, workload, target, into):
        sources = self.engine.generate(workload, target, into)
        path = into / self.file
        head, brace, values = path.read_text().partition("= {")
        first = re.search(r"-?\d+", values)
        wrong = values[: first.start()] + str(int(first[0]) ^ 64) + values[first.end() :]
        path.write_text(head + brace + wrong)
        return sources


@pytest.mark.parametrize("name", ENGINES)
def test_one_wrong_bit_is_a_wrong_answer(name, catalogue, cut, board, make, adapter):
    broken = OneWrongBit(catalogue.engine(name), "bakenn/bknn_model_weights.c")
    with pytest.raises(WrongAnswer, match="is wrong at element"):
        check_engine(broken, cut, board, build=make, adapter=adapter)


def test_input_and_output_count_as_activations(catalogue, cut, board, make, adapter):
    image = make(cut, catalogue.engine("bakenn-portable"), board, "instrumented")
    with adapter.open(adapter.find(board)[0], image) as link:
        session = Session.connect(link, clock=time.monotonic, baud=board.serial.baud)
        memory = session.memory()
    planned = 16000  # what BakeNN's own memory report says of this model
    sizes = [len(golden.to_tensor(cut.spec, cut.model, cut.goldens[0].data)), len(cut.goldens[0].output)]
    assert memory.arena_used == planned + sum(sizes)
    placed = {section.name for section in image.memory.sections}
    assert ".tb_weights" in placed
    assert elf.spans(image.elf)[".tb_weights"][1] > 22_604, "the model's parameters lie with the weights"


def test_the_record_says_which_kernels_run(catalogue, cut, board, tmp_path):
    version = catalogue.engine("bakenn-cmsis-nn").generate(cut, board, tmp_path).version
    assert version.startswith("1.0.0 (")
    assert re.search(r"\d cmsis_nn\.conv2d_s8\.v4\.0\.0", version)
    assert "portable.flatten_view.v1" in version


def test_a_softmax_is_refused_by_name(catalogue, workload_of, board, tmp_path):
    engine, workload = catalogue.engine("bakenn-portable"), workload_of("kws01")
    refusal = engine.refuses(workload, board)
    assert refusal == (
        "BakeNN refuses the model: operator 12 `SOFTMAX`: unsupported TFLite builtin operator code 25"
    )
    with pytest.raises(ModelError, match="SOFTMAX"):
        engine.generate(workload, board, tmp_path)


def test_simd_needs_the_dsp_extension(catalogue, cut):
    pico = catalogue.target("rpi-pico")
    assert catalogue.engine("bakenn-portable").refuses(cut, pico) is None
    for name in ("bakenn-smlad", "bakenn-cmsis-nn"):
        assert "lacks the DSP extension" in catalogue.engine(name).refuses(cut, pico)


def test_a_missing_package_names_the_command(catalogue, cut, board, tmp_path, monkeypatch):
    engine = catalogue.engine("bakenn-smlad")
    monkeypatch.setitem(sys.modules, "bakenn", None)  # as if it were not installed
    assert engine.refuses(cut, board) is None
    with pytest.raises(SetupError, match="needs the package `bakenn`") as raised:
        engine.generate(cut, board, tmp_path)
    assert raised.value.hint == "pip install 'tinybench-mcu[bakenn]'"


def selection(*engines, **more):
    return Selection(
        workloads=("kws01-mltk",), engines=engines, devices=("nucleo-f746",), simulate=True, **more
    )


def test_where_one_engine_needs_it_all_run_the_cut_model(catalogue, fetcher):
    judge = oracle.installed(CACHE)
    both = plan(selection("reference", "bakenn-smlad"), catalogue, fetcher, judge)
    assert [case.engine.name for case in both.cases] == ["reference", "bakenn-smlad"]
    assert len({case.workload.model_sha256 for case in both.cases}) == 1
    assert [case.options for case in both.cases] == [{"cut": "softmax"}] * 2
    assert any("without its last SOFTMAX" in note and "`bakenn-smlad`" in note for note in both.notes)
    alone = plan(selection("reference"), catalogue, fetcher, judge)
    assert alone.cases[0].options == {}
    assert alone.cases[0].workload.model_sha256 != both.cases[0].workload.model_sha256


def test_the_user_decides_what_is_cut(catalogue, fetcher):
    judge = oracle.installed(CACHE)
    never = plan(selection("reference", "bakenn-smlad", cut="never"), catalogue, fetcher, judge)
    assert [case.engine.name for case in never.cases] == ["reference"]
    assert ["SOFTMAX" in gap.reason for gap in never.gaps] == [True]
    always = plan(selection("reference", cut="softmax"), catalogue, fetcher, judge)
    assert always.cases[0].options == {"cut": "softmax"}
    with pytest.raises(SetupError, match="known to the oracle only"):
        plan(selection("reference", cut="softmax"), catalogue, fetcher, None)
