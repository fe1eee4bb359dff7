"""What a conversation was about: all that is needed to have it again, without compiler, model or board.

A recording is a folder: `recording.json` (here), the transcript (`tinybench/transcript.py`), and `run.jsonl`,
the line that the store was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from tinybench.errors import SetupError, UsageError
from tinybench.finished_elf import FinishedElf
from tinybench.latency import Rules
from tinybench.links import Clock
from tinybench.measure import allowed_difference
from tinybench.model import Model, Operator, Option, Quantisation, Tensor
from tinybench.plan import FlashedCase, LoadedElf, PlannedCase
from tinybench.records import Record, Run
from tinybench.tape import TRANSCRIPT, Tape, not_written
from tinybench.target import Adapter, Device, Flashed, Image, JoinsFlashed, Target
from tinybench.workload import GoldenInput, Workload, WorkloadSpec

FACTS = "recording.json"
RUN = "run.jsonl"

HexBytes = Annotated[
    bytes,
    BeforeValidator(lambda value: bytes.fromhex(value) if isinstance(value, str) else value),
    PlainSerializer(bytes.hex, return_type=str),
]


def _without_folder(value: Any) -> Any:
    return {**value, "folder": "."} if isinstance(value, dict) else value


PlacelessTarget = Annotated[Target, BeforeValidator(_without_folder)]
Dtype = Literal["int8", "int16", "float32"]


class RecordedInput(Record):
    """An input as it crosses the wire, and the output that is right, in hexadecimal."""

    name: str
    data: HexBytes
    output: HexBytes | None
    output_sha256: str
    dtype: Dtype

    @classmethod
    def of(cls, golden: GoldenInput) -> RecordedInput:
        """All of it."""
        return cls(
            name=golden.name,
            data=golden.data,
            output=golden.output,
            output_sha256=golden.output_sha256,
            dtype=golden.dtype,
        )

    def golden(self) -> GoldenInput:
        """As it was."""
        return GoldenInput(self.name, self.data, self.output, self.output_sha256, self.dtype)


class RecordedTensor(Record):
    """A tensor without its name and its weights; quantisation of outputs only, by which scores are judged."""

    shape: tuple[int, ...]
    dtype: str
    constant: bool = False
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()


class RecordedOperator(Record):
    """An operator without the attributes of its author's own."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Option] = Field(default_factory=dict)


class RecordedModel(Record):
    """A model without its weights: enough to count, and not enough to run."""

    tensors: tuple[RecordedTensor, ...]
    operators: tuple[RecordedOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, model: Model) -> RecordedModel:
        """The shape of `model`."""
        return cls(
            tensors=tuple(_tensor(tensor, shown=tensor.index in model.outputs) for tensor in model.tensors),
            operators=tuple(
                RecordedOperator(name=o.name, inputs=o.inputs, outputs=o.outputs, options=dict(o.options))
                for o in model.operators
            ),
            inputs=model.inputs,
            outputs=model.outputs,
        )

    def model(self) -> Model:
        """A model of that shape, whose constants are empty."""
        return Model(
            tensors=tuple(
                Tensor(
                    index=index,
                    name=f"tensor {index}",
                    shape=tensor.shape,
                    dtype=tensor.dtype,
                    data=b"" if tensor.constant else None,
                    quantisation=Quantisation(tensor.scales, tensor.zero_points) if tensor.scales else None,
                )
                for index, tensor in enumerate(self.tensors)
            ),
            operators=tuple(
                Operator(index, o.name, o.inputs, o.outputs, o.options)
                for index, o in enumerate(self.operators)
            ),
            inputs=self.inputs,
            outputs=self.outputs,
        )


