"""`emlearn`: the library for classical models on microcontrollers, as it is, with networks of dense layers.

It is the package as the user installed it (https://github.com/emlearn/emlearn, MIT). Its networks are float:
the model's weights are handed to it dequantised, inputs and outputs are converted by emlearn.c. Its answers
are close to those of the int8 model, not equal: nothing is rounded between layers, and nothing saturates.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinybench.codegen.lowering.parts import Site, quantisation
from tinybench.engine import Sources
from tinybench.errors import ModelError, SetupError
from tinybench.model import Model, Tensor
from tinybench.target import Target
from tinybench.workload import Workload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GLUE = Path(__file__).with_suffix(".c")
PACKAGE = "emlearn"

_ACTIVATIONS = {"NONE": "identity", "RELU": "relu"}
_PREFIX = "emlearn_net"
_CONSTANT = re.compile(rf"^(static const float {_PREFIX}_layer_\w+\[\d+\]) =", re.MULTILINE)
_BUFFER = re.compile(rf"^(static float {_PREFIX}_buf\d\[(\d+)\]);", re.MULTILINE)
_LEAST_LAYERS = 2
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class EmlearnEngine:
    """A chain of dense layers in floating point, described by a table that its C walks."""

    name: str = "emlearn"
    exactness: Literal["exact", "close"] = "close"
    # Found on the dense workloads here, before a SOFTMAX: 1 (wearable-stress) to 13 (digits, of no digit).
    tolerance: int = 16

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - C runs anywhere
        """A SOFTMAX, or the first operator or tensor that is no dense layer of int8; None if all are."""
        softmax = next((o for o in workload.model.operators if o.name == "SOFTMAX"), None)
        if softmax is not None:
            return (
                f"operator {softmax.index} `SOFTMAX` magnifies small differences, and answers are promised"
                f" to be within {self.tolerance} last places"
            )
        try:
            _check(workload.model)
        except ModelError as error:
            return error.message
        return None

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Let emlearn write its C below `into`, and wrap it.

        Raises SetupError if the package is not installed, ModelError where `refuses` gives a reason.
        """
        if importlib.util.find_spec(PACKAGE) is None:
            raise SetupError(
                f"engine `{self.name}` needs the package `{PACKAGE}`, which is not installed",
                hint="pip install 'tinybench-mcu[emlearn]'",
            )
        reason = self.refuses(workload, target)
        if reason is not None:
            raise ModelError(reason)
        from emlearn import includedir, net

        layers = list(_layers(workload.model))
        activations = [activation for activation, _, _ in layers]
        code = net.c_generate_net_loadable(
            activations, [weights for _, weights, _ in layers], [bias for _, _, bias in layers], _PREFIX
        )
        version = importlib.metadata.version(PACKAGE)
        into.mkdir(parents=True, exist_ok=True)
        for name, text in {
            "emlearn_net.h": code,
            "tb_emlearn.h": _header(workload.model, code, version),
            "tb_emlearn_run.c": _run(code),
        }.items():
            (into / name).write_text(text, encoding="utf-8", newline="\n")
        return Sources(
            files=(GLUE, into / "tb_emlearn_run.c"),
            include_dirs=(into,),
            system_include_dirs=(Path(includedir),),
            link_flags=("-lm",),
            version=version,
        )


ENGINES = (EmlearnEngine(),)


