"""How long a suite takes: the four tasks with two engines, built and simulated, from an empty cache and warm.

    python tests/speed/suite.py [SUITE] [ENGINES] [DEVICE]

Runs `tinybench run --suite mlperf-tiny --engine reference,cmsis-nn --device nucleo-l4r5zi --simulate` twice,
as a user does, with a cache of its own: models are fetched, images built, firmware simulated; then all again
with what is in the cache. Exits 1 above 120 s cold or 30 s warm.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULTS = ("mlperf-tiny", "reference,cmsis-nn", "nucleo-l4r5zi")
MOST_COLD_S, MOST_WARM_S = 120.0, 30.0


def main() -> int:
    """Run twice and print; 0 if it is fast enough."""
    suite, engines, device = (*sys.argv[1:], *DEFAULTS[len(sys.argv) - 1 :])
    words = ["run", "--suite", suite, "--engine", engines, "--device", device, "--simulate"]
    with tempfile.TemporaryDirectory() as folder:
        cold_s, cold_cpu_s = timed(words, Path(folder))
        warm_s, warm_cpu_s = timed(words, Path(folder))
    print(f"tinybench {' '.join(words)}")
    print(
        f"from an empty cache: {cold_s:6.1f} s (at most {MOST_COLD_S:.0f}), {cold_cpu_s:6.1f} s of processors"
    )
    print(
        f"from a warm cache:   {warm_s:6.1f} s (at most {MOST_WARM_S:.0f}), {warm_cpu_s:6.1f} s of processors"
    )
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return int(cold_s > MOST_COLD_S or warm_s > MOST_WARM_S)


def timed(words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds that the command takes, and seconds of all processors, which other work disturbs less."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TINYBENCH_")}
    environ |= {"TINYBENCH_CACHE_DIR": str(folder / "cache"), "TINYBENCH_OFFLINE": "1"}
    started_s, before_s = time.monotonic(), processor_s()
    subprocess.run(
        [sys.executable, "-m", "tinybench", *words, "--results", str(folder / "results")],
        env=environ,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - started_s, processor_s() - before_s


def processor_s() -> float:
    """What finished children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
