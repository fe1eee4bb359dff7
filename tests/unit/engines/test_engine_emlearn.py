"""emlearn: forests to the bit, dense networks within what it promises, and refusals in a sentence."""

# ruff: noqa: PLR0917 - fixtures

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tinybench import elf, measure
from tinybench.engines.emlearn import EmlearnEngine
from tinybench.errors import ModelError, SetupError
from tinybench.model import Quantisation, tensor_bytes
from tinybench.models.forest import LEVELS, Forest, Node, forest_of, leaf
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


@pytest.fixture(scope="module")
def forest(workload_of):
    """Fifteen trees, grown on this machine."""
    return workload_of("digits-forest")


def test_a_forest_keeps_the_contract_and_is_right_to_the_bit(
    forest, board, make, adapter, on_board, judged, inputs
):
    assert forest.oracle == "tinybench.forest 1"
    check_engine(ENGINE, forest, board, build=make, adapter=adapter)
    tensors = inputs(forest.model, 30)
    with on_board(ENGINE, forest) as run:
        answers = [run(bytes(value ^ 0x80 for value in tensor)) for tensor in tensors]  # uint8 on the wire
    assert answers == judged(forest, tensors)
    assert len(set(answers)) > len(answers) // 2


def test_no_vote_of_the_forest_can_be_lost_within_the_tolerance(forest):
    trees = len(forest_of(forest.model).roots)
    assert LEVELS // trees > ENGINE.tolerance


def test_a_forests_nodes_lie_where_every_engines_weights_lie(forest, board, make):
    spans = elf.spans(make(forest, ENGINE, board, "clean").elf)
    # An int8 and three int16 to a node, an int32 to a root, a byte to a class, and padding.
    tables = 8 * len(forest_of(forest.model).nodes) + 4 * 15 + 10
    assert tables <= spans[".tb_weights"][1] < tables + 32
    assert spans[".tb_arena"][1] > 0


def test_every_other_engine_refuses_a_forest_in_a_sentence_that_names_the_operator(catalogue, forest, board):
    here = catalogue.target("host")
    for name in catalogue.engines:
        if name in {"emlearn", "elf"}:  # `elf` refuses whatever is to be built
            continue
        engine = catalogue.engine(name)
        said = engine.refuses(forest, here if name == "tflm-host" else board)
        assert said is not None, name
        assert "tinybench.forest" in said, (name, said)
        assert "\n" not in said


def test_a_forest_of_more_features_than_its_tables_count_is_refused(forest, board):
    wide = Forest((Node(0, 3, leaf(0), leaf(1)),), (0,), 128, 2)
    model = wide.model((1, 128), Quantisation((1.0,), (0,)), "wide")
    assert ENGINE.refuses(replace(forest, model=model), board) == (
        "the forest has 128 features and 2 classes, and emlearn's have at most 127"
    )


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
