"""Pooling and means: windows and rows without weights."""

from __future__ import annotations

import math

from tinybench.codegen.fixed_point import quantised_multiplier
from tinybench.codegen.lowering.parts import (
    FLOAT,
    INT8,
    INT16,
    Lowered,
    Numbers,
    Scale,
    Site,
    clamp,
    scale,
    structure,
    zero_point,
)
from tinybench.codegen.lowering.windows import Window, window_of
from tinybench.model import Tensor

# No element, its zero point taken off, is larger.
_MAGNITUDES = {INT8: 255, INT16: 1 << 15}


def average_pool_2d(site: Site) -> Lowered:
    """AVERAGE_POOL_2D."""
    return _pooling(site, "tb_average_pool_2d")


def max_pool_2d(site: Site) -> Lowered:
    """MAX_POOL_2D."""
    return _pooling(site, "tb_max_pool_2d")


def window(site: Site) -> Window:
    """The window of an int8 pooling operator."""
    return pooled_window(site, INT8)


def pooled_window(site: Site, kind: Numbers) -> Window:
    """The window of a pooling operator on these numbers, after everything about it was seen to agree."""
    input_, output = site.activation(site.input(0), kind), site.activation(site.output(), kind)
    if kind is not FLOAT and _is_rescaled(input_, output):
        raise site.refused(f"would rescale; tensor `{output.name}` is quantised unlike its input")
    found = window_of(site, (site.whole("filter_height"), site.whole("filter_width")), (1, 1))
    if found.input[2] != found.output[2]:
        raise site.refused(f"changes the channels; tensor `{output.name}` is {list(output.shape)}")
    return found


def _is_rescaled(input_: Tensor, output: Tensor) -> bool:
    # PoolingPrepare asks for equal quantisation, within 1e-6 of scale.
    return zero_point(input_) != zero_point(output) or abs(scale(input_) - scale(output)) > 1e-6  # noqa: PLR2004


def _pooling(site: Site, kernel: str) -> Lowered:
    body = (
        f"static const tb_window window = {window(site)};",
        f"{kernel}(&window, $in0, $out0);",
        *clamp(site),
    )
    return Lowered((), body)


def mean(site: Site) -> Lowered:
    """MEAN over neighbouring dimensions."""
    return Lowered((), (*averaging(site, INT8), "tb_mean(&layer, $in0, $out0);"))


def averaging(site: Site, kind: Numbers) -> tuple[str, ...]:
    """`tb_averaging` (QuantizedMeanOrSum: the division is part of the multiplier)."""
    batches, rows, channels = averaged_block(site, kind)
    return structure(
        "layer",
        "tb_averaging",
        (
            ("batches", batches),
            ("rows", rows),
            ("channels", channels),
            ("bias", -rows * zero_point(site.input(0))),
            ("scale", _mean_scale(site, rows, _MAGNITUDES[kind])),
            ("zero_point", zero_point(site.output())),
        ),
    )


def averaged_block(site: Site, kind: Numbers) -> tuple[int, int, int]:
    """What lies before, in and behind the dimensions that a MEAN averages, which must be side by side."""
    input_, output = site.activation(site.input(0), kind), site.activation(site.output(), kind)
    axes = sorted({site.axis(axis, input_) for axis in site.integers(site.input(1))})
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        raise site.refused(f"averages dimensions {axes} of `{input_.name}`, which are not side by side")
    before, after = input_.shape[: axes[0]], input_.shape[axes[-1] + 1 :]
    rows = math.prod(input_.shape[axes[0] : axes[-1] + 1])
    if math.prod(output.shape) != math.prod(before) * math.prod(after) or rows == 0:
        raise site.refused(f"does not fit its output; tensor `{output.name}` is {list(output.shape)}")
    return math.prod(before), rows, math.prod(after)


def _mean_scale(site: Site, rows: int, magnitude: int) -> Scale:
    """The multiplier divided by the number of rows, in integers, as the reference divides it."""
    multiplier, exponent = quantised_multiplier(scale(site.input(0)) / scale(site.output()))
    shift = min(rows.bit_length() - 1, 32, 31 + exponent)
    multiplier = (multiplier << shift) // rows
    return site.fixed_scale(multiplier, exponent - shift, magnitude * rows)
