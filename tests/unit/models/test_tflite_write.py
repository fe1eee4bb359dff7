"""Writing: what is read back is what was written, and runtimes take it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybench.errors import ModelError
from tinybench.model import ELEMENT_BITS, Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models import tflite
from tinybench.models.tflite_schema import OPTIONS
from tinybench.models.wellformed import check

float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
scales = st.floats(min_value=2.0**-149, width=32, allow_infinity=False)


@st.composite
def quantisations(draw, dtype, shape):
    lowest = 0 if dtype.startswith("uint") else -2  # what the narrowest type, int2, can hold
    axis = draw(st.sampled_from([i for i, extent in enumerate(shape) if extent > 1] or [-1]))
    channels = shape[axis] if axis >= 0 and draw(st.booleans()) else 1
    return Quantisation(
        scales=tuple(draw(st.lists(scales, min_size=channels, max_size=channels))),
        zero_points=tuple(draw(st.lists(st.integers(lowest, 1), min_size=channels, max_size=channels))),
        axis=axis if channels > 1 else 0,
    )


@st.composite
def tensors(draw, index, *, constant):
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    dtype = draw(st.sampled_from([name for name, bits in ELEMENT_BITS.items() if bits]))
    tensor = Tensor(
        index=index,
        name=draw(st.text(max_size=8)),
        shape=shape,
        dtype=dtype,
        quantisation=draw(st.none() | quantisations(dtype, shape)),
        shape_signature=draw(st.sampled_from([(), (-1, *shape[1:]) if shape else ()])),
    )
    size = tensor_bytes(tensor)
    if constant and size:
        return replace(tensor, data=draw(st.binary(min_size=size, max_size=size)))
    return replace(tensor, variable=constant and draw(st.booleans()))


def option_values(kind):
    if kind.code == "?":
        return st.booleans()
    if kind.code == "f":
        return float32
    integers = st.integers(kind.least, kind.most)
    return st.lists(integers, max_size=4).map(tuple) if kind.vector else integers


@st.composite
def models(draw):
    known = [draw(tensors(index, constant=index > 1)) for index in range(draw(st.integers(1, 6)))]
    inputs = [t.index for t in known if t.data is None and not t.variable]
    operators = []
    for index in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(sorted(OPTIONS)) | st.text(max_size=6).map("CUSTOM:{}".format))
        read = draw(st.lists(st.sampled_from([-1, *(t.index for t in known)]), max_size=4))
        made = [draw(tensors(len(known) + i, constant=False)) for i in range(draw(st.integers(1, 2)))]
        known += made
        fields = OPTIONS[name].fields if name in OPTIONS else ()
        operators.append(
            Operator(
                index=index,
                name=name,
                inputs=tuple(read),
                outputs=tuple(t.index for t in made),
                options={f.name: draw(option_values(f.kind)) for f in fields},
                version=draw(st.integers(1, 12)),
                intermediates=tuple(draw(st.lists(st.sampled_from([t.index for t in known]), max_size=2))),
                custom_options=draw(st.binary(max_size=5)) if name not in OPTIONS else b"",
            )
        )
    return Model(
        tensors=tuple(known),
        operators=tuple(operators),
        inputs=tuple(inputs),
        outputs=tuple(draw(st.lists(st.sampled_from([t.index for t in known]), max_size=3))),
        description=draw(st.text(max_size=20)),
        metadata=tuple(draw(st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=40)), max_size=3))),
    )


@given(models())
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_back(model):
    check(model)
    data = tflite.write(model)
    assert tflite.read(data) == model
    assert tflite.write(tflite.read(data)) == data


def constant_tensor(index: int, count: int) -> Tensor:
    return Tensor(index, f"c{index}", (count,), "int8", bytes(i * (index + 3) % 251 for i in range(count)))


PADDED = Model(
    tensors=(
        Tensor(0, "in", (2,), "int8", quantisation=Quantisation((0.5,), (3,))),
        *(constant_tensor(i, 3 * i) for i in range(1, 9)),
        Tensor(9, "out", (3,), "int8", quantisation=Quantisation((0.5,), (3,))),
    ),
    operators=(Operator(0, "CUSTOM:Whiten", tuple(range(9)), (9,), custom_options=b"\x01"),),
    inputs=(0,),
    outputs=(9,),
)


def test_the_layout_is_pinned():
    """Models are known by the digests of their bytes: workloads pin them, and records compare by them."""
    digest = hashlib.sha256(tflite.write(PADDED)).hexdigest()
    assert digest == "d7f462095366bc0c2df202a427ac9aaed6b6f002a08e1e25b2ee66e01e05071a"


def test_constants_start_at_multiples_of_16_bytes():
    data = tflite.write(PADDED)
    for tensor in PADDED.tensors[3:9]:
        assert tensor.data
        assert data.index(tensor.data) % 16 == 0
    assert len(data) % 16 == 0


def test_equal_constants_are_stored_once():
    weights = bytes(range(200))
    twins = tuple(Tensor(i, f"c{i}", (200,), "int8", weights) for i in (1, 2))
    model = replace(PADDED, tensors=(PADDED.tensors[0], *twins, *PADDED.tensors[3:]))
    assert tflite.write(model).count(weights) == 1
    assert tflite.read(tflite.write(model)) == model


@pytest.mark.parametrize("name", ["BUILTIN_4000", "STABLEHLO_ADD", "IF"])
def test_operators_whose_options_are_unknown_are_not_written(name):
    model = replace(PADDED, operators=(Operator(0, name, (0,), (9,)),))
    with pytest.raises(ModelError, match=f"operator 0 `{name}` cannot be written"):
        tflite.write(model)


def test_a_broken_model_is_not_written():
    with pytest.raises(ModelError, match="reads tensor `9` before anything has written it"):
        tflite.write(replace(PADDED, operators=(Operator(0, "RELU", (9,), (9,)),)))


@pytest.mark.needs("python:tflite_micro")
def test_tflm_runs_what_is_written():
    """y = 2 * (x - 3) + 3 in the quantised domain, through a FULLY_CONNECTED of our own making."""
    import numpy as np
    from tflite_micro.python.tflite_micro import runtime

    options = {field.name: field.absent for field in OPTIONS["FULLY_CONNECTED"].fields}
    model = Model(
        tensors=(
            Tensor(0, "x", (1, 2), "int8", quantisation=Quantisation((1.0,), (3,))),
            Tensor(1, "w", (2, 2), "int8", bytes([2, 0, 0, 2]), Quantisation((1.0,), (0,))),
            Tensor(2, "b", (2,), "int32", bytes(8), Quantisation((1.0,), (0,))),
            Tensor(3, "y", (1, 2), "int8", quantisation=Quantisation((1.0,), (3,))),
        ),
        operators=(Operator(0, "FULLY_CONNECTED", (0, 1, 2), (3,), options),),
        inputs=(0,),
        outputs=(3,),
    )
    interpreter = runtime.Interpreter.from_bytes(tflite.write(model), arena_size=1 << 16)
    interpreter.set_input(np.array([[5, -20]], np.int8), 0)
    interpreter.invoke()
    assert interpreter.get_output(0).tolist() == [[7, -43]]
    assert math.isclose(interpreter.get_output_details(0)["quantization_parameters"]["scales"][0], 1.0)
