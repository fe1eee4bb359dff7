"""Reading: every field as an independent reader sees it, and one sentence for every kind of damage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Quantisation, Tensor
from tinybench.models import tflite
from tinybench.models.flatbuffer import Blob, Fields, Number, Numbers, encode, text
from tinybench.models.tflite_schema import BUILTIN_OPERATORS, OPTIONS, TENSOR_TYPES
from tinybench.models.wellformed import check

WEIGHTS = bytes(range(8))
MODEL = Model(
    tensors=(
        Tensor(0, "in", (1, 4), "int8", quantisation=Quantisation((0.5,), (-3,))),
        Tensor(1, "weights", (2, 4), "int8", WEIGHTS, Quantisation((0.5, 0.25), (0, 0))),
        Tensor(2, "out", (1, 2), "int8", quantisation=Quantisation((1.0,), (0,))),
    ),
    operators=(
        Operator(
            0,
            "FULLY_CONNECTED",
            (0, 1, -1),
            (2,),
            {
                "fused_activation_function": 1,
                "weights_format": 0,
                "keep_num_dims": False,
                "asymmetric_quantize_inputs": False,
                "quantized_bias_type": 0,
            },
            version=4,
        ),
    ),
    inputs=(0,),
    outputs=(2,),
    description="two neurons",
)


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        tflite.read(data)
    message = caught.value.message
    assert "\n" not in message
    return message


# A file by hand, so that it may be wrong where `write` would refuse.

TENSOR = {0: Numbers("i", (1,)), 1: Number("b", 9), 3: text("t")}
OPERATOR = {1: Numbers("i", (0,)), 2: Numbers("i", (1,))}
RELU_CODE = {0: Number("b", 19), 3: Number("i", 19)}


def by_hand(*, tensor=(), operator=(), code=(), subgraph=(), model=(), buffers=({},)) -> bytes:
    graph = {
        0: [Fields(TENSOR), Fields(TENSOR | dict(tensor))],
        1: Numbers("i", (0,)),
        2: Numbers("i", (1,)),
        3: [Fields(OPERATOR | dict(operator))],
    }
    root = {
        0: Number("I", 3),
        1: [Fields(RELU_CODE | dict(code))],
        2: [Fields(graph | dict(subgraph))],
        4: [Fields(b) for b in buffers],
    }
    return encode(Fields(root | dict(model)), b"TFL3")


def test_the_file_by_hand_is_sound():
    model = tflite.read(by_hand())
    assert [op.name for op in model.operators] == ["RELU"]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "not a TFLite file"),
        (b"PK\x03\x04" * 10, "not a TFLite file"),
        (by_hand()[:60], "truncated: "),
        (by_hand(model={0: Number("I", 4)}), "schema version 3 but of `4`"),
        (by_hand(model={2: []}), "the model has `0` subgraphs"),
        (by_hand(model={2: [Fields({}), Fields({})]}), "the model has `2` subgraphs"),
        (by_hand(tensor={2: Number("I", 99)}), "tensor 1 refers to buffer `99` of 1"),
        (by_hand(tensor={1: Number("b", 77)}), "tensor 1 refers to type `77` of 23"),
        (by_hand(tensor={1: Number("b", -1)}), "tensor 1 refers to type `-1` of 23"),
        (by_hand(tensor={6: Fields({})}), "tensor 1 is sparse"),
        (by_hand(tensor={10: Number("I", 1)}), "tensor 1 keeps its data outside the model"),
        (by_hand(buffers=({}, {1: Number("Q", 4096), 2: Number("Q", 9)})), "buffer 1 keeps its data outside"),
        (by_hand(operator={9: Number("Q", 512)}), "operator 0 keeps its options outside"),
        (by_hand(operator={0: Number("I", 5)}), "operator 0 refers to operator code `5` of 1"),
        (
            by_hand(operator={1: Numbers("i", (7,))}),
            "the inputs of operator 0 `RELU` refer to tensor `7` of 2",
        ),
        (by_hand(operator={1: Numbers("i", (-2,))}), "refer to tensor `-2` of 2"),
        (by_hand(operator={2: Numbers("i", (-1,))}), "the outputs of operator 0 `RELU` refer to tensor `-1`"),
        (by_hand(operator={2: Numbers("i", (0,))}), "operator 0 `RELU` writes tensor `0`, which has a value"),
        (by_hand(operator={2: Numbers("i", (1, 1))}), "writes tensor `1`, which has a value already"),
        (by_hand(operator={1: Numbers("i", (1,))}), "operator 0 `RELU` reads tensor `1` before"),
        (by_hand(subgraph={3: []}), "tensor `1` is an output of the model and nothing writes it"),
        (by_hand(subgraph={1: Numbers("i", (0, 8))}), "the model's inputs refer to tensor `8` of 2"),
        (by_hand(subgraph={2: Numbers("i", (8,))}), "the model's outputs refer to tensor `8` of 2"),
        (
            by_hand(tensor={0: Numbers("i", (-1, 4))}),
            "tensor 1 `t` has a negative extent in its shape `[-1, 4]`",
        ),
        (by_hand(tensor={0: Numbers("i", (1,) * 9)}), "tensor 1 `t` has `9` dimensions"),
        (by_hand(tensor={0: Numbers("i", (65536, 65536))}), "tensor 1 `t` would be larger than 2 GiB"),
        (by_hand(tensor={7: Numbers("i", (-1, 1))}), "a shape and a shape signature of different rank"),
        (by_hand(tensor={3: Blob(b"\xff\xfe")}), "damaged: name of tensor 1 is not text"),
        (
            by_hand(tensor={4: Fields({4: Number("B", 2)})}),
            "quantization of tensor 1 is of a custom or blockwise",
        ),
        (
            by_hand(tensor={2: Number("I", 1)}, buffers=({}, {0: Blob(b"abc")})),
            "tensor 1 `t` holds `3` bytes; its shape `[1]` of int8 needs 1",
        ),
        (by_hand(code={0: Number("b", 3), 3: Number("i", 3)}), "operator 0 `CONV_2D` has `0` for stride_w"),
        (
            by_hand(code={0: Number("b", 3), 3: Number("i", 3)}, operator={3: Number("B", 8), 4: Fields({})}),
            "operator 0 `CONV_2D` carries options of another operator (kind `8`)",
        ),
        (
            by_hand(
                code={0: Number("b", 0), 3: Number("i", 0)},
                operator={3: Number("B", 11), 4: Fields({0: Number("b", 9)})},
            ),
            "operator 0 `ADD` has `9` for fused_activation_function",
        ),
    ],
)
def test_damage_is_named(file, says):
    assert says in refusal(file)


@pytest.mark.parametrize(
    ("scales", "zero_points", "axis", "says"),
    [
        ((0.0,), (0,), 0, "has a scale of `0.0`"),
        ((-1.0,), (0,), 0, "has a scale of `-1.0`"),
        ((float("nan"),), (0,), 0, "has a scale of `nan`"),
        ((float("inf"),), (0,), 0, "has a scale of `inf`"),
        ((1.0,), (128,), 0, "has a zero point of `128`, outside int8"),
        ((1.0,), (-129,), 0, "has a zero point of `-129`, outside int8"),
        ((1.0, 1.0), (0,), 0, "has `2` scales and `1` zero points"),
        ((1.0, 1.0), (0, 0), 2, "is quantised along dimension `2` of 2"),
        ((1.0, 1.0), (0, 0), -1, "is quantised along dimension `-1` of 2"),
        ((1.0, 1.0), (0, 0), 1, "has `2` scales for 3 channels of dimension 1"),
    ],
)
def test_impossible_quantisation_is_named(scales, zero_points, axis, says):
    table = Fields({2: Numbers("f", scales), 3: Numbers("q", zero_points), 6: Number("i", axis)})
    assert says in refusal(by_hand(tensor={0: Numbers("i", (2, 3)), 4: table}))


def test_unknown_operators_are_read_by_number_and_custom_ones_by_name():
    later = tflite.read(by_hand(code={0: Number("b", 127), 3: Number("i", 4000)}))
    assert later.operators[0].name == "BUILTIN_4000"
    custom = tflite.read(
        by_hand(
            code={0: Number("b", 32), 1: text("Whiten"), 3: Number("i", 32)}, operator={5: Blob(b"\x07\x08")}
        )
    )
    assert (custom.operators[0].name, custom.operators[0].custom_options) == ("CUSTOM:Whiten", b"\x07\x08")


@pytest.mark.parametrize(("old", "new", "name"), [(19, 0, "RELU"), (0, 19, "RELU"), (127, 150, "GELU")])
def test_the_greater_of_the_two_operator_codes_counts(old, new, name):
    model = tflite.read(by_hand(code={0: Number("b", old), 3: Number("i", new)}))
    assert model.operators[0].name == name


def test_a_bias_may_name_the_dimension_of_its_filter():
    table = Fields({2: Numbers("f", (0.5, 0.25)), 3: Numbers("q", (0, 0)), 6: Number("i", 3)})
    model = tflite.read(by_hand(tensor={0: Numbers("i", (2,)), 4: table}))
    assert model.tensors[1].quantisation == Quantisation((0.5, 0.25), (0, 0), axis=0)


def test_absent_options_are_the_schemas_defaults():
    model = tflite.read(by_hand(code={0: Number("b", 0), 3: Number("i", 0)}))
    assert dict(model.operators[0].options) == {"fused_activation_function": 0, "pot_scale_int16": True}


def test_bytes_referred_to_again_and_again_are_not_unfolded():
    """4,000 buffers that all lead to the same 16 kB would make 64 MB out of a file of 50 kB."""
    data = bytearray(by_hand(buffers=[{0: Blob(bytes(16000))}] + [{}] * 3999))
    vector = data.index((4000).to_bytes(4, "little")) + 4
    first = vector + int.from_bytes(data[vector : vector + 4], "little")
    for at in range(vector, vector + 4 * 4000, 4):
        data[at : at + 4] = (first - at).to_bytes(4, "little")
    assert "the same bytes are referred to again and again" in refusal(bytes(data))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tensors": (*MODEL.tensors[:2], replace(MODEL.tensors[2], index=7))}, "tensor 2 calls itself `7`"),
        ({"operators": (replace(MODEL.operators[0], index=3),)}, "operator 0 calls itself `3`"),
        ({"operators": (replace(MODEL.operators[0], options={}),)}, "which are not the schema's"),
        ({"operators": (replace(MODEL.operators[0], version=-1),)}, "is of version `-1`"),
        ({"inputs": (0, 1)}, "tensor `1` is an input of the model and a constant"),
    ],
)
def test_models_made_in_code_are_held_to_the_same(change, says):
    check(MODEL)
    with pytest.raises(ModelError, match=says.replace("(", r"\(")):
        check(replace(MODEL, **change))


def agrees(data: bytes) -> int:
    """Compare every field with the reader generated from the schema; how many tensors there were."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    ours, theirs = tflite.read(data), schema.ModelT.InitFromPackedBuf(data, 0)
    (graph,) = theirs.subgraphs
    assert ours.inputs == tuple(graph.inputs)
    assert ours.outputs == tuple(graph.outputs)
    assert ours.description.encode() == (theirs.description or b"")
    assert [name.encode() for name, _ in ours.metadata] == [m.name for m in theirs.metadata or ()]
    for tensor, their in zip(ours.tensors, graph.tensors, strict=True):
        assert tensor.name.encode() == their.name
        assert tensor.shape == tuple(their.shape if their.shape is not None else ())
        assert tensor.dtype == TENSOR_TYPES[their.type]
        assert tensor.variable == their.isVariable
        assert tensor.shape_signature == tuple(
            their.shapeSignature if their.shapeSignature is not None else ()
        )
        held = theirs.buffers[their.buffer].data
        assert tensor.data == (bytes(held) if held is not None and len(held) else None)
        q = their.quantization
        if q is None or q.scale is None or q.zeroPoint is None or len(q.scale) == 0:
            assert tensor.quantisation is None
        else:
            assert tensor.quantisation is not None
            assert tensor.quantisation.scales == tuple(map(float, q.scale))
            assert tensor.quantisation.zero_points == tuple(map(int, q.zeroPoint))
            assert tensor.quantisation.axis in {q.quantizedDimension, 0}
    for operator, their in zip(ours.operators, graph.operators, strict=True):
        code = theirs.operatorCodes[their.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        custom = f"CUSTOM:{(code.customCode or b'').decode()}"
        assert operator.name == (
            custom if BUILTIN_OPERATORS[number] == "CUSTOM" else BUILTIN_OPERATORS[number]
        )
        assert operator.version == code.version
        assert operator.inputs == tuple(their.inputs)
        assert operator.outputs == tuple(their.outputs)
        if their.builtinOptions is not None and OPTIONS[operator.name].union_member:
            for name, value in operator.options.items():
                first, *rest = name.split("_")
                found = getattr(their.builtinOptions, first + "".join(part.capitalize() for part in rest))
                assert (
                    tuple(found if found is not None else ()) if isinstance(value, tuple) else found
                ) == value
    return len(ours.tensors)


@pytest.mark.needs("python:tflite_micro")
def test_packaged_models_read_as_the_generated_reader_reads_them(mltk_models):
    for path in mltk_models.values():
        assert agrees(path.read_bytes()) >= 10


@pytest.mark.needs("python:tflite_micro")
def test_official_models_read_as_the_generated_reader_reads_them(official_models):
    for path in sorted(official_models.glob("*.tflite")):
        assert agrees(path.read_bytes()) > 0
