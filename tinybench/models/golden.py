"""Golden inputs, the same bytes on every machine, and what firmware makes of a sample on the wire.

The three inputs use integers only (SHAKE-128, shifts, divisions), so that no library's random generator or
rounding can change them; a workload pins their digest.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tinybench.errors import ModelError
from tinybench.model import Model, Tensor, element_bytes
from tinybench.workload import GOLDEN_NAMES, GoldenName, WorkloadSpec

SEED = "tinybench golden input 1"
FURTHER_NAMES = ("random 2", "random 3")
CHECKER_CELL = 8

# Of single precision: bits of a significand, the least number with all of them.
_SIGNIFICANT_BITS = 24
_LEAST_NORMAL = 2.0**-126
_NO_NUMBER = 2**31
_FORMATS: Mapping[str, str] = MappingProxyType({"int8": "b", "int16": "h", "float32": "f"})

# Bytes of one value on the wire, and the types of tensor that it can be written into.
WIRE_BYTES: Mapping[str, int] = MappingProxyType({"int8": 1, "uint8": 1, "int16": 2, "float32": 4})
_FITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"int8": ("int8",), "uint8": ("int8",), "int16": ("int16",), "float32": ("int8", "float32")}
)


def inputs(spec: WorkloadSpec, model: Model) -> tuple[tuple[GoldenName, bytes], ...]:
    """The golden inputs by name, in the workload's wire encoding.

    `zeros`: zero on the wire (int8 0, uint8 0, float 0.0). `random`: SHAKE-128 of a fixed string, the
    workload's id and the length. `structured`: a diagonal ramp under a checkerboard, lighter per channel.
    Raises ModelError if the model has not exactly one input that the encoding can be written into.
    """
    tensor = _tensor_for(spec, model)
    count = math.prod(tensor.shape)
    return tuple((name, _input(name, spec, tensor, count)) for name in GOLDEN_NAMES)


def further_inputs(spec: WorkloadSpec, model: Model) -> tuple[tuple[str, bytes], ...]:
    """Inputs beyond the golden ones, for protocols that time over more of them: `random` with other seeds."""
    tensor = _tensor_for(spec, model)
    count = math.prod(tensor.shape)
    return tuple((name, _written(_levels(name, spec, count), spec, tensor)) for name in FURTHER_NAMES)


def digest(named: Sequence[tuple[str, bytes]]) -> str:
    """SHA-256 of the inputs in their order, each preceded by its name and length."""
    whole = hashlib.sha256()
    for name, data in named:
        whole.update(f"{name} {len(data)}\n".encode())
        whole.update(data)
    return whole.hexdigest()


def to_tensor(spec: WorkloadSpec, model: Model, data: bytes) -> bytes:
    """What firmware writes into the input tensor for these bytes on the wire.

    int8, int16: the bytes. uint8: each byte minus 128. float32 for a float32 tensor: the bytes. float32 for
    an int8 one: clamp(round(x / scale) + zero_point), the division in single precision and halves away from
    zero, as C's `round` and the MLPerf Tiny ad01 reference do (mlcommons/tiny,
    benchmark/util/quantization_helpers.h, QuantizeFloatToInt8); what is no number counts as 0.0. Raises
    ModelError if the length is wrong.
    """
    tensor = _tensor_for(spec, model)
    count = math.prod(tensor.shape)
    expected = count * WIRE_BYTES[spec.input.encoding]
    if len(data) != expected:
        raise ModelError(f"a sample of `{spec.id}` has {expected} bytes, not {len(data)}")
    if spec.input.encoding in {"int8", "int16"} or tensor.dtype == "float32":
        return data
    if spec.input.encoding == "uint8":
        return bytes(value ^ 0x80 for value in data)
    scale, zero_point = _scale(tensor)
    values = struct.unpack(f"<{count}f", data)
    return struct.pack(f"<{count}b", *(quantise(value, scale, zero_point) for value in values))


def values(data: bytes, dtype: str) -> tuple[int, ...] | tuple[float, ...]:
    """The elements of a tensor of int8, int16 or float32 from its bytes."""
    width = element_bytes(dtype)
    return struct.unpack(f"<{len(data) // width}{_FORMATS[dtype]}", data)


def differences(right: bytes, came: bytes, dtype: str) -> tuple[int, ...]:
    """How far each element is off, in units of the output's last place.

    For float32 that is the last place of the largest right value, rounded up: what a small one among large
    ones is off by rounding is no error of its own. What is no number where a number is due is off by 2**31.
    """
    pairs = zip(values(right, dtype), values(came, dtype), strict=True)
    if dtype != "float32":
        return tuple(int(abs(a - b)) for a, b in pairs)
    largest = max((abs(value) for value in values(right, dtype) if math.isfinite(value)), default=0.0)
    unit = 2.0 ** (math.frexp(max(largest, _LEAST_NORMAL))[1] - _SIGNIFICANT_BITS)
    return tuple(_difference(a, b, unit) for a, b in pairs)


def _difference(right: float, came: float, unit: float) -> int:
    if right == came or (math.isnan(right) and math.isnan(came)):
        return 0
    if not (math.isfinite(right) and math.isfinite(came)):
        return _NO_NUMBER
    return min(math.ceil(abs(right - came) / unit), _NO_NUMBER)


def quantise(value: float, scale: float, zero_point: int) -> int:
    """One single-precision value as int8, rounded as firmware rounds (firmware/core/load.c)."""
    if math.isnan(value):
        return zero_point
    if math.isinf(value):
        return 127 if value > 0 else -128
    # Dividing two singles in double precision and rounding once more gives the single-precision quotient
    # (double has more than 2 * 24 + 2 significant bits, so the second rounding cannot go wrong).
    quotient = value / scale
    if abs(quotient) < 2.0**24:
        quotient = _single(quotient)
    whole = math.floor(abs(quotient) + 0.5)
    return max(-128, min(127, (whole if quotient >= 0 else -whole) + zero_point))


def input_tensor(model: Model) -> Tensor:
    """The model's one input; ModelError if there are several or it is of a type that no sample fits."""
    if len(model.inputs) != 1:
        raise ModelError(f"the model has {len(model.inputs)} inputs: a workload feeds exactly one")
    tensor = model.tensors[model.inputs[0]]
    if not any(tensor.dtype in dtypes for dtypes in _FITS.values()):
        raise ModelError(f"the model's input `{tensor.name}` is {tensor.dtype}, not int8, int16 or float32")
    return tensor


