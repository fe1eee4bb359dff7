"""Golden inputs are the same bytes everywhere, and a sample becomes a tensor as firmware makes it."""

from __future__ import annotations

import ctypes
import hashlib
import math
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import ModelError
from tinybench.model import Model, Quantisation, Tensor
from tinybench.models import golden
from tinybench.workload import InputSpec, WorkloadSpec

SCALE, ZERO_POINT = 0.3910152316093445, 89  # of the ad01 model
SCALES = st.floats(2.0**-20, 2.0**10, width=32)


def model(*shape: int, dtype: str = "int8", inputs: tuple[int, ...] = (0,)) -> Model:
    tensor = Tensor(0, "in", shape, dtype, quantisation=Quantisation((SCALE,), (ZERO_POINT,)))
    return Model(tensors=(tensor, tensor), operators=(), inputs=inputs, outputs=(1,))


def spec(encoding: str, name: str = "w") -> WorkloadSpec:
    """As little of a workload as a golden input depends on."""
    return WorkloadSpec.model_construct(id=name, input=InputSpec(encoding=encoding))


def named(encoding: str, *shape: int) -> dict[str, bytes]:
    return dict(golden.inputs(spec(encoding), model(*shape)))


@pytest.mark.parametrize(("encoding", "width"), [("int8", 1), ("uint8", 1), ("float32", 4)])
def test_three_inputs_of_the_right_length(encoding, width):
    made = named(encoding, 1, 5, 7, 3)
    assert list(made) == ["zeros", "random", "structured"]
    assert {len(data) for data in made.values()} == {105 * width}
    assert len(set(made.values())) == 3


@pytest.mark.parametrize(("encoding", "width"), [("int8", 1), ("uint8", 1), ("float32", 4)])
def test_further_inputs_are_others_of_the_same_length(encoding, width):
    made = golden.further_inputs(spec(encoding), model(1, 5, 7, 3))
    assert [name for name, _ in made] == ["random 2", "random 3"]
    assert {len(data) for _, data in made} == {105 * width}
    assert len({data for _, data in made} | set(named(encoding, 1, 5, 7, 3).values())) == 5


def test_the_bytes_never_change():
    """Every stored digest of an output depends on these: change them and all records must be made anew."""
    made = golden.inputs(spec("uint8"), model(1, 96, 96, 3))
    assert golden.digest(made) == "68f997ba28fba0d12d63fdd4526b9cb62e44a4266df4165ed92a6791984bbd12"
    made = golden.inputs(spec("float32"), model(1, 640))
    assert golden.digest(made) == "9cf1f39004a06b3d420160b2f8b7b5f2ce2959257c4fe7994add5a60f0d302ba"


def test_random_is_shake128_of_the_workload():
    made = named("uint8", 1, 10)["random"]
    assert made == hashlib.shake_128(b"tinybench golden input 1 w 10").digest(10)


def test_two_workloads_of_one_shape_have_different_random_inputs():
    one, two = (dict(golden.inputs(spec("int8", name), model(1, 64)))["random"] for name in ("a", "b"))
    assert one != two


@pytest.mark.parametrize("shape", [(1, 1), (1, 640), (1, 49, 10, 1), (1, 30, 1, 40), (1, 96, 96, 3)])
def test_encodings_are_one_tensor_written_differently(shape):
    """Random and structured inputs reach the network as the same int8 values, however they travel."""
    as_tensor = {
        encoding: {
            name: golden.to_tensor(spec(encoding), model(*shape), data)
            for name, data in named(encoding, *shape).items()
        }
        for encoding in ("int8", "uint8", "float32")
    }
    for name in ("random", "structured"):
        assert len({tensors[name] for tensors in as_tensor.values()}) == 1
    zeros = [set(as_tensor[encoding]["zeros"]) for encoding in ("int8", "uint8", "float32")]
    assert zeros == [{0}, {0x80}, {ZERO_POINT}]


def test_a_structured_image_is_neither_flat_nor_noise():
    rows, columns = 32, 32
    image = named("uint8", 1, rows, columns, 1)["structured"]
    steps = [abs(image[i] - image[i + 1]) for i in range(len(image) - 1) if (i + 1) % columns]
    assert len(set(image)) > 48
    assert sum(step <= 4 for step in steps) > 0.8 * len(steps)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((0.5, 1), (-0.5, -1), (1.5, 2), (-1.5, -2), (2.5, 3), (0.4999999701976776, 0), (-0.0, 0)),
        *((126.5, 127), (1e30, 127), (-1e30, -128), (math.inf, 127), (-math.inf, -128)),
    ],
)
def test_halves_go_away_from_zero_and_the_ends_saturate(value, expected):
    assert golden.quantise(value, 1.0, 0) == expected


def test_a_float_that_is_not_a_number_counts_as_zero():
    assert golden.quantise(math.nan, SCALE, ZERO_POINT) == ZERO_POINT


@given(level=st.integers(-128, 127), scale=SCALES, zero_point=st.integers(-128, 127))
def test_what_a_level_means_quantises_to_that_level(level, scale, zero_point):
    single = struct.unpack("<f", struct.pack("<f", (level - zero_point) * scale))[0]
    assert golden.quantise(single, scale, zero_point) == level


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """The definition in C: what a firmware does with one float."""
    folder = tmp_path_factory.mktemp("quantise")
    (folder / "q.c").write_text(
        "#include <math.h>\n"
        "int q(float x, float scale, int zero_point) {\n"
        "    float r = roundf(x / scale) + (float)zero_point;\n"
        "    return r > 127.0f ? 127 : r < -128.0f ? -128 : (int)r;\n"
        "}\n"
    )
    built = folder / "q.so"
    gcc = shutil.which("gcc")
    assert gcc is not None
    subprocess.run([gcc, "-O0", "-shared", "-fPIC", folder / "q.c", "-o", built, "-lm"], check=True)
    function = ctypes.CDLL(str(built)).q
    function.argtypes = [ctypes.c_float, ctypes.c_float, ctypes.c_int]
    return function


@pytest.mark.needs("gcc")
@given(x=st.floats(-1e6, 1e6, width=32), scale=SCALES, zero_point=st.integers(-128, 127))
def test_rounds_as_c_does(reference, x, scale, zero_point):
    assert golden.quantise(x, scale, zero_point) == reference(x, scale, zero_point)


@pytest.mark.needs("gcc")
@given(half=st.integers(-300, 300), nudge=st.integers(-2, 2), scale=SCALES)
def test_rounds_as_c_does_beside_every_boundary(reference, half, nudge, scale):
    near = struct.unpack("<f", struct.pack("<f", (half + 0.5) * scale))[0]
    bits = struct.unpack("<i", struct.pack("<f", near))[0] + nudge
    x = struct.unpack("<f", struct.pack("<i", bits))[0]
    assert golden.quantise(x, scale, ZERO_POINT) == reference(x, scale, ZERO_POINT)


@pytest.mark.parametrize(("encoding", "count"), [("int8", 9), ("uint8", 11), ("float32", 10)])
def test_a_sample_of_the_wrong_length_is_refused(encoding, count):
    with pytest.raises(ModelError, match=r"has \d+ bytes, not"):
        golden.to_tensor(spec(encoding), model(1, 10), bytes(count))


@pytest.mark.parametrize(
    ("broken", "why"),
    [(model(1, 4, inputs=(0, 1)), "2 inputs"), (model(1, 4, dtype="float32"), "is float32, not int8")],
)
def test_a_model_that_a_workload_cannot_feed_is_refused(broken, why):
    with pytest.raises(ModelError, match=why):
        golden.inputs(spec("int8"), broken)
