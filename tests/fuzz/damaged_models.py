"""Damaged models through everything that reads them: a clear error or a right result, never anything else.

    python tests/fuzz/damaged_models.py [--files 10000] [--judged 200] [--seed 1]

Wounds small models (flipped bits, wrong integers, bytes moved or lost, offsets that lead elsewhere), and
takes each file through reader, rules, normalisation, lowering, generated C and analysis. Of the files that
became C and differ from those before, `--judged` are compiled with the sanitizers and run beside TensorFlow
Lite Micro: what it runs too must be equal to the bit. Prints what became of the files; exits 1 for any other
exception, for a file that takes longer than 20 s, for an output that differs or a sanitizer that speaks.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib
import importlib.util
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tinybench.codegen import graph_walk
from tinybench.codegen.graph_walk import PORTABLE, KernelSet
from tinybench.engines.reference import generate
from tinybench.errors import ModelError
from tinybench.making.synthesis import synthesised
from tinybench.model import Model, Operator, Quantisation, Tensor, tensor_bytes
from tinybench.models import tflite
from tinybench.models.analysis import analyse
from tinybench.models.arena import overlaps, plan_smallest
from tinybench.models.normalise import normalise
from tinybench.models.tflite_schema import OPTIONS
from tinybench.models.wellformed import check
from tinybench.plugins import discover

SYNTHETIC = (
    "fcnn-1x10",
    "wearable-activity",
    "wearable-stress",
    "kws01-synthetic-pruned75",
    "kws01-synthetic-int16x8",
    "kws01-synthetic-float32",
    "unet",
)
INTERESTING = (0, 1, 2, 3, 4, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LARGE_BYTES = 64  # constants of this size are left alone: any value in them is as good as another
SLOWEST_S = 20.0
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ARENA_BYTES = 8 << 20
MAIN = """
#include <stdio.h>
#include "tb_engine.h"
int main(void) {
    if (tb_engine_init() != TB_OK) return 2;
    const tb_tensor in = tb_engine_input();
    if (fread(in.data, 1, in.bytes, stdin) != in.bytes) return 3;
    if (tb_engine_invoke() != TB_OK) return 4;
    const tb_tensor out = tb_engine_output();
    return fwrite(out.data, 1, out.bytes, stdout) == out.bytes ? 0 : 5;
}
"""


def museum() -> Model:
    """Operators that move elements or are steered by constants, in a row: a small file, mostly structure."""
    tensors: list[Tensor] = []
    operators: list[Operator] = []

    def add(shape: tuple[int, ...], dtype: str = "int8", data: bytes | None = None) -> int:
        found = Quantisation((0.05,), (3,)) if dtype == "int8" else None
        tensors.append(Tensor(len(tensors), f"t{len(tensors)}", shape, dtype, data, found))
        return len(tensors) - 1

    def steer(*values: int, shape: tuple[int, ...] | None = None) -> int:
        data = struct.pack(f"<{len(values)}i", *values)
        return add((len(values),) if shape is None else shape, "int32", data)

    def then(name: str, read: tuple[int, ...], *shapes: tuple[int, ...], **options: object) -> list[int]:
        defaults = {one.name: one.absent for one in OPTIONS[name].fields}
        made = tuple(add(shape) for shape in shapes)
        operators.append(Operator(len(operators), name, read, made, {**defaults, **options}))
        return list(made)

    image = add((1, 4, 4, 2))
    (x,) = then("PAD", (image, steer(0, 0, 1, 1, 0, 2, 0, 0, shape=(4, 2))), (1, 6, 6, 2))
    (x,) = then("STRIDED_SLICE", (x, steer(0, 0, 1, 0), steer(1, 6, 6, 2), steer(1, 2, 1, 1)), (1, 3, 5, 2))
    (x,) = then("TRANSPOSE", (x, steer(0, 2, 1, 3)), (1, 5, 3, 2))
    (x,) = then("RESIZE_NEAREST_NEIGHBOR", (x, steer(10, 6)), (1, 10, 6, 2))
    one, two = then("SPLIT", (steer(1, shape=()), x), (1, 5, 6, 2), (1, 5, 6, 2), num_splits=2)
    (x,) = then("ADD", (one, two), (1, 5, 6, 2))
    (x,) = then("CONCATENATION", (x, one), (1, 5, 6, 4), axis=3)
    (x,) = then("LEAKY_RELU", (x,), (1, 5, 6, 4), alpha=0.25)
    (x,) = then("HARD_SWISH", (x,), (1, 5, 6, 4))
    (x,) = then(
        "MAX_POOL_2D", (x,), (1, 2, 3, 4), stride_h=2, stride_w=2, filter_height=2, filter_width=2, padding=1
    )
    (x,) = then("MEAN", (x, steer(1, 2)), (1, 4))
    (x,) = then("RELU6", (x,), (1, 4))
    (x,) = then("QUANTIZE", (x,), (1, 4))
    return Model(tuple(tensors), tuple(operators), (image,), (x,))


def structure(data: bytes) -> list[int]:
    """The positions outside large constants, where damage can mean something."""
    large = {t.data for t in tflite.read(data).tensors if t.data is not None and len(t.data) >= LARGE_BYTES}
    spans = sorted((at, at + len(c)) for c in large if (at := data.find(c)) >= 0)
    edges = [(0, 0), *spans, (len(data), len(data))]
    return [i for (_, end), (start, _) in pairwise(edges) for i in range(end, start)]


def damaged(data: bytes, places: list[int], dice: random.Random) -> bytes:
    """One to three wounds: most change a value and leave the file whole, some cut or shift it."""
    wounded = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.choice(places)
        match dice.randrange(10):
            case 0 | 1 | 2:
                wounded[at : at + 1] = bytes([data[at] ^ (1 << dice.randrange(8))])
            case 3:
                wounded[at : at + 1] = bytes([dice.randrange(256)])
            case 4 | 5:
                value = dice.choice((*INTERESTING, len(data), at, dice.getrandbits(32)))
                at -= at % 4
                wounded[at : at + 4] = value.to_bytes(4, "little")
            case 6:  # an offset, or anything else of 32 bits, a little off
                at -= at % 4
                near = int.from_bytes(data[at : at + 4], "little") + dice.choice((-8, -4, -1, 1, 4, 8))
                wounded[at : at + 4] = (near & 0xFFFFFFFF).to_bytes(4, "little")
            case 7:
                other = dice.choice(places)
                wounded[at : at + 8] = data[other : other + 8]
            case 8:
                wounded[at : at + dice.randrange(9)] = dice.randbytes(dice.randrange(9))
            case _:
                del wounded[dice.randrange(len(wounded) + 1) :]
    return bytes(wounded)


def models() -> Iterator[bytes]:
    """What is wounded: synthetic models of every type of numbers, the museum, small files that are given."""
    catalogue = discover()
    for name in SYNTHETIC:
        (source,) = catalogue.workload(name).model.sources
        yield synthesised(source)
    yield from (tflite.write(museum()) for _ in range(3))
    folder = os.environ.get("TINYBENCH_MODELS")
    for path in sorted(Path(folder).glob("*.tflite")) if folder else ():
        if path.stat().st_size < 1 << 16:
            yield path.read_bytes()


def outcome(data: bytes, folder: Path) -> str:
    """What became of one file. Anything but a ModelError is our bug and comes out of here."""
    try:
        model = tflite.read(data)
    except ModelError:
        return "refused by the reader"
    check(normalise(model))
    try:
        operators = graph_walk.lowered_model(model, KernelSet("reference", ""))
    except ModelError:
        operators = None
    plan = plan_smallest(model) if operators is None else graph_walk.planned(model, operators)
    assert overlaps(plan) == ()
    try:
        analyse(model, plan, lambda _operator: ())
    except ModelError:
        return "of shapes that cannot be counted"
    if operators is None:
        return "refused by the engine"
    generate(model, folder)
    return "became C"


@dataclass
class Judge:
    """Compares what our C answers, under the sanitizers, with TensorFlow Lite Micro in a child of its own."""

    folder: Path
    compiler: str
    outcomes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.objects = []
        (self.folder / "main.c").write_text(MAIN, encoding="utf-8")
        for source in sorted(PORTABLE.glob("*.c")):
            self.objects.append(self.folder / f"{source.stem}.o")
            self._compile("-c", source, "-o", self.objects[-1])

    def _compile(self, *words: object) -> None:
        room = ("-DTB_MAX_TAPS=1024", "-DTB_MAX_PATCH=65536")
        include = (f"-I{PORTABLE}", f"-I{PORTABLE.parent / 'include'}")
        command = (self.compiler, "-std=c11", "-O1", "-ffp-contract=off", *SANITIZE, *room, *include, *words)
        subprocess.run([str(word) for word in command], check=True)

    def judge(self, data: bytes, seed: int) -> str | None:
        """What is wrong, None if nothing is."""
        model = tflite.read(data)
        sample = sample_of(model, seed)
        into = self.folder / "judged"
        sources = generate(model, into)
        program = into / "program"
        own = [file for file in sources.files if file.parent == into]
        self._compile(f"-I{into}", self.folder / "main.c", *own, *self.objects, "-o", program)
        ours = subprocess.run([program], input=sample, capture_output=True, check=False, timeout=60)
        if ours.returncode != 0:
            return f"our program ended with {ours.returncode}: {ours.stderr.decode(errors='replace')[:400]}"
        theirs = in_a_child(lambda: interpreted(data, model, sample))
        if theirs is None:
            self.outcomes["refused by TensorFlow Lite Micro"] += 1
            return None
        self.outcomes["equal" if ours.stdout == theirs else "different"] += 1
        return None if ours.stdout == theirs else f"{ours.stdout[:16].hex()} instead of {theirs[:16].hex()}"


def sample_of(model: Model, seed: int) -> bytes:
    """A random input; floats between -1 and 1."""
    tensor, dice = model.tensors[model.inputs[0]], random.Random(seed)
    if tensor.dtype == "float32":
        count = tensor_bytes(tensor) // 4
        return struct.pack(f"<{count}f", *(dice.uniform(-1, 1) for _ in range(count)))
    return dice.randbytes(tensor_bytes(tensor))


def interpreted(data: bytes, model: Model, sample: bytes) -> bytes:
    """What TensorFlow Lite Micro answers."""
    import numpy as np
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
    tensor = model.tensors[model.inputs[0]]
    interpreter.set_input(np.frombuffer(sample, tensor.dtype).reshape(tensor.shape), 0)
    interpreter.invoke()
    return bytes(np.asarray(interpreter.get_output(0)).tobytes())


def in_a_child(work: Callable[[], bytes]) -> bytes | None:
    """What `work` gives in a forked process, None if that died: a damaged model may take its reader along."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        code = 1
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(work())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    return answer if os.waitpid(child, 0)[1] == 0 else None


