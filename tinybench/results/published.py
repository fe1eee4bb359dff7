"""Results that others have published: facts with their source, to stand beside one's own, never among them.

The file is `results/published/mlperf-tiny.csv` (what it holds and what it leaves out: the README beside it).
A wheel carries it inside the package; a checkout has it where it is reviewed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from tinybench.errors import SetupError
from tinybench.records import Record, Run

FILE = "mlperf-tiny.csv"
CLOCK_TOLERANCE = 0.01
_PLACES = (
    Path(__file__).parents[1] / "published_results",
    Path(__file__).parents[2] / "results" / "published",
)


class Published(Record):
    """One result as it was published: the median throughput and energy of a submission, in SI units.

    `core` has the name that a Target gives it; `suspect` rows are contradicted by what was published with
    them, and `note` says how.
    """

    round: str
    submitter: str
    board: str
    core: str
    clock_hz: int = Field(gt=0)
    task: str
    engine: str
    latency_s: float = Field(gt=0)
    energy_j: float | None = Field(default=None, gt=0)
    compiler: str
    kernels: str = Field(description="whether CMSIS-NN was linked, as far as is known")
    supply: str
    repository: str
    path: str
    suspect: bool
    note: str

    @property
    def source(self) -> str:
        """Where it stands: repository and folder."""
        return f"{self.repository}: {self.path}"


@dataclass(frozen=True)
class Peers:
    """What others published for the task of a Run, on the same core at the same clock; the fastest first.

    `same_model` is False where the Run's workload is an alternative to the model that MLPerf Tiny prescribes.
    """

    run: Run
    task: str
    rows: tuple[Published, ...]
    same_model: bool


def load(path: Path | None = None) -> tuple[Published, ...]:
    """Every published row, in the order of the file.

    Raises:
        SetupError: the file is missing, or a line of it cannot be read.
    """
    path = path or _file()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_row(path, line, row) for line, row in enumerate(csv.DictReader(file), start=2))
    except OSError as error:
        raise SetupError(
            f"cannot read the published results in `{path}`: {error.strerror}",
            hint="pip install --force-reinstall tinybench-mcu",
        ) from error


def peers(
    runs: Iterable[Run], tasks: Mapping[str, str], published: Iterable[Published] | None = None
) -> tuple[Peers, ...]:
    """For each Run with numbers, the published rows of its task, core and clock (within 1 %).

    `tasks` says of each workload which task it is (`kws01` is `kws`). Runs nobody has published anything
    comparable to are left out. A simulated Run has peers too: what stands beside it is no time of its own.
    """
    rows = tuple(load() if published is None else published)
    found = []
    for run in runs:
        task = tasks.get(run.case.workload)
        if task is None or run.failure is not None:
            continue
        matching = sorted((row for row in rows if _is_peer(row, run, task)), key=lambda row: row.latency_s)
        if matching:
            found.append(Peers(run, task, tuple(matching), run.case.workload == f"{task}01"))
    return tuple(found)


def core_name(cpu: str) -> str | None:
    """`32-bit Arm Cortex-M4 (DSP + FPU)` is `cortex-m4`; None for what is no Cortex-M."""
    match = re.search(r"Cortex-M(\d+)(\+?)", cpu, re.IGNORECASE)
    return f"cortex-m{match[1]}{'plus' if match[2] else ''}" if match else None


def _is_peer(row: Published, run: Run, task: str) -> bool:
    clock_hz = run.conditions.clock_hz
    return (
        row.task == task
        and row.core == run.conditions.core
        and clock_hz is not None
        and abs(row.clock_hz - clock_hz) <= CLOCK_TOLERANCE * clock_hz
    )


def _file() -> Path:
    return next((place / FILE for place in _PLACES if (place / FILE).is_file()), _PLACES[0] / FILE)


def _row(path: Path, line: int, row: Mapping[str, str]) -> Published:
    facts = dict(row)
    try:
        return Published.model_validate(
            {
                "core": core_name(facts.pop("cpu")),
                "clock_hz": round(float(facts.pop("clock_mhz")) * 1e6),
                "latency_s": float(facts.pop("latency_ms")) / 1e3,
                "energy_j": float(energy_uj) / 1e6 if (energy_uj := facts.pop("energy_uj")) else None,
                "suspect": facts.pop("suspect") == "yes",
                **facts,
            }
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise SetupError(
            f"line {line} of `{path}` is not a published result: {str(error).splitlines()[0]}",
            hint="compare it with its neighbours, and with results/published/README.md",
        ) from error
