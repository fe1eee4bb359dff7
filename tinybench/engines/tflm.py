"""`tflm` and `tflm-cmsis-nn`: TensorFlow Lite Micro itself on the board, interpreter and all.

Its library is the user's: built with upstream's own make target and handed over with `tinybench engine add`
(tinybench/libraries.py). Here it gets a resolver with exactly the operators of the model, an arena, and the
model's bytes; tflm.cc is the glue, tflm.c what the library would otherwise take from a C library.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tinybench import libraries
from tinybench.engine import Sources
from tinybench.errors import ModelError, SetupError
from tinybench.libraries import Library
from tinybench.model import Model, Operator, Tensor
from tinybench.models.arena import plan_tflm
from tinybench.models.forest import OPERATOR, is_forest
from tinybench.target import Core, Target
from tinybench.workload import Workload

UPSTREAM = "tensorflow/lite/micro/cortex_m_generic/README.md"

_MAKEFILE = "tensorflow/lite/micro/tools/make/Makefile"
_GLUE = Path(__file__).parent
_RESOLVER = Path("tensorflow/lite/micro/micro_mutable_op_resolver.h")

# Where upstream's headers find flatbuffers, gemmlowp and ruy: in a checkout that was built once, in a tree
# made by its create_tflm_tree.py, or beside the tree.
_THIRD_PARTY = ("tensorflow/lite/micro/tools/make/downloads", "third_party", ".")
_NEEDED = {
    "flatbuffers/include": "flatbuffers/flatbuffers.h",
    "gemmlowp": "fixedpoint/fixedpoint.h",
    "ruy": "ruy/profiler/instrumentation.h",
}

# `TfLiteStatus AddConv2D(…) { return AddBuiltin(BuiltinOperator_CONV_2D, …` of the resolver's header.
_ADDS = re.compile(
    r"\bTfLiteStatus\s+(Add\w+)\s*\((?:(?!TfLiteStatus).)*?AddBuiltin\(\s*BuiltinOperator_(\w+)", re.DOTALL
)

_BYTES_PER_LINE = 24


@dataclass(frozen=True)
class TflmEngine:
    """One library of TensorFlow Lite Micro, by the name under which it was given."""

    name: str
    make_words: tuple[str, ...] = ()
    exactness: Literal["exact", "close"] = "exact"
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """Why this model or this core cannot be had, in a sentence; None if it can be built."""
        if target.core.name == "host":
            return f"`{self.name}` is a library for boards; on this computer there is `tflm-host`"
        return _unsuited(workload.model)

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Write the model's bytes and its list of operators, and name glue and library.

        Raises ModelError where `refuses` gives a reason or the library lacks an operator, SetupError if no
        library was given, or none that runs on this target.
        """
        reason = self.refuses(workload, target)
        if reason is not None:
            raise ModelError(reason)
        library = libraries.choose(libraries.path(self.environ), self.name, target)
        if library is None:
            raise SetupError(
                f"engine `{self.name}` is a library that is yours to build, and none was given",
                hint=self.wants(target),
            )
        includes = include_dirs(library.include)
        adders = operators_of(library.include)
        into.mkdir(parents=True, exist_ok=True)
        version = version_of(library)
        header = "\n".join(_header(workload.model, adders, self.name, version)) + "\n"
        (into / "tb_tflm_model.h").write_text(header, encoding="utf-8", newline="\n")
        data = workload.model_path.read_bytes()
        (into / "tflm_model.c").write_text("\n".join(_model(data)) + "\n", encoding="utf-8", newline="\n")
        return Sources(
            files=(into / "tflm_model.c", _GLUE / "tflm.cc", _GLUE / "tflm.c"),
            include_dirs=(into,),
            system_include_dirs=includes,
            defines={"TF_LITE_STATIC_MEMORY": "1"} | ({} if library.traits.asserts else {"NDEBUG": "1"}),
            libraries=(library.archive,),
            link_flags=("-lm",),
            operators=tuple(operator.name for operator in workload.model.operators),
            version=version,
        )

    def wants(self, target: Target) -> str:
        """Upstream's make target for the core of `target`, and what to do with what it makes."""
        words = " ".join((*_make_words(target.core), *self.make_words))
        return (
            f"in a checkout of tflite-micro ({UPSTREAM}): make -f {_MAKEFILE} TARGET=cortex_m_generic "
            f"{words} BUILD_TYPE=release_with_logs microlite; then: "
            f"tinybench engine add {self.name} --lib libtensorflow-microlite.a --include CHECKOUT"
        )


