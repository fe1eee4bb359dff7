"""The judge of answers: the real TensorFlow Lite Micro interpreter, or what it once said; our own of forests.

Never LiteRT: its FULLY_CONNECTED rounds once where TensorFlow Lite Micro rounds twice, and its default
delegate differs on a quarter of real inputs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar

from tinybench.errors import MeasurementError, ModelError, SetupError
from tinybench.fetch import keep
from tinybench.model import Model, Tensor, tensor_bytes
from tinybench.models import golden
from tinybench.models.forest import ForestOracle, is_forest
from tinybench.workload import GoldenInput, WorkloadSpec

DISTRIBUTION = "tflite-micro"
_JUDGED: Mapping[str, Literal["int8", "int16", "float32"]] = MappingProxyType(
    {"int8": "int8", "int16": "int16", "float32": "float32"}
)

# Ample for the largest model that fits any of our targets; the interpreter allocates it and gives it back.
ARENA_BYTES = 8 * 1024 * 1024


class Oracle(Protocol):
    """Something that knows the right output of a model for an input, to the bit."""

    @property
    def version(self) -> str:
        """Name and version, as written into the record of a Run."""

    def outputs(self, model: bytes, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """Bytes of the output tensor for the bytes of each input tensor; ModelError if it cannot run it."""


Asked = TypeVar("Asked", bound=Oracle | None)


@dataclass(frozen=True)
class TfliteMicro:
    """The interpreter in the `tflite-micro` wheel: the reference kernels that a device would run."""

    version: str

    def outputs(self, model: bytes, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """As Oracle says; the model must have one input."""
        import numpy as np
        from tflite_micro.python.tflite_micro import runtime

        try:
            interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
            details = interpreter.get_input_details(0)
            shape, dtype = details["shape"], np.dtype(details["dtype"])
            outputs = []
            for tensor in tensors:
                interpreter.set_input(np.frombuffer(tensor, dtype).reshape(shape), 0)
                interpreter.invoke()
                outputs.append(bytes(np.asarray(interpreter.get_output(0)).tobytes()))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.version} cannot run this model: {error}") from error
        return tuple(outputs)


@dataclass(frozen=True)
class Remembered:
    """An oracle whose answers are kept in a folder, by model, input and the version that answered."""

    oracle: Oracle
    folder: Path

    @property
    def version(self) -> str:
        """The version of the oracle that is remembered."""
        return self.oracle.version

    def outputs(self, model: bytes, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """As Oracle says; asks only for what is not in the folder."""
        paths = [self.folder / f"{_name(self.version, model, tensor)}.bin" for tensor in tensors]
        answers = [_checked(path) for path in paths]
        wanted = [index for index, answer in enumerate(answers) if answer is None]
        if wanted:
            fresh = self.oracle.outputs(model, [tensors[index] for index in wanted])
            for index, output in zip(wanted, fresh, strict=True):
                answers[index] = output
                with suppress(SetupError):  # a cache that cannot be written costs time, nothing else
                    keep(paths[index], hashlib.sha256(output).digest() + output)
        return tuple(answer for answer in answers if answer is not None)


def oracle_version() -> str | None:
    """Name and version of the interpreter that is installed here, None where there is none."""
    try:
        return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def installed(cache: Path | None = None) -> Oracle | None:
    """The oracle of this machine, remembering its answers below `cache`; None where there is none."""
    version = oracle_version()
    if version is None:
        return None
    return TfliteMicro(version) if cache is None else Remembered(TfliteMicro(version), cache / "oracle")


def fitting(model: Model, oracle: Asked) -> ForestOracle | Asked:
    """Who judges this model: `oracle`, or for a forest, which no interpreter knows, its exact evaluation."""
    return ForestOracle() if is_forest(model) else oracle


def judge(
    spec: WorkloadSpec, model: Model, data: bytes, oracle: Oracle | None
) -> tuple[tuple[GoldenInput, ...], str]:
    """The golden inputs with their right outputs, and who says so.

    `data` is the model's file after normalisation. Without an oracle the digests in the workload judge and
    the outputs themselves stay unknown. Raises MeasurementError if the inputs or the oracle's outputs are
    not those of the workload's record.
    """
    oracle = fitting(model, oracle)
    named = golden.inputs(spec, model)
    record = spec.golden
    if golden.digest(named) != record.inputs_sha256:
        raise MeasurementError(
            f"the golden inputs of `{spec.id}` are not those that `{record.oracle}` judged",
            hint=f"tinybench golden {spec.id} prints the record as it is now",
        )
    if oracle is None:
        dtype = _judged_output(spec, model).dtype
        stored = tuple(
            GoldenInput(name, sample, None, record.outputs_sha256[name], _JUDGED[dtype])
            for name, sample in named
        )
        return stored, f"stored digests of {record.oracle}"
    judged = _judged(spec, model, data, oracle, named)
    for (name, _), item in zip(named, judged, strict=True):
        if item.output_sha256 != record.outputs_sha256[name]:
            raise MeasurementError(
                f"`{oracle.version}` disagrees with the stored output of `{spec.id}` for `{name}`, "
                f"which `{record.oracle}` wrote",
                hint=f"tinybench golden {spec.id} prints what this oracle answers",
            )
    return judged, oracle.version


def further(spec: WorkloadSpec, model: Model, data: bytes, oracle: Oracle | None) -> tuple[GoldenInput, ...]:
    """Inputs beyond the golden ones with their right outputs; none where no oracle is at hand."""
    judge = fitting(model, oracle)
    return _judged(spec, model, data, judge, golden.further_inputs(spec, model)) if judge else ()


def record_goldens(spec: WorkloadSpec, model: Model, data: bytes, oracle: Oracle) -> str:
    """The `[golden]` table of a workload as TOML, from this oracle's answers.

    What `tinybench golden WORKLOAD` prints, to be pasted into a `workload.toml`.
    """
    oracle = fitting(model, oracle)
    named = golden.inputs(spec, model)
    lines = [
        "[golden]",
        f'oracle = "{oracle.version}"',
        f'inputs_sha256 = "{golden.digest(named)}"',
        "",
        "[golden.outputs_sha256]",
        *(f'{item.name} = "{item.output_sha256}"' for item in _judged(spec, model, data, oracle, named)),
    ]
    return "\n".join(lines) + "\n"


def _judged(
    spec: WorkloadSpec,
    model: Model,
    data: bytes,
    oracle: Oracle,
    named: Sequence[tuple[str, bytes]],
) -> tuple[GoldenInput, ...]:
    output = _judged_output(spec, model)
    tensors = [golden.to_tensor(spec, model, sample) for _, sample in named]
    answers = oracle.outputs(data, tensors)
    expected = tensor_bytes(output)
    for answer in answers:
        if len(answer) != expected:
            raise MeasurementError(f"{oracle.version} answered {len(answer)} bytes where {expected} are due")
    return tuple(
        GoldenInput(name, sample, answer, hashlib.sha256(answer).hexdigest(), _JUDGED[output.dtype])
        for (name, sample), answer in zip(named, answers, strict=True)
    )


def _judged_output(spec: WorkloadSpec, model: Model) -> Tensor:
    """The one output that is compared; ModelError if there are several or it is of another type."""
    output = model.tensors[model.outputs[0]]
    if len(model.outputs) != 1 or output.dtype not in _JUDGED:
        raise ModelError(
            f"the model of `{spec.id}` must have one output to be judged, of {', '.join(_JUDGED)}"
        )
    return output


def _name(version: str, model: bytes, tensor: bytes) -> str:
    digests = [hashlib.sha256(part).digest() for part in (version.encode(), model, tensor)]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _checked(path: Path) -> bytes | None:
    """A remembered answer, None if there is none or it is damaged (32 bytes of SHA-256 lead the answer)."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    answer = data[32:]
    return answer if hashlib.sha256(answer).digest() == data[:32] else None
