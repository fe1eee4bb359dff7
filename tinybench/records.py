"""What is written down: one self-contained Run per line, never edited (fields: results/README.md).

Three kinds of facts about a number: the Case identifies the question; Conditions must be equal before
two answers may be compared; Provenance explains an answer without deciding anything.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

# measured: a real clock or instrument. counted: exact. estimated: a model's. rehearsed: the clock of a unit
# of a virtual desk, which proves that the way to a number works and says nothing of any board.
Kind = Literal["measured", "counted", "estimated", "rehearsed"]
Better = Literal["lower", "higher", "neither"]


class Record(BaseModel):
    """A written-down value: frozen, closed, validated where the world enters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Metric(Record):
    """The definition of a quantity: its name, SI unit (`1` for a plain count) and which way is better."""

    name: str
    unit: Literal["1", "B", "s", "J", "Hz"]
    better: Better
    title: str


METRICS = MappingProxyType(
    {
        m.name: m
        for m in (
            Metric(name="latency", unit="s", better="lower", title="Latency"),
            Metric(name="energy", unit="J", better="lower", title="Energy per inference"),
            Metric(name="accuracy", unit="1", better="higher", title="Accuracy"),
            Metric(name="instructions", unit="1", better="lower", title="Instructions per inference"),
            Metric(name="cycles", unit="1", better="lower", title="Cycles per inference"),
            Metric(name="flash", unit="B", better="lower", title="Flash"),
            Metric(name="ram_static", unit="B", better="lower", title="Static RAM"),
            Metric(name="ram_arena", unit="B", better="lower", title="Arena used"),
            Metric(name="ram_stack", unit="B", better="lower", title="Stack high-water mark"),
            Metric(name="ram_heap", unit="B", better="lower", title="Heap high-water mark"),
            Metric(name="ram_peak", unit="B", better="lower", title="Peak RAM"),
            Metric(name="macs", unit="1", better="neither", title="Multiply-accumulates"),
            Metric(name="parameters", unit="1", better="neither", title="Parameters"),
        )
    }
)


class Measurement(Record):
    """The samples of one Metric in one Run, raw, in the metric's unit; summaries are computed, not stored."""

    metric: str
    kind: Kind
    unit: str
    samples: tuple[float | int, ...] = Field(min_length=1)
    estimator: str | None = Field(default=None, description="name and version of the model of an estimate")
    error: float | None = Field(default=None, ge=0, description="relative error of an estimate, as validated")


class Case(Record):
    """One cell of the matrix: the question a Run answers."""

    workload: str
    model_sha256: str = Field(description="digest of the model that was compiled, after normalisation")
    inputs_sha256: str = Field(description="digest of the golden inputs, in their order")
    engine: str
    target: str
    options: dict[str, str] = Field(default_factory=dict)


class Conditions(Record):
    """What must be equal before two Runs are compared; a difference makes the verdict incomparable."""

    core: str
    clock_hz: int | None = Field(description="null where firmware that was flashed elsewhere does not tell")
    caches: str
    flash_wait_states: int | None = None
    supply_mv: int | None = None
    arena_region: str
    weights_region: str
    simulated: bool = Field(description="the device was virtual: nothing of it was measured")
    protocol: str


class Toolchain(Record):
    """The compiler that built an image, every flag included: flags alone can move a result eightfold."""

    name: Literal["gcc", "zig"]
    version: str
    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]


class Host(Record):
    """The computer that drove the measurement."""

    system: str
    machine: str
    python: str


class Git(Record):
    """The state of the working directory the command ran in, if it was a git checkout."""

    commit: str
    dirty: bool


