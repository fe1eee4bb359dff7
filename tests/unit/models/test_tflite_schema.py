"""The tables of facts about the schema, against the code that TensorFlow's own tools generated from it."""

from __future__ import annotations

import struct

import pytest

from tinybench.model import Model, Operator, Tensor
from tinybench.models import tflite
from tinybench.models.tflite_schema import BUILTIN_OPERATORS, OPTIONS, TENSOR_TYPES, Field

pytestmark = pytest.mark.needs("python:tflite_micro")

SOME_FLOAT = struct.unpack("<f", struct.pack("<f", 0.375))[0]


@pytest.fixture(scope="module")
def generated():
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated

    return schema_py_generated


def constants(enum) -> dict[str, int]:
    return {name: value for name, value in vars(enum).items() if not name.startswith("_")}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def test_operator_names_are_in_the_order_of_their_codes(generated):
    theirs = constants(generated.BuiltinOperator)
    assert {name: code for code, name in enumerate(BUILTIN_OPERATORS) if name in theirs} == theirs


def test_tensor_types_are_in_the_order_of_their_codes(generated):
    theirs = {name.lower(): code for name, code in constants(generated.TensorType).items()}
    ours = {name: code for code, name in enumerate(TENSOR_TYPES)}
    assert theirs == {name: ours[name] for name in theirs}
    assert set(ours) - set(theirs) <= {"uint4", "float8_e4m3fn", "float8_e5m2", "int2"}  # newest of all


def sample(field: Field) -> int | float | bool | tuple[int, ...]:
    """A value that makes sense, differs from the default, and differs between neighbouring fields."""
    if field.kind.vector:
        return (3, field.id, 5)
    if field.kind.code == "?":
        return not field.default
    if field.kind.code == "f":
        return SOME_FLOAT + field.id
    return 1 if field.kind.most in (1, 5) else 2 + field.id


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_options_arrive_where_the_schema_has_them(generated, name):
    table = OPTIONS[name]
    if table.union_member == 0:
        return
    options = {field.name: sample(field) for field in table.fields}
    tensors = (Tensor(0, "in", (1,), "int8"), Tensor(1, "out", (1,), "int8"))
    model = Model(tensors, (Operator(0, name, (0,), (1,), options),), (0,), (1,))
    packed = generated.ModelT.InitFromPackedBuf(tflite.write(model), 0)
    (operator,) = packed.subgraphs[0].operators
    theirs = operator.builtinOptions
    member = constants(generated.BuiltinOptions)[type(theirs).__name__.removesuffix("T")]
    assert operator.builtinOptionsType == member == table.union_member
    found = {key: getattr(theirs, camel(key)) for key in options}
    assert {k: tuple(v) if isinstance(options[k], tuple) else v for k, v in found.items()} == options
    fresh = type(theirs)()
    for field in table.fields:
        assert (getattr(fresh, camel(field.name)) or 0) == (field.absent or 0)


def test_every_member_of_the_union_is_some_operators_or_left_out_on_purpose(generated):
    ours = {table.union_member for table in OPTIONS.values()}
    left_out = {name for name, code in constants(generated.BuiltinOptions).items() if code not in ours}
    assert left_out == {
        "ConcatEmbeddingsOptions",
        "LSHProjectionOptions",
        "CallOptions",
        "SkipGramOptions",
        "EmbeddingLookupSparseOptions",
        "IfOptions",
        "WhileOptions",
        "CallOnceOptions",
        "HashtableOptions",
        "HashtableFindOptions",
        "HashtableImportOptions",
        "HashtableSizeOptions",
        "VarHandleOptions",
        "ReadVariableOptions",
        "AssignVariableOptions",
        "BucketizeOptions",
    }
