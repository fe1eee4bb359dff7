"""Reading and writing .tflite files: bytes that may be damaged in, a Model out, and the way back.

Source: tflite-micro, tensorflow/compiler/mlir/lite/schema/schema.fbs; the numbers of fields below are those
of its tables. What a Model does not hold (signatures, minima and maxima, debug data) is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Option, Quantisation, Tensor
from tinybench.models.flatbuffer import Blob, Fields, Flatbuffer, Number, Numbers, Table, Value, encode, text
from tinybench.models.tflite_schema import (
    BUILTIN_OPERATORS,
    CUSTOM,
    CUSTOM_PREFIX,
    FILE_IDENTIFIER,
    GREATEST_OLD_CODE,
    OPTIONS,
    SCHEMA_VERSION,
    TENSOR_TYPES,
    Field,
)
from tinybench.models.wellformed import check

T = TypeVar("T")

# What the schema asks of constants (`force_align: 16`), so that runtimes may use them in place.
_CONSTANT_ALIGNMENT = 16


def read(data: bytes) -> Model:
    """The model in the bytes of a .tflite file.

    Raises ModelError, in one sentence, for a file that is damaged or holds what a Model cannot: several
    subgraphs, sparse tensors, blockwise quantisation, data outside the file. Operators that no engine knows
    are not an error here: their names are `BUILTIN_<n>` or `CUSTOM:<name>`.
    """
    if data[4:8] != FILE_IDENTIFIER:
        raise ModelError(f"not a TFLite file: no `{FILE_IDENTIFIER.decode()}` at offset 4")
    root = Flatbuffer(data, "the model").root
    version = root.integer(0, "I")
    if version != SCHEMA_VERSION:
        raise ModelError(f"not a TFLite file of schema version {SCHEMA_VERSION} but of `{version}`")
    subgraphs = root.tables(2, "subgraph")
    if len(subgraphs) != 1:
        raise ModelError(f"the model has `{len(subgraphs)}` subgraphs; only a single one can be run")
    subgraph = subgraphs[0]
    buffers = [_buffer(table) for table in root.tables(4, "buffer")]
    codes = [_operator_code(table) for table in root.tables(1, "operator code")]
    model = Model(
        tensors=tuple(_tensor(table, i, buffers) for i, table in enumerate(subgraph.tables(0, "tensor"))),
        operators=tuple(_operator(table, i, codes) for i, table in enumerate(subgraph.tables(3, "operator"))),
        inputs=subgraph.integers(1, "inputs"),
        outputs=subgraph.integers(2, "outputs"),
        description=root.text(3, "description"),
        metadata=tuple(
            (table.text(0, "name"), _pick(buffers, table.integer(1, "I"), table, "buffer"))
            for table in root.tables(6, "metadata entry")
        ),
    )
    check(model)
    return model


def _pick(known: Sequence[T], index: int, table: Table, what: str) -> T:
    if not 0 <= index < len(known):
        raise ModelError(f"{table.what} refers to {what} `{index}` of {len(known)}")
    return known[index]


def _buffer(table: Table) -> bytes:
    # An offset of 0 or 1 means: the data is here. Larger ones lead behind the FlatBuffer, where files
    # of over 2 GiB keep it.
    if table.integer(1, "Q") > 1:
        raise ModelError(f"{table.what} keeps its data outside the model, which is not supported")
    return table.bytes(0, "data")


def _operator_code(table: Table) -> tuple[str, int]:
    # The schema's rule: the greater of the old one-byte field and the new one counts.
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    if code == CUSTOM:
        name = CUSTOM_PREFIX + table.text(1, "custom code")
    elif 0 <= code < len(BUILTIN_OPERATORS):
        name = BUILTIN_OPERATORS[code]
    else:
        name = f"BUILTIN_{code}"
    return name, table.integer(2, "i", default=1)


def _tensor(table: Table, index: int, buffers: Sequence[bytes]) -> Tensor:
    if table.has(6):
        raise ModelError(f"{table.what} is sparse, which is not supported")
    if table.integer(10, "I"):
        raise ModelError(f"{table.what} keeps its data outside the model, which is not supported")
    shape = table.integers(0, "shape")
    return Tensor(
        index=index,
        name=table.text(3, "name"),
        shape=shape,
        dtype=_pick(TENSOR_TYPES, table.integer(1, "b"), table, "type"),
        data=_pick(buffers, table.integer(2, "I"), table, "buffer") or None,
        quantisation=_quantisation(table.table(4, f"quantization of {table.what}"), shape),
        variable=bool(table.integer(5, "?")),
        shape_signature=table.integers(7, "shape signature"),
    )


def _quantisation(table: Table | None, shape: tuple[int, ...]) -> Quantisation | None:
    if table is None:
        return None
    if table.integer(4, "B"):
        raise ModelError(f"{table.what} is of a custom or blockwise kind, which is not supported")
    scales = tuple(float(value) for value in table.numbers(2, "f", "scales"))
    zero_points = tuple(int(value) for value in table.numbers(3, "q", "zero points"))
    if not scales or not zero_points:  # as in TFLM, one without the other says nothing
        return None
    axis = table.integer(6, "i")
    # Published files name the filter's dimension for the one dimension of its bias; runtimes do not look.
    if len(scales) == 1 or shape == (len(scales),):
        axis = 0
    return Quantisation(scales, zero_points, axis)


def _operator(table: Table, index: int, codes: Sequence[tuple[str, int]]) -> Operator:
    name, version = _pick(codes, table.integer(0, "I"), table, "operator code")
    if table.integer(9, "Q") > 1:
        raise ModelError(f"{table.what} keeps its options outside the model, which is not supported")
    return Operator(
        index=index,
        name=name,
        inputs=table.integers(1, "inputs"),
        outputs=table.integers(2, "outputs"),
        options=_options(table, name),
        version=version,
        intermediates=table.integers(8, "intermediates"),
        custom_options=table.bytes(5, "custom options"),
    )


def _options(table: Table, name: str) -> Mapping[str, Option]:
    known = OPTIONS.get(name)
    if known is None:
        return MappingProxyType({})
    what = f"{table.what} `{name}`"
    member = table.integer(3, "B")
    if known.union_member and member not in {0, known.union_member}:
        raise ModelError(f"{what} carries options of another operator (kind `{member}`)")
    options = table.table(4, f"the options of {what}") if member == known.union_member else None
    return MappingProxyType({f.name: _option(options, f) for f in known.fields})


def _option(options: Table | None, field: Field) -> Option:
    if options is None:
        return field.absent
    if field.kind.vector:
        return options.integers(field.id, field.name)
    value = options.number(field.id, field.kind.code, field.default)
    return bool(value) if field.kind.code == "?" else value


def write(model: Model) -> bytes:
    """The model as the bytes of a .tflite file: same model, same bytes; constants aligned to 16 bytes.

    Equal constants share one buffer. Raises ModelError if the model is not whole, or has an operator whose
    options are not in `OPTIONS`.
    """
    check(model)
    for operator in model.operators:
        if operator.name not in OPTIONS and not operator.name.startswith(CUSTOM_PREFIX):
            raise ModelError(f"operator {operator.index} `{operator.name}` cannot be written")
    constants = [tensor.data or b"" for tensor in model.tensors] + [data for _, data in model.metadata]
    # Buffer 0 is the schema's empty one, for every tensor without data.
    buffers = {data: i for i, data in enumerate(dict.fromkeys([b"", *constants]))}
    codes = {code: i for i, code in enumerate(dict.fromkeys((o.name, o.version) for o in model.operators))}
    subgraph = Fields(
        {
            0: [_tensor_fields(tensor, buffers[tensor.data or b""]) for tensor in model.tensors],
            1: Numbers("i", model.inputs),
            2: Numbers("i", model.outputs),
            3: [
                _operator_fields(operator, codes[operator.name, operator.version])
                for operator in model.operators
            ],
        }
    )
    metadata = [Fields({0: text(name), 1: Number("I", buffers[data])}) for name, data in model.metadata]
    root = Fields(
        {
            0: Number("I", SCHEMA_VERSION),
            1: [_operator_code_fields(*code) for code in codes],
            2: [subgraph],
            3: text(model.description),
            4: [Fields({0: Blob(data, _CONSTANT_ALIGNMENT)} if data else {}) for data in buffers],
            **({6: metadata} if metadata else {}),
        }
    )
    return encode(root, FILE_IDENTIFIER)


def _operator_code_fields(name: str, version: int) -> Fields:
    code = CUSTOM if name.startswith(CUSTOM_PREFIX) else BUILTIN_OPERATORS.index(name)
    return Fields(
        {
            0: Number("b", min(code, GREATEST_OLD_CODE)),
            **({1: text(name.removeprefix(CUSTOM_PREFIX))} if code == CUSTOM else {}),
            2: Number("i", version, default=1),
            3: Number("i", code),
        }
    )


def _tensor_fields(tensor: Tensor, buffer: int) -> Fields:
    quantisation, signature = tensor.quantisation, tensor.shape_signature
    return Fields(
        {
            0: Numbers("i", tensor.shape),
            1: Number("b", TENSOR_TYPES.index(tensor.dtype)),
            2: Number("I", buffer),
            3: text(tensor.name),
            **({4: _quantisation_fields(quantisation)} if quantisation else {}),
            5: Number("?", tensor.variable),
            **({7: Numbers("i", signature)} if signature else {}),
        }
    )


def _quantisation_fields(quantisation: Quantisation) -> Fields:
    return Fields(
        {
            2: Numbers("f", quantisation.scales),
            3: Numbers("q", quantisation.zero_points),
            6: Number("i", quantisation.axis),
        }
    )


def _operator_fields(operator: Operator, code: int) -> Fields:
    known, custom, intermediates = OPTIONS.get(operator.name), operator.custom_options, operator.intermediates
    options: dict[int, Value] = {}
    if known is not None and known.union_member:
        table = Fields({f.id: _option_value(f, operator.options[f.name]) for f in known.fields})
        options = {3: Number("B", known.union_member), 4: table}
    return Fields(
        {
            0: Number("I", code),
            1: Numbers("i", operator.inputs),
            2: Numbers("i", operator.outputs),
            **options,
            **({5: Blob(custom)} if custom else {}),
            **({8: Numbers("i", intermediates)} if intermediates else {}),
        }
    )


def _option_value(field: Field, value: Option) -> Number | Numbers:
    if isinstance(value, tuple):
        return Numbers(field.kind.code, value)
    return Number(field.kind.code, value, field.default)
