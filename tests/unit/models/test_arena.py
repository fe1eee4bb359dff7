"""Arena plans: no two live buffers on each other, TFLM's figures to the byte, ours never larger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybench.codegen import graph_walk
from tinybench.codegen.graph_walk import KernelSet
from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Tensor, tensor_bytes
from tinybench.models import tflite
from tinybench.models.arena import ALIGNMENT_BYTES, lifetimes, lower_bound, overlaps, plan_smallest, plan_tflm
from tinybench.models.forest import is_forest
from tinybench.models.normalise import normalise
from tinybench.models.tflite_schema import OPTIONS
from tinybench.models.tflm_scratch import scratch_bytes

# TFLM's head, the smallest plan, the most bytes alive at once.
OFFICIAL = {
    "vww_96_int8.tflite": (73_728, 55_296, 55_296),
    "kws_ref_model.tflite": (16_000, 16_000, 16_000),
    "pretrainedResnet_quant.tflite": (49_152, 49_152, 49_152),
    "pretrainedResnet_large_int8.tflite": (122_880, 122_880, 122_880),
    "ad01_int8.tflite": (768, 768, 768),
    "str_ww_ref_model.tflite": (6_656, 6_656, 6_656),
    "hello_world_int8.tflite": (32, 32, 32),
    "micro_speech_quantized.tflite": (5_968, 5_968, 5_968),
    "person_detect.tflite": (55_296, 55_296, 55_296),
}
PACKAGED = {
    "vww01-mltk": (73_728, 55_296, 55_296),
    "kws01-mltk": (16_000, 16_000, 16_000),
    "ic01-mltk": (49_152, 49_152, 49_152),
    "ad01-mltk": (768, 768, 768),
}


def activation(index: int, extent: int, dtype: str = "int8") -> Tensor:
    return Tensor(index, f"t{index}", (extent,), dtype)


@st.composite
def graphs(draw):
    """Any graph: activations of mixed sizes, read once, often or never, some of them outputs."""
    tensors = [activation(i, draw(st.integers(0, 200))) for i in range(draw(st.integers(1, 2)))]
    inputs = tuple(range(len(tensors)))
    operators = []
    for index in range(draw(st.integers(1, 9))):
        read = tuple(draw(st.lists(st.sampled_from(range(len(tensors))), min_size=1, max_size=3)))
        made = tuple(range(len(tensors), len(tensors) + draw(st.integers(1, 2))))
        tensors += [activation(i, draw(st.integers(0, 200))) for i in made]
        operators.append(Operator(index, "CUSTOM:Any", read, made))
    outputs = draw(st.lists(st.sampled_from(range(len(tensors))), min_size=1, max_size=2, unique=True))
    return Model(tuple(tensors), tuple(operators), inputs, tuple(outputs))


def simulate(model: Model, plan, sizes) -> None:
    """Run the graph on a real arena: every operator must find its inputs as they were written."""
    arena = [None] * plan.bytes
    offset = {t: b.offset for t, b in zip(plan.tensors, plan.buffers, strict=True)}

    def write(tensor):
        arena[offset[tensor] : offset[tensor] + sizes[tensor]] = [tensor] * sizes[tensor]

    def read(tensor):
        assert arena[offset[tensor] : offset[tensor] + sizes[tensor]] == [tensor] * sizes[tensor]

    for tensor in model.inputs:
        write(tensor)
    for operator in model.operators:
        for tensor in operator.inputs:
            read(tensor)
        for tensor in operator.outputs:
            write(tensor)
    for tensor in model.outputs:
        read(tensor)


@given(graphs(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_plan_ever_loses_a_value(model, sharing):
    sizes = {t.index: tensor_bytes(t) for t in model.tensors}
    in_place = (lambda operator: range(len(operator.inputs))) if sharing else (lambda _: ())
    ours, tflm = plan_smallest(model, in_place), plan_tflm(model)
    for plan in (ours, tflm):
        assert overlaps(plan) == ()
        assert all(buffer.offset % ALIGNMENT_BYTES == 0 for buffer in plan.buffers)
        assert all(buffer.offset + buffer.bytes <= plan.bytes for buffer in plan.buffers)
    simulate(model, ours, sizes)
    assert ours.bytes <= tflm.bytes
    assert tflm.bytes >= lower_bound(model)
    assert sharing or (ours.bytes >= lower_bound(model) and ours.in_place == ())
    assert ours.tensors == tuple(s.tensor for s in lifetimes(model))
    assert ours == plan_smallest(model, in_place)


def test_the_checker_sees_an_overlap():
    model = Model(
        (activation(0, 16), activation(1, 16)), (Operator(0, "CUSTOM:Any", (0,), (1,)),), (0,), (1,)
    )
    plan = plan_smallest(model)
    assert (plan.bytes, overlaps(plan)) == (32, ())
    moved = replace(
        plan, buffers=tuple(b.model_copy(update={"offset": 8 * i}) for i, b in enumerate(plan.buffers))
    )
    assert overlaps(moved) == ((0, 1),)
    # Declared to be shared, it is sound where the two touch in one operator, and only there.
    assert overlaps(replace(moved, in_place=((0, 1),))) == ()
    lasting = tuple(b.model_copy(update={"last_operator": 1}) for b in moved.buffers)
    assert overlaps(replace(moved, buffers=lasting, in_place=((0, 1),))) == ((0, 1),)


def chain(*names: str, extents=(160, 160, 160, 160)) -> Model:
    tensors = tuple(activation(i, extent) for i, extent in enumerate(extents[: len(names) + 1]))
    operators = tuple(Operator(i, name, (i,), (i + 1,)) for i, name in enumerate(names))
    return Model(tensors, operators, (0,), (len(names),))


def everywhere(_operator: Operator) -> tuple[int, ...]:
    return (0,)


def test_a_chain_in_place_takes_the_memory_of_its_largest():
    model = chain("CUSTOM:a", "CUSTOM:b", "CUSTOM:c")
    assert plan_smallest(model).bytes == 320
    plan = plan_smallest(model, everywhere)
    assert (plan.bytes, plan.in_place) == (160, ((0, 1), (1, 2), (2, 3)))
    assert overlaps(plan) == ()


def test_reshape_is_always_in_place():
    assert plan_smallest(chain("RESHAPE", "RESHAPE")).bytes == 160


def test_an_output_larger_than_its_input_is_not_written_over_it():
    assert plan_smallest(chain("CUSTOM:a", extents=(160, 176)), everywhere).bytes == 336


def test_an_input_that_is_needed_later_is_not_overwritten():
    model = chain("CUSTOM:a", "CUSTOM:b")
    operators = (model.operators[0], replace(model.operators[1], inputs=(1, 0)))
    plan = plan_smallest(replace(model, operators=operators), everywhere)
    # Only the second operator's first input dies there.
    assert (plan.bytes, plan.in_place) == (320, ((1, 2),))


def test_a_tensor_read_at_two_positions_must_be_allowed_at_both():
    model = chain("CUSTOM:a")
    doubled = replace(model, operators=(replace(model.operators[0], inputs=(0, 0)),))
    assert plan_smallest(doubled, lambda _: (0,)).bytes == 320
    assert plan_smallest(doubled, lambda _: (0, 1)).bytes == 160


def test_outputs_and_variables_are_not_overwritten():
    model = chain("CUSTOM:a", "CUSTOM:b")
    assert plan_smallest(model, everywhere).bytes == 160
    assert plan_smallest(replace(model, outputs=(1, 2)), everywhere).bytes == 320
    tensors = (model.tensors[0], replace(model.tensors[1], variable=True), model.tensors[2])
    inner = (Operator(0, "CUSTOM:b", (0, 1), (2,)),)
    kept = plan_smallest(replace(model, tensors=tensors, operators=inner), lambda _: (0, 1))
    assert kept.in_place == ((0, 2),)
    assert [b.first_operator for b in kept.buffers] == [0, 0, 0]


def test_an_input_dies_at_its_last_use_and_an_output_lives_to_the_end():
    model = chain("CUSTOM:a", "CUSTOM:b", "CUSTOM:c")
    spans = lifetimes(replace(model, outputs=(1, 3)))
    assert [(s.first, s.last) for s in spans] == [(0, 0), (0, 2), (1, 2), (2, 2)]
    assert [s.bytes for s in spans] == [160] * 4


@pytest.mark.parametrize("file", sorted(OFFICIAL))
@pytest.mark.needs("python:tflite_micro")
def test_official_models(official_models, tflm_head, file):
    data = (official_models / file).read_bytes()
    model = tflite.read(data)
    assert (plan_tflm(model).bytes, plan_smallest(model).bytes, lower_bound(model)) == OFFICIAL[file]
    assert plan_tflm(model).bytes == tflm_head(data)
    assert overlaps(plan_tflm(model)) == overlaps(plan_smallest(model)) == ()


@pytest.mark.needs("python:tflite_micro")
def test_every_model_that_can_be_had(every_model, tflm_head):
    """TFLM's head to the byte, and never more of ours: all workloads, and the files that are given."""
    assert len(every_model) > len(PACKAGED)
    for name, data in every_model.items():
        model = tflite.read(data)
        if is_forest(model):
            continue  # an operator that TFLM does not know
        assert (name, plan_tflm(model).bytes) == (name, tflm_head(data))
        ours = _planned_by_reference(model)
        if ours is not None:
            assert (name, ours) <= (name, plan_tflm(model).bytes)


