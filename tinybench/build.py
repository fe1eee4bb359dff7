"""Engine's C + firmware + linker script -> Image, cached by the digest of everything that matters."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tinybench import elf, linker, toolchain
from tinybench.engine import Engine, Sources
from tinybench.errors import BuildError, DoesNotFit
from tinybench.model import tensor_bytes
from tinybench.models.golden import WIRE_BYTES
from tinybench.records import MemoryMap, Toolchain
from tinybench.target import Image, ImageKind, Region, Target
from tinybench.toolchain import Compiler, Language
from tinybench.workload import Workload

FIRMWARE = Path(__file__).parent / "firmware"

_CACHE_FORMAT = 1  # raise when what is kept beside an image changes
_AMPLE_BYTES = 1 << 28
_SYMBOLS_NAMED = 5
_ERROR_LINES = 8
_PARALLEL = 2
_COMPLAINT = re.compile(r"error|undefined reference|undefined symbol|cannot find|multiple definition")


@dataclass(frozen=True)
class _Unit:
    """One file to compile, with the flags that its owner adds."""

    path: Path
    flags: tuple[str, ...]

    @property
    def language(self) -> Language:
        return "c++" if self.path.suffix == ".cc" else "c"


@dataclass(frozen=True)
class _Recipe:
    """Everything that decides the bytes of an image."""

    target: Target
    compiler: Compiler
    units: tuple[_Unit, ...]
    includes: tuple[Path, ...]
    system_includes: tuple[Path, ...]
    libraries: tuple[Path, ...]
    their_link_flags: tuple[str, ...]
    script: str

    @property
    def languages(self) -> tuple[Language, ...]:
        return tuple(sorted({unit.language for unit in self.units}))

    @property
    def link_flags(self) -> tuple[str, ...]:
        return (*self.compiler.link_flags(self.target.core), *self.their_link_flags)

    def compile_flags(self, root: Path, language: Language) -> tuple[str, ...]:
        """Flags of every unit; paths are mapped so that neither a user's folder nor a scratch one is kept."""
        return (
            *self.compiler.compile_flags(self.target.core, language),
            f"-ffile-prefix-map={root}=image",
            f"-ffile-prefix-map={FIRMWARE}=firmware",
            f"-ffile-prefix-map={self.target.folder}=boards",
        )


def build(
    workload: Workload,
    engine: Engine,
    target: Target,
    kind: ImageKind,
    *,
    compiler: Compiler,
    cache: Path,
) -> Image:
    """The image of this cell, from the cache or newly built; built twice, it has the same bytes.

    Raises BuildError with the compiler's words, DoesNotFit naming region, needed, available and the largest
    symbols. An interrupted or concurrent build never leaves half an image.
    """
    images = cache / "images"
    images.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="build-", dir=images))
    try:
        generated = scratch / "generated"
        generated.mkdir()
        sources = engine.generate(workload, target, generated)
        for name, text in headers(workload, sources, target, kind).items():
            (generated / name).write_text(text, encoding="utf-8")
        recipe = _recipe(sources, generated, target, compiler, kind)
        kept = images / _digest(recipe, generated, sources)
        if not (kept / "image.json").is_file():
            _make(recipe, scratch)
            image = _describe(scratch / "image.elf", target, kind, recipe)
            (scratch / "image.json").write_text(json.dumps(image), encoding="utf-8")
            _keep(scratch, kept)
        return _image(kept, sources)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _recipe(
    sources: Sources, generated: Path, target: Target, compiler: Compiler, kind: ImageKind
) -> _Recipe:
    firmware = sorted((FIRMWARE / "core").glob("*.c"))
    firmware += [FIRMWARE / "port" / name for name in target.firmware.ports]
    firmware += [target.folder / name for name in target.firmware.sources]
    defines = tuple(f"-D{name}={value}" for name, value in sorted(target.firmware.defines.items()))
    theirs = tuple(f"-D{name}={value}" for name, value in sorted(sources.defines.items()))
    instrumented = f"-DTB_INSTRUMENTED={int(kind == 'instrumented')}"
    own = (*toolchain.WARNINGS, *defines, instrumented)
    units = [_Unit(path, own) for path in firmware]
    units += [_Unit(path, (*sources.flags, *theirs, instrumented)) for path in sources.files]
    return _Recipe(
        target=target,
        compiler=compiler,
        units=tuple(units),
        includes=(
            generated,
            FIRMWARE / "include",
            FIRMWARE / "core",
            FIRMWARE / "port",
            *sources.include_dirs,
        ),
        system_includes=sources.system_include_dirs,
        libraries=sources.libraries,
        their_link_flags=compiler.libraries(sources.link_flags),
        script=linker.script(target),
    )


