"""`reference-dsp`: the reference engine's graph walk with SIMD kernels for cores that have the DSP extension.

The worked example of a custom engine: a kernel set of its own (three operators lowered to other calls, their
weights in another order, three C files), and everything else as it is in `reference`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tinybench.codegen import graph_walk
from tinybench.codegen.graph_walk import FIRMWARE, KernelSet
from tinybench.codegen.lowering import KERNELS, Lowered, Site, windows
from tinybench.engine import Sources
from tinybench.errors import ModelError
from tinybench.target import Target
from tinybench.workload import Workload

VERSION = "1"

_FOLDER = FIRMWARE / "kernels_dsp"
# What a word holds: int8 that are multiplied together.
_QUAD = 4
# Copies of more than this under the filter would weigh on the stack.
_LARGEST_PATCH = 512


@dataclass(frozen=True)
class ReferenceDspEngine:
    """Our own engine, with SMLAD and SXTB16 of Armv7E-M in its convolutions and fully connected layers."""

    name: str = "reference-dsp"
    exactness: Literal["exact", "close"] = "exact"

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """Why this model or this core cannot be had, in a sentence; None if it can be built."""
        return _lacking(target) or graph_walk.refusal(workload.model, _kernels(self.name))

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Write weights.c, weights.h and model.c; raises ModelError where `refuses` gives a reason."""
        lacking = _lacking(target)
        if lacking is not None:
            raise ModelError(lacking)
        return graph_walk.generate(workload.model, into, _kernels(self.name))


ENGINES = (ReferenceDspEngine(),)


def _lacking(target: Target) -> str | None:
    if target.core.dsp:
        return None
    return f"`{target.core.name}` of target `{target.name}` lacks the DSP extension, whose SIMD it needs"


def conv_2d(site: Site) -> Lowered:
    """CONV_2D in words of four channels; other numbers of channels are gathered, if they are few."""
    window, layer = windows.conv_2d_layer(site)
    if window.is_dense:
        return windows.dense(site, layer, 1, blocked(layer.rows, 4), "tb_dsp_fully_connected")
    gathered = window.input[2] % _QUAD != 0 and math.prod(window.filter) > 1
    if gathered and len(layer.rows[0]) > _LARGEST_PATCH:
        return windows.conv_2d(site)
    return windows.convolution(
        site, window, layer, blocked(layer.rows, 2), "tb_dsp_conv_2d", gathered=gathered
    )


def depthwise_conv_2d(site: Site) -> Lowered:
    """DEPTHWISE_CONV_2D; where several channels read one, the portable kernel runs."""
    window, layer = windows.depthwise_conv_2d_layer(site)
    if window.input[2] != window.output[2]:
        return windows.depthwise_conv_2d(site)
    return windows.convolution(
        site, window, layer, windows.interleaved(layer.rows, 4), "tb_dsp_depthwise_conv_2d"
    )


def fully_connected(site: Site) -> Lowered:
    """FULLY_CONNECTED."""
    layer, batches = windows.fully_connected_layer(site)
    return windows.dense(site, layer, batches, blocked(layer.rows, 4), "tb_dsp_fully_connected")


def blocked(rows: tuple[bytes, ...], lanes: int) -> bytes:
    """Groups of `lanes` rows in blocks of four elements of each; the rest as `windows.interleaved` has it."""
    grouped = len(rows) // lanes * lanes
    words = len(rows[0]) // _QUAD * _QUAD
    out = bytearray()
    for first in range(0, grouped, lanes):
        group = rows[first : first + lanes]
        for at in range(0, words, _QUAD):
            out += b"".join(row[at : at + _QUAD] for row in group)
        out += windows.interleaved(tuple(row[words:] for row in group), lanes)
    return bytes(out) + b"".join(rows[grouped:])


def _kernels(name: str) -> KernelSet:
    ours = {
        "CONV_2D": conv_2d,
        "DEPTHWISE_CONV_2D": depthwise_conv_2d,
        "FULLY_CONNECTED": fully_connected,
    }
    return KernelSet(
        name,
        VERSION,
        lower=MappingProxyType({**KERNELS, **ours}),
        files=tuple(sorted(_FOLDER.glob("*.c"))),
        include_dirs=(_FOLDER,),
        headers=("tb_dsp.h",),
    )
