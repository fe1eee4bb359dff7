"""What moves elements and leaves their values: reshape, concatenation, padding, slices, transposition."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence

from tinybench.codegen.fixed_point import single
from tinybench.codegen.lowering.parts import (
    FLOAT,
    Lowered,
    Numbers,
    Site,
    float_text,
    scale,
    structure,
    zero_point,
)
from tinybench.model import Tensor

_RANK = 4


def _same_numbers(site: Site, a: Tensor, b: Tensor) -> str:
    """What the kernels' names end in, after the two were seen to hold the same numbers alike."""
    kind = site.kind(a)
    site.activation(b, kind)
    if kind is not FLOAT and (scale(a) != scale(b) or zero_point(a) != zero_point(b)):
        raise site.refused(f"would rescale; tensor `{b.name}` is quantised unlike `{a.name}`")
    return kind.suffix


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _block(name: str, extent: Sequence[int], from_: Sequence[int], to: Sequence[int]) -> tuple[str, ...]:
    """A `tb_block`, with neighbouring dimensions joined where they lie one after the other on both sides."""
    joined: list[tuple[int, int, int]] = []
    for count, source, target in zip(extent, from_, to, strict=True):
        if count == 1:
            continue
        if joined and joined[-1][1] == source * count and joined[-1][2] == target * count:
            joined[-1] = (joined[-1][0] * count, source, target)
        else:
            joined.append((count, source, target))
    padded = [(1, 0, 0)] * (_RANK - len(joined)) + (joined or [])
    if not joined:
        padded[-1] = (1, 1, 1)
    columns = ("{" + ", ".join(map(str, column)) + "}" for column in zip(*padded, strict=True))
    return structure(name, "tb_block", zip(("extent", "from", "to"), columns, strict=True))


def _ranked(site: Site, tensor: Tensor) -> tuple[int, ...]:
    if len(tensor.shape) > _RANK:
        raise site.refused(
            f"moves at most {_RANK} dimensions; tensor `{tensor.name}` is {list(tensor.shape)}"
        )
    return tensor.shape


def reshape(site: Site) -> Lowered:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: nothing moves where the output may take the input's memory."""
    input_, output = site.input(0), site.output()
    kind = site.kind(input_)
    site.activation(output, kind)
    size = site.element_by_element(input_, output)
    return Lowered(
        (), (*_block("block", (size,), (1,), (1,)), f"tb_move{kind.suffix}(&block, $in0, $out0);"), (0,)
    )


def concatenation(site: Site) -> Lowered:
    """CONCATENATION: one block for each input."""
    output = site.output()
    shape = _ranked(site, output)
    axis = site.axis(site.whole("axis"), output)
    if site.whole("fused_activation_function") != 0:
        raise site.refused(f"has a fused activation, which has no kernel, for tensor `{output.name}`")
    body: list[str] = []
    to, begin = _strides(shape), 0
    for slot in range(len(site.operator.inputs)):
        input_ = site.input(slot)
        suffix = _same_numbers(site, input_, output)
        elsewhere = [i for i in range(len(shape)) if i != axis]
        if len(input_.shape) != len(shape) or any(input_.shape[i] != shape[i] for i in elsewhere):
            raise site.refused(f"does not fit tensor `{input_.name}`, which is {list(input_.shape)}")
        body += _block(f"block{slot}", input_.shape, _strides(input_.shape), to)
        body.append(f"tb_move{suffix}(&block{slot}, $in{slot}, $out0 + {begin * to[axis]});")
        begin += input_.shape[axis]
    if begin != shape[axis]:
        raise site.refused(f"does not fill tensor `{output.name}`, which is {list(shape)}")
    return Lowered((), tuple(body))


