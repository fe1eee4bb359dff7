"""Every engine on every task: how many of 20 answers equal TFLM's, and what an inference costs.

    python tests/speed/answers.py [--inputs 20] [--devices nucleo-l4r5zi,nucleo-f746] [--engines …]

Models are cut before their SOFTMAX for all engines alike, as in a comparison with engines that have none.
The inputs are random bytes of the input tensor, seeded. Exits 1 if an engine that promises exact answers
gives another one, or a `close` one leaves its tolerance or names another class.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tinybench import build, config, measure, toolchain
from tinybench.engine import Engine
from tinybench.errors import SetupError, WrongAnswer
from tinybench.fetch import Fetcher, Places
from tinybench.model import tensor_bytes
from tinybench.models import oracle
from tinybench.models.cut import before_softmax, without_softmax
from tinybench.models.golden import differences
from tinybench.models.loading import load
from tinybench.plugins import Catalogue, discover
from tinybench.session import Session
from tinybench.target import CountsInstructions, KeepsOwnTime, Link
from tinybench.workload import InputSpec, Workload

ENGINES = "reference,reference-dsp,cmsis-nn,bakenn-portable,bakenn-smlad,bakenn-cmsis-nn,emx"
TASKS = "vww01,kws01,ic01,ad01"
DEVICES = "nucleo-l4r5zi,nucleo-f746"


def main() -> int:
    """Print a line for each engine, task and board; 0 if all promises are kept."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--inputs", type=int, default=20)
    asked.add_argument("--engines", default=ENGINES)
    asked.add_argument("--tasks", default=TASKS)
    asked.add_argument("--devices", default=DEVICES)
    words = asked.parse_args()
    catalogue = discover()
    settings = config.load({}, environ={}, cwd=Path.cwd()).settings
    make = functools.partial(
        build.build, compiler=toolchain.find(None, settings.cache_dir), cache=settings.cache_dir
    )
    broken = 0
    for task in words.tasks.split(","):
        workload = task_of(task, catalogue, settings.cache_dir)
        tensors = list(inputs(workload, words.inputs))
        judge = oracle.installed(settings.cache_dir)
        assert judge is not None, "pip install tflite-micro"
        right = judge.outputs(workload.model_path.read_bytes(), tensors)
        for device in words.devices.split(","):
            for name in words.engines.split(","):
                engine, target = catalogue.engine(name), catalogue.target(device)
                refusal = engine.refuses(workload, target)
                if refusal is not None:
                    said, kept = f"refuses: {refusal}", True
                else:
                    image = make(workload, engine, target, "clean")
                    adapter = catalogue.adapters["virtual"].part
                    with adapter.open(adapter.find(target)[0], image) as link:
                        answers, instructions = answered(link, tensors, target.serial.baud)
                    said, kept = judged(engine, workload, answers, right)
                    said = f"{said}; {instructions:,} instructions"
                print(f"{workload.spec.id:12} {device:14} {name:16} {said}", flush=True)
                broken += not kept
    return int(broken > 0)


def task_of(name: str, catalogue: Catalogue, cache: Path) -> Workload:
    """The task, official where the file is at hand, without its SOFTMAX, its input as plain bytes."""
    siblings = tuple(found.part.model for found in catalogue.workloads.values())
    settings = config.load({}, environ=os.environ, cwd=Path.cwd()).settings
    fetcher = Fetcher(Places(cache, settings.models, offline=True), siblings=siblings)
    judge = oracle.installed(cache)
    try:
        workload = load(catalogue.workload(name), fetcher, judge)
    except SetupError:
        workload = load(catalogue.workload(f"{name}-mltk"), fetcher, judge)
    if before_softmax(workload.model) is not None:
        workload = without_softmax(workload, judge, fetcher.keep)
    return replace(workload, spec=workload.spec.model_copy(update={"input": InputSpec(encoding="int8")}))


def inputs(workload: Workload, count: int) -> Iterator[bytes]:
    """Seeded random tensors."""
    model = workload.model
    generator = random.Random(workload.spec.id)
    for _ in range(count):
        yield generator.randbytes(tensor_bytes(model.tensors[model.inputs[0]]))


def answered(link: Link, tensors: list[bytes], baud: int) -> tuple[list[bytes], int]:
    """The output for each input, and the instructions of the last inference."""
    assert isinstance(link, CountsInstructions)
    clock = link.own_clock if isinstance(link, KeepsOwnTime) else time.monotonic
    session = Session.connect(link, clock=clock, baud=baud)
    answers, instructions = [], 0
    for tensor in tensors:
        session.load(tensor)
        link.reset_profile()
        session.infer(1, 0)
        instructions = next(i.instructions for i in link.profile().invocations if i.symbol == measure.INVOKE)
        answers.append(session.output())
    return answers, instructions


def judged(
    engine: Engine, workload: Workload, answers: list[bytes], right: tuple[bytes, ...]
) -> tuple[str, bool]:
    """What came of all inputs, in words, and whether the engine kept its promise."""
    equal, worst, same_class = 0, 0, 0
    for came, expected in zip(answers, right, strict=True):
        golden = replace(workload.goldens[0], output=expected, output_sha256="")
        worst = max(worst, *differences(expected, came, "int8"))
        equal += came == expected
        with contextlib.suppress(WrongAnswer):
            if came != expected:
                measure.judge(golden, came, allowed=255, classes=measure.names_classes(workload))
            same_class += 1
    said = f"{equal:3} of {len(answers)} equal"
    if equal == len(answers):
        return said, True
    allowed = measure.allowed_difference(engine)
    said += f", off by at most {worst} (promised: {allowed}), top-1 the same in {same_class}"
    return said, engine.exactness == "close" and worst <= allowed and same_class == len(answers)


if __name__ == "__main__":
    sys.exit(main())
