"""Patch-based execution: receptive fields against brute force, a case by hand, what must hold of any grid."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybench.model import Model, Operator, Tensor, total_macs
from tinybench.models import tflite
from tinybench.models.arena import plan_smallest
from tinybench.models.patches import Interval, Patches, stages, worthwhile
from tinybench.models.tflite_schema import OPTIONS

SAME, VALID = 0, 1


def positions(size: int, window: int, stride: int, padding: int) -> int:
    return (size + stride - (1 if padding == SAME else window)) // stride


class Chain:
    """Operators one after another, each with one window; `layers` keeps (window, stride, padding) by axis."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.tensors = [Tensor(0, "image", (1, height, width, channels), "int8")]
        self.operators: list[Operator] = []
        self.layers: list[tuple[tuple[int, int], tuple[int, int], int]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensors[self.operators[-1].outputs[0] if self.operators else 0].shape

    def _then(self, name: str, read: tuple[int, ...], shape: tuple[int, ...], options: dict) -> Chain:
        self.tensors.append(Tensor(len(self.tensors), name.lower(), shape, "int8"))
        defaults = {field.name: field.absent for field in OPTIONS[name].fields}
        self.operators.append(
            Operator(len(self.operators), name, read, (len(self.tensors) - 1,), {**defaults, **options})
        )
        return self

    def window(self, name: str, channels: int, window, stride, padding: int = SAME) -> Chain:
        source = self.operators[-1].outputs[0] if self.operators else 0
        _, height, width, depth = self.shape
        out = [positions(n, w, s, padding) for n, w, s in zip((height, width), window, stride, strict=True)]
        options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1]}
        read: tuple[int, ...] = (source,)
        if name.endswith("POOL_2D"):
            options |= {"filter_height": window[0], "filter_width": window[1]}
        else:
            shape = (channels, *window, depth) if name == "CONV_2D" else (1, *window, channels)
            self.tensors.append(Tensor(len(self.tensors), "w", shape, "int8", bytes(math.prod(shape))))
            read = (source, len(self.tensors) - 1)
            options |= {"dilation_h_factor": 1, "dilation_w_factor": 1}
        self.layers.append((tuple(window), tuple(stride), padding))
        return self._then(name, read, (1, *out, channels), options)

    def conv(self, channels: int, window=(3, 3), stride=(1, 1), padding: int = SAME) -> Chain:
        return self.window("CONV_2D", channels, window, stride, padding)

    def depthwise(self, window=(3, 3), stride=(1, 1), padding: int = SAME) -> Chain:
        return self.window("DEPTHWISE_CONV_2D", self.shape[3], window, stride, padding)

    def plus(self, tensor: int) -> Chain:
        return self._then("ADD", (self.operators[-1].outputs[0], tensor), self.shape, {})

    def model(self) -> Model:
        return Model(tuple(self.tensors), tuple(self.operators), (0,), self.operators[-1].outputs)


def small() -> Model:
    return Chain(8, 8, 1).conv(4).depthwise(stride=(2, 2)).model()


def of(model: Model, operators: int, rows: int, columns: int) -> Patches:
    stage = next(stage for stage in stages(model) if stage.operators == operators)
    return Patches(stage, stage.cut(0, rows), stage.cut(1, columns))


def test_two_layers_by_hand():
    """3 x 3 over 8 x 8, then 3 x 3 in steps of 2 to 4 x 4, which pads one row at the end alone.

    Rows 0 and 1 of the output read rows 0 to 4 between the layers and 0 to 5 of the image; rows 2 and 3 read
    4 to 7 and 3 to 7.
    """
    model = small()
    patches = of(model, 2, 2, 2)
    image, between, output = 0, 2, 4
    assert [needs[output] for needs in patches.rows] == [Interval(0, 2), Interval(2, 4)]
    assert [needs[between] for needs in patches.rows] == [Interval(0, 5), Interval(4, 8)]
    assert [needs[image] for needs in patches.rows] == [Interval(0, 6), Interval(3, 8)]
    # Between the layers 9 x 9 positions are computed instead of 8 x 8, each with 3 * 3 * 4 products.
    assert patches.macs - total_macs(model) == (81 - 64) * 36
    # The image's 64 bytes, the output's 64, and 5 * 5 * 4 between them, rounded up to 112.
    assert patches.bytes(whole_input=True) == 64 + 64 + 112
    # A patch of the image, 6 * 6 rounded up to 48, and the piece made of it.
    assert patches.bytes(whole_input=False) == 64 + 48 + 112
    assert plan_smallest(model).bytes == 320


def test_the_best_plan_is_among_those_found():
    plans = worthwhile(small())
    assert all(plan.bytes < 320 for plan in plans)
    assert [plan.bytes for plan in plans] == sorted({plan.bytes for plan in plans})
    extra = [plan.extra_macs for plan in plans]
    assert extra == sorted(extra, reverse=True)
    assert plans[0].bytes <= 240


