"""Firmware for tests: the real core around a tiny engine, on this computer or for a board."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

import device_adapters
import tinybench
from tinybench import build, linker, toolchain
from tinybench.engine import Sources
from tinybench.model import Model, Tensor
from tinybench.target import ImageKind, Target
from tinybench.workload import GOLDEN_NAMES, GoldenSpec, InputSpec, ModelSpec, Workload, WorkloadSpec

HERE = Path(__file__).parent
FIRMWARE = Path(tinybench.__file__).parent / "firmware"
BOARDS = Path(device_adapters.__file__).parent / "boards"
BUILD_ID = "0123456789abcdef0123456789abcdef01234567"
ELEMENTS = 10


@dataclass(frozen=True)
class TinyEngine:
    """The engine of tiny_engine.c; `flags` and `extra` files as a test wants them."""

    name: str = "tiny"
    exactness: Literal["exact", "close"] = "exact"
    flags: tuple[str, ...] = ()
    extra: str = ""

    def refuses(self, workload: Workload, target: Target) -> str | None:
        return None

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        files = [HERE / "tiny_engine.c"]
        if self.extra:
            files.append(into / "extra.c")
            files[-1].write_text(self.extra)
        return Sources(files=tuple(files), flags=self.flags, operators=("orders", "increment"), version="1.0")


def tiny_workload(
    encoding: Literal["int8", "uint8", "float32"] = "int8",
    results: Literal["scores", "mean-squared-error"] = "scores",
    elements: int = ELEMENTS,
) -> Workload:
    digest = "0" * 64
    spec = WorkloadSpec(
        id="tiny",
        title="Tiny",
        task="kws",
        protocol_id="kws01",
        results=results,
        model=ModelSpec(file="tiny.tflite", sha256=digest, normalised_sha256=digest, sources=()),
        input=InputSpec(encoding=encoding),
        golden=GoldenSpec(
            oracle="none", inputs_sha256=digest, outputs_sha256=dict.fromkeys(GOLDEN_NAMES, digest)
        ),
    )
    tensor = Tensor(index=0, name="input", shape=(1, elements), dtype="int8")
    model = Model(tensors=(tensor,), operators=(), inputs=(0,), outputs=(0,))
    return Workload(spec, model, HERE / "none", digest, digest, "test", (), "none")


def nucleo_f746() -> Target:
    path = BOARDS / "nucleo_f746.toml"
    return Target.model_validate({**tomllib.loads(path.read_text()), "folder": path.parent})


@dataclass(frozen=True)
class HostFirmware:
    """The firmware as a program of this computer."""

    program: Path

    def say(self, sent: bytes) -> list[str]:
        """What it answers to `sent` until its input ends, by lines; whatever a sanitizer says fails."""
        done = subprocess.run([self.program], input=sent, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode("ascii").replace("\r\n", "\n").split("\n")[:-1]

    def replies(self, *commands: str) -> list[list[str]]:
        """The lines of each command's reply, `m-ready` left out."""
        said = self.say("".join(f"{command}%" for command in commands).encode())
        groups: list[list[str]] = [[]]
        for line in said:
            groups.append([]) if line == "m-ready" else groups[-1].append(line)
        assert groups[-1] == [], "the last line is m-ready"
        return groups[1:-1]


@pytest.fixture(scope="session")
def host_compiler() -> list[str]:
    """GCC with both sanitizers where there is one, else the wheel's clang with one."""
    if shutil.which("gcc"):
        return ["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return [sys.executable, "-m", "ziglang", "cc", "-fsanitize=undefined"]


@pytest.fixture(scope="session")
def firmware_sources() -> Path:
    return FIRMWARE


@pytest.fixture(scope="session")
def host_firmware(
    tmp_path_factory: pytest.TempPathFactory, host_compiler: list[str]
) -> Callable[..., HostFirmware]:
    """Builds the firmware for this computer, once for each set of options; None: with its real clock."""

    @functools.cache
    def made(
        encoding: Literal["int8", "uint8", "float32"] = "int8",
        results: Literal["scores", "mean-squared-error"] = "scores",
        elements: int = ELEMENTS,
        kind: ImageKind = "clean",
        ticks_per_look: int | None = 1000,
    ) -> HostFirmware:
        folder = tmp_path_factory.mktemp("host")
        sources = TinyEngine().generate(tiny_workload(), nucleo_f746(), folder)
        workload = tiny_workload(encoding, results, elements)
        for name, text in build.headers(workload, sources, nucleo_f746(), kind).items():
            (folder / name).write_text(text)
        files = [*(FIRMWARE / "core").glob("*.c"), FIRMWARE / "port/host/line.c"]
        files.append(FIRMWARE / "port/host/clock.c" if ticks_per_look is None else HERE / "stepped_clock.c")
        includes = [f"-I{path}" for path in (folder, FIRMWARE / "include", FIRMWARE / "core")]
        defines = [
            "-D_POSIX_C_SOURCE=200809L",
            f'-DTB_HOST_BUILD_ID="{BUILD_ID}"',
            f"-DTB_INSTRUMENTED={int(kind == 'instrumented')}",
            f"-DTICKS_PER_LOOK={ticks_per_look}",
        ]
        warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
        words = [*host_compiler, "-std=c11", "-O1", "-g", "-ffp-contract=off", *warnings]
        words += [*defines, *includes, *map(str, files), *map(str, sources.files)]
        subprocess.run([*words, "-o", str(folder / "firmware")], check=True)
        return HostFirmware(folder / "firmware")

    return made


@dataclass(frozen=True)
class Tiny:
    """What an image for a board is made of."""

    engine: type[TinyEngine] = TinyEngine
    workload: Callable[..., Workload] = tiny_workload
    board: Target = field(default_factory=nucleo_f746)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all images of a session: zig's own library takes its time but once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def link_source(cache: Path, tmp_path: Path) -> Callable[[str, str, Target], Path]:
    """Compiles one file and links it, alone, with the linker script of a target."""

    def linked(compiler_name: str, source: str, target: Target) -> Path:
        compiler = toolchain.find(compiler_name, cache)
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "all.c").write_text(source)
        (folder / "all.ld").write_text(linker.script(target))
        out = folder / "all.elf"
        compiling = (*compiler.compile_flags(target.core), "-c", "all.c", "-o", "all.o")
        linking = (*compiler.link_flags(target.core), "-T", "all.ld", "all.o", "-o", str(out))
        for words in (compiling, linking):
            done = toolchain.run(compiler, words, cwd=folder)
            assert done.returncode == 0, done.stderr
        return out

    return linked
