"""A model, its golden inputs and outputs, and its quality rule; and where its bytes come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from tinybench.model import Model
from tinybench.records import Record

Weights = Literal["trained", "synthetic"]
GoldenName = Literal["zeros", "random", "structured"]
GOLDEN_NAMES: tuple[GoldenName, ...] = get_args(GoldenName)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class UrlSource(Record):
    """A file of a public repository at a pinned commit."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https?://[^/]+/")
    licence: str


class FileSource(Record):
    """A file on this machine: of the user's own workloads."""

    kind: Literal["file"]
    path: str
    licence: str


class WheelSource(Record):
    """A file inside a wheel of the package index; `member` may pass through nested archives with `!`."""

    kind: Literal["wheel"]
    package: str
    version: str
    wheel_tag: tuple[str, str] = Field(description="platform and python version to ask the index for")
    wheel_sha256: Sha256
    wheel_bytes: int = Field(gt=0, description="what the user is told before the download starts")
    member: str
    licence: str


class SyntheticSource(Record):
    """A model that is made on this machine: an architecture of ours with seeded weights.

    `keep` below 1 prunes its filters; networks of one architecture and seed share their weights, whatever
    their numbers and however pruned (`tinybench.making`).
    """

    kind: Literal["synthetic"]
    architecture: str
    seed: int = 1
    numbers: Literal["int8", "int16x8", "float32"] = "int8"
    keep: float = Field(default=1.0, gt=0.0, le=1.0)


class WheelData(Record):
    """A file of samples inside a wheel of the package index, which need not be installed."""

    kind: Literal["wheel"]
    package: str
    version: str
    wheel_tag: tuple[str, str] = Field(description="platform and python version to ask the index for")
    wheel_sha256: Sha256
    wheel_bytes: int = Field(gt=0, description="what the user is told before the download starts")
    member: str
    sha256: Sha256
    licence: str


class DebianData(Record):
    """A file of samples that a Debian package installs."""

    kind: Literal["debian"]
    package: str
    path: str = Field(pattern=r"^/")
    sha256: Sha256
    licence: str


DataFile = Annotated[WheelData | DebianData, Field(discriminator="kind")]


class TrainedSource(Record):
    """A model that is trained on this machine, to the same bytes everywhere (`tinybench.making`)."""

    kind: Literal["trained"]
    recipe: str
    seed: int = 1
    data: tuple[DataFile, ...] = Field(min_length=1)


ModelSource = Annotated[
    UrlSource | FileSource | WheelSource | SyntheticSource | TrainedSource, Field(discriminator="kind")
]


class ModelSpec(Record):
    """Which model, known by its digest; `file` is the name looked for in $TINYBENCH_MODELS and the cache."""

    file: str
    sha256: Sha256
    normalised_sha256: Sha256 = Field(description="equal to sha256 where there is nothing to normalise")
    sources: tuple[ModelSource, ...]


class InputSpec(Record):
    """How a sample is written on the wire (the MLPerf Tiny data sets' encoding).

    int8: the tensor's bytes. uint8: bytes minus 128. float32: little-endian, quantised by the firmware for
    an int8 tensor (`golden.to_tensor` says exactly how), as it is for a float32 one. int16: little-endian.
    """

    encoding: Literal["int8", "uint8", "float32", "int16"]


class QualityRule(Record):
    """What makes an answer good enough: the metric of the task and the least it must reach."""

    metric: Literal["top1", "auc"]
    at_least: float


class Accuracy(Record):
    """What the model as deployed answers right, by the oracle, of samples it was not trained on."""

    held_out: int = Field(gt=0)
    top1: float = Field(ge=0, le=1)


class GoldenSpec(Record):
    """Digests of the golden inputs and of the oracle's outputs for them, for machines without the oracle."""

    oracle: str
    inputs_sha256: Sha256 = Field(description="digest of the golden inputs, in their order")
    outputs_sha256: dict[GoldenName, Sha256]

    @model_validator(mode="after")
    def _every_input_has_an_output(self) -> GoldenSpec:
        missing = [name for name in GOLDEN_NAMES if name not in self.outputs_sha256]
        if missing:
            raise ValueError(f"`outputs_sha256` lacks {', '.join(f'`{name}`' for name in missing)}")
        return self


class WorkloadSpec(Record):
    """A workload as written down in `workloads/<id>/workload.toml`."""

    id: str
    title: str
    task: str
    protocol_id: str = Field(description="the MLPerf Tiny model id the firmware answers to `profile`")
    results: Literal["scores", "mean-squared-error"] = "scores"
    labels: tuple[str, ...] = ()
    weights: Weights = Field(default="trained", description="synthetic: good for speed and memory only")
    model: ModelSpec
    input: InputSpec
    quality: QualityRule | None = None
    accuracy: Accuracy | None = None
    golden: GoldenSpec


class SuiteEntry(Record):
    """One task of a suite: its alternatives in order of preference, the first that can be had is taken.

    A task with a `gap` is not run, whatever its alternatives. A task that is `optional` becomes a gap where
    none of its models can be had; without it, that ends the command.
    """

    task: str
    alternatives: tuple[str, ...] = ()
    gap: str | None = Field(default=None, description="why this task is not run yet, if it is not")
    optional: bool = False

    @model_validator(mode="after")
    def _runs_or_says_why_not(self) -> SuiteEntry:
        if not self.alternatives and self.gap is None:
            raise ValueError(f"task `{self.task}` has neither `alternatives` nor a `gap`")
        return self


class Suite(Record):
    """A named list of workloads and rules."""

    name: str
    title: str
    entries: tuple[SuiteEntry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class GoldenInput:
    """One input as it crosses the wire (in the workload's encoding), and the output that is right.

    `output` holds the bytes of the output tensor, whose elements are of `dtype`; None where only its digest
    is known.
    """

    name: str
    data: bytes
    output: bytes | None
    output_sha256: str
    dtype: Literal["int8", "int16", "float32"] = "int8"


@dataclass(frozen=True)
class Workload:
    """A workload with its model at hand.

    `goldens` are judged wherever the workload runs; `further` inputs with right answers are for protocols
    that time over more of them.
    """

    spec: WorkloadSpec
    model: Model
    model_path: Path
    model_sha256: str
    source_sha256: str
    source: str
    goldens: tuple[GoldenInput, ...]
    oracle: str
    further: tuple[GoldenInput, ...] = ()

    def inputs(self, count: int) -> tuple[GoldenInput, ...]:
        """The first `count` inputs, golden ones first, or as many as there are."""
        return (*self.goldens, *self.further)[:count]

    @property
    def inputs_sha256(self) -> str:
        """Digest of the golden inputs, in their order: part of what identifies a Case."""
        return self.spec.golden.inputs_sha256
