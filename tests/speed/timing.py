"""What estimating costs: CPU seconds of an inference counted, watched as well, and of the pipeline model.

    python tests/speed/timing.py [WORKLOAD] [DEVICE] [ENGINE]

Simulates inferences of vww01 (or of the workload that is named) on the virtual nucleo-f746: counted alone,
and counted while the chip's caches are simulated address by address; then prices what was counted. The time
is that of this process's CPU. Exits 1 if the pipeline model takes more than half a second.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from device_adapters.virtual import ADAPTERS
from tinybench import config, toolchain
from tinybench.build import build
from tinybench.fetch import Fetcher, Places
from tinybench.models import loading, oracle
from tinybench.plugins import Catalogue, discover
from tinybench.session import Session
from tinybench.target import Image, Target
from tinybench.timing.live import watch
from tinybench.workload import Workload

DEFAULTS = ("vww01", "nucleo-f746", "cmsis-nn")
ROUNDS = 3
MOST_MODEL_S = 0.5


def main() -> int:
    """Measure and print; 0 if the model is fast enough."""
    workload_name, device_name, engine_name = (*sys.argv[1:], *DEFAULTS[len(sys.argv) - 1 :])
    catalogue = discover()
    target = catalogue.target(device_name)
    workload, image = _image(catalogue, workload_name, engine_name, target)
    (adapter,) = ADAPTERS
    (device,) = adapter.find(target)
    counted_s, watched_s, model_s = [], [], []
    with adapter.open(device, image) as link:
        session = Session.connect(link, clock=time.monotonic)
        session.load(workload.goldens[0].data)
        session.infer(1, 0)
        for _ in range(ROUNDS):
            link.reset_profile()
            counted_s.append(_cpu_s(lambda: session.infer(1, 0)))
            finish = watch(link, target)
            link.reset_profile()
            watched_s.append(_cpu_s(lambda: session.infer(1, 0)))
            started_s = time.process_time()
            found = finish(image.elf)
            model_s.append(time.process_time() - started_s)
    counted, watched, model = map(statistics.median, (counted_s, watched_s, model_s))
    assert found.answer is not None, found.notes
    instructions = found.answer.core.instructions
    print(f"{workload_name} with {engine_name} on {device_name}: {instructions:,} instructions")
    print(f"counted:        {counted:6.3f} s  ({instructions / counted / 1e6:.0f} MIPS)")
    print(f"watched too:    {watched:6.3f} s  ({instructions / watched / 1e6:.0f} MIPS), once a Run")
    print(f"pipeline model: {model:6.3f} s  (at most {MOST_MODEL_S})")
    print(f"estimate: {found.answer.cycles:,.0f} cycles by {found.answer.models.versions}")
    return int(model > MOST_MODEL_S)


def _cpu_s(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def _image(catalogue: Catalogue, workload: str, engine: str, target: Target) -> tuple[Workload, Image]:
    settings = config.load({}, environ=os.environ, cwd=Path.cwd()).settings
    fetcher = Fetcher(Places.of(settings))
    found = loading.load(catalogue.workload(workload), fetcher, oracle.installed(settings.cache_dir))
    compiler = toolchain.find(None, settings.cache_dir)
    made = build(
        found, catalogue.engine(engine), target, "clean", compiler=compiler, cache=settings.cache_dir
    )
    return found, made


if __name__ == "__main__":
    sys.exit(main())