ENGINES = (
    TflmEngine("tflm"),
    TflmEngine("tflm-cmsis-nn", make_words=("OPTIMIZED_KERNEL_DIR=cmsis_nn",)),
)


def version_of(library: Library) -> str:
    """Commit, digest and build of a library in one word, as `tb id` and the record have it."""
    traits = library.traits
    commit = f"git-{library.commit[:12]}" if library.commit else "unversioned"
    goals = "/".join(f"{count}x{goal}" for goal, count in sorted(traits.goals.items()))
    facts = (
        f"lib-{library.sha256[:12]}",
        *traits.compilers,
        goals,
        f"asserts-{'on' if traits.asserts else 'off'}",
    )
    return f"{commit}({','.join(facts)})"


def include_dirs(tree: Path) -> tuple[Path, ...]:
    """Folders in which upstream's headers find each other; SetupError if one is not in the tree."""
    if not (tree / _RESOLVER).is_file():
        raise SetupError(
            f"`{tree}` holds no `{_RESOLVER}`",
            hint="--include names the root of the tree that the library was built from",
        )
    found = [tree]
    for package, header in _NEEDED.items():
        places = (tree / place / package for place in _THIRD_PARTY)
        place = next((place for place in places if (place / header).is_file()), None)
        if place is None:
            raise SetupError(
                f"`{tree}` holds no `{header}`, which TensorFlow Lite Micro's headers include",
                hint="--include names the tree in which the library was built, its downloads included",
            )
        found.append(place)
    return tuple(found)


def operators_of(tree: Path) -> Mapping[str, str]:
    """What the resolver of this release can add: method by operator's name (`CONV_2D`: `AddConv2D`)."""
    text = (tree / _RESOLVER).read_text(encoding="utf-8", errors="replace")
    return {operator: method for method, operator in _ADDS.findall(text)}


