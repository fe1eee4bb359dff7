"""What the reference engine refuses, what it writes, and that it writes it twice alike."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tinybench.engines.reference import ENGINES, generate
from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Quantisation, Tensor
from tinybench.models.arena import overlaps
from tinybench.target import Core, Region, Target
from tinybench.workload import GOLDEN_NAMES, GoldenSpec, InputSpec, ModelSpec, Workload, WorkloadSpec

ENGINE = ENGINES[0]


def tensor(name, shape, dtype="int8", data=None, *, scales=(0.5,), zero_points=(3,), axis=0):
    found = Quantisation(scales, zero_points, axis) if scales else None
    return Tensor(0, name, shape, dtype, data, found)


def weights(shape, scales=(0.25,), zero_points=(0,), axis=0):
    count = 1
    for size in shape:
        count *= size
    data = bytes((7 * i + 3) % 256 for i in range(count))
    return tensor("filter", shape, "int8", data, scales=scales, zero_points=zero_points, axis=axis)


def model(*operators):
    """A chain of operators: each a name, constant inputs, the output, options; `image` comes in first."""
    tensors = [tensor("image", (1, 4, 4, 2))]
    steps = []
    for name, constants, output, options in operators:
        inputs = [len(tensors) - 1 if steps else 0]
        for constant in constants:
            tensors.append(constant)
            inputs.append(len(tensors) - 1)
        tensors.append(output)
        steps.append(Operator(len(steps), name, tuple(inputs), (len(tensors) - 1,), options))
    placed = tuple(replace(t, index=i) for i, t in enumerate(tensors))
    return Model(placed, tuple(steps), (0,), (len(tensors) - 1,))


CONV = {
    "padding": 0,
    "stride_h": 1,
    "stride_w": 1,
    "dilation_h_factor": 1,
    "dilation_w_factor": 1,
    "fused_activation_function": 3,
}
POOL = {
    "padding": 1,
    "stride_h": 2,
    "stride_w": 2,
    "filter_height": 2,
    "filter_width": 2,
    "fused_activation_function": 0,
}


def conv(filter_=None, output=None, **options):
    return (
        "CONV_2D",
        (filter_ or weights((3, 3, 3, 2)),),
        output or tensor("features", (1, 4, 4, 3)),
        {**CONV, **options},
    )


SMALL = model(
    conv(),
    ("MAX_POOL_2D", (), tensor("pooled", (1, 2, 2, 3)), POOL),
    ("RESHAPE", (), tensor("flat", (1, 12)), {"new_shape": ()}),
    (
        "FULLY_CONNECTED",
        (weights((5, 12)),),
        tensor("logits", (1, 5)),
        {"fused_activation_function": 0, "weights_format": 0},
    ),
    ("SOFTMAX", (), tensor("shares", (1, 5), scales=(1 / 256,), zero_points=(-128,)), {"beta": 1.0}),
)

TARGET = Target(
    name="t",
    title="T",
    mcu="T",
    core=Core(name="cortex-m4"),
    clock_hz=1,
    clock_source="none",
    regions=(
        Region(name="flash", kind="flash", origin=0, size=1, uses=("text", "weights")),
        Region(name="ram", kind="ram", origin=8, size=1, uses=("data", "arena", "stack")),
    ),
    folder=Path(),
)


def workload(of: Model) -> Workload:
    spec = WorkloadSpec(
        id="w",
        title="W",
        task="w",
        protocol_id="w",
        model=ModelSpec(file="w", sha256="0" * 64, normalised_sha256="0" * 64, sources=()),
        input=InputSpec(encoding="int8"),
        golden=GoldenSpec(
            oracle="none",
            inputs_sha256="0" * 64,
            outputs_sha256=dict.fromkeys(GOLDEN_NAMES, "0" * 64),
        ),
    )
    return Workload(spec, of, Path(), "0" * 64, "0" * 64, "", (), "")


REFUSALS = {
    "no kernel": (
        model(("LSTM", (), tensor("state", (1, 4)), {})),
        r"operator 0 `LSTM` has no kernel",
    ),
    "second operator": (
        model(conv(), ("SVDF", (), tensor("x", (1, 4)), {})),
        r"operator 1 `SVDF` has no kernel",
    ),
    "float": (
        model(conv(output=tensor("y", (1, 4, 4, 3), "float32", scales=()))),
        r"tensor `\w+` is int8; operator 0 `CONV_2D` runs float32 here",
    ),
    "int16": (
        model(conv(output=tensor("y", (1, 4, 4, 3), "int16"))),
        r"tensor `\w+` is int8; operator 0 `CONV_2D` runs int16 here",
    ),
    "int32": (
        model(conv(output=tensor("y", (1, 4, 4, 3), "int32"))),
        r"tensor `y` is int32; operator 0 `CONV_2D` runs int8 here",
    ),
    "groups": (
        model(conv(weights((3, 3, 3, 1)))),
        r"operator 0 `CONV_2D` has groups \(2 channels in, 1 in `filter`\)",
    ),
    "positions": (
        model(conv(stride_h=2)),
        r"operator 0 `CONV_2D` should give \[2, 4\] positions; tensor `features` has \[4, 4\]",
    ),
    "stride": (
        model(conv(stride_h=0)),
        r"operator 0 `CONV_2D` has strides \(0, 1\), .*without meaning",
    ),
    "activation": (
        model(conv(fused_activation_function=4)),
        r"operator 0 `CONV_2D` has a fused activation without a kernel \(`4`\)",
    ),
    "asymmetric weights": (
        model(conv(weights((3, 3, 3, 2), zero_points=(1,)))),
        r"operator 0 `CONV_2D` needs weights without a zero point; tensor `filter` has one",
    ),
    "wrong axis": (
        model(conv(weights((3, 3, 3, 2), scales=(0.1, 0.2, 0.3), zero_points=(0, 0, 0), axis=1))),
        r"operator 0 `CONV_2D` needs a scale for each output channel; tensor `filter` has others",
    ),
    "rescaling pool": (
        model(("MAX_POOL_2D", (), tensor("pooled", (1, 2, 2, 2), zero_points=(4,)), POOL)),
        r"operator 0 `MAX_POOL_2D` would rescale; tensor `pooled` is quantised unlike its input",
    ),
    "two outputs": (
        replace(SMALL, outputs=(SMALL.outputs[0], 0)),
        r"the model has 1 inputs and 2 outputs; the engine runs one of each",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_name_operator_and_tensor_before_any_build(case, tmp_path):
    refused, reason = REFUSALS[case]
    said = ENGINE.refuses(workload(refused), TARGET)
    assert said is not None
    assert re.fullmatch(reason, said)
    with pytest.raises(ModelError, match=reason):
        ENGINE.generate(workload(refused), TARGET, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_what_it_runs_is_not_refused():
    assert ENGINE.refuses(workload(SMALL), TARGET) is None


def test_same_model_same_bytes(tmp_path):
    one, other = generate(SMALL, tmp_path / "one"), generate(SMALL, tmp_path / "other")
    for name in ("model.c", "weights.c", "weights.h"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert one.arena == other.arena
    assert one.defines == other.defines == {"TB_MAX_TAPS": "1", "TB_MAX_PATCH": "18"}
    assert str(tmp_path) not in (tmp_path / "one" / "model.c").read_text()


def test_every_operator_has_a_function_and_a_name(tmp_path):
    sources = generate(SMALL, tmp_path)
    text = (tmp_path / "model.c").read_text()
    functions = re.findall(r"^OPERATOR (tb_op_\w+)\(void\) \{$", text, re.MULTILINE)
    assert functions == [
        "tb_op_000_conv_2d",
        "tb_op_001_max_pool_2d",
        "tb_op_002_reshape",
        "tb_op_003_fully_connected",
        "tb_op_004_softmax",
    ]
    calls = re.findall(r"TB_OPERATOR\((\d+), (\w+)\(\)\);", text)
    assert calls == [(str(i), name) for i, name in enumerate(functions)]
    assert sources.operators == ("CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX")


def test_constants_have_readable_names_and_the_files_values(tmp_path):
    generate(SMALL, tmp_path)
    text = (tmp_path / "weights.c").read_text()
    names = re.findall(r"const (\w+) (tb_w_\w+)\[(\d+)\]", text)
    assert ("int8_t", "tb_w_000_conv_2d_filter", "54") in names
    assert ("int8_t", "tb_w_padding_3", "2") in names
    # The fifth row of the fully connected layer follows the four that are interleaved.
    values = re.search(r"tb_w_003_fully_connected_filter\[60\] = \{(.*?)\};", text, re.DOTALL)
    assert values is not None
    written = [int(v) for v in values[1].replace("\n", "").split(",") if v.strip()]
    raw = SMALL.tensors[SMALL.operators[3].inputs[1]].data
    rows = [struct.unpack("12b", raw[12 * i : 12 * i + 12]) for i in range(5)]
    assert written[:8] == [rows[lane][k] for k in range(2) for lane in range(4)]
    assert written[48:] == list(rows[4])


def test_the_arena_is_sound_and_reshape_moves_nothing(tmp_path):
    plan = generate(SMALL, tmp_path).arena
    assert plan is not None
    assert overlaps(plan) == ()
    body = re.search(
        r"tb_op_002_reshape\(void\) \{\n(.*?)\n\}", (tmp_path / "model.c").read_text(), re.DOTALL
    )
    assert body is not None
    assert body[1].strip() == '__asm__ volatile("");'
