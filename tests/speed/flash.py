"""Flashing through tinybench's adapter against `pyocd load` of the same image on the same virtual board.

    python tests/speed/flash.py ELF [ROUNDS] [CYCLES]

Prints seconds and their ratio (goal for 300 KB: at most 1.3, read-back included), then flashes and starts
CYCLES times and prints what was left behind.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from virtual_desk import pack
from virtual_desk.desk import VirtualBoard, VirtualDesk

from device_adapters.pyocd_probe.facts import probe_facts
from device_adapters.pyocd_probe.process import ProbeProcess
from tinybench import plugins
from tinybench.config import Settings
from tinybench.target import Target

STAGE_S = 120.0


def ours_s(board: VirtualBoard, target: Target, elf: Path, cache: Path) -> float:
    """Seconds that the adapter takes: its process, connecting, loading, reading back, starting."""
    facts = probe_facts(target)
    assert facts is not None
    started_s = time.monotonic()
    with ProbeProcess() as process:
        process.ask(
            "connect",
            STAGE_S,
            uid=board.uid,
            facts=facts.model_dump(mode="json"),
            pack=None,
            unlock=False,
            cache=str(cache),
        )
        process.ask("load", STAGE_S, elf=str(elf))
        process.ask("verify", STAGE_S, elf=str(elf))
        process.ask("start", STAGE_S)
    return time.monotonic() - started_s


def theirs_s(board: VirtualBoard, name: str, folder: Path, elf: Path) -> float:
    """Seconds that `pyocd load` takes."""
    words = ["--no-config", "--uid", board.uid, "--pack", str(folder), "--target", name, str(elf)]
    started_s = time.monotonic()
    subprocess.run([sys.executable, "-m", "pyocd", "load", *words], check=True, capture_output=True)
    return time.monotonic() - started_s


def main() -> None:
    """Compare, then repeat."""
    elf = Path(sys.argv[1])
    rounds, cycles = (int(word) for word in (*sys.argv[2:], "3", "60")[:2])
    target = plugins.discover().target("nucleo-f746")
    facts = probe_facts(target)
    assert facts is not None
    cache = Settings().cache_dir
    with tempfile.TemporaryDirectory(prefix="desk-") as name, VirtualDesk(Path(name)) as desk:
        os.environ |= desk.environment()
        packed = pack.write(target, Path(name) / "pack", cache)
        ours, theirs = [], []
        for _ in range(rounds):  # a blank board each, so that nothing is skipped as identical
            for which, measure in (
                (ours, lambda b: ours_s(b, target, elf, cache)),
                (theirs, lambda b: theirs_s(b, facts.pyocd_targets[0], packed, elf)),
            ):
                board = desk.plug_in("nucleo-f746")
                which.append(measure(board))
                board.close()
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"tinybench {statistics.median(ours):.2f} s (read back too), pyocd load "
              f"{statistics.median(theirs):.2f} s, ratio {ratio:.2f}")  # fmt: skip
        board = desk.plug_in("nucleo-f746")
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        took = [ours_s(board, target, elf, cache) for _ in range(cycles)]
        left = len(list(Path("/proc/self/fd").iterdir())) - descriptors
        print(f"{cycles} cycles, 0 failures, median {statistics.median(took):.2f} s, "
              f"{left} descriptors left, probe held: {board.is_claimed}")  # fmt: skip


if __name__ == "__main__":
    main()
