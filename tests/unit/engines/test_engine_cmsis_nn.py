"""cmsis-nn: whose kernels run, where their sources come from, and that they equal the judge to the bit."""

# ruff: noqa: PLR0917 - fixtures and parameters

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace

import pytest

from tinybench import toolchain
from tinybench.build import build
from tinybench.codegen import cmsis_nn_sources
from tinybench.codegen.cmsis_nn_sources import BAKENN, find
from tinybench.engine_options import applied, identifying
from tinybench.engines.cmsis_nn import CmsisNnEngine
from tinybench.errors import ModelError, ProtocolError, SetupError, UsageError, WrongDigest
from tinybench.testing import check_engine

from .conftest import CACHE

pytestmark = pytest.mark.needs("python:unicorn", "python:ziglang")


@pytest.fixture(scope="module")
def engine():
    """As it is found, but without a checkout that the tester's own environment may name."""
    return CmsisNnEngine(environ={"TINYBENCH_CACHE_DIR": str(CACHE)})


@pytest.fixture
def checkout(engine, tmp_path):
    """The release as a folder that somebody might have checked out."""
    found = find(engine.environ, CACHE)
    root = tmp_path / "CMSIS-NN"
    for path in (*found.files, *(file for folder in found.include_dirs for file in folder.iterdir())):
        inner = path.relative_to(path.parents[2]) if "Source" in path.parts else f"Include/{path.name}"
        (root / inner).parent.mkdir(parents=True, exist_ok=True)
        (root / inner).write_bytes(path.read_bytes())
    return root


def test_it_is_found_and_keeps_the_contract(catalogue, engine, workload_of, board, make, adapter):
    assert catalogue.engine("cmsis-nn").name == engine.name
    check_engine(engine, workload_of("kws01"), board, build=make, adapter=adapter)


@pytest.mark.parametrize("task", ["vww01", "kws01", "ic01", "ad01"])
def test_the_tasks_are_equal_to_the_bit(task, engine, workload_of, on_board):
    workload = workload_of(task)
    with on_board(engine, workload) as run:
        assert [run(golden.data) for golden in workload.goldens] == [g.output for g in workload.goldens]


def test_odd_shapes_are_equal_to_the_bit(odd_shapes, engine, on_board, judged, inputs):
    tensors = inputs(odd_shapes.model, 6)
    with on_board(engine, odd_shapes) as run:
        answers = [run(tensor) for tensor in tensors]
    assert answers == judged(odd_shapes, tensors)
    assert len(set(answers)) > 1


@pytest.mark.parametrize(
    "compiler",
    [
        pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")),
        pytest.param("zig", marks=pytest.mark.needs("python:ziglang")),
    ],
)
def test_both_compilers_build_it(compiler, engine, workload_of, board):
    found = toolchain.find(compiler, CACHE)
    image = build(workload_of("kws01"), engine, board, "clean", compiler=found, cache=CACHE)
    assert image.engine_version == "4.0.0(git-ca5dc34313be); RESHAPE, SOFTMAX by reference 2"
    assert image.arena is not None
    assert any(buffer.name.startswith("scratch of operator") for buffer in image.arena.buffers)


@dataclass(frozen=True)
class Stingy:
    """The engine with less scratch memory promised to the kernels than they ask for."""

    engine: CmsisNnEngine
    name: str = "stingy"
    exactness: str = "exact"

    def generate(self, workload, target, into):
        sources = self.engine.generate(workload, target, into)
        text = (into / "model.c").read_text()
        changed = re.sub(r"(_get_buffer_size\(.*\)) <= [1-9]\d*", r"\1 <= 1", text)
        assert changed != text
        (into / "model.c").write_text(changed)
        return sources


def test_kernels_that_ask_for_more_memory_than_was_planned_are_not_run(engine, chain, on_board, inputs):
    with on_board(Stingy(engine), chain) as run, pytest.raises(ProtocolError, match="Arena too small"):
        run(inputs(chain.model, 0)[0])


