"""Writers that are killed: no acknowledged Run is lost, and no line is torn in the middle.

    python tests/speed/kill_writers.py --writers 8 --runs 1000 --rounds 20

Each round starts the writers on one store and kills one of them (SIGKILL) at a random moment. A writer
acknowledges a Run by writing its id to its own log after `Store.append` returned. Exits 1 if any is lost.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tinybench.records import Run
from tinybench.store import Store

LINE = Path(__file__).parents[1] / "data" / "runs-v1.jsonl"


@dataclass(frozen=True)
class Round:
    acknowledged: set[str]
    found: set[str]
    moved: int
    seconds: float


def write(folder: str, writer: int, count: int) -> None:
    """One writer: appends `count` Runs and says each id once it is safe."""
    run = Run.model_validate_json(LINE.read_bytes())
    store = Store(folder)
    for number in range(count):
        run_id = f"writer-{writer}-{number:05}"
        store.append(run.model_copy(update={"run_id": run_id}))
        os.write(1, f"{run_id}\n".encode())


def one_round(writers: int, runs: int, chance: random.Random) -> Round:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        logs = [(Path(folder) / f"acknowledged-{number}").open("wb") for number in range(writers)]
        command = [sys.executable, __file__, "--folder", folder, "--runs", str(runs), "--writer"]
        processes = [subprocess.Popen([*command, str(number)], stdout=log) for number, log in enumerate(logs)]
        _kill_one(Path(folder), processes, chance, runs)
        for process in processes:
            process.wait()
        for log in logs:
            log.close()
        seconds = time.perf_counter() - began
        acknowledged = {
            line
            for log in Path(folder).glob("acknowledged-*")
            for line in log.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        }
        contents = Store(folder).read()  # raises if a line in the middle is torn
        moved = sum(len(path.read_bytes().splitlines()) for path in Path(folder).glob("*.torn"))
        return Round(
            {line.strip() for line in acknowledged}, {e.run_id for e in contents.runs.entries}, moved, seconds
        )


def _kill_one(
    folder: Path, processes: list[subprocess.Popen[bytes]], chance: random.Random, runs: int
) -> None:
    """Kill a random writer when it has acknowledged a random number of Runs."""
    number = chance.randrange(len(processes))
    victim, log = processes[number], folder / f"acknowledged-{number}"
    enough = chance.randrange(1, runs) * len("writer-0-00000\n")
    while victim.poll() is None and log.stat().st_size < enough:
        time.sleep(0.0003)
    if victim.poll() is None:
        os.kill(victim.pid, signal.SIGKILL)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--writers", type=int, default=8)
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder")
    options.add_argument("--writer", type=int)
    chosen = options.parse_args()
    if chosen.writer is not None:
        write(chosen.folder, chosen.writer, chosen.runs)
        return 0
    chance = random.Random(chosen.seed)
    rounds = [one_round(chosen.writers, chosen.runs, chance) for _ in range(chosen.rounds)]
    lost = sum(len(done.acknowledged - done.found) for done in rounds)
    acknowledged = sum(len(done.acknowledged) for done in rounds)
    whole = chosen.writers * chosen.runs * chosen.rounds
    print(f"{chosen.rounds} rounds, {chosen.writers} writers of {chosen.runs} Runs, one killed in each round")
    print(f"acknowledged {acknowledged} of {whole}, lost {lost}, torn in the middle 0")
    print(f"unfinished lines moved aside {sum(done.moved for done in rounds)}")
    print(f"{acknowledged / sum(done.seconds for done in rounds):.0f} appends per second")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
