"""What is counted of a model: a network by hand, and the two planners beside each other."""

from __future__ import annotations

from tinybench.analysis_lines import boards, operators, patches, strip, summary
from tinybench.model import Model, Operator, Tensor
from tinybench.models.analysis import Fit, alive_at, analyse
from tinybench.models.arena import plan_smallest
from tinybench.models.tflite_schema import OPTIONS
from tinybench.plugins import discover


def network() -> Model:
    """4 x 4 x 3, a convolution of 3 x 3 to 8 channels, its RESHAPE, a layer of 10."""
    tensors = (
        Tensor(0, "image", (1, 4, 4, 3), "int8"),
        Tensor(1, "filter", (8, 3, 3, 3), "int8", bytes(216)),
        Tensor(2, "bias", (8,), "int32", bytes(32)),
        Tensor(3, "features", (1, 4, 4, 8), "int8"),
        Tensor(4, "flat", (1, 128), "int8"),
        Tensor(5, "weights", (10, 128), "int8", bytes(1280)),
        Tensor(6, "scores", (1, 10), "int8"),
    )

    def operator(index: int, name: str, inputs: tuple[int, ...], output: int, **options: int) -> Operator:
        defaults = {field.name: field.absent for field in OPTIONS[name].fields}
        return Operator(index, name, inputs, (output,), {**defaults, **options})

    window = {"stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1}
    return Model(
        tensors,
        (
            operator(0, "CONV_2D", (0, 1, 2), 3, **window),
            operator(1, "RESHAPE", (3,), 4),
            operator(2, "FULLY_CONNECTED", (4, 5), 6),
        ),
        (0,),
        (6,),
    )


def analysis_of(model: Model):
    return analyse(model, plan_smallest(model), lambda _operator: ())


def test_a_network_by_hand():
    found = analysis_of(network())
    assert [o.macs for o in found.operators] == [16 * 8 * 27, 0, 1280]
    assert [o.parameters for o in found.operators] == [224, 0, 1280]
    assert (found.macs, found.parameters, found.weights_bytes) == (4736, 1504, 216 + 32 + 1280)
    # The image and the features; the features and their copy; the copy and the scores.
    assert [o.live_bytes for o in found.operators] == [48 + 128, 256, 128 + 16]
    assert (found.peaks.tflm, found.peaks.least) == (256, 256)
    # In place, the RESHAPE costs nothing: the image and the features are the most.
    assert found.peaks.ours == 176
    life = {t.name: (t.bytes, t.first_operator, t.last_operator) for t in found.tensors}
    assert life == {"image": (48, 0, 0), "features": (128, 0, 1), "flat": (128, 1, 2), "scores": (10, 2, 2)}


def test_the_arena_as_a_strip():
    found = analysis_of(network())
    first, _, last = (strip(found.plan, operator) for operator in found.operators)
    assert {len(first), len(last)} == {48}
    assert (first.count("="), first.count("#")) == (14, 34)  # 48 and 128 of 176 bytes
    assert set(last) == {"=", "#", "."}
    assert alive_at(found.plan, 0) == (0, 1)


def test_lines_name_every_operator_and_both_planners():
    found = analysis_of(network())
    text = " ".join(summary("network", found))
    assert "3 operators, 4,736 MACs, 1,504 parameters, 1,528 B of constants" in text
    assert "176 B by our planner, 256 B by TFLM's, 256 B alive at once" in text
    head, rows = operators(found)
    assert [row[1] for row in rows] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert {len(row) for row in rows} == {len(head)}
    head, rows = patches(found)
    assert {len(row) for row in rows} <= {len(head)}


def test_boards_that_are_too_small_say_by_how_much():
    assert Fit("a", 100, 100, 50, 50).fits
    assert Fit("a", 101, 100, 50, 50).lacking == "weights are 1 bytes too large"
    assert Fit("a", 100, 100, 52, 50).lacking == "activations are 2 bytes too large"
    targets = [found.part for found in discover().targets.values()]
    model = network()
    fits = analyse(model, plan_smallest(model), lambda _operator: (), targets).fits
    assert {fit.target for fit in fits} >= {"nucleo-f746", "nrf52840-dk"}
    assert "host" not in {fit.target for fit in fits}
    assert all(fit.fits for fit in fits)
    _, rows = boards(fits)
    assert {row[-1] for row in rows} == {"fits"}
