"""emlearn: dense networks within what it promises, and refusals in a sentence."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tinybench import elf, measure
from tinybench.engines.emlearn import EmlearnEngine
from tinybench.errors import ModelError, SetupError
from tinybench.model import tensor_bytes
from tinybench.testing import check_engine

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang", "python:emlearn", "python:tflite_micro")

ENGINE = EmlearnEngine()


@pytest.fixture(scope="module")
def dense(workload_of):
    """A chain of ten dense layers, made on this machine."""
    return workload_of("fcnn-10x10")


def test_it_is_found_and_keeps_the_contract(catalogue, dense, board, make, adapter):
    assert catalogue.engine("emlearn") == ENGINE
    check_engine(ENGINE, dense, board, build=make, adapter=adapter)


def test_answers_are_within_its_tolerance(dense, on_board, judged, inputs):
    tensors = inputs(dense.model, 20)
    with on_board(ENGINE, dense) as run:
        answers = [run(tensor) for tensor in tensors]
    right = judged(dense, tensors)
    for answer, expected in zip(answers, right, strict=True):
        if answer != expected:
            golden = replace(dense.goldens[0], output=expected, output_sha256="")
            assert measure.judge(golden, answer, allowed=ENGINE.tolerance).largest_difference > 0
    assert answers != right, "it computes in floating point: were it exact, it would have to say so"


def test_weights_and_activations_lie_where_every_engines_lie(dense, board, make):
    spans = elf.spans(make(dense, ENGINE, board, "clean").elf)
    values = sum(
        tensor_bytes(tensor) // (4 if tensor.dtype == "int32" else 1)
        for tensor in dense.model.tensors
        if tensor.data is not None and tensor.dtype in ("int8", "int32")
    )
    assert spans[".tb_weights"][1] >= 4 * values, "each weight and bias is a float"
    assert spans[".tb_arena"][1] > 0


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("kws01", "operator 12 `SOFTMAX` magnifies small differences"),
        ("ic01", "`SOFTMAX` magnifies small differences"),
    ],
)
def test_what_it_cannot_take_is_a_sentence(task, reason, workload_of, board, tmp_path):
    workload = workload_of(task)
    assert reason in ENGINE.refuses(workload, board)
    with pytest.raises(ModelError, match="SOFTMAX"):
        ENGINE.generate(workload, board, tmp_path)


def test_a_convolution_is_no_dense_layer(workload_of, board):
    model = workload_of("kws01").model
    cut = replace(model, operators=model.operators[:-1], outputs=model.operators[-1].inputs[:1])
    refusal = ENGINE.refuses(replace(workload_of("kws01"), model=cut), board)
    assert refusal == "operator 0 `CONV_2D` is no dense layer, and emlearn's networks have nothing else"


def test_a_missing_package_names_the_command(dense, board, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "emlearn", None)  # as if it were not installed
    with pytest.raises(SetupError, match="needs the package `emlearn`") as raised:
        ENGINE.generate(dense, board, tmp_path)
    assert raised.value.hint == "pip install 'tinybench-mcu[emlearn]'"
