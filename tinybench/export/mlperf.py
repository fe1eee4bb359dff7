"""Timed Runs as the folders that MLPerf Tiny's submission checker reads, in one zip file.

Each Run becomes `<target>/<workload>/performance/` with `results.txt`, `log.txt` and `results.json`, and, if
its accuracy was measured, `accuracy/` with the same three. The lines are those that
mlcommons/tiny, tools/submission/submission_checker.py looks for. An export is not a submission: whether the
rules were kept is said in `results.json` (`mlperf_valid`, and why not).
"""

from __future__ import annotations

import io
import json
import statistics
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from tinybench.latency import MLPERF
from tinybench.records import Measurement, Run
from tinybench.results.runs import Runs

_FIRST_TIME_OF_ZIP = (1980, 1, 1, 0, 0, 0)  # equal Runs, equal bytes


def as_mlperf(runs: Runs) -> bytes:
    """A zip of every Run with a measured latency; without any, a zip that is empty."""
    timed = [run for run in runs if latency_of(run) is not None]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        for run in timed:
            for path, text in sorted(files_of(run).items()):
                file.writestr(zipfile.ZipInfo(path, _FIRST_TIME_OF_ZIP), text)
    return whole.getvalue()


def files_of(run: Run) -> Mapping[str, str]:
    """The texts of one Run by their paths in the zip."""
    latency = latency_of(run)
    assert latency is not None, "only timed runs are exported"
    place = f"{_folder(run)}/{run.case.workload}"
    files = _three(f"{place}/performance", run, performance_lines(run, latency), latency)
    accuracy = run.measurement("accuracy")
    if accuracy is not None:
        files |= _three(f"{place}/accuracy", run, accuracy_lines(run, accuracy), accuracy)
    return files


def latency_of(run: Run) -> Measurement | None:
    """What can be exported: measured on a board. No estimate, simulation or rehearsal has a latency here.

    Nor has a model of synthetic weights: MLPerf Tiny has a quality to reach.
    """
    latency = run.measurement("latency")
    if run.failure is not None or run.conditions.simulated or run.provenance.weights == "synthetic":
        return None
    return latency if latency is not None and latency.kind == "measured" else None


def performance_lines(run: Run, latency: Measurement) -> list[str]:
    """A block for each window and the median throughput, in inferences per second."""
    throughputs = [1 / seconds for seconds in latency.samples]
    lines: list[str] = []
    for number, throughput in enumerate(throughputs, 1):
        lines.append(f"Performance results for window {number}:")
        lines.append(f"  Throughput   : {throughput:>10.3f} inf./sec.")
    lines.append(f"Median throughput is {statistics.median(throughputs):>9.3f} inf./sec.")
    return [_stamped(run, line) for line in lines]


def accuracy_lines(run: Run, accuracy: Measurement) -> list[str]:
    """Top-1 in per cent, or for the anomaly detection task the area under the curve."""
    value = accuracy.samples[0]
    is_auc = run.case.workload.startswith("ad")
    return [_stamped(run, f"AUC = {value:.3f}" if is_auc else f"Top 1% = {100 * value:.1f}")]


def why_not_valid(run: Run) -> str | None:
    """What keeps a Run from the timing rule (median of five windows of ten seconds), if anything."""
    latency = latency_of(run)
    if latency is None:
        return "no latency was measured"
    if run.conditions.protocol != MLPERF.protocol:
        return f"measured as `{run.conditions.protocol}`, not as `{MLPERF.protocol}`"
    if len(run.golden) < MLPERF.inputs:
        return (
            f"the windows ran over {len(run.golden)} different inputs, not {MLPERF.inputs}; "
            "with the oracle there are more: pip install 'tinybench-mcu[oracle]'"
        )
    if len(latency.samples) != MLPERF.windows:
        return f"{len(latency.samples)} windows, not {MLPERF.windows}"
    return None


def _three(place: str, run: Run, lines: list[str], measurement: Measurement) -> dict[str, str]:
    reason = why_not_valid(run)
    facts: dict[str, Any] = {
        "run_id": run.run_id,
        "workload": run.case.workload,
        "model_sha256": run.case.model_sha256,
        "metric": measurement.metric,
        "unit": measurement.unit,
        "samples": list(measurement.samples),
        "mlperf_valid": reason is None,
        "reason": reason,
        "notes": list(run.provenance.notes),
    }
    text = "".join(f"{line}\n" for line in lines)
    log = "".join(f"{_stamped(run, line)}\n" for line in _history(run))
    return {
        f"{place}/results.txt": text,
        f"{place}/log.txt": log + text,
        f"{place}/results.json": json.dumps(facts, indent=1) + "\n",
    }


def _history(run: Run) -> Iterator[str]:
    """What a reader of the log wants to know of how the numbers came about."""
    yield f"tinybench {run.provenance.tinybench}, run {run.run_id}"
    yield f"device {run.provenance.device}, unit {run.provenance.unit or '-'}"
    yield f"model {run.case.model_sha256} from {run.provenance.model_source}"
    for check in run.golden:
        yield f"input {check.input}: output {'equal' if check.equal else 'close'} ({check.compared})"
    yield from run.provenance.notes


def _stamped(run: Run, line: str) -> str:
    return f"{run.provenance.started:%m%d.%H%M%S} ulp-mlperf: {line}"


def _folder(run: Run) -> str:
    """The target's name, or of a board flashed elsewhere what it calls itself, fit for a path."""
    name = run.case.options.get("dut", run.case.target)
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip(".") or run.case.target
