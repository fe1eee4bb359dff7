"""emx: answers within what it promises, every buffer accounted for, and refusals in a sentence."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import replace

import pytest

from tinybench import measure
from tinybench.codegen.onnx_form import onnx_form, unsupported
from tinybench.engines.emx import EmxEngine
from tinybench.errors import ModelError, SetupError, WrongAnswer
from tinybench.fetch import Fetcher, Places
from tinybench.model import tensor_bytes
from tinybench.models import oracle
from tinybench.models.cut import without_softmax
from tinybench.models.normalise import normalise
from tinybench.session import Session
from tinybench.testing import check_engine
from tinybench.workload import GoldenInput

from .conftest import CACHE, official

pytestmark = pytest.mark.needs(
    "python:unicorn", "python:ziglang", "python:emx_onnx_cgen", "python:tflite_micro"
)

ENGINE = EmxEngine()


@pytest.fixture(scope="module")
def cut(catalogue, workload_of):
    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    keep = Fetcher(Places(CACHE, official(), offline=True), siblings=siblings).keep
    return without_softmax(workload_of("kws01"), oracle.installed(CACHE), keep)


def test_it_is_found_and_keeps_the_contract(catalogue, cut, board, make, adapter):
    assert catalogue.engine("emx") == ENGINE
    check_engine(ENGINE, cut, board, build=make, adapter=adapter)


def test_answers_are_within_its_tolerance_and_of_the_right_class(cut, on_board, judged, inputs):
    tensors = inputs(cut.model, 20)
    with on_board(ENGINE, cut) as run:
        answers = [run(tensor) for tensor in tensors]
    right = judged(cut, tensors)
    for answer, expected in zip(answers, right, strict=True):
        golden = replace(cut.goldens[0], output=expected, output_sha256="")
        check = (
            measure.judge(golden, answer, allowed=ENGINE.tolerance, classes=True)
            if answer != expected
            else None
        )
        assert check is None or check.top1
    assert answers != right, "it rounds in floating point: were it exact, it would have to say so"


def test_every_activation_has_its_own_memory(cut, board, make, adapter):
    image = make(cut, ENGINE, board, "instrumented")
    with adapter.open(adapter.find(board)[0], image) as link:
        session = Session.connect(link, clock=time.monotonic, baud=board.serial.baud)
        session.load(cut.goldens[0].data)
        session.infer(1, 0)
        memory = session.memory()
    large = [t for t in cut.model.tensors if t.data is None and tensor_bytes(t) > 1024]
    ends = [cut.model.tensors[i] for i in (*cut.model.inputs, *cut.model.outputs)]
    assert memory.arena_used == sum(map(tensor_bytes, (*large, *ends)))
    assert memory.arena_used <= memory.arena_reserved


def test_a_softmax_is_refused(workload_of, board, tmp_path):
    workload = workload_of("kws01")
    refusal = ENGINE.refuses(workload, board)
    assert refusal is not None
    assert "operator 12 `SOFTMAX`" in refusal
    assert "within 8 last places" in refusal
    with pytest.raises(ModelError, match="SOFTMAX"):
        ENGINE.generate(workload, board, tmp_path)


def test_an_operator_without_a_form_is_named(cut):
    last = cut.model.operators[-1]
    strange = replace(cut.model, operators=(*cut.model.operators[:-1], replace(last, name="GATHER")))
    assert unsupported(strange) == f"operator {last.index} `GATHER` has no ONNX form here"
    with pytest.raises(ModelError, match="GATHER"):
        onnx_form(strange)


def test_a_missing_package_names_the_command(cut, board, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "emx_onnx_cgen", None)  # as if it were not installed
    assert ENGINE.refuses(cut, board) is None
    with pytest.raises(SetupError, match="needs the package `emx-onnx-cgen`") as raised:
        ENGINE.generate(cut, board, tmp_path)
    assert raised.value.hint == "pip install 'tinybench-mcu[emx]'"


@pytest.mark.parametrize("task", ["vww01", "ic01", "ad01"])
def test_the_onnx_form_of_the_tasks_is_well_formed(task, workload_of):
    onnx = pytest.importorskip("onnx")
    model = normalise(workload_of(task).model)
    if model.operators[-1].name == "SOFTMAX":
        model = replace(model, operators=model.operators[:-1], outputs=model.operators[-1].inputs[:1])
    form = onnx_form(model)
    assert form.SerializeToString(deterministic=True) == onnx_form(model).SerializeToString(
        deterministic=True
    )
    described = {info.name for info in (*form.graph.value_info, *form.graph.input, *form.graph.output)}
    assert {name for node in form.graph.node for name in node.output} <= described
    weights = Counter(len(t.data) for t in model.tensors if t.data is not None and t.dtype == "int8")
    there = Counter(onnx.numpy_helper.to_array(c).nbytes for c in form.graph.initializer if c.dims)
    assert weights <= there


def golden(*scores: int) -> GoldenInput:
    output = bytes(score & 0xFF for score in scores)
    return GoldenInput("random", b"", output, "", "int8")


def test_close_answers_of_another_class_are_wrong():
    close = measure.judge(golden(10, 8, 3), bytes([9, 8, 3]), allowed=2, classes=True)
    assert (close.equal, close.top1, close.largest_difference) == (False, True, 1)
    with pytest.raises(WrongAnswer, match="of another class: expected `0`, got `1`"):
        measure.judge(golden(10, 9, 3), bytes([9, 10, 3]), allowed=2, classes=True)
    assert measure.judge(golden(10, 9, 3), bytes([9, 10, 3]), allowed=2).top1 is None


def test_of_equally_good_classes_any_is_right():
    assert measure.judge(golden(10, 10, 3), bytes([9, 10, 3]), allowed=2, classes=True).top1