def _tensor_for(spec: WorkloadSpec, model: Model) -> Tensor:
    tensor, encoding = input_tensor(model), spec.input.encoding
    if tensor.dtype not in _FITS[encoding]:
        fitting = " or ".join(_FITS[encoding])
        raise ModelError(f"the model's input `{tensor.name}` is {tensor.dtype}, not {fitting} as its samples")
    return tensor


def _input(name: GoldenName, spec: WorkloadSpec, tensor: Tensor, count: int) -> bytes:
    """Inputs are made as levels 0…255 (int8 value plus 128) and then written in the wire's encoding."""
    if name == "zeros":
        return bytes(count * WIRE_BYTES[spec.input.encoding])
    levels = bytes(_pattern(tensor.shape)) if name == "structured" else _levels("", spec, count)
    return _written(levels, spec, tensor)


def _levels(name: str, spec: WorkloadSpec, count: int) -> bytes:
    """Random levels: the golden input has no `name`, the further ones have theirs."""
    return hashlib.shake_128(f"{SEED} {spec.id} {count}{name and f' {name}'}".encode()).digest(count)


def _written(levels: bytes, spec: WorkloadSpec, tensor: Tensor) -> bytes:
    """Levels in the wire's encoding."""
    count = len(levels)
    if spec.input.encoding == "uint8":
        return levels
    if spec.input.encoding == "int8":
        return bytes(level ^ 0x80 for level in levels)
    if spec.input.encoding == "int16":
        return struct.pack(f"<{count}h", *((level - 128) * 256 for level in levels))
    if tensor.dtype == "float32":
        return struct.pack(f"<{count}f", *((level - 128) / 128 for level in levels))
    # The float of a quantised value lies in the middle of what rounds to it: never at a boundary.
    scale, zero_point = _scale(tensor)
    return struct.pack(f"<{count}f", *((level - 128 - zero_point) * scale for level in levels))


def _pattern(shape: tuple[int, ...]) -> list[int]:
    """A ramp that falls along one side and rises along the other, lighter in every other cell and channel.

    Chosen so that no workload of ours answers with nothing but the ends of its range.
    """
    rows, columns, channels = _as_image(shape)
    return [
        (
            128
            + ((2 * row + 1) * 255 // (2 * rows) - (2 * column + 1) * 255 // (2 * columns)) // 2
            + 32 * ((row // CHECKER_CELL + column // CHECKER_CELL) % 2)
            + 16 * channel
        )
        % 256
        for row in range(rows)
        for column in range(columns)
        for channel in range(channels)
    ]


def _as_image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and channels of a tensor of any rank, its dimensions of one left out.

    Two that are left are an image of one channel (49 x 10 features), one is a single row; of four or more
    the leading ones are rows.
    """
    sizes = [size for size in shape if size != 1]
    if len(sizes) <= 2:  # noqa: PLR2004 - rows and columns
        rows, columns = [1, 1, *sizes][-2:]
        return rows, columns, 1
    *leading, columns, channels = sizes
    return math.prod(leading), columns, channels


def _scale(tensor: Tensor) -> tuple[float, int]:
    quantisation = tensor.quantisation
    if quantisation is None or len(quantisation.scales) != 1 or len(quantisation.zero_points) != 1:
        raise ModelError(f"the model's input `{tensor.name}` is not quantised per tensor")
    return _single(quantisation.scales[0]), quantisation.zero_points[0]


def _single(value: float) -> float:
    """The nearest single-precision number."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded
