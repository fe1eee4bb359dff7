"""Our generated C as a shared library of this computer, beside the interpreter it must equal to the bit."""

from __future__ import annotations

import ctypes
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinybench.engine import Sources
from tinybench.engines.reference import generate
from tinybench.model import Model, tensor_bytes

WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
# Room for every filter in these tests, so that kernels are compiled once for all models.
ROOM = ("-DTB_MAX_TAPS=128", "-DTB_MAX_PATCH=256")

Run = Callable[[bytes], bytes]


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_uint32),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
        ("type", ctypes.c_int),
    )


@dataclass(frozen=True)
class HostBuild:
    """Compiles what the reference engine generates for this computer."""

    compiler: tuple[str, ...]
    kernels: tuple[Path, ...]
    folder: Path

    def generate(self, model: Model) -> Sources:
        """The engine's C of a model, in a folder of its own."""
        return generate(model, self.folder / f"model{len(list(self.folder.iterdir()))}")

    def library(self, sources: Sources, files: Sequence[Path] = ()) -> Path:
        """A shared library of the generated files with our kernels, or with `files` in their place."""
        generated = [file for file in sources.files if file.parent == sources.include_dirs[0]]
        library = generated[0].parent / f"engine{len(files)}.so"
        include = [f"-I{folder}" for folder in sources.include_dirs]
        words = ["-O1", "-shared", "-fPIC", *WARNINGS, *ROOM, *include, "-o", library]
        subprocess.run([*self.compiler, *words, *generated, *(files or self.kernels)], check=True)
        return library

    def run(self, model: Model) -> Run:
        """The model as our engine runs it."""
        return self.load(self.library(self.generate(model)))

    @staticmethod
    def load(library: Path) -> Run:
        """The engine in a shared library: bytes of the input tensor in, bytes of the output tensor out."""
        engine = ctypes.CDLL(str(library))
        engine.tb_engine_input.restype = engine.tb_engine_output.restype = _Tensor
        assert engine.tb_engine_init() == 0

        def run(data: bytes) -> bytes:
            target = engine.tb_engine_input()
            assert target.bytes == len(data)
            ctypes.memmove(target.data, data, len(data))
            assert engine.tb_engine_invoke() == 0
            result = engine.tb_engine_output()
            return ctypes.string_at(result.data, result.bytes)

        return run


@pytest.fixture(scope="session")
def host_compiler() -> tuple[str, ...]:
    return ("cc",) if shutil.which("cc") else (sys.executable, "-m", "ziglang", "cc")


@pytest.fixture(scope="session")
def host_build(host_compiler: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> HostBuild:
    import tinybench

    kernels = Path(tinybench.__file__).parent / "firmware" / "kernels"
    objects = tmp_path_factory.mktemp("kernels")
    for source in kernels.glob("*.c"):
        words = ["-O2", "-fPIC", *WARNINGS, *ROOM, "-c", source, "-o", objects / f"{source.stem}.o"]
        subprocess.run([*host_compiler, *words], check=True)
    return HostBuild(host_compiler, tuple(sorted(objects.glob("*.o"))), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tflm() -> Callable[[bytes], Run]:
    """TensorFlow Lite Micro's own interpreter with its reference kernels."""
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="needs `tflite-micro`, which is not installed"
    )
    import numpy as np

    def interpreted(model: bytes) -> Run:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=4 << 20)
        details = interpreter.get_input_details(0)

        def run(data: bytes) -> bytes:
            interpreter.set_input(np.frombuffer(data, details["dtype"]).reshape(details["shape"]), 0)
            interpreter.invoke()
            return interpreter.get_output(0).tobytes()

        return run

    return interpreted


def inputs(model: Model, count: int, seed: int = 1) -> Iterator[bytes]:
    """Zeros, both extremes, a ramp, and `count` uniform random inputs of the model's type."""
    tensor = model.tensors[model.inputs[0]]
    size = tensor_bytes(tensor)
    generator = random.Random(seed)
    if tensor.dtype == "float32":
        yield from _floats(size // 4, count, generator)
        return
    yield bytes(size)
    yield b"\x80" * size
    yield b"\x7f" * size
    yield bytes(i % 256 for i in range(size))
    for _ in range(count):
        yield generator.randbytes(size)


def _floats(elements: int, count: int, generator: random.Random) -> Iterator[bytes]:
    def packed(values: Iterable[float]) -> bytes:
        return struct.pack(f"<{elements}f", *values)

    yield packed(0.0 for _ in range(elements))
    yield packed(-8.0 for _ in range(elements))
    yield packed(8.0 for _ in range(elements))
    yield packed(i / elements for i in range(elements))
    for _ in range(count):
        yield packed(generator.uniform(-1, 1) for _ in range(elements))


@pytest.fixture
def some_inputs() -> Callable[..., Iterator[bytes]]:
    return inputs
