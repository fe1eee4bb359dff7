"""Normalising: nothing is left of the wrappers, and nothing else is changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tinybench.model import Model, Operator, Quantisation, Tensor, total_macs
from tinybench.models import tflite
from tinybench.models.normalise import normalise
from tinybench.models.tflite_schema import OPTIONS
from tinybench.models.wellformed import check

INPUTS = 24

# What workloads pin. A change here changes every Case that runs these models.
DIGESTS = {
    "vww01-mltk": "1f4313a664a7d404be963d0523cfc5c27fef53c68bfc6ba7905382d758bf0671",
    "kws01-mltk": "9f22efc4c774728e69e94bf049389aaafa0ddec984ddfeedfefa54d880fc33b5",
    "ic01-mltk": "186c1f69597c0c87bd0bf838bf54e5c67b234d4e29910f3a7a2bd040a26c92ec",
    "ad01-mltk": "03509a9894e70b72611418c02d460c6b3ea857921810fac0976ff4954d5a0461",
}

# (operators, input shape, output shape, MACs), as in the official models of the same task; kws hears one
# more row of features.
LAYERS = {
    "vww01-mltk": (31, (1, 96, 96, 3), (1, 2), 7_489_664),
    "kws01-mltk": (13, (1, 50, 10, 1), (1, 12), 2_656_768),
    "ic01-mltk": (16, (1, 32, 32, 3), (1, 10), 12_501_632),
    "ad01-mltk": (10, (1, 640), (1, 640), 264_192),
}


def constants(model: Model) -> list[bytes]:
    """Weights and biases: the constants of layers that compute."""
    layers = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    return [
        tensor.data
        for operator in model.operators
        if operator.name in layers
        for tensor in (model.tensors[i] for i in operator.inputs if i >= 0)
        if tensor.data is not None
    ]


def scales(model: Model) -> list[tuple[Quantisation | None, ...]]:
    layers = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    return [
        tuple(model.tensors[i].quantisation for i in (*o.inputs, *o.outputs) if i >= 0)
        for o in model.operators
        if o.name in layers
    ]


def is_normal(model: Model) -> bool:
    return not model.metadata and not any(tensor.shape_signature for tensor in model.tensors)


def check_normalised(before: Model) -> Model:
    after = normalise(before)
    check(after)
    assert is_normal(after)
    assert normalise(after) == after
    written = tflite.write(after)
    assert tflite.write(normalise(tflite.read(written))) == written
    assert constants(after) == constants(before)
    assert scales(after) == scales(before)
    assert total_macs(after) == total_macs(before)
    return after


def check_same_answers(data: bytes, before: Model, after: Model) -> None:
    """Feed both what the wrapper would make of the same values; compare what it would make of the answers."""
    import numpy as np
    from tflite_micro.python.tflite_micro import runtime

    dice = np.random.default_rng(2026)
    old = runtime.Interpreter.from_bytes(data, arena_size=8 << 20)
    new = runtime.Interpreter.from_bytes(tflite.write(after), arena_size=8 << 20)
    source, core = before.tensors[before.inputs[0]], after.tensors[after.inputs[0]]
    sink, result = before.tensors[before.outputs[0]], after.tensors[after.outputs[0]]
    low, high = np.iinfo(core.dtype).min, np.iinfo(core.dtype).max
    answers = set()
    for _ in range(INPUTS):
        quantised = dice.integers(low, high, core.shape, dtype=core.dtype, endpoint=True)
        new.set_input(quantised, 0)
        new.invoke()
        answer = new.get_output(0)
        if source.dtype == "float32":
            scale, zero_point = core.quantisation.scales[0], core.quantisation.zero_points[0]
            quantised = ((quantised.astype(np.float64) - zero_point) * scale).astype(np.float32)
        old.set_input(quantised.reshape(source.shape), 0)
        old.invoke()
        expected = old.get_output(0)
        if sink.dtype == "float32":
            scale, zero_point = result.quantisation.scales[0], result.quantisation.zero_points[0]
            expected = np.rint(expected.astype(np.float64) / scale + zero_point)
        assert (expected.reshape(answer.shape) == answer).all()
        answers.add(answer.tobytes())
    assert len(answers) > 1, "the inputs did not tell anything apart"


@pytest.mark.needs("python:tflite_micro")
@pytest.mark.parametrize("workload", sorted(DIGESTS))
def test_packaged_models(mltk_models, workload):
    data = mltk_models[workload].read_bytes()
    before = tflite.read(data)
    after = check_normalised(before)
    source, sink = after.tensors[after.inputs[0]], after.tensors[after.outputs[0]]
    assert (len(after.operators), source.shape, sink.shape, total_macs(after)) == LAYERS[workload]
    assert source.dtype == sink.dtype == "int8"
    assert hashlib.sha256(tflite.write(after)).hexdigest() == DIGESTS[workload]
    check_same_answers(data, before, after)


TWINS = {
    "vww01-mltk": "vww_96_int8.tflite",
    "kws01-mltk": "kws_ref_model.tflite",
    "ic01-mltk": "pretrainedResnet_quant.tflite",
    "ad01-mltk": "ad01_int8.tflite",
}


@pytest.mark.parametrize("workload", sorted(TWINS))
def test_the_core_is_the_official_architecture(mltk_models, official_models, workload):
    def layers(model: Model) -> list[object]:
        return [
            (o.name, dict(o.options), [model.tensors[i].shape for i in (*o.inputs[1:], *o.outputs)])
            for o in model.operators
        ]

    ours = normalise(tflite.read(mltk_models[workload].read_bytes()))
    assert layers(ours) == layers(tflite.read((official_models / TWINS[workload]).read_bytes()))


@pytest.mark.needs("python:tflite_micro")
def test_official_models_lose_only_their_open_shapes(official_models):
    for path in sorted(official_models.glob("*.tflite")):
        data = path.read_bytes()
        before = tflite.read(data)
        after = check_normalised(before)
        closed = tuple(replace(tensor, shape_signature=()) for tensor in before.tensors)
        referred = {i for o in before.operators for i in (*o.inputs, *o.outputs)}
        assert len(after.operators) == len(before.operators)
        assert len(after.tensors) == len(referred - {-1})
        if len(referred - {-1}) == len(before.tensors):
            assert after == replace(before, tensors=closed, metadata=())
        if "large" not in path.name:  # 76 million MACs, twenty-four times twice
            check_same_answers(data, before, after)


def options(name: str, **changed: int) -> dict[str, object]:
    return {field.name: field.absent for field in OPTIONS[name].fields} | changed


def activation(index: int, dtype: str, *, shape=(1, 4)) -> Tensor:
    quantisation = None if dtype == "float32" else Quantisation((0.5,), (0,))
    return Tensor(index, f"t{index}", shape, dtype, quantisation=quantisation)


WRAPPED = Model(
    tensors=(
        activation(0, "float32"),
        activation(1, "int8"),
        activation(2, "int8"),
        activation(3, "float32"),
    ),
    operators=(
        Operator(0, "QUANTIZE", (0,), (1,)),
        Operator(1, "RELU", (1,), (2,)),
        Operator(2, "DEQUANTIZE", (2,), (3,)),
    ),
    inputs=(0,),
    outputs=(3,),
)


def test_wrappers_are_dropped_and_the_rest_is_numbered_anew():
    assert normalise(WRAPPED) == Model(
        tensors=(replace(activation(1, "int8"), index=0), replace(activation(2, "int8"), index=1)),
        operators=(Operator(0, "RELU", (0,), (1,)),),
        inputs=(0,),
        outputs=(1,),
    )


@pytest.mark.parametrize(
    "change",
    [
        # It is negated, too; it is an output as well.
        {"operators": (*WRAPPED.operators, Operator(3, "NEG", (0,), (4,))), "outputs": (3, 4)},
        {"outputs": (0, 3)},
    ],
)
def test_a_float_input_with_other_readers_keeps_its_wrapper(change):
    tensors = (*WRAPPED.tensors, activation(4, "float32"))
    after = normalise(replace(WRAPPED, tensors=tensors, **change))
    check(after)
    assert [o.name for o in after.operators][:2] == ["QUANTIZE", "RELU"]


def test_a_conversion_and_nothing_else_keeps_its_input_and_output_apart():
    model = replace(
        WRAPPED,
        operators=(Operator(0, "QUANTIZE", (0,), (1,)), Operator(1, "DEQUANTIZE", (1,), (3,))),
    )
    after = normalise(model)
    check(after)
    assert [o.name for o in after.operators] == ["DEQUANTIZE"]


def test_float_models_stay_as_they_are():
    model = Model(
        tensors=(activation(0, "float32"), activation(1, "float32")),
        operators=(Operator(0, "RELU", (0,), (1,)),),
        inputs=(0,),
        outputs=(1,),
    )
    assert normalise(model) == model


def test_a_reshape_of_an_int8_model_is_a_layer_like_others():
    shape = Tensor(2, "shape", (2,), "int32", b"\x04\0\0\0\x01\0\0\0")
    model = Model(
        tensors=(activation(0, "int8"), activation(1, "int8", shape=(4, 1)), shape),
        operators=(Operator(0, "RESHAPE", (0, 2), (1,), options("RESHAPE")),),
        inputs=(0,),
        outputs=(1,),
    )
    assert normalise(model) == model
