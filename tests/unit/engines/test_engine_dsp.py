"""reference-dsp: what it refuses, and that its SIMD kernels equal TensorFlow Lite Micro to the bit."""

# ruff: noqa: PLR0917 - fixtures and parameters

from __future__ import annotations

import pytest

from tinybench.engines import reference
from tinybench.engines.reference_dsp import blocked
from tinybench.errors import ModelError
from tinybench.testing import check_engine

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang")


@pytest.fixture(scope="module")
def engine(catalogue):
    return catalogue.engine("reference-dsp")


def test_it_keeps_the_contract_of_engines(engine, workload_of, board, make, adapter):
    check_engine(engine, workload_of("kws01"), board, build=make, adapter=adapter)


@pytest.mark.parametrize("task", ["vww01", "kws01", "ic01", "ad01"])
def test_the_tasks_are_equal_to_the_bit(task, engine, workload_of, on_board, judged, inputs):
    workload = workload_of(task)
    tensors = inputs(workload.model, 2)
    if workload.spec.input.encoding == "int8":
        samples = tensors
    elif workload.spec.input.encoding == "uint8":
        samples = [bytes(byte ^ 0x80 for byte in tensor) for tensor in tensors]
    else:
        samples = tensors = []  # its samples are floats: the golden ones are checked
    with on_board(engine, workload) as run:
        assert [run(sample) for sample in samples] == judged(workload, tensors)
        assert [run(golden.data) for golden in workload.goldens] == [g.output for g in workload.goldens]


def test_odd_shapes_are_equal_to_the_bit(odd_shapes, engine, on_board, judged, inputs):
    tensors = inputs(odd_shapes.model, 6)
    with on_board(engine, odd_shapes) as run:
        answers = [run(tensor) for tensor in tensors]
    assert answers == judged(odd_shapes, tensors)
    assert len(set(answers)) > 1


def test_a_core_without_dsp_is_refused_in_a_sentence(engine, chain, board, tmp_path):
    plain = board.model_copy(
        update={"core": board.core.model_copy(update={"name": "cortex-m3", "dsp": False, "fpu": "none"})}
    )
    said = engine.refuses(chain, plain)
    assert said == "`cortex-m3` of target `nucleo-f746` lacks the DSP extension, whose SIMD it needs"
    with pytest.raises(ModelError, match="lacks the DSP extension"):
        engine.generate(chain, plain, tmp_path / "c")
    assert engine.refuses(chain, board) is None


def test_it_differs_from_the_reference_in_three_operators_only(engine, chain, board, tmp_path):
    ours = engine.generate(chain, board, tmp_path / "dsp")
    portable = reference.ENGINES[0].generate(chain, board, tmp_path / "portable")
    assert ours.arena == portable.arena
    assert ours.operators == portable.operators
    assert set(portable.files[2:]) < set(ours.files)
    text = (tmp_path / "dsp" / "model.c").read_text()
    assert '"reference-dsp"' in text
    assert "tb_dsp_" in text


def test_weights_lie_in_words_of_four():
    rows = tuple(bytes(10 * row + element for element in range(6)) for row in range(3))
    assert list(blocked(rows, 2)) == [
        *(0, 1, 2, 3),
        *(10, 11, 12, 13),
        *(4, 14, 5, 15),
        *(20, 21, 22, 23, 24, 25),
    ]