def pad(site: Site) -> Lowered:
    """PAD and PADV2 with a constant: the whole output is filled, then the input is moved in."""
    input_, output = site.input(0), site.output()
    kind = site.kind(input_)
    site.activation(output, kind)
    shape = _ranked(site, output)
    _ranked(site, input_)
    edges = site.integers(site.input(1))
    if len(edges) != 2 * len(shape) or len(input_.shape) != len(shape) or min(edges, default=0) < 0:
        raise site.refused(f"has paddings {list(edges)} that do not fit tensor `{output.name}`")
    before, after = edges[::2], edges[1::2]
    if tuple(b + n + a for b, n, a in zip(before, input_.shape, after, strict=True)) != tuple(shape):
        raise site.refused(f"does not fit its output; tensor `{output.name}` is {list(shape)}")
    value = _padding(site, kind)
    to = _strides(shape)
    begin = sum(b * step for b, step in zip(before, to, strict=True))
    return Lowered(
        (),
        (
            *_block("block", input_.shape, _strides(input_.shape), to),
            f"tb_fill{kind.suffix}({value}, {math.prod(shape)}, $out0);",
            f"tb_move{kind.suffix}(&block, $in0, $out0 + {begin});",
        ),
    )


def _padding(site: Site, kind: Numbers) -> str:
    """The constant that PADV2 names, else what stands for zero."""
    constant, output = site.optional_input(2), site.output()
    if constant is None:
        return "0" if kind is FLOAT else str(zero_point(output))
    _same_numbers(site, constant, output)
    if constant.data is None or math.prod(constant.shape) != 1:
        raise site.refused(f"pads with a value that may vary, tensor `{constant.name}`")
    if kind is not FLOAT:
        return str(int.from_bytes(constant.data, "little", signed=True))
    (value,) = struct.unpack("<f", constant.data)
    if not math.isfinite(value):
        raise site.refused(f"pads with `{value}` from tensor `{constant.name}`")
    return float_text(value)


def transpose(site: Site) -> Lowered:
    """TRANSPOSE."""
    input_, output = site.input(0), site.output()
    suffix = _same_numbers(site, input_, output)
    shape = _ranked(site, input_)
    order = site.integers(site.input(1))
    if sorted(order) != list(range(len(shape))) or tuple(shape[i] for i in order) != tuple(output.shape):
        raise site.refused(f"has the order {list(order)}, which does not fit tensor `{input_.name}`")
    steps = _strides(shape)
    block = _block("block", output.shape, [steps[i] for i in order], _strides(output.shape))
    return Lowered((), (*block, f"tb_move{suffix}(&block, $in0, $out0);"))


