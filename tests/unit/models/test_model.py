"""What can be counted from a model alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Tensor, element_bytes, macs, parameters, tensor_bytes, total_macs
from tinybench.models import tflite

# As counted by a study with two independent readers.
OFFICIAL = {
    "vww_96_int8.tflite": (7_489_664, 210_850),
    "kws_ref_model.tflite": (2_656_768, 22_604),
    "pretrainedResnet_quant.tflite": (12_501_632, 77_706),
    "pretrainedResnet_large_int8.tflite": (76_473_920, 480_330),
    "ad01_int8.tflite": (264_192, 265_864),
    "str_ww_ref_model.tflite": (826_368, 46_883),
    "hello_world_int8.tflite": (288, 321),
    "micro_speech_quantized.tflite": (336_000, 16_652),
    "person_detect.tflite": (7_157_888, 210_706),
}
PACKAGED = {
    "vww01-mltk": (7_489_664, 210_850),
    "kws01-mltk": (2_656_768, 22_604),
    "ic01-mltk": (12_501_632, 77_706),
    "ad01-mltk": (264_192, 265_864),
}


def counts(data: bytes) -> tuple[int, int]:
    model = tflite.read(data)
    return total_macs(model), parameters(model)


@pytest.mark.parametrize("file", sorted(OFFICIAL))
def test_official_models(official_models, file):
    assert counts((official_models / file).read_bytes()) == OFFICIAL[file]


@pytest.mark.parametrize("workload", sorted(PACKAGED))
def test_packaged_models(mltk_models, workload):
    assert counts(mltk_models[workload].read_bytes()) == PACKAGED[workload]


def one_operator(name, inputs, output, options=None, absent=()) -> Model:
    """A model of one operator; every input after the first is a constant."""
    tensors = [
        Tensor(i, f"t{i}", shape, "int8", bytes(1) if i else None)  # contents do not matter for counting
        for i, shape in enumerate(inputs)
    ]
    tensors.append(Tensor(len(inputs), "out", output, "int8"))
    slots = tuple(-1 if i in absent else i for i in range(len(inputs)))
    operator = Operator(0, name, slots, (len(inputs),), options or {})
    return Model(tuple(tensors), (operator,), (0,), (len(inputs),))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # Each output of a 3x2 filter over 5 channels costs 30; a grouped filter sees fewer channels.
        (one_operator("CONV_2D", [(1, 9, 9, 5), (7, 3, 2, 5), (7,)], (1, 4, 4, 7)), 4 * 4 * 7 * 30),
        (one_operator("CONV_2D", [(1, 9, 9, 6), (8, 3, 3, 3), (8,)], (1, 4, 4, 8)), 4 * 4 * 8 * 27),
        (one_operator("DEPTHWISE_CONV_2D", [(1, 9, 9, 5), (1, 3, 2, 10), (10,)], (1, 4, 4, 10)), 160 * 6),
        # Every input meets the whole filter of every output channel.
        (one_operator("TRANSPOSE_CONV", [(4,), (7, 3, 3, 5), (1, 4, 4, 5)], (1, 8, 8, 7)), 80 * 9 * 7),
        (one_operator("FULLY_CONNECTED", [(2, 6), (3, 6), (3,)], (2, 3)), 2 * 3 * 6),
        (one_operator("BATCH_MATMUL", [(4, 2, 6), (4, 6, 3)], (4, 2, 3), {"adj_x": False}), 24 * 6),
        (one_operator("BATCH_MATMUL", [(4, 6, 2), (4, 6, 3)], (4, 2, 3), {"adj_x": True}), 24 * 6),
        (one_operator("SVDF", [(2, 10), (8, 10), (8, 5), (4,), (2, 40)], (2, 4)), 2 * (80 + 40)),
        # 7 steps, 4 gates of 3 units on 5 inputs, and 4 of 3 on 3 outputs.
        (
            one_operator(
                "UNIDIRECTIONAL_SEQUENCE_LSTM", [(1, 7, 5)] + [(3, 5)] * 4 + [(3, 3)] * 4, (1, 7, 3)
            ),
            7 * (4 * 15 + 4 * 9),
        ),
        (one_operator("ADD", [(1, 100), (1, 100)], (1, 100)), 0),
        (one_operator("CUSTOM:Whiten", [(1, 100)], (1, 100)), 0),
    ],
    ids=lambda value: value.operators[0].name if isinstance(value, Model) else str(value),
)
def test_multiply_accumulates_by_their_formulas(model, expected):
    assert macs(model, model.operators[0]) == total_macs(model) == expected


def test_an_absent_bias_is_no_parameter_and_shared_weights_count_once():
    model = one_operator("FULLY_CONNECTED", [(1, 6), (6, 6), (6,)], (1, 6), absent=(2,))
    assert parameters(model) == 36
    again = Operator(1, "FULLY_CONNECTED", (3, 1, -1), (4,), {})
    twice = replace(
        model,
        tensors=(*model.tensors, Tensor(4, "more", (1, 6), "int8")),
        operators=(*model.operators, again),
        outputs=(4,),
    )
    assert (parameters(twice), total_macs(twice)) == (36, 72)


def test_shapes_and_paddings_are_no_parameters():
    assert parameters(one_operator("PAD", [(1, 6), (2, 2)], (1, 8))) == 0
    assert parameters(one_operator("TRANSPOSE_CONV", [(4,), (7, 3, 3, 5), (1, 4, 4, 5)], (1, 8, 8, 7))) == (
        7 * 3 * 3 * 5 + 80  # the third input is a constant here, too
    )


def test_a_layer_that_lacks_its_weights_is_an_error_in_words():
    model = one_operator("CONV_2D", [(1, 9, 9, 5)], (1, 4, 4, 7))
    with pytest.raises(ModelError, match="operator 0 `CONV_2D` has inputs of a shape it cannot have"):
        total_macs(model)


@pytest.mark.parametrize(("dtype", "expected"), [("int8", 1), ("bool", 1), ("int16", 2), ("float64", 8)])
def test_bytes_of_an_element(dtype, expected):
    assert element_bytes(dtype) == expected


@pytest.mark.parametrize("dtype", ["int4", "string", "banana"])
def test_elements_that_are_no_whole_bytes(dtype):
    with pytest.raises(ModelError, match=f"an element of `{dtype}`"):
        element_bytes(dtype)


def test_packed_tensors_are_rounded_up_to_a_byte():
    assert tensor_bytes(Tensor(0, "w", (3, 3), "int4")) == 5
    assert tensor_bytes(Tensor(0, "w", (), "int32")) == 4
    assert tensor_bytes(Tensor(0, "w", (2, 0), "int32")) == 0