@pytest.mark.parametrize(("core", "reason"), [("host", "for Arm cores"), ("cortex-m55", "MVE")])
def test_cores_it_is_not_for_are_refused(core, reason, engine, chain, board, tmp_path):
    other = board.model_copy(update={"core": board.core.model_copy(update={"name": core})})
    said = engine.refuses(chain, other)
    assert said is not None
    assert reason in said
    assert "`nucleo-f746`" in said
    with pytest.raises(ModelError, match=reason):
        engine.generate(chain, other, tmp_path / "c")


def test_a_checkout_is_used_and_named_in_the_record(checkout, chain, board, tmp_path):
    subprocess.run(["git", "init", "-q", checkout], check=True)
    words = ["git", "-C", checkout, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q"]
    subprocess.run([*words, "--allow-empty", "-m", "a release"], check=True)
    engine = CmsisNnEngine(environ={"CMSIS_NN_PATH": str(checkout), "TINYBENCH_CACHE_DIR": str(CACHE)})
    sources = engine.generate(chain, board, tmp_path / "c")
    head = subprocess.run(
        ["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert sources.version.startswith(f"git-{head.stdout[:12]}(sources-")
    assert any(file.is_relative_to(checkout) for file in sources.files)
    changed = checkout / "Source/FullyConnectedFunctions/arm_fully_connected_s8.c"
    changed.write_text(changed.read_text() + "\n")
    assert engine.generate(chain, board, tmp_path / "d").version != sources.version


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no `Include/arm_nnfunctions.h`"):
        find({"CMSIS_NN_PATH": str(tmp_path)}, tmp_path)


def test_a_checkout_that_needs_another_package_says_so(checkout, tmp_path):
    (checkout / "Include/cmsis_compiler.h").unlink()
    with pytest.raises(SetupError, match="needs CMSIS-Core"):
        find({"CMSIS_NN_PATH": str(checkout)}, tmp_path)


def test_a_wheel_of_another_digest_is_not_believed(tmp_path):
    with pytest.raises(WrongDigest, match=rf"has sha256 `{BAKENN.sha256}`, not {'0' * 64}"):
        find({}, tmp_path, wheel=replace(BAKENN, sha256="0" * 64))
    assert list((tmp_path / "cmsis-nn").iterdir()) == []


def test_a_wheel_that_cannot_be_had_names_the_way_out(tmp_path):
    with pytest.raises(SetupError, match="cannot be had") as refused:
        find({}, tmp_path, wheel=replace(BAKENN, version="999.0"))
    assert refused.value.hint is not None
    assert "CMSIS_NN_PATH" in refused.value.hint


def test_a_damaged_cache_is_mended(tmp_path):
    found = find({}, tmp_path)
    sound = found.files[0].read_bytes()
    found.files[0].write_bytes(sound + b"\nint damaged;")
    assert find({}, tmp_path).files[0].read_bytes() == sound


def test_nothing_of_the_wheel_is_importable(tmp_path):
    found = find({}, tmp_path)
    assert not list((tmp_path / "cmsis-nn").rglob("*.py"))
    assert all(file.suffix == ".c" for file in found.files)
    assert cmsis_nn_sources.VARIABLE == "CMSIS_NN_PATH"


def test_an_operator_without_a_kernel_of_arms_runs_in_ours(engine, workload_of, board, tmp_path):
    sources = engine.generate(workload_of("ic01"), board, tmp_path)
    assert sources.version.endswith("; ADD, RESHAPE, SOFTMAX by reference 2")


def test_an_option_names_a_checkout_and_wins_over_the_environment(catalogue, checkout, tmp_path):
    given = applied(catalogue, [f"cmsis-nn.path={checkout}"]).engine("cmsis-nn")
    assert given.options.path == checkout
    assert identifying(given) == {}, "where it lies is no part of the question"
    found = find({"CMSIS_NN_PATH": str(tmp_path)}, CACHE, option=given.options.path)
    assert found.version.startswith("checkout(sources-")
    with pytest.raises(UsageError, match=r"`cmsis-nn\.path` names"):
        find({}, CACHE, option=tmp_path)
