"""`emx`: the code generator emx-onnx-cgen, as it is: plain nested loops, the lower bound of the others.

It is the package as the user installed it (https://github.com/emmtrix/emx-onnx-cgen, Apache-2.0), called by
its own command line. It reads ONNX, which codegen/onnx_form.py writes; it requantises in floating point, so
its answers are close, not equal.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Literal, NamedTuple

from tinybench.codegen.lowering.parts import quantisation
from tinybench.codegen.onnx_form import onnx_form, unsupported
from tinybench.engine import Sources
from tinybench.errors import ModelError, SetupError
from tinybench.model import Model, Tensor, tensor_bytes
from tinybench.models.normalise import normalise
from tinybench.models.tflite import read, write
from tinybench.target import Target
from tinybench.workload import Workload

GLUE = Path(__file__).with_suffix(".c")
PACKAGE = "emx_onnx_cgen"
DISTRIBUTION = "emx-onnx-cgen"

_WEIGHTS = re.compile(r"^(extern const [^;]+);$", re.MULTILINE)
# `int8_t (*tmp1_t22)[64][25][5] = malloc(sizeof(*tmp1_t22) * 1);`, rows, columns and batch
_TAKEN = re.compile(
    r"^\s*int8_t \(\*\w+\)((?:\[\d+\])*) = malloc\(sizeof\(\*\w+\) \* (\d+)\);$|\bmalloc\(", re.MULTILINE
)
_ALIGNMENT = 8  # of emx.c's memory


@dataclass(frozen=True)
class EmxEngine:
    """One C function with every layer inlined, and a buffer of its own for each activation."""

    name: str = "emx"
    exactness: Literal["exact", "close"] = "close"
    # Found on the MLPerf Tiny tasks, cut before their SOFTMAX: 6 at most (ic01); with it, 34.
    tolerance: int = 8

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - C runs anywhere
        """A SOFTMAX, or the first operator or tensor without an ONNX form; None if there is nothing such."""
        softmax = next((o for o in workload.model.operators if o.name == "SOFTMAX"), None)
        if softmax is not None:
            return (
                f"operator {softmax.index} `SOFTMAX` magnifies small differences, and answers are promised"
                f" to be within {self.tolerance} last places"
            )
        return unsupported(normalise(workload.model))

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Let emx-onnx-cgen write its C below `into`, and wrap it.

        Raises SetupError if the package is not installed, ModelError where `refuses` gives a reason or the
        generator does.
        """
        if importlib.util.find_spec(PACKAGE) is None or importlib.util.find_spec("onnx") is None:
            raise SetupError(
                f"engine `{self.name}` needs the package `{DISTRIBUTION}`, which is not installed",
                hint="pip install 'tinybench-mcu[emx]'",
            )
        reason = self.refuses(workload, target)
        if reason is not None:
            raise ModelError(reason)
        model = normalise(workload.model)
        generated = _generated(write(model))
        version = importlib.metadata.version(DISTRIBUTION)
        texts = {
            "emx_model.c": generated.code,
            "emx_weights.c": _placed(generated),
            "emx_model_data.c": generated.weights,
            "tb_emx.h": _header(model, generated, version),
            "tb_emx_run.c": _RUN.format(prototype=_prototype(generated.code)),
        }
        into.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (into / name).write_text(text, encoding="utf-8", newline="\n")
        return Sources(
            files=(GLUE, into / "tb_emx_run.c", into / "emx_model.c", into / "emx_weights.c"),
            include_dirs=(into,),
            defines=MappingProxyType({"malloc": "tb_emx_malloc", "free": "tb_emx_free"}),
            link_flags=("-lm",),
            version=version,
        )


ENGINES = (EmxEngine(),)


class _Generated(NamedTuple):
    """What the generator wrote: its function, and its constants."""

    code: str
    weights: str


@functools.lru_cache(maxsize=8)
def _generated(model: bytes) -> _Generated:
    """The generator's C for a model; it takes seconds, and an image is built in two kinds for each board."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "model.onnx").write_bytes(
            onnx_form(read(model)).SerializeToString(deterministic=True)
        )
        done = subprocess.run(
            [
                *(sys.executable, "-m", PACKAGE, "compile", "model.onnx", "emx_model.c", "--color", "never"),
                *("--model-name", "emx_model", "--emit-data-file", "--large-weight-threshold", "0"),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise ModelError(f"{DISTRIBUTION} refuses the model: {said[-1] if said else 'it says nothing'}")
        code, weights = (
            (Path(folder) / name).read_text(encoding="utf-8") for name in ("emx_model.c", "emx_model_data.c")
        )
    return _Generated(code, weights)


def _activation_bytes(code: str) -> int:
    """What all calls of malloc in the generated function ask for together, as emx.c rounds it."""
    total = 0
    for taken in _TAKEN.finditer(code):
        if taken[2] is None:
            raise ModelError(f"{DISTRIBUTION} takes memory in a way that is not known here: `{taken[0]}`")
        size = int(taken[2])
        for extent in re.findall(r"\d+", taken[1]):
            size *= int(extent)
        total += -(-size // _ALIGNMENT) * _ALIGNMENT
    return total


def _prototype(code: str) -> str:
    """The declaration of the generated function."""
    found = re.search(r"^void emx_model\(.*\)", code, re.MULTILINE)
    if found is None:
        raise ModelError(f"{DISTRIBUTION} generates no function `emx_model` as it did up to 1.4")
    return found[0]


_RUN = """\
/* Generated by tinybench: the generated function by the types of its own declaration. */
#include "tb_emx.h"

{prototype};

void tb_emx_run(const void *input, void *output) {{
    emx_model(input, output);
}}
"""


def _header(model: Model, generated: _Generated, version: str) -> str:
    facts = {"VERSION": f'"{version}"', "ACTIVATION_BYTES": max(_activation_bytes(generated.code), 1)}
    source, sink = (model.tensors[ends[0]] for ends in (model.inputs, model.outputs))
    facts |= _tensor_facts("INPUT", source) | _tensor_facts("OUTPUT", sink)
    lines = (
        "/* Generated by tinybench. */",
        "#ifndef TB_EMX_H",
        "#define TB_EMX_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *(f"#define TB_EMX_{name} {value}" for name, value in facts.items()),
        "",
        "void *tb_emx_malloc(size_t bytes);",
        "void tb_emx_free(void *place);",
        "void tb_emx_run(const void *input, void *output);",
        "",
        "#endif",
    )
    return "\n".join(lines) + "\n"


def _tensor_facts(name: str, tensor: Tensor) -> dict[str, str | int]:
    found = quantisation(tensor)
    return {
        f"{name}_BYTES": tensor_bytes(tensor),
        f"{name}_SCALE": f"{found.scales[0]!r}f",
        f"{name}_ZERO_POINT": found.zero_points[0] if found.zero_points else 0,
    }


def _placed(generated: _Generated) -> str:
    """The generator's constants, placed where every engine's weights lie."""
    lines = (
        "/* Generated by tinybench. */",
        "#include <stdint.h>",
        "",
        "#if defined(__APPLE__)",
        "#define WEIGHTS",
        "#else",
        '#define WEIGHTS __attribute__((section(".tb_weights")))',
        "#endif",
        "",
        *(f"{declaration} WEIGHTS;" for declaration in _WEIGHTS.findall(generated.code)),
        "",
        '#include "emx_model_data.c"',
    )
    return "\n".join(lines) + "\n"
