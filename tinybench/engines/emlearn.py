"""`emlearn`: the library for classical models on microcontrollers, as it is: forests and dense networks.

It is the package as the user installed it (https://github.com/emlearn/emlearn, MIT). Its networks are float:
the model's weights are handed to it dequantised, inputs and outputs are converted by emlearn.c. Its answers
are close to those of the int8 model, not equal: nothing is rounded between layers, and nothing saturates.
Its forests compare int16 and vote, as models/forest.py does, and only shares of votes are float.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinybench.codegen.lowering.parts import Site, quantisation
from tinybench.engine import Sources
from tinybench.errors import ModelError, SetupError
from tinybench.model import Model, Tensor
from tinybench.models.forest import forest_of, is_forest
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
_ARGUMENTS = "const tb_emlearn_feature *features, int32_t inputs, float *scores, int32_t outputs"
_SIGNATURE = f"int32_t tb_emlearn_run({_ARGUMENTS})"
_LEAST_LAYERS = 2
_MOST_IN_INT8 = 127
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class EmlearnEngine:
    """A forest, or a chain of dense layers in floating point, each a table that its C walks."""

    name: str = "emlearn"
    exactness: Literal["exact", "close"] = "close"
    # Found on the dense workloads here, before a SOFTMAX: 1 (wearable-stress) to 13 (digits, of no digit).
    tolerance: int = 16

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - C runs anywhere
        """What is wrong with a forest; a SOFTMAX, or the first that is no dense layer; None if nothing."""
        softmax = next((o for o in workload.model.operators if o.name == "SOFTMAX"), None)
        if softmax is not None:
            return (
                f"operator {softmax.index} `SOFTMAX` magnifies small differences, and answers are promised"
                f" to be within {self.tolerance} last places"
            )
        try:
            _check_forest(workload.model) if is_forest(workload.model) else _check(workload.model)
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
        from emlearn import includedir

        version = importlib.metadata.version(PACKAGE)
        form = _FOREST if is_forest(workload.model) else _NETWORK
        code = form.generated(workload.model)
        into.mkdir(parents=True, exist_ok=True)
        for name, text in {
            "emlearn_model.h": code,
            "tb_emlearn.h": _header(workload.model, form, code, version),
            "tb_emlearn_run.c": form.run(code),
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


@dataclass(frozen=True)
class _Form:
    """A kind of model: emlearn's C for it and ours around that; a feature's type, made of its `level`."""

    generated: Callable[[Model], str]
    run: Callable[[str], str]
    feature: str
    feature_of_level: str


def _check_forest(model: Model) -> None:
    """ModelError unless emlearn's tables can hold the forest: they count features and classes in an int8."""
    forest = forest_of(model)
    if max(forest.features, forest.classes) > _MOST_IN_INT8:
        raise ModelError(
            f"the forest has {forest.features} features and {forest.classes} classes, and emlearn's have at"
            f" most {_MOST_IN_INT8}"
        )


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


def _generated_network(model: Model) -> str:
    from emlearn import net

    layers = list(_layers(model))
    activations = [activation for activation, _, _ in layers]
    code: str = net.c_generate_net_loadable(
        activations, [weights for _, weights, _ in layers], [bias for _, _, bias in layers], _PREFIX
    )
    return code


def _generated_forest(model: Model) -> str:
    """Majority votes: with 0 bits to a leaf, leaf n of its table holds the class, here n."""
    from emlearn import trees

    forest = forest_of(model)
    code: str = trees.generate_c_loadable(
        (forest.nodes, forest.roots, list(range(forest.classes))),
        _PREFIX,
        n_features=forest.features,
        n_classes=forest.classes,
        dtype="int16_t",
        weight_modifiers="WEIGHTS static const",
    )
    return code


def _header(model: Model, form: _Form, code: str, version: str) -> str:
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
        f"typedef {form.feature} tb_emlearn_feature;",
        "",
        "static inline tb_emlearn_feature tb_emlearn_feature_of(int8_t level) {",
        f"    return {form.feature_of_level};",
        "}",
        "",
        f"{_SIGNATURE};",
        "",
        "#endif",
    )
    return "\n".join(lines) + "\n"


def _run_network(code: str) -> str:
    """The network, with its constants and buffers where every engine's lie: the C is emlearn's own."""
    placed = (
        *(f"{declaration} WEIGHTS;" for declaration in _CONSTANT.findall(code)),
        *(f"{declaration} ARENA;" for declaration, _ in _BUFFER.findall(code)),
    )
    return _around(placed, f"{_PREFIX}_regress(features, inputs, scores, outputs)")


def _run_forest(code: str) -> str:  # noqa: ARG001 - its tables say themselves where they lie
    return _around((), f"{_PREFIX}_predict_proba(features, inputs, scores, outputs)")


def _around(placed: tuple[str, ...], call: str) -> str:
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
        *placed,
        "",
        '#include "emlearn_model.h"',
        "",
        f"{_SIGNATURE} {{",
        f"    return {call};",
        "}",
    )
    return "\n".join(lines) + "\n"


_NETWORK = _Form(
    _generated_network,
    _run_network,
    "float",
    "(float)(level - TB_EMLEARN_INPUT_ZERO_POINT) * TB_EMLEARN_INPUT_SCALE",
)
_FOREST = _Form(_generated_forest, _run_forest, "int16_t", "level")