def _planned_by_reference(model: Model) -> int | None:
    """Bytes of the plan that the engine `reference` makes of a model, None where it refuses it."""
    try:
        operators = graph_walk.lowered_model(model, KernelSet("reference", ""))
    except ModelError:
        return None
    return graph_walk.planned(model, operators).bytes


def test_reference_needs_at_most_four_fifths_of_tflms_head_for_wakewords(every_model):
    data = every_model["vww01-mltk"]
    model = tflite.read(data)
    ours = _planned_by_reference(model)
    assert ours is not None
    assert ours <= 0.80 * plan_tflm(model).bytes


@pytest.mark.parametrize("workload", sorted(PACKAGED))
@pytest.mark.needs("python:tflite_micro")
def test_packaged_models(mltk_models, tflm_head, workload):
    published = mltk_models[workload].read_bytes()
    model = normalise(tflite.read(published))
    assert (plan_tflm(model).bytes, plan_smallest(model).bytes, lower_bound(model)) == PACKAGED[workload]
    assert plan_tflm(model).bytes == tflm_head(tflite.write(model))
    # As published, with the float wrappers that cost it arena.
    assert plan_tflm(tflite.read(published)).bytes == tflm_head(published)


def wide_graph(sizes) -> Model:
    """Float activations with ties and long lives, in a graph that TFLM can run."""
    options = {field.name: field.absent for field in OPTIONS["ADD"].fields}
    concatenation = {"axis": 0, "fused_activation_function": 0}
    tensors = [activation(0, sizes[0], "float32")]
    operators = []
    for extent in sizes[1:]:
        read = (len(tensors) - 1, 0) if len(tensors) % 2 else (len(tensors) - 1, len(tensors) - 1)
        total = sum(tensors[i].shape[0] for i in read)
        tensors.append(activation(len(tensors), total, "float32"))
        operators.append(Operator(len(operators), "CONCATENATION", read, (len(tensors) - 1,), concatenation))
        if extent % 2:
            tensors.append(activation(len(tensors), total, "float32"))
            previous = len(tensors) - 2
            operators.append(
                Operator(len(operators), "ADD", (previous, previous), (len(tensors) - 1,), options)
            )
    return Model(tuple(tensors), tuple(operators), (0,), (len(tensors) - 1,))


