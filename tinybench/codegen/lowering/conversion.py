"""QUANTIZE and DEQUANTIZE: from one type of numbers to another."""

from __future__ import annotations

import math

from tinybench.codegen.lowering import elementwise
from tinybench.codegen.lowering.parts import (
    FLOAT,
    INT8,
    INT16,
    Lowered,
    Site,
    float_text,
    scale,
    structure,
    zero_point,
)

_BITS = {INT8: 8, INT16: 16}


def quantize(site: Site) -> Lowered:
    """QUANTIZE of floats, or from one scale to another."""
    from_, to = site.kind(site.input(0)), site.kind(site.output())
    if to is FLOAT:
        raise site.refused(f"gives integers; tensor `{site.output().name}` is {to.dtype}")
    if from_ is FLOAT:
        return _call(site, f"tb_quantize_to_{_BITS[to]}", _between(site, zero_of=1))
    if from_ is to is INT8:
        return elementwise.quantize(site)
    real = scale(site.input(0)) / scale(site.output())
    magnitude = int(from_.limits[1] - from_.limits[0])
    layer = structure(
        "layer",
        "tb_requantising",
        (
            ("size", _size(site)),
            ("zero_point_from", zero_point(site.input(0))),
            ("zero_point_to", zero_point(site.output())),
            ("scale", site.scale(real, magnitude)),
        ),
    )
    return _call(site, f"tb_requantize_{_BITS[from_]}_to_{_BITS[to]}", layer)


def dequantize(site: Site) -> Lowered:
    """DEQUANTIZE to floats."""
    from_, to = site.kind(site.input(0)), site.kind(site.output())
    if from_ is FLOAT or to is not FLOAT:
        raise site.refused(f"makes floats of integers; tensor `{site.output().name}` is {to.dtype}")
    return _call(site, f"tb_dequantize_{_BITS[from_]}", _between(site, zero_of=0))


def _between(site: Site, zero_of: int) -> tuple[str, ...]:
    """`tb_quantising` of the input (0) or of the output (1)."""
    quantised = (site.input(0), site.output())[zero_of]
    return structure(
        "layer",
        "tb_quantising",
        (
            ("size", _size(site)),
            ("zero_point", zero_point(quantised)),
            ("scale", float_text(scale(quantised))),
        ),
    )


def _size(site: Site) -> int:
    input_, output = site.input(0), site.output()
    if input_.shape != output.shape:
        raise site.refused(f"changes the shape; tensor `{output.name}` is {list(output.shape)}")
    return math.prod(output.shape)


def _call(site: Site, kernel: str, layer: tuple[str, ...]) -> Lowered:
    # An element no larger than what it is made of may be written over it.
    narrows = site.kind(site.output()).bytes <= site.kind(site.input(0)).bytes
    return Lowered((), (*layer, f"{kernel}(&layer, $in0, $out0);"), (0,) if narrows else ())