layers = st.tuples(
    st.sampled_from(("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from((SAME, VALID)),
)


@st.composite
def chains(draw) -> Chain:
    chain = Chain(draw(st.integers(1, 17)), draw(st.integers(1, 17)), draw(st.integers(1, 3)))
    for name, window, stride, padding in draw(st.lists(layers, min_size=1, max_size=4)):
        fits = all(size >= w for size, w in zip(chain.shape[1:3], window, strict=True))
        channels = draw(st.integers(1, 4)) if name == "CONV_2D" else chain.shape[3]
        chain.window(name, channels, window, stride, padding if fits else SAME)
    return chain


def read_by(asked: set[int], size: int, count: int, layer: tuple[int, int, int]) -> set[int]:
    """Every position that a window reads, one by one."""
    window, stride, padding = layer
    before = max((count - 1) * stride + window - size, 0) // 2 if padding == SAME else 0
    return {
        at
        for out in asked
        for at in range(out * stride - before, out * stride - before + window)
        if 0 <= at < size
    }


@given(chains(), st.integers(0, 1), st.data())
@settings(max_examples=150, deadline=None)
def test_receptive_fields_are_those_of_brute_force(chain, axis, data):
    model = chain.model()
    stage = list(stages(model))[-1]
    assert stage.operators == len(model.operators)
    extent = stage.extents[axis]
    begin = data.draw(st.integers(0, extent - 1))
    end = data.draw(st.integers(begin + 1, extent))
    needs = stage.needs(axis, Interval(begin, end))
    asked = set(range(begin, end))
    for operator, (window, stride, padding) in zip(
        reversed(model.operators), reversed(chain.layers), strict=True
    ):
        source = model.tensors[operator.inputs[0]]
        count = model.tensors[operator.outputs[0]].shape[1 + axis]
        asked = read_by(asked, source.shape[1 + axis], count, (window[axis], stride[axis], padding))
        found = needs[source.index]
        assert found.length == (max(asked) + 1 - min(asked) if asked else 0)
        assert not asked or found.begin == min(asked)
        asked = set(range(found.begin, found.end))  # pieces are whole stretches


@given(chains(), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_a_finer_grid_needs_no_more_memory_and_no_less_work(chain, rows, columns):
    model = chain.model()
    for stage in stages(model):
        height, width = stage.extents
        coarse = Patches(stage, stage.cut(0, min(rows, height)), stage.cut(1, min(columns, width)))
        if 2 * len(coarse.rows) > height or 2 * len(coarse.columns) > width:
            continue
        fine = Patches(stage, stage.cut(0, 2 * len(coarse.rows)), stage.cut(1, 2 * len(coarse.columns)))
        for whole_input in (True, False):
            live = fine.live_bytes(whole_input=whole_input)
            assert live <= coarse.live_bytes(whole_input=whole_input)
            assert fine.bytes(whole_input=whole_input) >= live
        whole = Patches(stage, stage.cut(0, 1), stage.cut(1, 1))
        # Windows that leave gaps between them are the exception: patches do not compute what lies there.
        if all(step <= size for layer in chain.layers for size, step in zip(*layer[:2], strict=True)):
            assert fine.macs >= coarse.macs >= whole.macs
        assert whole.macs <= total_macs(model)  # windows may leave out what lies behind the last of them


def test_windows_of_one_position_compute_nothing_twice():
    model = Chain(6, 6, 2).conv(8, window=(1, 1)).conv(4, window=(1, 1)).model()
    plans = worthwhile(model)
    assert plans
    assert {plan.extra_macs for plan in plans} == {0}


def test_a_stage_ends_only_where_one_tensor_is_needed_later():
    chain = Chain(8, 8, 2).conv(4)
    early = chain.operators[0].outputs[0]
    model = chain.conv(4).plus(early).model()
    assert [stage.operators for stage in stages(model)] == [1, 3]
    # The residual needs the field of both its readers.
    needs = list(stages(model))[-1].needs(0, Interval(4, 5))
    assert needs[early] == Interval(3, 6)


def test_what_works_on_the_whole_image_ends_the_search():
    model = Chain(8, 8, 2).conv(4).model()
    dense = Operator(1, "SOFTMAX", (2,), (3,), {"beta": 1.0})
    tensors = (*model.tensors, Tensor(3, "shares", model.tensors[2].shape, "int8"))
    whole = replace(model, tensors=tensors, operators=(*model.operators, dense), outputs=(3,))
    assert [stage.operators for stage in stages(whole)] == [1]
    batch = replace(model, tensors=(replace(model.tensors[0], shape=(2, 8, 8, 2)), *model.tensors[1:]))
    assert list(stages(batch)) == []
    assert worthwhile(batch) == ()


@pytest.mark.parametrize(("whole_input", "least_bytes"), [(True, 37_664), (False, 18_432)])
def test_wakewords_patch_by_patch(mltk_models, whole_input, least_bytes):
    """MobileNet at 96 x 96: its image weighs 27,648 bytes, the output of its eighth operator 4,608."""
    from tinybench.models.normalise import normalise

    model = normalise(tflite.read(mltk_models["vww01-mltk"].read_bytes()))
    best = worthwhile(model, whole_input=whole_input)[0]
    assert (best.operators, best.bytes) == (8, least_bytes)
    assert best.macs == total_macs(model) + best.extra_macs
    assert best.extra_macs > 0
