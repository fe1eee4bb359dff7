"""A profile as values: one inference of one Case, by operator, function and loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinybench.profile.loops import Loop
from tinybench.profile.roofline import Roof
from tinybench.records import Kind

BETWEEN = "(between operators)"


@dataclass(frozen=True)
class OperatorShare:
    """One operator of the model, or (index None) what runs between them.

    `instrumented`: what its markers in the instrumented image say, in the unit of `Whole.instrumented_in`.
    `macs_per_cycle` and its share of the roof: None where nothing is multiplied, or cycles are not known.
    """

    index: int | None
    name: str
    macs: int | None
    instructions: int | None
    cycles: float | None
    reasons: Mapping[str, float]
    instrumented: int | None = None
    macs_per_cycle: float | None = None
    of_roof: float | None = None


@dataclass(frozen=True)
class FunctionShare:
    """What a function spends in itself, in which operators (index None: between them)."""

    name: str
    operator: int | None
    instructions: int
    cycles: float | None


@dataclass(frozen=True)
class Whole:
    """One inference. `cycles` are of `kind`; an estimate names its `models` and their largest known error.

    `sum_error`: how far the operators' sum is from the whole, which was counted or measured apart from them.
    `probe_effect`: the relative cost of the instrumented image over the clean one.
    """

    instructions: int | None
    cycles: float | None
    kind: Kind | None
    models: str | None
    error: float | None
    reasons: Mapping[str, float]
    sum_error: float
    probe_effect: float | None
    instrumented_in: str | None = None


@dataclass(frozen=True)
class Profile:
    """Where one inference of one Case spends its time."""

    workload: str
    engine: str
    engine_version: str
    target: str
    device: str
    clock_hz: int
    build_id: str
    instrumented_build_id: str
    options: Mapping[str, str]
    simulator: str | None
    input: str
    whole: Whole
    roof: Roof | None
    operators: tuple[OperatorShare, ...]
    functions: tuple[FunctionShare, ...]
    loops: tuple[Loop, ...]
    notes: tuple[str, ...]