def split(site: Site) -> Lowered:
    """SPLIT into equal parts along an axis."""
    axis_tensor, input_ = site.input(0), site.input(1)
    shape = _ranked(site, input_)
    axes = site.integers(axis_tensor)
    if len(axes) != 1:
        raise site.refused(f"splits along one dimension; tensor `{axis_tensor.name}` names {len(axes)}")
    axis = site.axis(axes[0], input_)
    parts = len(site.operator.outputs)
    if not parts or shape[axis] % parts:
        raise site.refused(f"does not divide tensor `{input_.name}` {list(shape)} into {parts} equal parts")
    part = (*shape[:axis], shape[axis] // parts, *shape[axis + 1 :])
    from_ = _strides(shape)
    body: list[str] = []
    for slot in range(parts):
        suffix = _same_numbers(site, input_, site.output(slot))
        if math.prod(site.output(slot).shape) != math.prod(part):
            raise site.refused(f"does not fit its output; tensor `{site.output(slot).name}` is no part of it")
        body += _block(f"block{slot}", part, from_, _strides(part))
        body.append(f"tb_move{suffix}(&block{slot}, $in1 + {slot * part[axis] * from_[axis]}, $out{slot});")
    return Lowered((), tuple(body))


def strided_slice(site: Site) -> Lowered:
    """STRIDED_SLICE with begin, end and shrink masks, forwards or backwards."""
    input_, output = site.input(0), site.output()
    suffix = _same_numbers(site, input_, output)
    shape = _ranked(site, input_)
    begin, end, stride = (site.integers(site.input(slot)) for slot in (1, 2, 3))
    if site.whole("ellipsis_mask") or site.whole("new_axis_mask") or site.operator.options.get("offset"):
        raise site.refused(f"has masks without a kernel for tensor `{input_.name}`")
    if not len(begin) == len(end) == len(stride) <= len(shape) or 0 in stride or 0 in shape:
        raise site.refused(f"has bounds that do not fit tensor `{input_.name}`, which is {list(shape)}")
    masks = {name: site.whole(f"{name}_mask") for name in ("begin", "end", "shrink_axis")}
    ranges = []
    for axis, size in enumerate(shape):
        if axis >= len(begin):
            ranges.append(range(size))
            continue
        bit = 1 << axis
        first = None if masks["begin"] & bit else begin[axis]
        last = None if masks["end"] & bit else end[axis]
        if masks["shrink_axis"] & bit:
            if not -size <= begin[axis] < size:
                raise site.refused(f"takes position {begin[axis]} of {size} of tensor `{input_.name}`")
            at = begin[axis] % size
            ranges.append(range(at, at + 1))
        else:
            ranges.append(range(size)[slice(first, last, stride[axis])])
    if math.prod(map(len, ranges)) != math.prod(output.shape) or not math.prod(output.shape):
        raise site.refused(f"does not fit its output; tensor `{output.name}` is {list(output.shape)}")
    return Lowered((), _sliced(shape, ranges, suffix))


def _sliced(shape: Sequence[int], ranges: Sequence[range], suffix: str) -> tuple[str, ...]:
    steps = _strides(shape)
    extent = [len(r) for r in ranges]
    from_ = [r.step * step for r, step in zip(ranges, steps, strict=True)]
    begin = sum(r.start * step for r, step in zip(ranges, steps, strict=True))
    block = _block("block", extent, from_, _strides(extent))
    return (*block, f"tb_move{suffix}(&block, $in0 + {begin}, $out0);")


def resize_nearest_neighbor(site: Site) -> Lowered:
    """RESIZE_NEAREST_NEIGHBOR: one block for each stretch of rows that read the same distance apart."""
    input_, output = site.input(0), site.output()
    suffix = _same_numbers(site, input_, output)
    batch, *extent, channels = site.shape(input_, 4)
    out_batch, *out, out_channels = site.shape(output, 4)
    if (batch, channels) != (1, out_channels) or out_batch != 1:
        raise site.refused(
            f"resizes more than height and width; tensor `{output.name}` is {list(output.shape)}"
        )
    if list(site.integers(site.input(1))) != out:
        raise site.refused(f"does not resize to its output; tensor `{output.name}` is {list(output.shape)}")
    if any(new % old for new, old in zip(out, extent, strict=True)) or site.option("align_corners"):
        raise site.refused(f"resizes {extent} to {out}; its kernel enlarges a whole number of times")
    up_y, up_x = (new // old for new, old in zip(out, extent, strict=True))
    _check_nearest(site, extent, out)
    to = _strides((out[0], out[1], channels))
    body: list[str] = []
    for y, x in itertools.product(range(up_y), range(up_x)):
        name = f"block_{y}_{x}"
        to_steps = (up_y * to[0], up_x * to[1], 1)
        body += _block(name, (*extent, channels), _strides((*extent, channels)), to_steps)
        body.append(f"tb_move{suffix}(&{name}, $in0, $out0 + {y * to[0] + x * to[1]});")
    return Lowered((), tuple(body))


def _check_nearest(site: Site, extent: Sequence[int], out: Sequence[int]) -> None:
    """Refuse where the reference's float arithmetic would not read source i // factor for output i."""
    offset = 0.5 if site.option("half_pixel_centers") else 0.0
    for old, new in zip(extent, out, strict=True):
        ratio = single(old / new)
        if any(min(int(single((i + offset) * ratio)), old - 1) != i * old // new for i in range(new)):
            raise site.refused(
                f"rounds unevenly from {list(extent)} to tensor `{site.output().name}` {list(out)}"
            )