class RecordedWorkload(Record):
    """A workload with the inputs that the rules ask for."""

    spec: WorkloadSpec
    model: RecordedModel
    model_sha256: str
    source_sha256: str
    source: str
    oracle: str
    goldens: tuple[RecordedInput, ...]
    further: tuple[RecordedInput, ...] = ()

    @classmethod
    def of(cls, workload: Workload, inputs: int) -> RecordedWorkload:
        """`workload` with its golden inputs, and others up to `inputs`."""
        more = workload.inputs(inputs)[len(workload.goldens) :]
        return cls(
            spec=workload.spec,
            model=RecordedModel.of(workload.model),
            model_sha256=workload.model_sha256,
            source_sha256=workload.source_sha256,
            source=workload.source,
            oracle=workload.oracle,
            goldens=tuple(map(RecordedInput.of, workload.goldens)),
            further=tuple(map(RecordedInput.of, more)),
        )

    def workload(self) -> Workload:
        """As it was, but for the weights."""
        return Workload(
            spec=self.spec,
            model=self.model.model(),
            model_path=Path(self.spec.model.file),
            model_sha256=self.model_sha256,
            source_sha256=self.source_sha256,
            source=self.source,
            goldens=tuple(golden.golden() for golden in self.goldens),
            oracle=self.oracle,
            further=tuple(golden.golden() for golden in self.further),
        )


class RecordedDevice(Record):
    """A device, and the target as it was chosen, without the tables of adapters."""

    id: str
    target: PlacelessTarget
    adapter: str
    simulated: bool
    unit: str | None
    details: dict[str, str] | None
    virtual: bool

    @classmethod
    def of(cls, device: Device) -> RecordedDevice:
        """All of it that is not an adapter's own."""
        return cls(
            id=device.id,
            target=device.target.model_copy(update={"virtual": None, "probe": None, "qemu": None}),
            adapter=device.adapter,
            simulated=device.simulated,
            unit=device.unit,
            details=None if device.details is None else dict(device.details),
            virtual=device.virtual,
        )

    def device(self) -> Device:
        """As it was."""
        return Device(
            self.id, self.target, self.adapter, self.simulated, self.unit, self.details, self.virtual
        )


class RecordedBase(Record):
    """The other image, whose windows alternated with the case's, and the id of its Run."""

    run_id: str
    image: Image


class RecordedCase(Record):
    """A case whose images were built here. `allowed` is how far the engine's outputs may be off."""

    kind: Literal["built"] = "built"
    workload: RecordedWorkload
    engine: str
    allowed: int
    device: RecordedDevice
    adapter: str
    options: dict[str, str]
    images: tuple[Image, ...] = Field(description="by kind; their ELFs are not kept")
    base: RecordedBase | None = None

    def case(self, adapter: Adapter) -> PlannedCase:
        """The case, to be run on `adapter`."""
        device = self.device.device()
        engine = RecordedEngine(self.engine, "close" if self.allowed else "exact", self.allowed)
        workload = self.workload.workload()
        return PlannedCase(workload, engine, device.target, device, adapter, self.options)


class RecordedLoad(Record):
    """A finished ELF that was loaded, and where."""

    engine: str
    image: Image
    notes: tuple[str, ...]
    device: RecordedDevice
    options: dict[str, str]


class RecordedFlashed(Record):
    """A case on a unit that ran firmware from elsewhere."""

    kind: Literal["flashed"] = "flashed"
    workload: RecordedWorkload
    unit: Flashed
    adapter: str
    verify_load: bool
    loaded: RecordedLoad | None

    def case(self, adapter: JoinsFlashed) -> FlashedCase:
        """The case, to be run on `adapter`."""
        there, loaded = self.loaded, None
        if there is not None:
            elf = FinishedElf(there.engine, there.image, there.notes)
            loaded = LoadedElf(elf, there.device.device(), there.options)
        return FlashedCase(self.workload.workload(), self.unit, adapter, self.verify_load, loaded)


class Recording(Record):
    """`recording.json`. `streams` lists files beside the transcript that instruments wrote; none do yet."""

    schema_: Literal["tinybench.recording"] = Field(default="tinybench.recording", alias="schema")
    schema_version: Literal[1] = 1
    run_id: str
    rules: Rules
    timeout_s: float
    case: Annotated[RecordedCase | RecordedFlashed, Field(discriminator="kind")]
    transcript: str = TRANSCRIPT
    streams: tuple[str, ...] = ()

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


