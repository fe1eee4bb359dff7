"""ELFs that somebody else has finished: held against their target before anything is loaded, then joined.

Such firmware speaks the MLPerf Tiny protocol and is otherwise a closed box. Its bytes are counted from the
file; what it was made of, the user says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinybench import archive, elf
from tinybench.engines.elf import SCHEME, ElfOptions
from tinybench.errors import BuildError, DoesNotFit, UsageError
from tinybench.target import Adapter, ChangesBaud, Device, Flashed, Image, Joined, Region, Target

# The function that is one inference: MLPerf Tiny's `th_infer`, as C++ and as C, and ours.
INFERENCES = ("_Z8th_inferv", "th_infer", "tb_engine_invoke")
UNSTATED = "unstated"


@dataclass(frozen=True)
class FinishedElf:
    """A finished ELF that fits its target: under which name it is recorded, and its image."""

    engine: str
    image: Image
    notes: tuple[str, ...] = ()


def examine(path: Path, target: Target, options: ElfOptions) -> FinishedElf:
    """What the file is, after it was seen to be for this target.

    Raises UsageError if there is no such file, BuildError if it is no program for this core or names no such
    function as the user says, DoesNotFit if it has bytes where the target has no flash.
    """
    if not path.is_file():
        raise UsageError(f"`{SCHEME}{path}` names no file", hint="--engine elf:path/to/firmware.elf")
    _check_header(path)
    notes = tuple(_check_core(path, target))
    _check_regions(path, target)
    counted = elf.footprint(path, target.regions)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    infer = _inference(path, options)
    image = Image(
        elf=path,
        build_id=_build_id(path) or digest[:40],
        kind="clean",
        toolchain=None,
        flash_bytes=counted.flash_bytes,
        ram_static_bytes=counted.ram_static_bytes,
        memory=counted.memory,
        operators=(),
        engine_version=f"{options.version or UNSTATED} (sha256-{digest[:12]})",
        invoke=infer,
    )
    if infer is None:
        notes += ("it names no function that is one inference: its instructions cannot be counted",)
    return FinishedElf(f"{SCHEME}{options.name or path.stem}", image, notes)


def sorted_out(
    path: Path, devices: Sequence[Device], options: ElfOptions
) -> tuple[dict[str, FinishedElf], list[tuple[Device, str]]]:
    """The devices that the file is for, by id, and the others with the reason; raises it if there is none."""
    fits: dict[str, FinishedElf] = {}
    misfits: list[tuple[Device, str]] = []
    for device in devices:
        try:
            fits[device.id] = examine(path, device.target, options)
        except BuildError as error:
            if not fits and len(misfits) + 1 == len(devices):
                raise
            misfits.append((device, error.message))
    return fits, misfits


def _check_header(path: Path) -> None:
    with elf.opened(path) as file:
        machine, kind, bits = file["e_machine"], file["e_type"], file.elfclass
        little = file.little_endian
    if machine != "EM_ARM" or bits != 32 or not little:  # noqa: PLR2004 - Cortex-M is a 32-bit core
        order = "little" if little else "big"
        raise BuildError(f"`{path}` is for another machine: {machine}, {bits} bits, {order}-endian")
    if kind != "ET_EXEC":
        raise BuildError(
            f"`{path}` is no linked program but {kind}", hint="give the ELF that would be flashed"
        )


def _check_core(path: Path, target: Target) -> Iterator[str]:
    """BuildError if its instructions are not this core's; a note where it does not say.

    How it passes floats does not matter, as it is alone; that it uses an FPU does.
    """
    traits = archive.examine_program(path)
    if traits.architectures == (0,):
        yield "the file does not say for which architecture it was compiled"
        return
    alone = traits.model_copy(update={"float_abi": "either"})
    reason = archive.unfit(alone, target.core)
    if reason is not None:
        raise BuildError(f"`{path}` does not run on the {target.core.name} of {target.name}: {reason}")


def _check_regions(path: Path, target: Target) -> None:
    flash = [region for region in target.regions if region.kind == "flash"]
    start = next((region for region in target.regions if "vectors" in region.uses), target.region_for("text"))
    segments = elf.load_segments(path)
    for address, data in segments:
        if not _inside(address, len(data), flash):
            raise DoesNotFit(
                f"`{path}` has {len(data):,} bytes at `{address:#010x}`, where {target.title} has no flash",
                hint=f"flash: {', '.join(f'{r.origin:#010x} to {r.end:#010x}' for r in flash)}",
            )
    if not any(address <= start.origin < address + len(data) for address, data in segments):
        raise BuildError(
            f"`{path}` has nothing at `{start.origin:#010x}`, where {target.title} starts",
            hint="was it linked behind a boot loader?",
        )
    for name, (address, size) in elf.spans(path).items():
        if not _inside(address, size, target.regions):
            raise DoesNotFit(
                f"`{path}` has section `{name}` of {size:,} bytes at `{address:#010x}`, "
                f"where {target.title} has no memory"
            )


def _inside(address: int, size: int, regions: Iterable[Region]) -> bool:
    return size == 0 or any(region.origin <= address and address + size <= region.end for region in regions)


def _build_id(path: Path) -> str | None:
    try:
        return elf.build_id(path)
    except BuildError:
        return None


def _inference(path: Path, options: ElfOptions) -> str | None:
    """The function whose one call is one inference, None if none of the usual ones is there."""
    there = {function.name for function in elf.functions(path)}
    if options.infer is None:
        return next((name for name in INFERENCES if name in there), None)
    if options.infer not in there:
        raise BuildError(
            f"`{path}` has no function `{options.infer}`",
            hint="a C++ name as the linker has it: _Z8th_inferv",
        )
    return options.infer


@dataclass(frozen=True)
class LoadsFinished:
    """Loads a finished ELF on a device, then hands it over as a unit that already runs firmware."""

    adapter: Adapter
    device: Device
    image: Image
    baud: int | None
    name: str

    def flashed(self, word: str) -> Flashed | None:  # noqa: ARG002 - the seam's signature
        """None: it is not named on the command line."""
        return None

    @contextmanager
    def join(self, unit: Flashed) -> Iterator[Joined]:  # noqa: ARG002 - there is one
        """Load, start from reset, and listen at the speed that the user states, or the board's."""
        usual = self.device.target.serial.baud
        with self.adapter.open(self.device, self.image) as link:
            if self.baud is not None and isinstance(link, ChangesBaud):
                link.set_baud(self.baud)
            yield Joined(link, self.baud or usual)