def main() -> int:
    """Wound, judge and say what became of it."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--files", type=int, default=10_000)
    words.add_argument("--judged", type=int, default=200)
    words.add_argument("--seed", type=int, default=1)
    asked = words.parse_args()
    dice = random.Random(asked.seed)
    originals = list(models())
    places = [structure(data) for data in originals]
    outcomes: Counter[str] = Counter()
    survivors: dict[bytes, bytes] = {}
    failures, slowest_s = 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in range(asked.files):
            which = count % len(originals)
            wounded = damaged(originals[which], places[which], dice)
            faulthandler.dump_traceback_later(SLOWEST_S, exit=True)
            began = time.process_time()
            try:
                found = outcome(wounded, folder / "c")
            except Exception as error:  # noqa: BLE001 - finding these is what this script is for
                failures += 1
                kept = Path(tempfile.gettempdir()) / f"damaged-{asked.seed}-{count}.tflite"
                kept.write_bytes(wounded)
                print(f"file {count}, kept as {kept}: {type(error).__name__}: {error}")
                continue
            finally:
                faulthandler.cancel_dump_traceback_later()
            slowest_s = max(slowest_s, time.process_time() - began)
            outcomes[found] += 1
            if found == "became C":
                model = tflite.read(wounded)
                survivors.setdefault(hashlib.sha256(repr(model).encode()).digest(), wounded)
        failures += judged(list(survivors.values()), asked.judged, folder)
    for what, how_many in outcomes.most_common():
        print(f"{how_many:6} {what}")
    print(f"{failures:6} failures; the slowest file took {slowest_s:.2f} s")
    return 1 if failures else 0


def judged(survivors: list[bytes], count: int, folder: Path) -> int:
    """How many of the survivors answer wrong, of `count` spread over all of them."""
    compiler = shutil.which("gcc")
    has_judge = importlib.util.find_spec("tflite_micro") is not None
    if compiler is None or not has_judge or not count:
        print("none of the survivors is run: that needs gcc, tflite-micro and --judged")
        return 0
    importlib.import_module("tflite_micro.python.tflite_micro.runtime")  # once, and not in every child
    judge, failures = Judge(folder, compiler), 0
    chosen = survivors[:: max(len(survivors) // count, 1)][:count]
    for index, data in enumerate(chosen):
        wrong = judge.judge(data, index)
        if wrong is not None:
            failures += 1
            kept = Path(tempfile.gettempdir()) / f"wrong-{index}.tflite"
            kept.write_bytes(data)
            print(f"survivor {index}, kept as {kept}: {wrong}")
    said = ", ".join(f"{n} {what}" for what, n in judge.outcomes.most_common())
    print(f"{len(chosen)} of {len(survivors)} different survivors run under the sanitizers: {said}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