def headers(workload: Workload, sources: Sources, target: Target, kind: ImageKind) -> dict[str, str]:
    """Facts that the firmware needs or reports: `tb_workload.h` and `tb_target.h`, by name."""
    spec = workload.spec
    tensor = workload.model.tensors[workload.model.inputs[0]]
    elements = math.prod(tensor.shape)
    facts: dict[str, str | int] = {
        "TB_ENCODING_INT8": 0,
        "TB_ENCODING_UINT8": 1,
        "TB_ENCODING_FLOAT32": 2,
        "TB_ENCODING_INT16": 3,
        "TB_ENCODING": f"TB_ENCODING_{spec.input.encoding.upper()}",
        "TB_ENCODING_NAME": _text(spec.input.encoding),
        "TB_RESULTS_SCORES": 0,
        "TB_RESULTS_MEAN_SQUARED_ERROR": 1,
        "TB_RESULTS": f"TB_RESULTS_{spec.results.replace('-', '_').upper()}",
        "TB_MODEL_ID": _text(spec.protocol_id),
        "TB_INPUT_ELEMENTS": elements,
        "TB_INPUT_BYTES": elements * WIRE_BYTES[spec.input.encoding],
        "TB_TENSOR_BYTES": tensor_bytes(tensor),
        "TB_QUANTISES": int(spec.input.encoding == "float32" and tensor.dtype == "int8"),
        "TB_OPERATOR_COUNT": len(sources.operators),
    }
    board: dict[str, str | int] = {
        "TB_TARGET_NAME": _text(target.name),
        "TB_TARGET_TITLE": _text(target.title),
        "TB_IMAGE_KIND": _text(kind),
        "TB_CLOCK_HZ": f"{target.clock_hz}u",
        "TB_BAUD": f"{target.serial.baud}u",
        "TB_FASTEST_BAUD": f"{target.serial.fastest_baud}u",
        "TB_STACK_BYTES": f"{target.firmware.stack_bytes}u",
        "TB_WEIGHTS_IN_RAM": int(target.region_for("weights").kind == "ram"),
        **(
            {"TB_FLASH_WAIT_STATES": target.flash_wait_states} if target.flash_wait_states is not None else {}
        ),
    }
    return {
        "tb_workload.h": _header("TB_WORKLOAD_H", facts),
        "tb_target.h": _header("TB_TARGET_H", board),
    }


def _header(guard: str, facts: Mapping[str, str | int]) -> str:
    lines = "".join(f"#define {name} {value}\n" for name, value in facts.items())
    return f"/* Generated for this image. */\n#ifndef {guard}\n#define {guard}\n\n{lines}\n#endif\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=True)


def _digest(recipe: _Recipe, generated: Path, sources: Sources) -> str:
    """SHA-256 over compiler, flags, script, and name and bytes of every file that may be read."""
    whole = hashlib.sha256()
    root = generated.parent
    said = [
        str(_CACHE_FORMAT),
        recipe.compiler.name,
        recipe.compiler.version,
        *(flag for language in recipe.languages for flag in recipe.compile_flags(Path("image"), language)),
        *recipe.link_flags,
        recipe.script,
        *((sources.version,) if recipe.system_includes else ()),
        repr(sources.operators),
        *(flag for unit in recipe.units for flag in (unit.path.name, *unit.flags)),
    ]
    for word in said:
        whole.update(word.encode() + b"\0")
    files = {unit.path for unit in recipe.units} | set(recipe.libraries)
    for folder in recipe.includes:
        files |= {path for path in folder.rglob("*") if path.is_file()}
    for path in sorted(files, key=lambda path: _named(path, root)):
        whole.update(_named(path, root).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:32]


def _named(path: Path, root: Path) -> str:
    """A path without what differs between two builds of the same image."""
    return f"image/{path.relative_to(root)}" if path.is_relative_to(root) else str(path)


def _make(recipe: _Recipe, scratch: Path) -> None:
    objects = scratch / "objects"
    objects.mkdir()
    flags = {language: recipe.compile_flags(scratch, language) for language in recipe.languages}
    includes = tuple(f"-I{folder}" for folder in recipe.includes)
    includes += tuple(word for folder in recipe.system_includes for word in ("-isystem", str(folder)))

    def compiled(numbered: tuple[int, _Unit]) -> Path:
        number, unit = numbered
        out = objects / f"{number:03d}_{unit.path.stem}.o"
        done = toolchain.run(
            recipe.compiler,
            (*flags[unit.language], *unit.flags, *includes, "-c", str(unit.path), "-o", str(out)),
            cwd=scratch,
        )
        if done.returncode:
            raise _refused(f"`{unit.path.name}` does not compile", done.stderr, scratch)
        return out

    with ThreadPoolExecutor(_PARALLEL) as pool:
        made = list(pool.map(compiled, enumerate(recipe.units)))
    _link(recipe, scratch, made, recipe.script, scratch / "image.elf")


def _link(recipe: _Recipe, scratch: Path, objects: Sequence[Path], script: str, out: Path) -> None:
    path = scratch / f"{out.stem}.ld"
    path.write_text(script, encoding="utf-8")
    inputs = tuple(str(item) for item in (*objects, *recipe.libraries))
    words = (
        *recipe.compiler.link_flags(recipe.target.core),
        "-T",
        str(path),
        *inputs,
        *recipe.their_link_flags,
        "-o",
        str(out),
    )
    done = toolchain.run(recipe.compiler, words, cwd=scratch)
    if done.returncode == 0:
        return
    if out.stem == "image" and _overflows(done.stderr):
        raise _does_not_fit(recipe, scratch, objects)
    raise _refused("the image does not link", done.stderr, scratch)


