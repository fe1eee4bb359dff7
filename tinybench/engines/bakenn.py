"""`bakenn-portable`, `bakenn-smlad`, `bakenn-cmsis-nn`: BakeNN, a third party's ahead-of-time compiler.

It is the package `bakenn` as the user installed it (https://github.com/scienthoon/bakeNN, Apache-2.0) and as
it is: what it generates is compiled with the flags of every engine and wrapped by bakenn.c. It has no
SOFTMAX; `--cut` says what becomes of models that end in one.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tinybench.engine import Sources
from tinybench.errors import ModelError, SetupError
from tinybench.model import Model
from tinybench.models.normalise import normalise
from tinybench.models.tflite import write
from tinybench.records import Record
from tinybench.target import Target
from tinybench.workload import Workload

if TYPE_CHECKING:
    from bakenn import CBackendOptions, CompiledModel

GLUE = Path(__file__).with_suffix(".c")
PACKAGES = ("bakenn", "flatbuffers", "tflite")

Kernels = Literal["portable", "smlad", "cmsis-nn"]

_PREFIX = "bknn_model"
_OPERATOR = re.compile(r"subgraph\[0\]/operator\[(\d+)\]")


class NoOptions(Record):
    """What may be set of `bakenn-portable`: nothing."""


class BakennOptions(Record):
    """What `--engine-option bakenn-smlad.…` and `bakenn-cmsis-nn.…` may set."""

    packing: bool = Field(
        default=True, description="weights reordered for the kernels: faster, and up to twice the flash"
    )


@dataclass(frozen=True)
class BakennEngine:
    """One of BakeNN's three sets of kernels: portable C11, its own SMLAD ones, or the CMSIS-NN it carries."""

    name: str
    kernels: Kernels
    options: BakennOptions | NoOptions = field(default_factory=BakennOptions)
    exactness: Literal["exact", "close"] = "exact"

    def with_options(self, options: BakennOptions) -> BakennEngine:
        """This engine with the user's options."""
        return replace(self, options=options)

    @property
    def packing(self) -> bool:
        """Whether BakeNN may reorder weights for its kernels."""
        return isinstance(self.options, BakennOptions) and self.options.packing

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """What BakeNN says that it cannot compile, in a sentence; None if it can, or is not installed."""
        if self.kernels != "portable" and not target.core.dsp:
            return f"`{target.core.name}` of target `{target.name}` lacks the DSP extension that it needs"
        if _missing():
            return None
        return _complaint(self.kernels, self.packing, write(normalise(workload.model)))

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Let BakeNN write its C below `into`, and wrap it.

        Raises SetupError if the package is not installed, ModelError where `refuses` gives a reason.
        """
        missing = _missing()
        if missing:
            raise SetupError(
                f"engine `{self.name}` needs the package `{missing}`, which is not installed",
                hint="pip install 'tinybench-mcu[bakenn]'",
            )
        reason = self.refuses(workload, target)
        if reason is not None:
            raise ModelError(reason)
        folder = into / "bakenn"
        compiled = _compiled(self.kernels, self.packing, write(normalise(workload.model)), folder)
        version = importlib.metadata.version("bakenn")
        _write_header(into / "tb_bakenn.h", self.name, version)
        _write_weights(into / "tb_bakenn_weights.c", folder)
        return Sources(
            files=(
                GLUE,
                into / "tb_bakenn_weights.c",
                *(folder / name for name in (f"{_PREFIX}.c", f"{_PREFIX}_kernels.c")),
                *compiled.artifacts.support_sources,
            ),
            include_dirs=(into, folder, *compiled.artifacts.support_include_dirs),
            defines=_defines(folder),
            version=f"{version} ({_by_kernel(compiled)})",
        )


ENGINES = (
    BakennEngine("bakenn-portable", "portable", NoOptions()),
    BakennEngine("bakenn-smlad", "smlad"),
    BakennEngine("bakenn-cmsis-nn", "cmsis-nn"),
)


def _missing() -> str | None:
    return next((name for name in PACKAGES if importlib.util.find_spec(name) is None), None)


@functools.lru_cache(maxsize=64)
def _complaint(kernels: Kernels, packing: bool, model: bytes) -> str | None:
    """What BakeNN says of a model that it does not compile; asked for each target, answered once."""
    with TemporaryDirectory() as folder:
        try:
            _compiled(kernels, packing, model, Path(folder) / "bakenn")
        except ModelError as error:
            return error.message
    return None


def _compiled(kernels: Kernels, packing: bool, model: bytes, folder: Path) -> CompiledModel:
    """BakeNN's C below `folder`; ModelError with its own words, and the operator's name where it has one."""
    import bakenn

    try:
        return bakenn.compile_tflite(model, folder, name="model", backend_options=_options(kernels, packing))
    except bakenn.BakeNNError as error:
        raise ModelError(f"BakeNN refuses the model: {_named(str(error), model)}") from error


def _options(kernels: Kernels, packing: bool) -> CBackendOptions:
    """What BakeNN calls these kernels; its profile `cortex-m4` stands for every core with DSP."""
    import bakenn

    if kernels == "portable":
        return bakenn.CBackendOptions()
    return bakenn.CBackendOptions(
        kernel_policy=bakenn.KernelPolicy.STATIC_PRIORITY,
        enable_weight_packing=packing,
        enable_cmsis_nn=kernels == "cmsis-nn",
        target=bakenn.CORTEX_M4,
    )


def _named(complaint: str, model: bytes) -> str:
    """`operator 12 SOFTMAX` instead of the place in the file, on one line."""
    from tinybench.models.tflite import read

    def name(match: re.Match[str]) -> str:
        index = int(match[1])
        return f"operator {index} `{_operator_name(read(model), index)}`"

    return " ".join(_OPERATOR.sub(name, complaint).split())


def _operator_name(model: Model, index: int) -> str:
    return model.operators[index].name if index < len(model.operators) else "?"


def _defines(folder: Path) -> Mapping[str, str]:
    """The macros that BakeNN's own build description sets."""
    text = (folder / "bakenn_sources.cmake").read_text(encoding="utf-8")
    listed = re.search(r"set\(BAKENN_MODEL_COMPILE_DEFINITIONS\s*(.*?)\)", text, re.DOTALL)
    return MappingProxyType(dict.fromkeys(listed[1].split() if listed else (), "1"))


def _by_kernel(compiled: Any) -> str:
    """Which kernels run, and in how many operators each."""
    used = Counter(str(chosen.kernel_id) for chosen in compiled.artifacts.backend_plan.selections)
    return ", ".join(f"{count} {kernel}" for kernel, count in sorted(used.items()))


def _write_header(path: Path, name: str, version: str) -> None:
    lines = (
        "/* Generated by tinybench. */",
        f'#define TB_BAKENN_NAME "{name}"',
        f'#define TB_BAKENN_VERSION "{version}"',
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _write_weights(path: Path, folder: Path) -> None:
    """BakeNN's constants, placed where every engine's weights lie: the C is its own, the section is ours."""
    declared = re.findall(
        r"^(extern const [^;]+);", (folder / f"{_PREFIX}_weights.h").read_text(), re.MULTILINE
    )
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
        *(f"{declaration} WEIGHTS;" for declaration in declared),
        "",
        f'#include "{_PREFIX}_weights.c"',
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
