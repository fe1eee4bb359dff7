"""How a store grows: time and memory of reading, comparing and appending over 5k, 50k and 500k Runs.

    python tests/speed/store.py [--sizes 5000,50000] [--folder DIR]

A Run is the complete one of tests/data (31 operators, 57 samples, 9.8 kB), varied over 5 workloads,
4 engines and 4 boards. `cold` reads and makes the index; the other figures are what every later command
pays, each in a new process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tinybench.records import Run
from tinybench.store import Store

LINE = Path(__file__).parents[1] / "data" / "runs-v1.jsonl"
PER_FILE = 4200  # a month of a store that grows by 50,000 Runs a year
START = datetime(2026, 3, 1, tzinfo=UTC)


def fill(folder: Path, count: int) -> None:
    """Write `count` Runs as files of a month each, by text replacement: a minute for 500,000."""
    line = LINE.read_text(encoding="utf-8")
    for first in range(0, count, PER_FILE):
        with (folder / f"runs-{first // PER_FILE:04}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(first, min(first + PER_FILE, count)):
                file.write(_varied(line, number))


def _varied(line: str, number: int) -> str:
    board, engine, workload = number % 4, number // 4 % 4, number // 16 % 5
    started = (START + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for old, new in (
        ("20260301T020304Z-0123456789ab", f"20260301T000000Z-{number:012x}"),
        ("2026-03-01T02:03:04Z", started),
        ('"vww01"', f'"w{workload}"'),
        ('"reference"', f'"e{engine}"'),
        ("066AFF495451717867", f"BOARD{board}"),
        ('"nucleo-f746"', f'"t{board}"'),
        ('"samples":[333288]', f'"samples":[{333288 + number % 7}]'),
    ):
        line = line.replace(old, new)
    return line


@contextmanager
def timed(name: str, figures: dict[str, float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures[name] = round(time.perf_counter() - began, 4)


def measure(folder: str) -> dict[str, float]:
    """What one command pays, start of the interpreter apart."""
    figures: dict[str, float] = {}
    with timed("read_s", figures):
        runs = Store(folder).read().runs
    from tinybench.compare import compare
    from tinybench.results.history import has_ruptures, history, learnt_noise
    from tinybench.results.references import resolve

    with timed("compare_s", figures):
        sides = [
            resolve(name, runs, baselines=Path(folder), folder=Path(folder))
            for name in ("previous", "latest")
        ]
        comparison = compare(*sides, noise=learnt_noise(runs, *sides))
    figures["verdicts"] = len(comparison.verdicts)
    with timed("history_s", figures):
        history(runs, metrics=["latency"], change_points=has_ruptures())
    figures["memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def appending(folder: Path) -> float:
    """Seconds per append to the newest file, the least of five tens."""
    run = Run.model_validate_json(LINE.read_bytes())
    newest = Store(max(folder.glob("*.jsonl")))
    os.sync()  # what `fill` wrote must not be in the way
    best = float("inf")
    for ten in range(5):
        began = time.perf_counter()
        for number in range(10):
            newest.append(run.model_copy(update={"run_id": f"appended-{ten}-{number}"}))
        best = min(best, (time.perf_counter() - began) / 10)
    return best


def in_new_process(folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--measure", str(folder)], capture_output=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="5000,50000,500000")
    options.add_argument("--folder", type=Path)
    options.add_argument("--measure")
    chosen = options.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure)))
        return
    header = (
        "Runs",
        "MB",
        "cold read s",
        "read s",
        "compare s",
        "read+compare s",
        "history s",
        "memory MB",
        "append ms",
    )
    print(" | ".join(header))
    for size in map(int, chosen.sizes.split(",")):
        with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
            print(" | ".join(_figures(Path(name), size)), flush=True)


def _figures(folder: Path, size: int) -> list[str]:
    fill(folder, size)
    megabytes = sum(path.stat().st_size for path in folder.glob("*.jsonl")) / 1e6
    cold, warm = in_new_process(folder), in_new_process(folder)
    rounded = "{:.2f}".format
    return [
        str(size),
        f"{megabytes:.0f}",
        rounded(cold["read_s"]),
        rounded(warm["read_s"]),
        rounded(warm["compare_s"]),
        rounded(warm["read_s"] + warm["compare_s"]),
        rounded(warm["history_s"]),
        f"{warm['memory_MB']:.0f}",
        f"{1000 * appending(folder):.2f}",
    ]


if __name__ == "__main__":
    main()