def _check(model: Model) -> None:
    """ModelError unless the model is a chain of dense layers."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError("the model has several inputs or outputs, and emlearn's networks have one of each")
    for index in (*model.inputs, *model.outputs):
        Site(model, model.operators[0]).activation(model.tensors[index])
    dense, current = 0, model.inputs[0]
    for operator in model.operators:
        site = Site(model, operator)
        if operator.inputs[0] != current:
            raise site.refused("does not follow the operator before it: emlearn's networks are chains")
        if operator.name == "FULLY_CONNECTED":
            _check_dense(site)
            dense += 1
        elif operator.name != "RESHAPE":
            raise site.refused("is no dense layer, and emlearn's networks have nothing else")
        current = operator.outputs[0]
    if dense < _LEAST_LAYERS:
        raise ModelError(f"the model has {dense} dense layers, and emlearn's networks have at least two")


def _check_dense(site: Site) -> None:
    weights = site.input(1)
    if weights.data is None or weights.dtype != "int8":
        raise site.refused(f"has weights of {weights.dtype} that it cannot take")
    if site.fused_activation() not in _ACTIVATIONS:
        raise site.refused(f"has the activation {site.fused_activation()}, which emlearn lacks")


Layer = tuple[str, "NDArray[np.float64]", "NDArray[np.float64]"]


def _layers(model: Model) -> Iterator[Layer]:
    """Activation, weights [inputs, outputs] and biases of every dense layer, dequantised."""
    import numpy as np

    for operator in model.operators:
        if operator.name != "FULLY_CONNECTED":
            continue
        site = Site(model, operator)
        weights = _real(site.input(1), np.int8).reshape(site.input(1).shape)
        bias = site.optional_input(2)
        biases = np.zeros(len(weights)) if bias is None else _real(bias, np.int32)
        yield _ACTIVATIONS[site.fused_activation()], weights.T, biases


def _real(tensor: Tensor, dtype: type[np.int8 | np.int32]) -> NDArray[np.float64]:
    """The values of a constant: levels times the scale of their channel."""
    import numpy as np

    assert tensor.data is not None
    levels = np.frombuffer(tensor.data, dtype).astype(np.float64).reshape(tensor.shape)
    scales = np.asarray(quantisation(tensor).scales, np.float64)
    return levels * scales.reshape(-1, *[1] * (levels.ndim - 1))


def _header(model: Model, code: str, version: str) -> str:
    source, sink = (model.tensors[ends[0]] for ends in (model.inputs, model.outputs))
    buffers = sum(int(size) for _, size in _BUFFER.findall(code)) * _FLOAT_BYTES
    facts = {"VERSION": f'"{version}"', "BUFFER_BYTES": buffers}
    for name, tensor in (("INPUT", source), ("OUTPUT", sink)):
        found, count = quantisation(tensor), 1
        for extent in tensor.shape:
            count *= extent
        facts |= {
            f"{name}S": count,
            f"{name}_SCALE": f"{found.scales[0]!r}f",
            f"{name}_ZERO_POINT": found.zero_points[0] if found.zero_points else 0,
        }
    lines = (
        "/* Generated by tinybench. */",
        "#ifndef TB_EMLEARN_H",
        "#define TB_EMLEARN_H",
        "",
        "#include <stdint.h>",
        "",
        *(f"#define TB_EMLEARN_{name} {value}" for name, value in facts.items()),
        "",
        "int32_t tb_emlearn_run(const float *features, int32_t inputs, float *scores, int32_t outputs);",
        "",
        "#endif",
    )
    return "\n".join(lines) + "\n"


def _run(code: str) -> str:
    """The network, with its constants and buffers where every engine's lie: the C is emlearn's own."""
    lines = (
        "/* Generated by tinybench. */",
        '#include "tb_emlearn.h"',
        "",
        "#if defined(__APPLE__)",
        "#define WEIGHTS",
        "#define ARENA",
        "#else",
        '#define WEIGHTS __attribute__((section(".tb_weights")))',
        '#define ARENA __attribute__((section(".tb_arena")))',
        "#endif",
        "",
        *(f"{declaration} WEIGHTS;" for declaration in _CONSTANT.findall(code)),
        *(f"{declaration} ARENA;" for declaration, _ in _BUFFER.findall(code)),
        "",
        '#include "emlearn_net.h"',
        "",
        "int32_t tb_emlearn_run(const float *features, int32_t inputs, float *scores, int32_t outputs) {",
        f"    return {_PREFIX}_regress(features, inputs, scores, outputs);",
        "}",
    )
    return "\n".join(lines) + "\n"
