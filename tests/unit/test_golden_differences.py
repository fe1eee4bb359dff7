"""How far an answer is off: in last places of the output, whatever its numbers are."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import ModelError, WrongAnswer
from tinybench.measure import FLOAT_SLACK, judge
from tinybench.model import Model, Tensor
from tinybench.models import golden
from tinybench.workload import GoldenInput, InputSpec, WorkloadSpec


def floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@given(st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), min_size=1))
def test_int8_is_off_by_its_difference(pairs):
    right, came = (struct.pack(f"<{len(pairs)}b", *column) for column in zip(*pairs, strict=True))
    assert golden.differences(right, came, "int8") == tuple(abs(a - b) for a, b in pairs)


@given(st.integers(-32768, 32767), st.integers(-32768, 32767))
def test_int16_is_off_by_its_difference(right, came):
    pair = (struct.pack("<h", right), struct.pack("<h", came))
    assert golden.differences(*pair, "int16") == (abs(right - came),)


@pytest.mark.parametrize(
    ("right", "came", "off"),
    [
        ((1.0, 0.0), (1.0 + 2**-23, 0.0), (1, 0)),
        ((1.0, 0.0), (1.0, 2**-23), (0, 1)),
        ((1.0, 0.0), (1.0, 2**-30), (0, 1)),
        ((1024.0,), (1024.0 + 2**-13,), (1,)),
        ((0.0,), (-0.0,), (0,)),
        ((math.nan, 1.0), (math.nan, 1.0), (0, 0)),
        ((0.5, 1.0), (math.nan, 1.0), (2**31, 0)),
        ((0.5,), (math.inf,), (2**31,)),
        ((math.inf,), (math.inf,), (0,)),
        ((0.0,), (1.0,), (2**31,)),
    ],
)
def test_float32_is_off_in_last_places_of_the_largest(right, came, off):
    assert golden.differences(floats(*right), floats(*came), "float32") == off


def expected(*numbers: float) -> GoldenInput:
    return GoldenInput("zeros", b"", floats(*numbers), "of the right output", "float32")


def test_a_close_engine_may_be_off_by_some_places_and_an_exact_one_by_none():
    almost = floats(1.0 + FLOAT_SLACK * 2 * 2**-23, 0.25)
    check = judge(expected(1.0, 0.25), almost, allowed=2)
    assert (check.equal, check.largest_difference) == (False, FLOAT_SLACK * 2)
    with pytest.raises(WrongAnswer, match=r"wrong at element `0`: expected `1\.0`, got `1\.00000"):
        judge(expected(1.0, 0.25), almost)
    with pytest.raises(WrongAnswer, match="by at most 65"):
        judge(expected(1.0, 0.25), floats(1.0 + (FLOAT_SLACK * 2 + 1) * 2**-23, 0.25), allowed=2)


def test_minus_zero_is_not_zero_to_an_exact_engine():
    with pytest.raises(WrongAnswer, match="0 of 1 elements differ"):
        judge(expected(0.0), floats(-0.0))


def test_int16_answers_are_compared_as_int16():
    right = GoldenInput("zeros", b"", struct.pack("<2h", 300, -5), "of the right output", "int16")
    with pytest.raises(WrongAnswer, match="expected `300`, got `301`; 1 of 2 elements differ, by at most 1"):
        judge(right, struct.pack("<2h", 301, -5))


def model(dtype: str) -> Model:
    return Model((Tensor(0, "in", (1, 4), dtype),), (), (0,), (0,))


def spec(encoding: str) -> WorkloadSpec:
    return WorkloadSpec.model_construct(id="w", input=InputSpec.model_validate({"encoding": encoding}))


def test_golden_inputs_of_other_numbers_span_their_range():
    of_int16 = dict(golden.inputs(spec("int16"), model("int16")))
    of_float = dict(golden.inputs(spec("float32"), model("float32")))
    assert of_int16["zeros"] == bytes(8)
    assert of_float["zeros"] == bytes(16)
    for name in ("random", "structured"):
        levels = golden.values(of_int16[name], "int16")
        assert [level / 32768 for level in levels] == list(golden.values(of_float[name], "float32"))
        assert golden.to_tensor(spec("int16"), model("int16"), of_int16[name]) == of_int16[name]


@pytest.mark.parametrize(
    ("encoding", "dtype"), [("int8", "int16"), ("int16", "int8"), ("int16", "float32"), ("uint8", "float32")]
)
def test_samples_of_another_type_than_the_tensor_are_refused(encoding, dtype):
    with pytest.raises(ModelError, match=f"is {dtype}, not"):
        golden.inputs(spec(encoding), model(dtype))
