"""The graph walk of our ahead-of-time engines: from a model to constants in flash and a flat run of calls.

What differs between those engines is a KernelSet: how each operator is lowered, and the C that is compiled
with it. Three files are generated: `weights.c` (constants), `weights.h`, and `model.c` (the arena and one
function for each operator, tb_engine.h). Nothing is interpreted on the device.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from textwrap import indent
from types import MappingProxyType

from tinybench.codegen.lowering import KERNELS, Constant, Lowered, Site, lowered
from tinybench.codegen.lowering.parts import FLOAT, INT8, INT16, NUMBERS, float_text, scale, zero_point
from tinybench.engine import Sources
from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Tensor, tensor_bytes
from tinybench.models.arena import ArenaPlan, plan_smallest

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
PORTABLE = FIRMWARE / "kernels"

_HEADERS = ("tb_kernels.h", "tb_int16.h", "tb_float32.h", "tb_conversion.h")
_ALIGNMENT = 16
_LINE = 100


@dataclass(frozen=True)
class KernelSet:
    """What differs between our ahead-of-time engines.

    `lower` says how each operator becomes a call, and refuses by ModelError; operators that it does not name
    have no kernel. `files` are compiled beside the portable kernels, with `flags` and `defines`; `headers`
    declare what the calls need.
    """

    name: str
    version: str
    lower: Mapping[str, Callable[[Site], Lowered]] = field(default_factory=lambda: KERNELS)
    files: tuple[Path, ...] = ()
    include_dirs: tuple[Path, ...] = ()
    headers: tuple[str, ...] = ()
    defines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    flags: tuple[str, ...] = ()


def refusal(model: Model, kernels: KernelSet) -> str | None:
    """The first operator or tensor that has no kernel, in a sentence; None if the model can be built."""
    try:
        lowered_model(model, kernels)
    except ModelError as error:
        return error.message
    return None


def lowered_model(model: Model, kernels: KernelSet) -> tuple[Lowered, ...]:
    """Every operator of the model as C, in order; ModelError for the first that cannot be."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; the engine"
            " runs one of each"
        )
    if not model.operators:
        raise ModelError("the model has no operators")
    operators = tuple(lowered(model, operator, kernels.lower) for operator in model.operators)
    for index in (*model.inputs, *model.outputs):
        tensor = model.tensors[index]
        Site(model, model.operators[0]).kind(tensor)
        if tensor.data is not None:
            raise ModelError(f"tensor `{tensor.name}` is an output of the model and a constant")
    return operators


