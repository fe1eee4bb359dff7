"""A quantised model in ONNX form, for compilers that read nothing else.

Weights, biases, scales and zero points are the model's own; operators become their integer counterparts
(QLinearConv and ONNX Runtime's `com.microsoft` ones: QGemm, QLinearAdd, QLinearGlobalAveragePool). ONNX keeps
the channels of an image before its rows: filters are transposed here, and images at the model's ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tinybench.codegen.lowering.parts import Site, quantisation
from tinybench.codegen.lowering.windows import Window, window_of
from tinybench.errors import ModelError
from tinybench.model import Model, Tensor

if TYPE_CHECKING:
    import numpy as np
    import onnx

OPSET = 17
MICROSOFT = "com.microsoft"

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)
_IMAGE = 4
_INT8 = (-128, 127)


def unsupported(model: Model) -> str | None:
    """The first operator or tensor that has no ONNX form here, in a sentence; None if all have one."""
    try:
        _Graph(model).check()
    except ModelError as error:
        return error.message
    return None


def onnx_form(model: Model) -> onnx.ModelProto:
    """The model as ONNX; raises ModelError where `unsupported` gives a reason. Needs the package `onnx`."""
    graph = _Graph(model)
    graph.check()
    return graph.build()


@dataclass
class _Graph:
    """An ONNX graph while it is written; activations are named `t<index>`, images channels first."""

    model: Model
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    # --- what can be written ---

    def check(self) -> None:
        """ModelError for the first operator, tensor or shape that cannot be written."""
        if len(self.model.inputs) != 1 or len(self.model.outputs) != 1:
            raise ModelError("the model has several inputs or outputs, and the ONNX form is of one each")
        for operator in self.model.operators:
            site = Site(self.model, operator)
            if operator.name not in _OPERATORS:
                raise site.refused("has no ONNX form here")
            for tensor in (site.input(0), site.output()):
                site.activation(tensor)
                if len(tensor.shape) not in (2, _IMAGE):
                    raise site.refused(f"has tensor `{tensor.name}` of {len(tensor.shape)} dimensions")
            if operator.name in _WINDOWED:
                _WINDOWED[operator.name](site)

    # --- writing ---

    def build(self) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        source, sink = (self.model.tensors[ends[0]] for ends in (self.model.inputs, self.model.outputs))
        entry = self._enter(source)
        for operator in self.model.operators:
            _OPERATORS[operator.name](self, Site(self.model, operator))
        leaving = self._leave(sink)
        described = {
            name: helper.make_tensor_value_info(name, TensorProto.INT8, shape)
            for name, shape in self.shapes.items()
        }
        ends = ([described.pop(entry)], [described.pop(leaving)])
        graph = helper.make_graph(
            self.nodes, "model", *ends, self.constants, value_info=list(described.values())
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, producer_name="tinybench", opset_imports=versions, ir_version=8)

    def add(
        self, kind: str, inputs: Sequence[str], output: str, shape: Sequence[int], **attributes: Any
    ) -> None:
        """An operator of one output; its shape stands in the file, as not every reader infers it."""
        from onnx import helper

        self.shapes[output] = tuple(shape)
        domain = MICROSOFT if kind in _MICROSOFTS else ""
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))

    def constant(self, name: str, values: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def quantised(self, tensor: Tensor) -> tuple[str, str]:
        """Names of an activation's scale and zero point."""
        import numpy as np

        found = quantisation(tensor)
        scale, zero = f"t{tensor.index}_scale", f"t{tensor.index}_zero"
        if not any(constant.name == scale for constant in self.constants):
            self.constant(scale, np.array(found.scales[0], np.float32))
            self.constant(zero, np.array(found.zero_points[0] if found.zero_points else 0, np.int8))
        return scale, zero

    def weights(self, tensor: Tensor, values: np.ndarray) -> tuple[str, str, str]:
        """Names of a layer's weights, their scales and their zero points."""
        import numpy as np

        name, found = f"t{tensor.index}", quantisation(tensor)
        scales = np.asarray(found.scales, np.float32)
        scales = scales if len(scales) > 1 else scales.reshape(())
        return (
            self.constant(name, np.ascontiguousarray(values)),
            self.constant(f"{name}_scale", scales),
            self.constant(f"{name}_zero", np.zeros(scales.shape, np.int8)),
        )

    def bias(self, site: Site, slot: int, channels: int) -> str:
        import numpy as np

        tensor = site.optional_input(slot)
        name = f"o{site.operator.index}_bias"
        if tensor is None or tensor.data is None:
            return self.constant(name, np.zeros(channels, np.int32))
        return self.constant(name, np.frombuffer(tensor.data, "<i4").astype(np.int32))

    def activated(self, site: Site) -> tuple[str, Callable[[], None]]:
        """Where an operator writes, and what writes its output from there: a Clip, where that does more."""
        import numpy as np

        output, shape = f"t{site.output().index}", _channels_first(site.output())
        low, high = site.fused_range()
        if (low, high) == _INT8:
            return output, lambda: None
        bounds = [
            self.constant(f"o{site.operator.index}_{name}", np.array(value, np.int8))
            for name, value in (("low", low), ("high", high))
        ]
        return f"{output}_open", lambda: self.add("Clip", (f"{output}_open", *bounds), output, shape)

    def reordered(self, source: str, output: str, shape: Sequence[int], order: tuple[int, ...]) -> None:
        """A transposition, or a mere change of shape where that moves nothing."""
        new = [shape[axis] for axis in order]
        if _moves_nothing(shape, order):
            self.reshaped(source, output, new)
        else:
            self.add("Transpose", (source,), output, new, perm=order)

    def reshaped(self, source: str, output: str, shape: Sequence[int]) -> None:
        import numpy as np

        wanted = self.constant(f"{output}_shape", np.asarray(shape, np.int64))
        self.add("Reshape", (source, wanted), output, shape)

    def _enter(self, tensor: Tensor) -> str:
        """The name of the graph's input; an image is turned channels first."""
        name = f"t{tensor.index}"
        if len(tensor.shape) == _IMAGE:
            self.reordered(f"{name}_last", name, tensor.shape, _TO_CHANNELS_FIRST)
            name = f"{name}_last"
        self.shapes[name] = tensor.shape
        return name

    def _leave(self, tensor: Tensor) -> str:
        """The name of the graph's output; an image is turned back."""
        name = f"t{tensor.index}"
        if len(tensor.shape) == _IMAGE:
            self.reordered(name, f"{name}_last", _channels_first(tensor), _TO_CHANNELS_LAST)
            name = f"{name}_last"
        return name


