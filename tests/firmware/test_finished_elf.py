"""Finished ELFs of somebody else: held against their target first, then measured as they are."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs
import pytest

from tinybench import elf, flashed, toolchain
from tinybench.bench import Bench, Failed, Recorded
from tinybench.engine_options import applied
from tinybench.engines import reference
from tinybench.engines.elf import ElfOptions
from tinybench.errors import BuildError, DoesNotFit, UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.finished_elf import examine
from tinybench.models import oracle
from tinybench.models.loading import load
from tinybench.plan import Selection, plan
from tinybench.plugins import discover
from tinybench.records import Run
from tinybench.testing import check_engine

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang", "python:tflite_micro")

CACHE = platformdirs.user_cache_path("tinybench")
FOREIGN = Path(__file__).parent / "foreign"
PLAIN = ElfOptions()


@dataclass
class Memory:
    """A store in a list."""

    runs: list[Run] = field(default_factory=list)

    def append(self, run: Run) -> None:
        self.runs.append(run)


@pytest.fixture(scope="module")
def catalogue():
    return discover()


@pytest.fixture(scope="module")
def fetcher():
    return Fetcher(Places(CACHE, offline=True))


@pytest.fixture(scope="module")
def kws(catalogue, fetcher):
    return load(catalogue.workload("kws01-mltk"), fetcher, oracle.installed(CACHE))


@pytest.fixture(scope="module")
def nucleo(catalogue):
    return catalogue.target("nucleo-f746")


@pytest.fixture(scope="module")
def boxed(kws, nucleo, tmp_path_factory):
    """Builds the foreign firmware around the model, with its own start-up and linker script."""
    compiler = toolchain.find(None, CACHE)

    def build(*more: str, model: str = "kws01-mltk", wrong: int = 0, script: str | None = None) -> Path:
        folder = tmp_path_factory.mktemp("box")
        sources = reference.generate(kws.model, folder / "generated")
        flags = (*compiler.compile_flags(nucleo.core), f'-DMODEL="{model}"', f"-DWRONG={wrong}", *more)
        flags += tuple(f"-D{name}={value}" for name, value in sources.defines.items())
        includes = tuple(f"-I{path}" for path in sources.include_dirs)
        objects = []
        for number, path in enumerate((FOREIGN / "foreign.c", *sources.files)):
            objects.append(str(folder / f"{number}.o"))
            done = toolchain.run(
                compiler, (*flags, *includes, "-c", str(path), "-o", objects[-1]), cwd=folder
            )
            assert done.returncode == 0, done.stderr
        rules = folder / "foreign.ld"
        rules.write_text(script or (FOREIGN / "foreign.ld").read_text())
        linking = [flag for flag in compiler.link_flags(nucleo.core) if flag != "-Wl,-e,tb_reset"]
        out = folder / "box.elf"
        done = toolchain.run(compiler, (*linking, "-T", str(rules), *objects, "-o", str(out)), cwd=folder)
        assert done.returncode == 0, done.stderr
        return out

    return build


@pytest.fixture(scope="module")
def box(boxed):
    return boxed()


def measured(catalogue, fetcher, *words: str, options: tuple[str, ...] = (), **more) -> list[Run]:
    chosen = Selection(
        workloads=("kws01-mltk",), engines=words, devices=("nucleo-f746",), simulate=True, **more
    )
    made = plan(chosen, applied(catalogue, options), fetcher, oracle.installed(CACHE))
    assert not made.cases
    store = Memory()
    events = list(flashed.run(made.flashed, Bench(build=None, store=store)))
    assert [type(event) for event in events][-1] in (Recorded, Failed)
    return store.runs


def test_it_is_measured_as_it_is(catalogue, fetcher, box, kws):
    (run,) = measured(catalogue, fetcher, f"elf:{box}", options=("elf.name=closed-box", "elf.version=7.3"))
    assert run.failure is None, run.failure
    assert run.case.engine == "elf:closed-box"
    assert run.case.target == "nucleo-f746"
    assert run.provenance.engine_version.startswith("7.3 (sha256-")
    assert run.provenance.toolchain is None
    assert [check.compared for check in run.golden] == ["printed"] * len(kws.goldens)
    found = {m.metric: m for m in run.measurements}
    counted = elf.footprint(box, ())
    assert found["flash"].samples == (counted.flash_bytes,)
    assert len(found["instructions"].samples) == len(kws.goldens)
    assert found["instructions"].kind == "counted"
    assert 9_000_000 < found["instructions"].samples[0] < 12_000_000, "the reference engine's, and a copy"
    assert "latency" not in found
    assert run.conditions.core == "cortex-m7"
    assert run.conditions.clock_hz is None
    assert run.provenance.unit == "closed box"
    again = measured(catalogue, fetcher, f"elf:{box}")[0]
    assert again.measurement("instructions").samples == found["instructions"].samples
    assert again.case.engine == "elf:box", "without a name it has the file's"


def test_wrong_answers_get_no_numbers(catalogue, fetcher, boxed):
    (run,) = measured(catalogue, fetcher, f"elf:{boxed(wrong=1)}")
    assert run.failure.error == "WrongAnswer"
    assert run.failure.exit_code == 3
    assert run.measurements == ()


def test_firmware_of_another_model_is_named(catalogue, fetcher, boxed):
    (run,) = measured(catalogue, fetcher, f"elf:{boxed(model='vww01')}")
    assert run.failure.error == "WrongBoard"
    assert "`vww01`, not `kws01-mltk`" in run.failure.message


def test_where_no_function_is_one_inference_nothing_is_counted(catalogue, fetcher, box, tmp_path):
    strip = shutil.which("arm-none-eabi-strip")
    if strip is None:
        pytest.skip("needs `arm-none-eabi-strip`, which is not installed")
    bare = tmp_path / "bare.elf"
    subprocess.run([strip, "-s", "-o", str(bare), str(box)], check=True)
    (run,) = measured(catalogue, fetcher, f"elf:{bare}")
    assert run.failure is None
    assert run.measurement("instructions") is None
    assert any("its instructions cannot be counted" in note for note in run.provenance.notes)


def test_the_engine_elf_refuses_as_the_contract_asks(catalogue, kws, nucleo):
    check_engine(catalogue.engine("elf"), kws, nucleo, build=None, adapter=None)
    assert "--engine elf:path/to/firmware.elf" in catalogue.engine("elf").refuses(kws, nucleo)


def test_the_user_may_name_the_function(box, nucleo):
    assert examine(box, nucleo, PLAIN).image.invoke == "th_infer"
    assert examine(box, nucleo, ElfOptions(infer="tb_engine_invoke")).image.invoke == "tb_engine_invoke"
    with pytest.raises(BuildError, match="no function `infer`"):
        examine(box, nucleo, ElfOptions(infer="infer"))


def test_it_is_held_against_its_target_before_anything_is_loaded(box, catalogue, nucleo, tmp_path):
    with pytest.raises(UsageError, match="names no file"):
        examine(tmp_path / "none.elf", nucleo, PLAIN)
    (tmp_path / "text.elf").write_text("no ELF")
    with pytest.raises(BuildError, match="not an ELF file"):
        examine(tmp_path / "text.elf", nucleo, PLAIN)
    (tmp_path / "x86.elf").write_bytes(Path(shutil.which("true")).read_bytes())
    with pytest.raises(BuildError, match="for another machine: EM_X86_64, 64 bits"):
        examine(tmp_path / "x86.elf", nucleo, PLAIN)
    with pytest.raises(BuildError, match="does not run on the cortex-m0plus of rpi-pico: it is for Armv7E-M"):
        examine(box, catalogue.target("rpi-pico"), PLAIN)
    with pytest.raises((BuildError, DoesNotFit), match=r"floating-point|no flash|no memory"):
        examine(box, catalogue.target("nrf52840-dk"), PLAIN)


def test_bytes_outside_the_targets_memory_are_named(boxed, nucleo):
    text = (FOREIGN / "foreign.ld").read_text()
    with pytest.raises(DoesNotFit, match=r"at `0x08200000`, where .* has no flash"):
        examine(boxed(script=text.replace("0x08000000", "0x08200000")), nucleo, PLAIN)
    with pytest.raises(DoesNotFit, match=r"section `\.bss` of .* has no memory"):
        examine(boxed(script=text.replace("0x20010000", "0x2004D000")), nucleo, PLAIN)
    with pytest.raises(BuildError, match="nothing at `0x08000000`"):
        examine(boxed(script=text.replace("0x08000000", "0x08020000")), nucleo, PLAIN)


def test_an_elf_for_one_of_two_boards_is_a_gap_on_the_other(catalogue, fetcher, box):
    chosen = Selection(
        workloads=("kws01-mltk",),
        engines=("reference", f"elf:{box}"),
        devices=("nucleo-f746", "rpi-pico"),
        simulate=True,
    )
    made = plan(chosen, catalogue, fetcher, oracle.installed(CACHE))
    assert [case.engine.name for case in made.cases] == ["reference"] * 2
    assert [case.loaded.device.target.name for case in made.flashed] == ["nucleo-f746"]
    assert [(gap.target, "Armv7E-M" in gap.reason) for gap in made.gaps] == [("rpi-pico", True)]
    with pytest.raises(BuildError):
        plan(replace(chosen, devices=("rpi-pico",)), catalogue, fetcher, oracle.installed(CACHE))
