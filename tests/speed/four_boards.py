"""Four boards on one virtual desk, four MLPerf Tiny tasks on each: python tests/speed/four_boards.py [TASK…]

Every image is larger by 64 KiB that it carries for nothing, so that the large ones pass 300 KB. Prints a
line for each run, and ends with 1 if any is not flashed, verified, bit-equal and timed in every window under
two clocks. Then once more the smallest task with one board mute, whose turn must end by its own deadline.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from virtual_desk.desk import VirtualDesk
from virtual_desk.faults import Faults

BOARDS = ("nucleo-f746", "nucleo-l4r5zi", "nrf52840-dk", "b-l475e-iot01a")
TASKS = ("vww01-mltk", "kws01-mltk", "ic01-mltk", "ad01-mltk")
WINDOWS, GOLDENS = 7, 3
LARGE_BYTES = 300_000
DEADLINE_S, GRACE_S = 60, 5

BALLASTED = '''
from tinybench.engines.reference import ENGINES as OURS


class Ballasted:
    """The reference engine with 64 KiB in flash that every inference touches."""

    name = "ballasted"
    exactness = "exact"
    refuses = staticmethod(lambda workload, target: None)

    def generate(self, workload, target, into):
        sources = OURS[0].generate(workload, target, into)
        words, state = [], 1
        for _ in range(1 << 14):
            state = (state * 1664525 + 1013904223) % (1 << 32)
            words.append(f"{state}u")
        for path in (p for p in into.rglob("*") if p.is_file()):
            text = path.read_text()
            if "tb_engine_output" in text and "tb_engine_invoke(void)" in text:
                path.write_text(
                    text.replace("tb_engine_invoke(void)", "unburdened(void)")
                    + "static const unsigned ballast[] = {" + ",".join(words) + "};\\n"
                    + "tb_status tb_engine_invoke(void);\\n"
                    + "tb_status tb_engine_invoke(void) {\\n"
                    + "    (void)*(const volatile unsigned *)&ballast[0x3FFF];\\n"
                    + "    return unburdened();\\n}\\n"
                )
        return sources


ENGINES = (Ballasted(),)
'''


@dataclass(frozen=True)
class Answer:
    """What one `tinybench run` said, and how long it took: all of it, and each of its runs."""

    runs: tuple[dict[str, Any], ...]
    seconds: float
    seconds_of: tuple[float, ...]


def asked(desk: VirtualDesk, folder: Path, *words: str) -> Answer:
    """One run at the desk, on every board."""
    environment = {
        **os.environ,
        **desk.environment(),
        "TINYBENCH_RESULTS": str(folder / "results"),
        "TINYBENCH_BENCH": str(folder / "bench.toml"),
    }
    command = [sys.executable, "-m", "tinybench", "run", "--json", "--device", ",".join(BOARDS), *words]
    started_s = time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started_s
    runs = tuple(json.loads(done.stdout)["runs"])
    starts = [datetime.fromisoformat(run["provenance"]["started"]) for run in runs]
    ends = [*starts[1:], datetime.now(UTC)]
    seconds_of = tuple((end - start).total_seconds() for start, end in zip(starts, ends, strict=True))
    return Answer(runs, seconds, seconds_of)


def told(run: dict[str, Any]) -> str | None:
    """What is wrong with a run; None if nothing is."""
    if run["failure"] is not None:
        return f"{run['failure']['error']}: {run['failure']['message']}"
    if [check["equal"] for check in run["golden"]] != [True] * GOLDENS:
        return "outputs differ"
    samples = [m["samples"] for m in run["measurements"] if m["metric"] == "latency"]
    return None if [len(taken) for taken in samples] == [WINDOWS] else "windows are missing"


def flash_bytes(run: dict[str, Any]) -> int:
    """The image's size; 0 if the run failed."""
    return next((int(m["samples"][0]) for m in run["measurements"] if m["metric"] == "flash"), 0)


def every_task(folder: Path, tasks: Sequence[str]) -> bool:
    """All tasks on all four boards."""
    with tempfile.TemporaryDirectory(prefix="desk-") as sockets, VirtualDesk(Path(sockets)) as desk:
        boards = [desk.plug_in(name) for name in BOARDS]
        words = ("--engine", "ballasted", "--plugins", str(folder), "--workload", ",".join(tasks))
        answer = asked(desk, folder, *words)
        left = [board.uid for board in boards if board.is_claimed]
    wrong = 0
    for run, seconds in zip(answer.runs, answer.seconds_of, strict=True):
        fault = told(run)
        wrong += fault is not None
        case = run["case"]
        facts = f"{case['target']:16} {case['workload']:12} {flash_bytes(run):8,} B {seconds:5.0f} s"
        print(f"{facts}  {fault or 'ok'}")
    large = {run["case"]["target"] for run in answer.runs if flash_bytes(run) >= LARGE_BYTES}
    print(
        f"{len(answer.runs)} runs in {answer.seconds:.0f} s, {wrong} wrong, {len(large)} boards with 300 KB"
    )
    return (wrong, len(answer.runs), large, left) == (0, len(BOARDS) * len(tasks), set(BOARDS), [])


def one_mute(folder: Path) -> bool:
    """One mute board: it alone fails, within its deadline. How long the others take, the run before tells."""
    with tempfile.TemporaryDirectory(prefix="desk-") as sockets, VirtualDesk(Path(sockets)) as desk:
        for name in BOARDS:
            desk.plug_in(name)
        sound = asked(desk, folder, "--workload", "kws01-mltk")
    with tempfile.TemporaryDirectory(prefix="desk-") as sockets, VirtualDesk(Path(sockets)) as desk:
        for name in BOARDS:
            desk.plug_in(name, faults=Faults(mute=name == BOARDS[1]))
        muted = asked(desk, folder, "--workload", "kws01-mltk", "--timeout", str(DEADLINE_S))
    finished = [told(run) is None for run in muted.runs]
    limit_s = sound.seconds + DEADLINE_S + GRACE_S
    print(f"one mute of four: {muted.seconds:.0f} s, allowed {limit_s:.0f} s; finished: {sum(finished)} of 4")
    in_time = muted.seconds <= limit_s and all(told(run) is None for run in sound.runs)
    return in_time and finished == [True, False, True, True]


def main() -> int:
    """Both; 0 if all is well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ballasted.py").write_text(BALLASTED, encoding="utf-8")
        return 0 if every_task(folder, sys.argv[1:] or TASKS) and one_mute(folder) else 1


if __name__ == "__main__":
    sys.exit(main())
