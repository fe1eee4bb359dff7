"""What static libraries say of themselves: real archives of a real compiler, whole and damaged."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflm_library import CORTEX_M4, RELEASE, TREE, built

from tinybench import archive
from tinybench.errors import SetupError, TinyBenchError, UsageError
from tinybench.target import Core

pytestmark = pytest.mark.needs("arm-none-eabi-g++")

M0 = Core(name="cortex-m0plus")
M3 = Core(name="cortex-m3")
M4 = Core(name="cortex-m4", fpu="single", dsp=True)
M4_SOFT = Core(name="cortex-m4", dsp=True)
M7 = Core(name="cortex-m7", fpu="single", dsp=True)
M7_DOUBLE = Core(name="cortex-m7", fpu="double", dsp=True)
M33 = Core(name="cortex-m33", fpu="single", dsp=True)
M33_PLAIN = Core(name="cortex-m33", fpu="single")
M55 = Core(name="cortex-m55", fpu="double", dsp=True)

THUMB = "-mthumb"
BUILDS = {
    "m0": ("-mcpu=cortex-m0plus", THUMB, *RELEASE),
    "m3": ("-mcpu=cortex-m3", THUMB, *RELEASE),
    "m4": (*CORTEX_M4, *RELEASE),
    "m4 soft": ("-mcpu=cortex-m4", THUMB, "-mfloat-abi=soft", *RELEASE),
    "m7 double": ("-mcpu=cortex-m7", THUMB, "-mfpu=fpv5-d16", "-mfloat-abi=hard", *RELEASE),
    "m7 single": ("-mcpu=cortex-m7", THUMB, "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard", *RELEASE),
    "m33": ("-mcpu=cortex-m33", THUMB, "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard", *RELEASE),
    "m33 plain": ("-mcpu=cortex-m33+nodsp", THUMB, "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard", *RELEASE),
    "m55": ("-mcpu=cortex-m55", THUMB, "-mfloat-abi=hard", *RELEASE),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The archive of each build, made once."""
    folder = tmp_path_factory.mktemp("archives")
    made = {}

    def of(name):
        if name not in made:
            made[name] = built(folder / name.replace(" ", "-"), *BUILDS[name])
        return made[name]

    return of


@pytest.mark.parametrize(
    ("build", "runs", "elsewhere"),
    [
        ("m0", (M0, M3, M4_SOFT), ((M4, "float ABI is soft, and hard"),)),
        ("m3", (M3, M4_SOFT), ((M0, "Armv7-M"), (M4, "float ABI"))),
        ("m4", (M4, M7, M7_DOUBLE, M33), ((M3, "Armv7E-M"), (M4_SOFT, "float ABI is hard, and soft"))),
        ("m4", (), ((M33_PLAIN, "the DSP extension"),)),
        ("m4 soft", (M4_SOFT,), ((M0, "Armv7E-M"), (M4, "float ABI is soft"))),
        ("m7 double", (M7_DOUBLE,), ((M7, "double-precision"), (M4, "the core lacks"))),
        ("m7 single", (M7, M7_DOUBLE, M33), ((M4, "the core lacks"),)),
        ("m33", (M33, M55), ((M33_PLAIN, "the DSP extension"), (M7, "Armv8-M Mainline"))),
        ("m33 plain", (M33, M33_PLAIN, M55), ((M4, "Armv8-M Mainline"),)),
        ("m55", (M55,), ((M33, "Armv8.1-M Mainline"),)),
    ],
)
def test_a_library_runs_on_the_cores_that_have_what_it_uses(library, build, runs, elsewhere):
    traits = archive.examine(library(build))
    assert [archive.unfit(traits, core) for core in runs] == [None] * len(runs)
    for core, reason in elsewhere:
        assert reason in (archive.unfit(traits, core) or "")


def test_traits_are_those_of_the_compiler_and_its_flags(library, tmp_path):
    traits = archive.examine(library("m4"))
    assert (traits.members, traits.float_abi, traits.double_precision) == (1, "hard", False)
    assert traits.goals == {"O2+": 1}
    said = subprocess.run(
        ["arm-none-eabi-gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    )
    assert traits.compilers == (f"gcc-{said.stdout.strip()}",)
    small = archive.examine(built(tmp_path / "small", *CORTEX_M4, "-Os", "-DNDEBUG"))
    slow = archive.examine(built(tmp_path / "slow", *CORTEX_M4, "-O0", "-DNDEBUG"))
    assert (small.goals, slow.goals) == ({"Os": 1}, {"O0": 1})


def test_asserts_are_seen_whatever_the_optimisation(tmp_path):
    for number, level in enumerate(("-O0", "-Os", "-O2", "-O3")):
        assert archive.examine(built(tmp_path / f"{number}a", *CORTEX_M4, level)).asserts
        assert not archive.examine(built(tmp_path / f"{number}b", *CORTEX_M4, level, "-DNDEBUG")).asserts


def test_one_object_with_the_other_float_abi_is_named(library, tmp_path):
    other = tmp_path / "odd.cc"
    other.write_text("int odd(int value) { return value; }")
    subprocess.run(
        ["arm-none-eabi-g++", "-mcpu=cortex-m4", THUMB, "-c", other, "-o", tmp_path / "odd.o"], check=True
    )
    mixed = tmp_path / "mixed.a"
    mixed.write_bytes(library("m4").read_bytes())
    subprocess.run(["arm-none-eabi-ar", "-rs", mixed, tmp_path / "odd.o"], check=True, capture_output=True)
    with pytest.raises(UsageError, match=r"`odd.o` passes floats in core registers"):
        archive.examine(mixed)


def test_objects_of_this_computer_are_not_for_arm(tmp_path):
    compiler = pytest.importorskip("shutil").which("gcc")
    if compiler is None:
        pytest.skip("needs `gcc`, which is not installed")
    source = tmp_path / "host.c"
    source.write_text("int nothing;")
    subprocess.run([compiler, "-c", source, "-o", tmp_path / "host.o"], check=True)
    subprocess.run(["arm-none-eabi-ar", "-rcs", tmp_path / "host.a", tmp_path / "host.o"], check=True)
    with pytest.raises(UsageError, match="is not for Arm"):
        archive.examine(tmp_path / "host.a")


def test_a_thin_archive_only_names_its_objects(library, tmp_path):
    thin = tmp_path / "thin.a"
    objects = library("m4").with_name("stand_in.o")
    subprocess.run(["arm-none-eabi-ar", "-rcsT", thin, objects], check=True, capture_output=True)
    with pytest.raises(UsageError, match="thin archive"):
        archive.examine(thin)


def test_what_is_no_archive_is_refused(tmp_path):
    for name, data in (("elf", TREE.joinpath("stand_in.cc").read_bytes()), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="no static library"):
            archive.examine(tmp_path / name)
    (tmp_path / "hollow").write_bytes(b"!<arch>\n")
    with pytest.raises(UsageError, match="holds no objects"):
        archive.examine(tmp_path / "hollow")
    with pytest.raises(SetupError, match="cannot read"):
        archive.examine(tmp_path / "missing")


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(library, tmp_path, data):
    whole = bytearray(library("m4").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    damaged = tmp_path / "damaged.a"
    damaged.write_bytes(bytes(whole[:end]))
    try:
        traits = archive.examine(damaged)
    except TinyBenchError:
        return
    assert traits.members > 0