def arena_bytes(model: Model) -> int:
    """An arena that is large enough on any 32-bit core; the device itself finds the smallest in it.

    The activations as upstream's planner lays them out, and an allowance for what upstream keeps behind them
    or needs while it plans. Its structures were counted by arenas that were found to the byte (Cortex-M4,
    five models): 24 bytes a tensor, 88 an operator, 8 a quantised channel, 172 in all; and about 64 for each
    buffer that is planned. What is set aside here is a third more, for other operators and other releases.
    """
    buffers = sum(1 for tensor in model.tensors if tensor.data is None) + len(model.operators)
    head = plan_tflm(model).bytes + max((_patch_bytes(model, o) for o in model.operators), default=0)
    planning = 80 * buffers + 256
    channels = sum(_channels(model, operator) for operator in model.operators)
    kept = 24 * len(model.tensors) + 128 * len(model.operators) + 8 * channels + 512
    return -(-(max(head, planning) + kept) // 16) * 16


def _make_words(core: Core) -> tuple[str, ...]:
    """What upstream's makefile calls a core (targets/cortex_m_generic_makefile.inc)."""
    if core.name in {"cortex-m4", "cortex-m7"} and core.fpu != "none":
        single = core.name == "cortex-m7" and core.fpu == "single"
        return (f"TARGET_ARCH={core.name}+fp", *(("FPU=fpv5-sp-d16",) if single else ()))
    if core.name == "cortex-m33" and not core.dsp:
        return ("TARGET_ARCH=cortex-m33+nodsp",)
    return (f"TARGET_ARCH={core.name}",)


def _patch_bytes(model: Model, operator: Operator) -> int:
    """What an accelerated kernel may ask for beside the tensors.

    CMSIS-NN: two patches of its input as int16, one for depthwise, none where the filter is a point; sums of
    32 bits for each output channel (the functions `arm_*_get_buffer_size`).
    """
    weights = _weights(model, operator)
    if weights is None:
        return 0
    taps = math.prod(weights.shape[1:])
    sums = 4 * max(weights.shape[0], weights.shape[-1]) + 16
    if operator.name == "DEPTHWISE_CONV_2D":
        return 2 * taps + sums
    is_point = math.prod(weights.shape[1:-1]) == 1
    return sums + (0 if operator.name == "FULLY_CONNECTED" or is_point else 4 * taps)


def _channels(model: Model, operator: Operator) -> int:
    """Channels whose multiplier and shift are kept."""
    weights = _weights(model, operator)
    return len(weights.quantisation.scales) if weights is not None and weights.quantisation else 0


def _weights(model: Model, operator: Operator) -> Tensor | None:
    inputs = [model.tensors[index] for index in operator.inputs[1:2] if index >= 0]
    return inputs[0] if inputs and inputs[0].data is not None and len(inputs[0].shape) > 1 else None


def _unsuited(model: Model) -> str | None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        found = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        return f"the model has {found}, and the glue runs one of each"
    for index in (*model.inputs, *model.outputs):
        tensor = model.tensors[index]
        if tensor.dtype not in {"int8", "int16", "float32"}:
            return f"tensor `{tensor.name}` is {tensor.dtype}, which the glue cannot hand over"
    if is_forest(model):
        return f"the model has the operator `{OPERATOR}`, which TensorFlow Lite Micro does not have"
    return None


def _header(model: Model, adders: Mapping[str, str], engine: str, version: str) -> Iterator[str]:
    kinds = tuple(dict.fromkeys(operator.name for operator in model.operators))
    for operator in model.operators:
        if operator.name not in adders:
            raise ModelError(
                f"operator {operator.index} is `{operator.name}`, which this library's resolver cannot add"
            )
    yield "/* Generated by tinybench: the model as its interpreter needs to know it. */"
    yield "#ifndef TB_TFLM_MODEL_H"
    yield "#define TB_TFLM_MODEL_H"
    yield ""
    yield f'#define TB_TFLM_NAME "{engine}"'
    yield f'#define TB_TFLM_VERSION "{version}"'
    yield f"#define TB_TFLM_ARENA_BYTES {arena_bytes(model)}"
    yield ""
    yield "/* Operator of the schema, method of the resolver. */"
    yield from _list("TB_TFLM_KINDS", [f"X({kind}, {adders[kind]})" for kind in kinds])
    yield ""
    yield "/* Suffix of the function, position in the list above, name on the wire. */"
    yield from _list(
        "TB_TFLM_OPERATORS",
        [
            f'X({index:03d}_{name.lower()}, {kinds.index(name)}, "{name}")'
            for index, name in ((operator.index, operator.name) for operator in model.operators)
        ],
    )
    yield ""
    yield "#endif"


def _list(macro: str, items: Sequence[str]) -> Iterator[str]:
    yield f"#define {macro}(X) \\"
    yield from (f"    {item} \\" for item in items[:-1])
    yield f"    {items[-1]}"


def _model(data: bytes) -> Iterator[str]:
    yield "/* Generated by tinybench: the model's file, as it is. */"
    yield '__attribute__((section(".tb_weights"))) _Alignas(16)'
    yield f"const unsigned char tb_tflm_model[{len(data)}] = {{"
    for start in range(0, len(data), _BYTES_PER_LINE):
        yield "    " + ",".join(map(str, data[start : start + _BYTES_PER_LINE])) + ","
    yield "};"
