"""Finds a compiler for the target (gcc, or the clang inside the `ziglang` wheel) and knows its flags."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from tinybench.errors import SetupError
from tinybench.target import Core

GCC = "arm-none-eabi-gcc"
GXX = "arm-none-eabi-g++"

Language = Literal["c", "c++"]

# C++ without what would bring a heap, an unwinder or atexit into an image.
_STANDARD: Mapping[Language, tuple[str, ...]] = MappingProxyType(
    {
        "c": ("-std=c11",),
        "c++": (
            "-std=c++17",
            "-fno-exceptions",
            "-fno-rtti",
            "-fno-threadsafe-statics",
            "-fno-use-cxa-atexit",
        ),
    }
)
_DIALECT = (
    "-O2",
    "-g",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-ffp-contract=off",  # or clang fuses a * b + c, GCC does not, and their floats differ
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
)
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")

_LINK = ("-Wl,--gc-sections", "-Wl,--build-id=sha1", "-Wl,-e,tb_reset")

# Floating-point units by core and precision: names of GCC's -mfpu and of LLVM's subtarget features
# (ARMFeatures: fpv4 = VFPv4 with 16 registers, fpv5 = "fp_armv8d16"; "sp" is single precision only).
_FPU = MappingProxyType(
    {
        ("cortex-m4", "single"): ("fpv4-sp-d16", "vfp4d16sp"),
        ("cortex-m7", "single"): ("fpv5-sp-d16", "fp_armv8d16sp"),
        ("cortex-m7", "double"): ("fpv5-d16", "fp_armv8d16"),
        ("cortex-m33", "single"): ("fpv5-sp-d16", "fp_armv8d16sp"),
        ("cortex-m55", "double"): ("auto", "mve_fp+fp_armv8d16"),
    }
)


@dataclass(frozen=True)
class Compiler:
    """A compiler that was found: how to call it, and its version as it states it."""

    name: Literal["gcc", "zig"]
    command: tuple[str, ...]
    version: str
    environment: Mapping[str, str]

    def compile_flags(self, core: Core, language: Language = "c") -> tuple[str, ...]:
        """Flags for one file of an image, warnings apart.

        Raises SetupError if this compiler does not make C++ for bare cores.
        """
        if language == "c++":
            self._need_cxx()
        return (*self._machine(core, linking=False), *_STANDARD[language], *_DIALECT)

    def link_flags(self, core: Core) -> tuple[str, ...]:
        """Flags for linking an image, the script apart."""
        machine = self._machine(core, linking=True)
        return (*machine, *_LINK, *(("-nostartfiles", "--specs=nano.specs") if self.name == "gcc" else ()))

    def libraries(self, flags: Sequence[str]) -> tuple[str, ...]:
        """Link flags of an engine's; zig has no libm to ask for: its runtime library holds what there is."""
        return tuple(flag for flag in flags if self.name == "gcc" or flag != "-lm")

    def _need_cxx(self) -> None:
        if self.name == "zig":
            raise SetupError(
                "zig brings no C++ library for bare Cortex-M cores, and this engine is C++",
                hint=f"install `{GXX}` (Debian: gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib), "
                "and use --toolchain gcc",
            )
        if shutil.which(GXX) is None:
            raise SetupError(
                f"`{GXX}` is not on the PATH, and this engine is C++",
                hint="install it beside gcc (Debian: gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib)",
            )

    def _machine(self, core: Core, *, linking: bool) -> tuple[str, ...]:
        gcc_fpu, llvm_fpu = _FPU.get((core.name, core.fpu), ("", ""))
        if core.fpu != "none" and not gcc_fpu:
            raise SetupError(f"no compiler flags are known for a {core.fpu}-precision FPU on `{core.name}`")
        if self.name == "gcc":
            cpu = core.name if core.name != "cortex-m33" or core.dsp else "cortex-m33+nodsp"
            floats = (f"-mfpu={gcc_fpu}", "-mfloat-abi=hard") if gcc_fpu else ("-mfloat-abi=soft",)
            return (f"-mcpu={cpu}", "-mthumb", *floats)
        features = [core.name.replace("-", "_")]
        features += ["dsp"] if core.name == "cortex-m33" and core.dsp else []
        features += [llvm_fpu] if llvm_fpu else []
        abi = "eabihf" if llvm_fpu else "eabi"
        # Objects are compiled as for musl, whose headers the wheel carries and whose hosted mode lets memcpy
        # be inlined: freestanding targets imply -fno-builtin, at up to five times the instructions.
        system = f"thumb-freestanding-{abi}" if linking else f"thumb-linux-musl{abi}"
        position = () if linking else ("-fno-pic", "-fno-sanitize=undefined")
        return ("-target", system, f"-mcpu={'+'.join(features)}", *position)


def find(force: str | None, cache: Path) -> Compiler:
    """Take gcc if it is on the PATH, else zig; `force` names the one to use (`gcc` or `zig`).

    Raises SetupError if it is not there, with the line that installs it.
    """
    if force in (None, "gcc"):
        path = shutil.which(GCC)
        if path is not None:
            return Compiler("gcc", (path,), _version((path, "-dumpfullversion")), MappingProxyType({}))
        if force == "gcc":
            raise SetupError(
                f"`{GCC}` is not on the PATH", hint="install gcc-arm-none-eabi, or use --toolchain zig"
            )
    if importlib.util.find_spec("ziglang") is None:
        raise SetupError(
            f"no compiler for Cortex-M: neither `{GCC}` nor the `ziglang` package is there",
            hint=f"{Path(sys.executable).name} -m pip install ziglang",
        )
    command = (sys.executable, "-m", "ziglang", "cc")
    # Its own compiled libraries are kept with our images, not in the home directory.
    environment = {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"), "ZIG_LOCAL_CACHE_DIR": str(cache / "zig")}
    version = _version((sys.executable, "-m", "ziglang", "version"))
    return Compiler("zig", command, version, MappingProxyType(environment))


def run(
    compiler: Compiler, words: tuple[str, ...], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Call the compiler; its exit code and what it said are the caller's to judge."""
    return subprocess.run(
        [*compiler.command, *words],
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", **compiler.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@functools.lru_cache
def _version(command: tuple[str, ...]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"`{' '.join(command)}` does not run: {error}") from error