class Provenance(Record):
    """Explains a Run; never decides whether two are comparable."""

    tinybench: str
    started: AwareDatetime
    host: Host
    git: Git | None = None
    device: str
    adapter: str
    unit: str | None = Field(default=None, description="serial number of the board, where it has one")
    engine_version: str
    toolchain: Toolchain | None = None
    build_id: str | None = None
    model_source: str
    model_source_sha256: str = Field(description="digest of the model file as it was published")
    weights: Literal["trained", "synthetic"] = Field(
        default="trained", description="synthetic: speed and memory are real, the answers mean nothing"
    )
    oracle: str = Field(description="what judged the answers, and its version")
    simulator: str | None = None
    simulated_wall_s: float | None = Field(
        default=None, ge=0, description="time the host took to simulate one inference: not a latency"
    )
    retried: bool = False
    notes: tuple[str, ...] = ()


class GoldenCheck(Record):
    """One input whose output was compared with the oracle's before anything was timed."""

    input: str
    output_sha256: str
    equal: bool
    largest_difference: int = Field(ge=0, description="in units of the output's last place; 0 if equal")
    top1: bool | None = Field(
        default=None, description="whether the best class is the oracle's, where outputs only come close"
    )
    compared: Literal["bytes", "printed"] = Field(
        default="bytes",
        description="printed: only the rounded scores could be seen, and are equal within their last digit",
    )


class OperatorCost(Record):
    """One operator of the model: what it is and what one inference spends in it."""

    index: int
    name: str
    macs: int
    instructions: int | None = None
    cycles: int | None = None
    estimated_cycles: int | None = Field(
        default=None, ge=0, description="its part of the estimate that is the measurement `cycles`"
    )


class FunctionCost(Record):
    """One function of the image and the instructions of one inference spent in itself."""

    name: str
    instructions: int


class Symbol(Record):
    """One symbol of the image and the bytes it occupies."""

    name: str
    section: str
    bytes: int


class Section(Record):
    """One section of the image: where it lies, how large it is, and what part of it is stored in flash."""

    name: str
    region: str
    bytes: int
    flash_bytes: int


class MemoryMap(Record):
    """Where the bytes went, counted from the image."""

    sections: tuple[Section, ...]
    largest_flash_symbols: tuple[Symbol, ...]
    largest_ram_symbols: tuple[Symbol, ...]
    arena_reserved_bytes: int
    stack_reserved_bytes: int


class ArenaBuffer(Record):
    """One activation buffer: where it lies in the arena and during which operators it lives."""

    name: str
    offset: int
    bytes: int
    first_operator: int
    last_operator: int


class Failure(Record):
    """Why a Case has no numbers. A failure of the bench says nothing about the model."""

    error: str = Field(description="class name in tinybench.errors")
    exit_code: int
    message: str
    hint: str | None = None
    details: tuple[str, ...] = ()


class Run(Record):
    """One answer to a Case, on one Device, at one time; never edited."""

    schema_: Literal["tinybench.run"] = Field(default="tinybench.run", alias="schema")
    schema_version: Literal[1] = 1
    run_id: str
    case: Case
    conditions: Conditions
    provenance: Provenance
    measurements: tuple[Measurement, ...] = ()
    golden: tuple[GoldenCheck, ...] = ()
    operators: tuple[OperatorCost, ...] = ()
    functions: tuple[FunctionCost, ...] = ()
    memory: MemoryMap | None = None
    arena: tuple[ArenaBuffer, ...] = ()
    probe_effect: float | None = Field(
        default=None, description="relative cost of the instrumented image over the clean one"
    )
    failure: Failure | None = None

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )

    @model_validator(mode="after")
    def _nothing_virtual_was_measured(self) -> Run:
        """Its answers are a real board's; its clock, or an instrument beside it, shows nothing of one."""
        if self.conditions.simulated:
            for measurement in self.measurements:
                if measurement.kind == "measured" and measurement.metric != "accuracy":
                    raise ValueError(f"`{measurement.metric}` of a virtual device cannot be `measured`")
        return self

    def measurement(self, metric: str) -> Measurement | None:
        """The measurement of `metric`, or None if this Run has none."""
        return next((m for m in self.measurements if m.metric == metric), None)


class Gap(Record):
    """A Case that will not be run, with the reason in one sentence."""

    workload: str
    engine: str
    target: str
    reason: str
