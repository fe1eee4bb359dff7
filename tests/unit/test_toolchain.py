"""Compilers: found, forced, missing, and the flags that a core needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinybench import toolchain
from tinybench.errors import SetupError
from tinybench.target import Core

# What each core must define (Arm C Language Extensions): FPU precision bits, SIMD of the DSP extension.
CORES = [
    (Core(name="cortex-m0plus"), {"__ARM_ARCH_6M__": "1"}, {"__ARM_FP", "__ARM_FEATURE_DSP"}),
    (Core(name="cortex-m3"), {"__ARM_ARCH_7M__": "1"}, {"__ARM_FP", "__ARM_FEATURE_DSP"}),
    (Core(name="cortex-m4", fpu="single", dsp=True), {"__ARM_FEATURE_DSP": "1"}, set()),
    (Core(name="cortex-m7", fpu="single", dsp=True), {"__ARM_FEATURE_DSP": "1"}, set()),
    (Core(name="cortex-m7", fpu="double", dsp=True), {"__ARM_FEATURE_DSP": "1"}, set()),
    (Core(name="cortex-m33", fpu="single", dsp=True), {"__ARM_FEATURE_DSP": "1"}, set()),
]
FP_BITS = {"none": None, "single": 0x4, "double": 0xC}


@pytest.mark.parametrize("name", [pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")), "zig"])
@pytest.mark.parametrize(("core", "defined", "absent"), CORES, ids=lambda v: getattr(v, "name", ""))
def test_the_compiler_makes_code_for_this_core_and_no_other(
    tmp_path: Path, name: str, core: Core, defined: dict[str, str], absent: set[str]
) -> None:
    pytest.importorskip("ziglang") if name == "zig" else None
    compiler = toolchain.find(name, tmp_path)
    source = tmp_path / "empty.c"
    source.touch()
    done = toolchain.run(compiler, (*compiler.compile_flags(core), "-dM", "-E", str(source)))
    assert done.returncode == 0, done.stderr
    macros = dict(line.split(maxsplit=2)[1:] for line in done.stdout.splitlines() if len(line.split()) > 2)
    assert defined.items() <= macros.items()
    assert not absent & macros.keys()
    bits = FP_BITS[core.fpu]
    assert bits is None or int(macros["__ARM_FP"], 0) & 0xC == bits
    assert ("__ARM_PCS_VFP" in macros) == (core.fpu != "none")


def test_an_unknown_name_is_not_found_and_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="not on the PATH") as raised:
        toolchain.find("gcc", tmp_path)
    assert "--toolchain zig" in (raised.value.hint or "")
    assert toolchain.find(None, tmp_path).name == "zig"


def test_an_fpu_that_the_core_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="double-precision FPU on `cortex-m4`"):
        toolchain.find(None, tmp_path).compile_flags(Core(name="cortex-m4", fpu="double"))
