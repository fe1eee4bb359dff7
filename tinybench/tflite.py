"""Reading and writing .tflite files: bytes that may be damaged in, a Model out, and the way back.

Source: tflite-micro, tensorflow/compiler/mlir/lite/schema/schema.fbs; the numbers of fields below are those
of its tables. What a Model does not hold (signatures, minima and maxima, debug data) is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import calcsize
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from tinybench.errors import ModelError
from tinybench.flatbuffer import Flatbuffer, Table
from tinybench.model import Model, Operator, Option, Quantisation, Tensor
from tinybench.tflite_schema import (
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
from tinybench.wellformed import check

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
    return _Writer().file(model)


class _Slot(NamedTuple):
    """One field of a table to write: its id, how it is stored (`struct`, or `>`: an offset), its value."""

    id: int
    code: str
    value: float
    default: float = 0


class _Writer:
    """One file under construction: a FlatBuffer grows from its leaves to its root."""

    def __init__(self) -> None:
        import flatbuffers  # here: reading, which every command does, needs no package

        self._out: Any = flatbuffers.Builder(1024)
        self._append_slot = {
            "?": self._out.PrependBoolSlot,
            "b": self._out.PrependInt8Slot,
            "B": self._out.PrependUint8Slot,
            "i": self._out.PrependInt32Slot,
            "I": self._out.PrependUint32Slot,
            "q": self._out.PrependInt64Slot,
            "f": self._out.PrependFloat32Slot,
            ">": self._out.PrependUOffsetTRelativeSlot,
        }
        self._append = {
            "i": self._out.PrependInt32,
            "q": self._out.PrependInt64,
            "f": self._out.PrependFloat32,
            ">": self._out.PrependUOffsetTRelative,
        }

    def file(self, model: Model) -> bytes:
        constants = [tensor.data or b"" for tensor in model.tensors] + [data for _, data in model.metadata]
        # Buffer 0 is the schema's empty one, for every tensor without data.
        buffers = {data: i for i, data in enumerate(dict.fromkeys([b"", *constants]))}
        codes = {
            code: i for i, code in enumerate(dict.fromkeys((o.name, o.version) for o in model.operators))
        }
        slots = [
            _Slot(0, "I", SCHEMA_VERSION),
            _Slot(1, ">", self._tables([self._operator_code(*code) for code in codes])),
            _Slot(2, ">", self._tables([self._subgraph(model, buffers, codes)])),
            _Slot(3, ">", self._out.CreateString(model.description)),
            _Slot(4, ">", self._tables([self._buffer(data) for data in buffers])),
        ]
        if model.metadata:
            slots.append(
                _Slot(6, ">", self._tables([self._metadata(n, buffers[d]) for n, d in model.metadata]))
            )
        self._out.Finish(self._table(slots), FILE_IDENTIFIER)
        return bytes(self._out.Output())

    def _buffer(self, data: bytes) -> int:
        if not data:
            return self._table([])
        self._out.Prep(_CONSTANT_ALIGNMENT, len(data))
        return self._table([_Slot(0, ">", self._out.CreateByteVector(data))])

    def _metadata(self, name: str, buffer: int) -> int:
        return self._table([_Slot(0, ">", self._out.CreateString(name)), _Slot(1, "I", buffer)])

    def _operator_code(self, name: str, version: int) -> int:
        code = CUSTOM if name.startswith(CUSTOM_PREFIX) else BUILTIN_OPERATORS.index(name)
        slots = [
            _Slot(0, "b", min(code, GREATEST_OLD_CODE)),
            _Slot(2, "i", version, default=1),
            _Slot(3, "i", code),
        ]
        if code == CUSTOM:
            slots.append(_Slot(1, ">", self._out.CreateString(name.removeprefix(CUSTOM_PREFIX))))
        return self._table(slots)

    def _subgraph(
        self, model: Model, buffers: Mapping[bytes, int], codes: Mapping[tuple[str, int], int]
    ) -> int:
        operators = [self._operator(o, codes[o.name, o.version]) for o in model.operators]
        tensors = [self._tensor(t, buffers[t.data or b""]) for t in model.tensors]
        return self._table(
            [
                _Slot(0, ">", self._tables(tensors)),
                _Slot(1, ">", self._vector("i", model.inputs)),
                _Slot(2, ">", self._vector("i", model.outputs)),
                _Slot(3, ">", self._tables(operators)),
            ]
        )

    def _tensor(self, tensor: Tensor, buffer: int) -> int:
        slots = [
            _Slot(0, ">", self._vector("i", tensor.shape)),
            _Slot(1, "b", TENSOR_TYPES.index(tensor.dtype)),
            _Slot(2, "I", buffer),
            _Slot(3, ">", self._out.CreateString(tensor.name)),
            _Slot(5, "?", tensor.variable),
        ]
        if tensor.quantisation is not None:
            slots.append(_Slot(4, ">", self._quantisation(tensor.quantisation)))
        if tensor.shape_signature:
            slots.append(_Slot(7, ">", self._vector("i", tensor.shape_signature)))
        return self._table(slots)

    def _quantisation(self, quantisation: Quantisation) -> int:
        return self._table(
            [
                _Slot(2, ">", self._vector("f", quantisation.scales)),
                _Slot(3, ">", self._vector("q", quantisation.zero_points)),
                _Slot(6, "i", quantisation.axis),
            ]
        )

    def _operator(self, operator: Operator, code: int) -> int:
        slots = [
            _Slot(0, "I", code),
            _Slot(1, ">", self._vector("i", operator.inputs)),
            _Slot(2, ">", self._vector("i", operator.outputs)),
        ]
        known = OPTIONS.get(operator.name)
        if known is not None and known.union_member:
            slots.append(_Slot(3, "B", known.union_member))
            slots.append(
                _Slot(4, ">", self._table([self._option(f, operator.options) for f in known.fields]))
            )
        if operator.custom_options:
            slots.append(_Slot(5, ">", self._out.CreateByteVector(operator.custom_options)))
        if operator.intermediates:
            slots.append(_Slot(8, ">", self._vector("i", operator.intermediates)))
        return self._table(slots)

    def _option(self, field: Field, options: Mapping[str, Option]) -> _Slot:
        value = options[field.name]
        if isinstance(value, tuple):
            return _Slot(field.id, ">", self._vector(field.kind.code, value))
        return _Slot(field.id, field.kind.code, value, field.default)

    def _tables(self, tables: Sequence[int]) -> int:
        return self._vector(">", tables)

    def _vector(self, code: str, items: Sequence[float]) -> int:
        size = 4 if code == ">" else calcsize(code)
        self._out.StartVector(size, len(items), size)
        for item in reversed(items):
            self._append[code](item)
        return int(self._out.EndVector())

    def _table(self, slots: Sequence[_Slot]) -> int:
        self._out.StartObject(max((slot.id for slot in slots), default=-1) + 1)
        for slot in slots:
            self._append_slot[slot.code](slot.id, slot.value, slot.default)
        return int(self._out.EndObject())