@pytest.mark.needs("python:tflite_micro")
@pytest.mark.parametrize("sizes", [(3, 1, 2, 1), (8, 2, 2, 1, 1), (5, 1, 1, 1, 2, 2), (16, 2, 1, 2, 1, 2, 1)])
def test_tflm_agrees_on_graphs_with_ties(tflm_head, sizes):
    model = wide_graph(sizes)
    assert plan_tflm(model).bytes == tflm_head(tflite.write(model))


def test_tensors_that_nothing_refers_to_cost_tflm_memory_and_us_none():
    model = chain("CUSTOM:a")
    idle = replace(model, tensors=(*model.tensors, activation(2, 1000), activation(3, 10)))
    assert plan_tflm(idle).bytes == 1008 + 16
    assert plan_smallest(idle) == plan_smallest(model)


def transposed(dtype: str, bias: str | None) -> Model:
    options = {field.name: field.absent for field in OPTIONS["TRANSPOSE_CONV"].fields}
    tensors = (
        Tensor(0, "in", (1, 4, 4, 2), dtype),
        Tensor(1, "shape", (4,), "int32", bytes(16)),
        Tensor(2, "filter", (3, 2, 2, 2), "int8", bytes(24)),
        Tensor(3, "out", (1, 8, 8, 3), dtype),
        *([Tensor(4, "bias", (3,), bias, bytes(6))] if bias else []),
    )
    operator = Operator(0, "TRANSPOSE_CONV", (1, 2, 0, 4) if bias else (1, 2, 0), (3,), options)
    return Model(tensors, (operator,), (0,), (3,))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (transposed("int8", None), (8 * 8 * 3 * 4,)),
        (transposed("int16", None), (8 * 8 * 3 * 8,)),
        (transposed("int16", "int16"), (8 * 8 * 3 * 8, 3 * 8)),
        (transposed("float32", None), ()),
        (chain("ADD"), ()),
        (chain("MEAN"), ()),  # without its axes no kernel would run it
    ],
)
def test_scratch_memory_of_tflms_kernels(model, expected):
    assert scratch_bytes(model, model.operators[0]) == expected