def _overflows(said: str) -> bool:
    """Both linkers' words for a section that is larger than its region."""
    return bool(re.search(r"will not fit in region|overflowed by|unable to place section", said))


def _does_not_fit(recipe: _Recipe, scratch: Path, objects: Sequence[Path]) -> BuildError:
    """Link once more with ample regions, far apart, only to measure, and say what would have been needed."""
    target = recipe.target
    ample = target.model_copy(update={"regions": tuple(_ample(target.regions))})
    out = scratch / "ample.elf"
    _link(recipe, scratch, objects, linker.script(ample), out)
    needed = _needed_bytes(ample, elf.spans(out))
    over = next((region for region in target.regions if needed[region.name] > region.size), None)
    if over is None:
        return BuildError("the linker could not place a section, and every region is large enough")
    memory = elf.footprint(out, ample.regions).memory
    there = {section.name for section in memory.sections if section.region == over.name}
    symbols = (*memory.largest_flash_symbols, *memory.largest_ram_symbols)
    largest = [symbol for symbol in symbols if symbol.section in there]
    error = DoesNotFit(
        f"the image does not fit: region `{over.name}` of {target.title} has {over.size:,} bytes "
        f"and {needed[over.name]:,} are needed",
        hint="choose a smaller model or a larger board: `tinybench list devices`",
    )
    for symbol in largest[:_SYMBOLS_NAMED]:
        error.add_note(f"{symbol.bytes:>11,} B  {symbol.name}")
    return error


def _ample(regions: Sequence[Region]) -> Iterator[Region]:
    for number, region in enumerate(regions, start=1):
        yield region.model_copy(update={"origin": number * _AMPLE_BYTES, "size": _AMPLE_BYTES})


def _needed_bytes(target: Target, spans: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Bytes from each region's origin to its last section's end; .data is stored behind the text."""
    needed = {region.name: 0 for region in target.regions}
    for name, (address, size) in spans.items():
        region = target.region_for(linker.USE_OF_SECTION.get(name, "text"))
        needed[region.name] = max(needed[region.name], address + size - region.origin)
    needed[target.region_for("text").name] += spans.get(".data", (0, 0))[1]
    return needed


def _refused(what: str, said: str, scratch: Path) -> BuildError:
    """The first lines of what the tool said, as notes; all of it is kept beside the images."""
    log = scratch.parent / f"{scratch.name}.log"
    log.write_text(said, encoding="utf-8")
    log = log.replace(scratch.parent / "last-error.log")
    lines = [line for line in said.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if _COMPLAINT.search(line)), 0)
    error = BuildError(what, hint=f"all that was said is in `{log}`")
    for line in lines[first : first + _ERROR_LINES]:
        error.add_note(line)
    return error


def _describe(path: Path, target: Target, kind: ImageKind, recipe: _Recipe) -> dict[str, object]:
    """What is kept beside an image, so that it need not be read again."""
    counted = elf.footprint(path, target.regions)
    flags = [recipe.compiler.compile_flags(target.core, language) for language in recipe.languages]
    flags += [tuple(sorted({f for u in recipe.units for f in u.flags}))]
    made_by = Toolchain(
        name=recipe.compiler.name,
        version=recipe.compiler.version,
        compile_flags=tuple(dict.fromkeys(flag for some in flags for flag in some)),
        link_flags=recipe.link_flags,
    )
    return {
        "build_id": elf.build_id(path),
        "kind": kind,
        "toolchain": made_by.model_dump(mode="json"),
        "flash_bytes": counted.flash_bytes,
        "ram_static_bytes": counted.ram_static_bytes,
        "memory": counted.memory.model_dump(mode="json"),
    }


def _keep(scratch: Path, kept: Path) -> None:
    """Move the finished image into the cache in one step; the first of two builders wins."""
    finished = scratch / "finished"
    finished.mkdir()
    for name in ("image.elf", "image.json", "image.ld"):
        (scratch / name).replace(finished / name)
    try:
        finished.rename(kept)
    except OSError:
        if not (kept / "image.json").is_file():
            raise


def _image(kept: Path, sources: Sources) -> Image:
    said = json.loads((kept / "image.json").read_text(encoding="utf-8"))
    return Image(
        elf=kept / "image.elf",
        build_id=said["build_id"],
        kind=said["kind"],
        toolchain=Toolchain.model_validate(said["toolchain"]),
        flash_bytes=said["flash_bytes"],
        ram_static_bytes=said["ram_static_bytes"],
        memory=MemoryMap.model_validate(said["memory"]),
        operators=sources.operators,
        engine_version=sources.version,
        arena=sources.arena,
    )