def _moves_nothing(shape: Sequence[int], order: Sequence[int]) -> bool:
    moved = [axis for axis in order if shape[axis] != 1]
    return moved == sorted(moved)


def _channels_first(tensor: Tensor) -> tuple[int, ...]:
    if len(tensor.shape) != _IMAGE:
        return tensor.shape
    return tuple(tensor.shape[axis] for axis in _TO_CHANNELS_FIRST)


# --- windows ---


def _filter_window(site: Site) -> Window:
    filter_ = site.shape(site.input(1), _IMAGE)
    dilation = (site.whole("dilation_h_factor"), site.whole("dilation_w_factor"))
    return window_of(site, (filter_[1], filter_[2]), dilation)


def _pool_window(site: Site) -> Window:
    return window_of(site, (site.whole("filter_height"), site.whole("filter_width")), (1, 1))


_WINDOWED: Mapping[str, Callable[[Site], Window]] = MappingProxyType(
    {
        "CONV_2D": _filter_window,
        "DEPTHWISE_CONV_2D": _filter_window,
        "AVERAGE_POOL_2D": _pool_window,
        "MAX_POOL_2D": _pool_window,
    }
)


def _window_attributes(window: Window) -> dict[str, object]:
    """`kernel_shape`, `strides` and `pads` (begins, then ends) of ONNX."""
    ends = [
        max((out - 1) * stride + (size - 1) * dilation + 1 - pad - extent, 0)
        for out, stride, size, dilation, pad, extent in zip(
            window.output[:2],
            window.stride,
            window.filter,
            window.dilation,
            window.pad,
            window.input[:2],
            strict=True,
        )
    ]
    return {"kernel_shape": window.filter, "strides": window.stride, "pads": (*window.pad, *ends)}


# --- operators ---


