"""How the numbers came about: what all cases share is said once, what differs stands in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.records import Run
from tinybench.report.material import Material
from tinybench.report.page import Block, Cell, Column, Facts, Row, Section, Table
from tinybench.report.sections.answers import SUBJECT_COLUMNS, names
from tinybench.report.subjects import Subject
from tinybench.units import show


def _toolchain(run: Run) -> str:
    chain = run.provenance.toolchain
    return f"{chain.name} {chain.version}" if chain else ""


def _git(run: Run) -> str:
    git = run.provenance.git
    return f"`{git.commit[:12]}`{', with uncommitted changes' if git.dirty else ''}" if git else ""


def _flags(flags: tuple[str, ...]) -> str:
    return f"`{' '.join(flags)}`" if flags else ""


_SYNTHETIC = "synthetic: speed and memory only"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


FIELDS: Mapping[str, Callable[[Run], str]] = MappingProxyType(
    {
        "Core": lambda run: run.conditions.core,
        "Clock": lambda run: show(run.conditions.clock_hz, "Hz") if run.conditions.clock_hz else "unknown",
        "Caches": lambda run: run.conditions.caches,
        "Flash wait states": lambda run: _optional(run.conditions.flash_wait_states),
        "Supply": lambda run: f"{run.conditions.supply_mv} mV" if run.conditions.supply_mv else "",
        "Arena in": lambda run: run.conditions.arena_region,
        "Weights in": lambda run: run.conditions.weights_region,
        "Protocol": lambda run: run.conditions.protocol,
        "Device": lambda run: run.provenance.device,
        "Unit": lambda run: run.provenance.unit or "",
        "Adapter": lambda run: run.provenance.adapter,
        "Simulator": lambda run: run.provenance.simulator or "",
        "Engine version": lambda run: run.provenance.engine_version,
        "Compiler": _toolchain,
        "Compile flags": lambda run: _flags(
            run.provenance.toolchain.compile_flags if run.provenance.toolchain else ()
        ),
        "Link flags": lambda run: _flags(
            run.provenance.toolchain.link_flags if run.provenance.toolchain else ()
        ),
        "Build id": lambda run: _code(run.provenance.build_id),
        "Model": lambda run: run.provenance.model_source,
        "Weights": lambda run: _SYNTHETIC if run.provenance.weights == "synthetic" else "",
        "Model as published (SHA-256)": lambda run: _code(run.provenance.model_source_sha256),
        "Model as compiled (SHA-256)": lambda run: _code(run.case.model_sha256),
        "Golden inputs (SHA-256)": lambda run: _code(run.case.inputs_sha256),
        "Options": lambda run: ", ".join(
            f"{name}={value}" for name, value in sorted(run.case.options.items())
        ),
        "Judged by": lambda run: run.provenance.oracle,
        "tinybench": lambda run: run.provenance.tinybench,
        "Host": lambda run: (
            f"{run.provenance.host.system}, {run.provenance.host.machine}, "
            f"Python {run.provenance.host.python}"
        ),
        "Working directory": _git,
        "Started": lambda run: (
            f"{run.provenance.started:%Y-%m-%d %H:%M:%S} {run.provenance.started.tzname()}"
        ),
        "Host time to simulate one inference": lambda run: (
            "" if run.provenance.simulated_wall_s is None else show(run.provenance.simulated_wall_s, "s")
        ),
        "Probe effect": lambda run: "" if run.probe_effect is None else show(run.probe_effect, "%"),
        "Retried": lambda run: "yes, after a fault of the device" if run.provenance.retried else "",
        "Notes": lambda run: "; ".join(run.provenance.notes),
        "Run": lambda run: _code(run.run_id),
    }
)
# Long and different for every case: they stand with each case rather than in a table across cases.
OF_EACH_CASE = frozenset({"Run", "Started", "Host time to simulate one inference", "Build id", "Notes"})


def _optional(value: int | None) -> str:
    return "" if value is None else str(value)


def build(material: Material) -> Section | None:
    """What every case shares, then what tells them apart."""
    subjects = material.subjects
    if not subjects:
        return None
    told = {subject.id: {name: tell(subject.run) for name, tell in FIELDS.items()} for subject in subjects}
    first = told[subjects[0].id]
    alone = len(subjects) == 1
    shared = [name for name in FIELDS if all(facts[name] == first[name] for facts in told.values())]
    differing = [name for name in FIELDS if name not in shared and name not in OF_EACH_CASE]
    pairs = tuple((name, Cell(first[name])) for name in shared if first[name])
    blocks: list[Block] = [Facts("provenance-shared", "" if alone else "The same for every case", pairs)]
    if differing:
        blocks.append(
            Table(
                id="provenance-differing",
                caption="What differs between cases",
                columns=(*SUBJECT_COLUMNS, *(Column(name) for name in differing)),
                rows=tuple(
                    Row((*names(subject), *(Cell(_shortened(told[subject.id][name])) for name in differing)))
                    for subject in subjects
                ),
            )
        )
    return Section("provenance", "How the numbers came about", tuple(blocks))


def of_case(subject: Subject) -> tuple[Block, ...]:
    """Everything that is known about one Run."""
    pairs = tuple((name, Cell(text)) for name, tell in FIELDS.items() if (text := tell(subject.run)))
    return (Facts(f"{subject.id}-provenance", "Provenance", pairs),)


def _shortened(text: str) -> str:
    """A digest in a table across cases; the whole of it stands with the case."""
    bare = text.strip("`")
    digest = len(bare) in (40, 64) and all(character in "0123456789abcdef" for character in bare)
    return f"`{bare[:12]}`" if digest else text
