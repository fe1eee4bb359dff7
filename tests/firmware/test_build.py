"""From sources to an image: the same bytes every time, kept, and refused with the compiler's own words."""

from __future__ import annotations

import dataclasses
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinybench import toolchain
from tinybench.build import build
from tinybench.errors import BuildError, DoesNotFit

COMPILERS = [
    pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")),
    pytest.param("zig", marks=pytest.mark.needs("python:ziglang")),
]


@pytest.fixture(params=COMPILERS)
def compiler(request, cache):
    return toolchain.find(request.param, cache)


@pytest.fixture
def built(tiny, cache, compiler):
    """Builds the tiny image with some of it replaced."""

    def made(*, engine=None, kind="clean", into=cache, by=compiler, board=tiny.board):
        workload = tiny.workload()
        return build(workload, engine or tiny.engine(), board, kind, compiler=by, cache=into)

    return made


def arrays(*, weights: int = 4, data: int = 4, arena: int = 4) -> str:
    """A file that occupies so much memory, and a constructor that keeps the linker from dropping it."""
    return f"""
#include <stdint.h>
__attribute__((section(".tb_weights"))) const int8_t big_weights[{weights}] = {{1}};
__attribute__((section(".tb_arena"))) int8_t big_arena[{arena}];
int8_t big_data[{data}] = {{2}};
const volatile void *volatile kept[3];
__attribute__((constructor)) static void keep(void) {{
    kept[0] = big_weights; kept[1] = big_arena; kept[2] = big_data;
}}
"""


def test_an_image_says_how_it_was_made(built, compiler, tiny) -> None:
    image = built()
    assert image.kind == "clean"
    assert image.operators == ("orders", "increment")
    assert (image.toolchain.name, image.toolchain.version) == (compiler.name, compiler.version)
    assert "-O2" in image.toolchain.compile_flags
    assert image.memory.arena_reserved_bytes == 10
    assert image.memory.stack_reserved_bytes == tiny.board.firmware.stack_bytes
    assert len(image.build_id) == 40


def test_the_two_kinds_are_two_images(built) -> None:
    clean, instrumented = built(), built(kind="instrumented")
    assert clean.build_id != instrumented.build_id
    assert "-DTB_INSTRUMENTED=1" in instrumented.toolchain.compile_flags


def test_the_same_inputs_give_the_same_bytes_in_another_place(built, compiler, tmp_path) -> None:
    first = built(into=tmp_path / "one")
    second = built(into=tmp_path / "quite" / "another")
    assert first.elf != second.elf
    assert first.elf.read_bytes() == second.elf.read_bytes()
    assert str(tmp_path).encode() not in first.elf.read_bytes()


def test_a_second_build_calls_no_compiler(built, compiler) -> None:
    first = built()
    broken = dataclasses.replace(compiler, command=("/nonexistent",))
    assert built(by=broken) == first


def test_anything_that_matters_makes_another_image(built, tiny, compiler) -> None:
    first = built()
    slower = tiny.board.model_copy(update={"clock_hz": 108_000_000})
    with pytest.raises(BuildError) as caught:  # the board's own file insists on its clock
        built(board=slower)
    assert any("the clock is the one that the target promises" in note for note in caught.value.__notes__)
    assert built(engine=tiny.engine(flags=("-Os",))).build_id != first.build_id
    assert built(engine=tiny.engine(extra=arrays())).build_id != first.build_id


def test_what_does_not_compile_is_refused_with_the_compilers_words(built, tiny) -> None:
    with pytest.raises(BuildError, match=r"`extra.c` does not compile") as caught:
        built(engine=tiny.engine(extra="int oops(void) { return undeclared_thing; }"))
    assert any("undeclared_thing" in note for note in caught.value.__notes__)
    assert caught.value.exit_code == 6
    log = Path(caught.value.hint.split("`")[1])
    assert "undeclared_thing" in log.read_text()


def test_what_does_not_link_is_refused_with_the_linkers_words(built, tiny) -> None:
    source = "int missing(void); __attribute__((constructor)) static void f(void) { (void)missing(); }"
    with pytest.raises(BuildError, match="does not link") as caught:
        built(engine=tiny.engine(extra=source))
    assert any("missing" in note for note in caught.value.__notes__)


OVERFLOWS = [
    ({"weights": 1_200_000}, "flash", 1_048_576, "big_weights"),
    ({"arena": 300_000}, "sram", 262_144, "big_arena"),
    ({"data": 270_000}, "sram", 262_144, "big_data"),
]


@pytest.mark.parametrize("overflow", OVERFLOWS, ids=["flash", "arena", "data"])
def test_what_does_not_fit_names_region_needed_available_and_the_largest_symbols(
    built, tiny, overflow
) -> None:
    sizes, region, available, largest = overflow
    needed_least = sum(sizes.values())
    with pytest.raises(DoesNotFit) as caught:
        built(engine=tiny.engine(extra=arrays(**sizes)))
    message = caught.value.message
    assert f"region `{region}`" in message
    assert f"{available:,} bytes" in message
    needed = int(message.split(" and ")[1].split()[0].replace(",", ""))
    assert needed_least < needed < needed_least + 40_000
    assert largest in caught.value.__notes__[0]
    assert len(caught.value.__notes__) == 5
    assert not any(" stack" in note for note in caught.value.__notes__), "it lies in another region"


def test_builders_of_the_same_image_do_not_disturb_each_other(built, tmp_path) -> None:
    with ThreadPoolExecutor(3) as pool:
        images = [future.result() for future in [pool.submit(built, into=tmp_path) for _ in range(3)]]
    assert len({image.elf for image in images}) == 1
    assert sorted(path.name for path in images[0].elf.parent.iterdir()) == [
        "image.elf",
        "image.json",
        "image.ld",
    ]
    assert [path for path in (tmp_path / "images").iterdir() if path.name.startswith("build-")] == []


def test_what_a_killed_build_left_behind_is_no_image(built, tmp_path) -> None:
    (tmp_path / "images" / "build-left-behind" / "objects").mkdir(parents=True)
    (tmp_path / "images" / "build-left-behind" / "image.elf").write_bytes(b"half")
    assert built(into=tmp_path).elf.read_bytes().startswith(b"\x7fELF")


@pytest.mark.needs("arm-none-eabi-gcc", "llvm-size", "arm-none-eabi-size")
def test_both_sizes_agree_on_the_firmware_itself(built) -> None:
    image = built()
    for tool in ("arm-none-eabi-size", "llvm-size"):
        said = subprocess.run([tool, image.elf], capture_output=True, text=True, check=True).stdout
        text, data = map(int, said.splitlines()[1].split()[:2])
        assert image.flash_bytes == text + data