@dataclass
class RecordedEngine:
    """What judging needs of an engine; it makes nothing."""

    name: str
    exactness: Literal["exact", "close"]
    tolerance: int

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - the seam's signature
        """None: it ran."""
        return None

    def generate(self, workload: Workload, target: Target, into: Path) -> Any:  # noqa: ARG002 - as above
        """Refused."""
        raise UsageError(f"the engine `{self.name}` of a recording makes no code")


# --- writing ---


def of_case(case: PlannedCase, images: Sequence[Image], rules: Rules) -> RecordedCase:
    """What replaying `case` needs."""
    return RecordedCase(
        workload=RecordedWorkload.of(case.workload, rules.inputs),
        engine=case.engine.name,
        allowed=allowed_difference(case.engine),
        device=RecordedDevice.of(case.device),
        adapter=case.adapter.name,
        options=dict(case.options),
        images=tuple(map(_placeless, images)),
    )


def of_pair(case: PlannedCase, image: Image, base: Image, rules: Rules, *, base_id: str) -> RecordedCase:
    """What replaying `case` in turns with `base` needs, whose Run is `base_id`."""
    told = RecordedBase(run_id=base_id, image=_placeless(base))
    return of_case(case, (image,), rules).model_copy(update={"base": told})


def of_flashed(case: FlashedCase, rules: Rules) -> RecordedFlashed:
    """What replaying `case` needs."""
    there = case.loaded
    return RecordedFlashed(
        workload=RecordedWorkload.of(case.workload, rules.inputs),
        unit=case.device,
        adapter=case.adapter.name,
        verify_load=case.verify_load,
        loaded=there
        and RecordedLoad(
            engine=there.elf.engine,
            image=_placeless(there.elf.image),
            notes=there.elf.notes,
            device=RecordedDevice.of(there.device),
            options=dict(there.options),
        ),
    )


@dataclass
class Recorder:
    """Writes one recording: a tape that runs from the first reading of the clock, and files beside it.

    `begin` as soon as a device is to be opened; a case that opens none leaves nothing behind.
    """

    folder: Path
    tape: Tape
    begun: bool = False

    def begin(self, facts: Recording) -> None:
        """Write what the conversation is about, and start the transcript. Raises SetupError."""
        self.tape.start_in(self.folder)
        self._write(FACTS, facts.model_dump_json(indent=1, exclude_defaults=False) + "\n")
        self.begun = True

    def finish(self, *runs: Run) -> None:
        """Add what came of it: one Run, or those of a pair. Raises SetupError."""
        self.tape.close()
        if self.begun:
            self._write(RUN, "".join(run.model_dump_json() + "\n" for run in runs))

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise not_written(path, error) from error


@contextmanager
def recorder(logs: Path | None, run_id: str, clock: Clock, *, simulated: bool) -> Iterator[Recorder | None]:
    """A recorder of what a device will say; None if nobody wants it, or nothing there keeps time."""
    if logs is None or simulated:
        yield None
        return
    with Tape(clock) as tape:
        yield Recorder(logs / run_id, tape)


def _placeless(image: Image) -> Image:
    return replace(image, elf=Path(image.elf.name))


def _tensor(tensor: Tensor, *, shown: bool) -> RecordedTensor:
    known = tensor.quantisation if shown else None
    return RecordedTensor(
        shape=tensor.shape,
        dtype=tensor.dtype,
        constant=tensor.data is not None,
        scales=known.scales if known else (),
        zero_points=known.zero_points if known else (),
    )


# --- reading ---


def load(folder: Path) -> Recording:
    """The facts of a recording. Raises UsageError if the folder holds none, SetupError if it is damaged."""
    path = folder / FACTS
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"`{folder}` holds no recording", hint="runs on devices leave one in <results>/logs/<run id>"
        ) from error
    try:
        return Recording.model_validate_json(text)
    except ValidationError as error:
        raise _not_read(path, text, error) from error


def _not_read(path: Path, text: str, error: ValidationError) -> SetupError:
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError):
        version = None
    if isinstance(version, int) and version > 1:
        return SetupError(
            f"`{path}` has version `{version}`; this tinybench reads up to 1",
            hint="pip install -U tinybench-mcu",
        )
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return SetupError(f"`{path}` is no recording: `{where}`: {first['msg']}", hint="record the run again")