def _convolution(graph: _Graph, site: Site) -> None:
    import numpy as np

    window, filter_ = _filter_window(site), site.input(1)
    if filter_.data is None:
        raise site.refused("has weights that vary")
    values = np.frombuffer(filter_.data, np.int8).reshape(filter_.shape)
    depthwise = site.operator.name == "DEPTHWISE_CONV_2D"
    values = values.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    output, finish = graph.activated(site)
    inputs = (
        f"t{site.input(0).index}",
        *graph.quantised(site.input(0)),
        *graph.weights(filter_, values),
        *graph.quantised(site.output()),
        graph.bias(site, 2, window.output[2]),
    )
    group = window.input[2] // values.shape[1]
    attributes = _window_attributes(window) | {"dilations": window.dilation, "group": group}
    graph.add("QLinearConv", inputs, output, _channels_first(site.output()), **attributes)
    finish()


def _fully_connected(graph: _Graph, site: Site) -> None:
    import numpy as np

    weights, source = site.input(1), site.input(0)
    if weights.data is None:
        raise site.refused("has weights that vary")
    values = np.frombuffer(weights.data, np.int8).reshape(weights.shape)
    rows = f"t{source.index}"
    if source.shape != (1, values.shape[1]):
        if len(source.shape) == _IMAGE:
            graph.reordered(rows, f"{rows}_last", _channels_first(source), _TO_CHANNELS_LAST)
            rows = f"{rows}_last"
        graph.reshaped(rows, f"{rows}_flat", (1, values.shape[1]))
        rows = f"{rows}_flat"
    output, finish = graph.activated(site)
    inputs = (
        rows,
        *graph.quantised(source),
        *graph.weights(weights, values),
        graph.bias(site, 2, values.shape[0]),
        *graph.quantised(site.output()),
    )
    graph.add("QGemm", inputs, output, site.output().shape, transB=1)
    finish()


def _addition(graph: _Graph, site: Site) -> None:
    both = [site.activation(site.input(slot)) for slot in (0, 1)]
    if both[0].shape != both[1].shape or any(tensor.data is not None for tensor in both):
        raise site.refused("adds something else than two activations of one shape")
    output, finish = graph.activated(site)
    operands = [name for tensor in both for name in (f"t{tensor.index}", *graph.quantised(tensor))]
    shape = _channels_first(site.output())
    graph.add("QLinearAdd", (*operands, *graph.quantised(site.output())), output, shape)
    finish()


def _average_pool(graph: _Graph, site: Site) -> None:
    window = _pool_window(site)
    output, finish = graph.activated(site)
    inputs = (f"t{site.input(0).index}", *graph.quantised(site.input(0)), *graph.quantised(site.output()))
    shape = _channels_first(site.output())
    if window.is_dense:
        graph.add("QLinearGlobalAveragePool", inputs, output, shape, channels_last=0)
    else:
        attributes = _window_attributes(window)
        graph.add("QLinearAveragePool", inputs, output, shape, channels_last=0, **attributes)
    finish()


def _max_pool(graph: _Graph, site: Site) -> None:
    output, finish = graph.activated(site)
    attributes = _window_attributes(_pool_window(site))
    shape = _channels_first(site.output())
    graph.add("MaxPool", (f"t{site.input(0).index}",), output, shape, **attributes)
    finish()


def _reshape(graph: _Graph, site: Site) -> None:
    """Rows and columns change places with channels first, where that moves anything."""
    source, target = site.input(0), site.output()
    last = f"t{source.index}"
    channels_first = len(source.shape) == _IMAGE
    if channels_first and not _moves_nothing(_channels_first(source), _TO_CHANNELS_LAST):
        last = f"t{target.index}_before"
        graph.reordered(f"t{source.index}", last, _channels_first(source), _TO_CHANNELS_LAST)
    if len(target.shape) == _IMAGE:
        graph.reshaped(last, f"t{target.index}_last", target.shape)
        graph.reordered(f"t{target.index}_last", f"t{target.index}", target.shape, _TO_CHANNELS_FIRST)
    else:
        graph.reshaped(last, f"t{target.index}", target.shape)


_OPERATORS: Mapping[str, Callable[[_Graph, Site], None]] = MappingProxyType(
    {
        "ADD": _addition,
        "AVERAGE_POOL_2D": _average_pool,
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _convolution,
        "FULLY_CONNECTED": _fully_connected,
        "MAX_POOL_2D": _max_pool,
        "RESHAPE": _reshape,
    }
)
_MICROSOFTS = frozenset({"QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearGlobalAveragePool"})
