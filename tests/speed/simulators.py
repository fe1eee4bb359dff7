"""Unicorn beside QEMU: instructions of one inference of one image, for engines, workloads and three cores.

    python tests/speed/simulators.py [--workloads a,b] [--engines x,y]

Prints a row for each image, and the sum of the differences; exit code 1 if there is any. Both count what is
inside the engine's invoke only, so that the conversation around it and QEMU's time play no part.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import platformdirs

from tinybench import build, toolchain
from tinybench.errors import TinyBenchError
from tinybench.fetch import Fetcher, Places
from tinybench.models.loading import load
from tinybench.plugins import discover
from tinybench.session import Session

CORES = ("mps2-an385", "mps2-an386", "mps2-an500")
WORKLOADS = "kws01-mltk,ad01-mltk,ic01-mltk,unet,resnet8-plain,vww01-synthetic,fcnn-10x10,wearable-activity"
ENGINES = "reference,reference-dsp,cmsis-nn,bakenn-portable"


def counted(adapter, target, workload, image):
    """Instructions of one inference after one that prepares."""
    with adapter.open(adapter.find(target)[0], image) as link:
        session = Session.connect(link, clock=time.monotonic)
        session.load(workload.goldens[1].data)
        session.infer(1, 0)
        link.reset_profile()
        session.infer(1, 0)
        calls = [call.instructions for call in link.profile().invocations if call.symbol == image.invoke]
    return calls[0]


def main() -> int:
    """Every image on both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=WORKLOADS)
    parser.add_argument("--engines", default=ENGINES)
    options = parser.parse_args()
    cache = Path(os.environ.get("TINYBENCH_CACHE_DIR") or platformdirs.user_cache_path("tinybench"))
    catalogue, compiler = discover(), toolchain.find(None, cache)
    fetcher = Fetcher(Places(cache, offline=False))
    images = apart = 0
    print(f"{'workload':18} {'engine':14} {'target':12} {'Unicorn':>12} {'QEMU':>12} {'difference':>10}")
    for name in options.workloads.split(","):
        workload = load(catalogue.workload(name), fetcher, None)
        for engine in map(catalogue.engine, options.engines.split(",")):
            for target in map(catalogue.target, CORES):
                row = f"{name:18} {engine.name:14} {target.name:12}"
                refused = engine.refuses(workload, target)
                if refused is not None:
                    print(f"{row} {refused}")
                    continue
                try:
                    image = build.build(workload, engine, target, "clean", compiler=compiler, cache=cache)
                    ours, theirs = (
                        counted(catalogue.adapters[adapter].part, target, workload, image)
                        for adapter in ("virtual", "qemu")
                    )
                except TinyBenchError as error:
                    print(f"{row} {error.message}")
                    apart += 1
                    continue
                images += 1
                apart += ours != theirs
                print(f"{row} {ours:12,} {theirs:12,} {ours - theirs:10,}", flush=True)
    print(f"{images} images, {apart} of them apart")
    return int(apart > 0)


if __name__ == "__main__":
    sys.exit(main())