def generate(model: Model, into: Path, kernels: KernelSet) -> Sources:
    """Write the C of a model below `into`; raises ModelError, naming operator and tensor."""
    operators = lowered_model(model, kernels)
    plan = planned(model, operators)
    into.mkdir(parents=True, exist_ok=True)
    text = _Text(model, kernels, operators, plan, _offsets(plan))
    files = {"weights.h": text.declarations(), "weights.c": text.definitions(), "model.c": text.code()}
    for name, lines in files.items():
        (into / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    limits = {macro: str(least) for macro, least in _limits(operators).items()}
    return Sources(
        files=(into / "weights.c", into / "model.c", *sorted(PORTABLE.glob("*.c")), *kernels.files),
        include_dirs=(into, PORTABLE, *kernels.include_dirs, FIRMWARE / "include"),
        defines=MappingProxyType({**limits, **kernels.defines}),
        flags=kernels.flags,
        operators=tuple(operator.name for operator in model.operators),
        arena=plan,
        version=kernels.version,
    )


def planned(model: Model, operators: Sequence[Lowered]) -> ArenaPlan:
    """Where the activations of the lowered model and the scratch memory of its kernels lie."""
    return plan_smallest(
        model,
        in_place=lambda operator: operators[operator.index].in_place,
        scratch=lambda operator: operators[operator.index].scratch_bytes,
    )


def _offsets(plan: ArenaPlan) -> Mapping[int, int]:
    """Where each activation lies, by index of its tensor; an operator's scratch is behind the tensors."""
    return {tensor: buffer.offset for tensor, buffer in zip(plan.tensors, plan.buffers, strict=True)}


def _limits(operators: Sequence[Lowered]) -> Mapping[str, int]:
    """The sizes of the kernels' arrays on the stack that this model needs."""
    return {"TB_MAX_TAPS": max(o.taps for o in operators), "TB_MAX_PATCH": max(o.patch for o in operators)}


def _stem(operator: Operator) -> str:
    """`003_conv_2d`: what the symbols of an operator have in common."""
    return f"{operator.index:03d}_{re.sub('[^a-z0-9]+', '_', operator.name.lower()).strip('_')}"


def _padding_name(point: int) -> str:
    return f"tb_w_padding_{'m' if point < 0 else ''}{abs(point)}"


@dataclass(frozen=True)
class _Text:
    """The three files as lines."""

    model: Model
    kernels: KernelSet
    operators: Sequence[Lowered]
    plan: ArenaPlan
    offsets: Mapping[int, int]

    def constants(self) -> Iterator[tuple[str, Constant]]:
        """Every constant under its symbol's name, in the order of operators."""
        for operator, lowered_ in zip(self.model.operators, self.operators, strict=True):
            for constant in lowered_.constants:
                yield f"tb_w_{_stem(operator)}_{constant.name}", constant
            for slot in self._constant_operands(operator, lowered_):
                tensor = self.model.tensors[operator.inputs[slot]]
                yield f"tb_w_{_stem(operator)}_input{slot}", _constant(f"input{slot}", tensor)
        rows: dict[int, int] = {}
        for point, length in (o.padding for o in self.operators if o.padding is not None):
            rows[point] = max(length, rows.get(point, 0))
        for point, length in sorted(rows.items()):
            yield _padding_name(point), Constant("padding", "int8_t", bytes([point & 0xFF]) * length)

    def _constant_operands(self, operator: Operator, lowered_: Lowered) -> Iterator[int]:
        """Constant inputs that the operator's code reads as they are."""
        used = Template("\n".join(lowered_.body)).get_identifiers()
        for slot, index in enumerate(operator.inputs):
            if f"in{slot}" in used and self.model.tensors[index].data is not None:
                yield slot

    def declarations(self) -> Iterator[str]:
        yield "/* Generated by tinybench: the model's constants. */"
        yield "#ifndef TB_WEIGHTS_H"
        yield "#define TB_WEIGHTS_H"
        yield ""
        yield '#include "tb_kernels.h"'
        yield ""
        for name, constant in self.constants():
            yield f"extern const {constant.type} {name}[{len(constant.values)}];"
        yield ""
        yield "#endif"

    def definitions(self) -> Iterator[str]:
        yield "/* Generated by tinybench: the model's constants, weights in the order kernels read them. */"
        yield '#include "weights.h"'
        yield ""
        yield from _placement("WEIGHTS", ".tb_weights")
        for name, constant in self.constants():
            yield ""
            alignment = 8 if constant.type == "int64_t" else 4
            yield f"WEIGHTS _Alignas({alignment}) const {constant.type} {name}[{len(constant.values)}] = {{"
            yield from _wrapped(constant)
            yield "};"

    def code(self) -> Iterator[str]:
        yield "/* Generated by tinybench: the model as a sequence of kernel calls. */"
        yield '#include "tb_engine.h"'
        for header in _HEADERS:
            yield f'#include "{header}"'
        yield '#include "weights.h"'
        for header in self.kernels.headers:
            yield f'#include "{header}"'
        yield ""
        for macro, least in _limits(self.operators).items():
            yield f'_Static_assert({macro} >= {least}, "{macro} is too small for this model");'
        yield ""
        yield "#define OPERATOR __attribute__((noinline)) void"
        yield from _placement("ARENA", ".tb_arena")
        yield ""
        yield f"ARENA _Alignas({_ALIGNMENT}) int8_t tb_arena[{max(self.plan.bytes, 1)}];"
        for operator, lowered_ in zip(self.model.operators, self.operators, strict=True):
            yield ""
            yield f"OPERATOR tb_op_{_stem(operator)}(void);"
            yield f"OPERATOR tb_op_{_stem(operator)}(void) {{"
            yield indent("\n".join(self._body(operator, lowered_)), "    ")
            yield "}"
        yield from self._interface()

    def _body(self, operator: Operator, lowered_: Lowered) -> Iterator[str]:
        slots = {
            f"in{slot}": self._address(operator, slot) for slot, i in enumerate(operator.inputs) if i >= 0
        }
        slots |= {f"out{slot}": self._place(index) for slot, index in enumerate(operator.outputs)}
        if lowered_.scratch_bytes:
            slots["scratch"] = self._bytes_at(len(self.model.tensors) + operator.index)
        padding = _padding_name(lowered_.padding[0]) if lowered_.padding is not None else ""
        if operator.name in _RENAMES and slots["in0"] == slots["out0"]:
            # An empty function would be optimised away, and its symbol with it.
            yield '__asm__ volatile("");'
            return
        for line in lowered_.body:
            yield Template(line).substitute(slots, c=f"tb_w_{_stem(operator)}", padding=padding)

    def _address(self, operator: Operator, slot: int) -> str:
        index = operator.inputs[slot]
        if self.model.tensors[index].data is not None:
            return f"tb_w_{_stem(operator)}_input{slot}"
        return self._place(index)

    def _place(self, tensor: int) -> str:
        """An activation's address, as a pointer to its numbers."""
        found = NUMBERS.get(self.model.tensors[tensor].dtype, INT8)
        at = self._bytes_at(tensor)
        return at if found is INT8 else f"({found.c} *)(void *)({at})"

    def _bytes_at(self, tensor: int) -> str:
        return f"tb_arena + {self.offsets[tensor]}"

    def _interface(self) -> Iterator[str]:
        names = ", ".join(f'"{operator.name}"' for operator in self.model.operators)
        yield ""
        yield "tb_status tb_engine_invoke(void) {"
        for operator in self.model.operators:
            yield f"    TB_OPERATOR({operator.index}, tb_op_{_stem(operator)}());"
        yield "    return TB_OK;"
        yield "}"
        yield ""
        yield f"static const char *const names[] = {{{names}}};"
        for signature, value in (
            ("const char *tb_engine_name(void)", f'"{self.kernels.name}"'),
            ("const char *tb_engine_version(void)", f'"{self.kernels.version}"'),
            ("tb_status tb_engine_init(void)", self._kept_promises()),
            ("tb_tensor tb_engine_input(void)", self._tensor(self.model.inputs[0])),
            ("tb_tensor tb_engine_output(void)", self._tensor(self.model.outputs[0])),
            ("uint32_t tb_engine_arena_used(void)", str(self.plan.bytes)),
            ("uint32_t tb_engine_arena_reserved(void)", "sizeof tb_arena"),
            ("uint32_t tb_engine_operator_count(void)", str(len(self.model.operators))),
            ("const char *tb_engine_operator_name(uint32_t index)", "names[index]"),
        ):
            yield ""
            yield f"{signature} {{"
            yield f"    return {value};"
            yield "}"

    def _kept_promises(self) -> str:
        """TB_OK, or what tb_engine_init says where a kernel asks for more memory than was planned."""
        promises = [promise for lowered_ in self.operators for promise in lowered_.promises]
        return (
            " &&\n           ".join(dict.fromkeys(promises)) + " ? TB_OK : TB_ERR_ARENA"
            if promises
            else "TB_OK"
        )

    def _tensor(self, index: int) -> str:
        tensor = self.model.tensors[index]
        is_float = NUMBERS[tensor.dtype] is FLOAT
        real, point = ("1.0F", 0) if is_float else (float_text(scale(tensor)), zero_point(tensor))
        fields = (self._bytes_at(index), tensor_bytes(tensor), real, point, f"TB_{tensor.dtype.upper()}")
        return f"(tb_tensor){{{', '.join(map(str, fields))}}}"


def _placement(macro: str, section: str) -> Iterator[str]:
    """A macro that names the section which the linker script places in the target's region for it."""
    yield "#if defined(__APPLE__)"
    yield f"#define {macro}"
    yield "#else"
    yield f'#define {macro} __attribute__((section("{section}")))'
    yield "#endif"


def _constant(name: str, tensor: Tensor) -> Constant:
    """A constant operand as it lies in the model."""
    kind, data = NUMBERS[tensor.dtype], tensor.data
    assert data is not None
    if kind is INT8:
        return Constant(name, "int8_t", data)
    return Constant(name, kind.c, struct.unpack(f"<{len(data) // kind.bytes}{_FORMATS[kind]}", data))


_FORMATS = MappingProxyType({INT16: "h", FLOAT: "f"})
_RENAMES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_INT8_TEXT = tuple(str(value - 256 if value > 127 else value) for value in range(256))  # noqa: PLR2004 - a byte's sign


def _wrapped(constant: Constant) -> Iterator[str]:
    """Values separated by commas, in lines of about `_LINE` characters."""
    values = constant.values
    if isinstance(values, bytes):
        texts = [_INT8_TEXT[v] for v in values]
    elif constant.type == "float":
        texts = [float_text(v) for v in values if isinstance(v, float)]
    else:
        texts = list(map(str, values))
    width = max(map(len, texts)) + 2
    step = max(_LINE // width, 1)
    for first in range(0, len(texts), step):
        yield "    " + ", ".join(texts[first : first + step]) + ","
