"""A program without a board: an ELF on a bare core with memory around it, counted from a call to its return.

For programs of others that validate the timing models (`tinybench timing validate --elf ROW=FILE`): they need
no peripherals, call `ENTRY` once and reach `DONE`. Code and data lie where the ELF says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_adapters.virtual.board import make_hook
from device_adapters.virtual.core import Core, CoreModel, Stop
from device_adapters.virtual.memory import Mapped, Memory
from device_adapters.virtual.profile import BETWEEN_OPERATORS, OUTSIDE, Edge, Permission, Watch, edge_profile
from device_adapters.virtual.system_control import Identity
from tinybench.elf import opened
from tinybench.errors import FirmwareFault, UsageError
from tinybench.timing.estimate import elsewhere
from tinybench.timing.facts import Build, Facts, ports_of, tables_of
from tinybench.timing.memory import ChipMemory, MemorySettings, Served, chips, with_leads
from tinybench.timing.program import ImageProgram, read_program

ENTRY, DONE = "tb_engine_invoke", "sim_done"
_SYSTEM_CONTROL, _PAGE_4K = 0xE000E000, 0x1000
_MEGABYTE = 1 << 20
_RAM = ((0x20000000, _MEGABYTE), (0x24000000, _MEGABYTE))
_BUDGET_INSTRUCTIONS = 4_000_000_000
_CPUIDS = {
    "cortex-m0plus": 0x410CC601,
    "cortex-m3": 0x412FC231,
    "cortex-m4": 0x410FC241,
    "cortex-m7": 0x411FC272,
    "cortex-m33": 0x411FD210,
}  # CPUID of the cores' manuals, a recent revision each
_NO_FPU = ("cortex-m0plus", "cortex-m3")
_SINGLE = ("cortex-m4", "cortex-m33")


@dataclass(frozen=True)
class Counted:
    """One call of `ENTRY`: its edges, and how the chip's memories served it."""

    program: ImageProgram
    edges: tuple[Edge, ...]
    served: Served | None


def count(elf: Path, core_name: str, chip: ChipMemory | None, settings: MemorySettings) -> Counted:
    """Run the program from reset to `DONE` and count.

    Raises UsageError if it lacks the symbols, FirmwareFault if it does not reach `DONE`.
    """
    symbols = _symbols(elf)
    watch = Watch(ENTRY, symbols[ENTRY], BETWEEN_OPERATORS)
    hook = make_hook()
    core = Core(_model(elf, core_name), hook)
    hook.watch(watch)
    try:
        _load(core, elf)
        core.reset()
        observer = core.observe_memory(chip, settings, watch.address) if chip is not None else None
        core.break_at(frozenset({symbols[DONE]}))
        stop = core.run(_BUDGET_INSTRUCTIONS)
        if stop is not Stop.BREAKPOINT:
            raise FirmwareFault(f"`{elf.name}` did not reach `{DONE}`: {stop.value}")
        edges = tuple(edge for edge in edge_profile(hook, (watch,)).edges if edge.operator != OUTSIDE)
        served = observer.served() if observer is not None else None
        if observer is not None:
            observer.close()
    finally:
        core.close()
    return Counted(read_program(elf), edges, served)


def count_row(row: Facts, elf: Path) -> Facts:
    """The row with facts counted again from its program. Raises as `count`."""
    chip = chips().get(row.chip) if row.chip is not None else None
    counted = count(elf, row.core, chip, row.settings)
    return row.model_copy(update=facts_of(counted, chip) | {"build": _build(row, elf)})


def facts_of(counted: Counted, chip: ChipMemory | None) -> dict[str, Any]:
    """The counted fields of `Facts`."""
    tables = tables_of(counted.program, counted.edges)
    served = counted.served
    if served is None or chip is None:
        return {**tables._asdict(), "served": (), "elsewhere": (), "chip_version": None}
    blocks = {(edge.to.address, edge.to.size) for edge in counted.edges}
    addresses = (i.address for block in blocks for i in counted.program.block(*block))
    served = with_leads(served, chip, addresses)
    kept = tables.addresses()
    return {
        **tables._asdict(),
        "served": ports_of(served),
        "elsewhere": tuple(sorted(kept & elsewhere(counted.program, counted.edges, served.loads))),
        "chip_version": chip.version,
    }


def _build(row: Facts, elf: Path) -> Build:
    return row.build.model_copy(update={"elf_sha256": hashlib.sha256(elf.read_bytes()).hexdigest()})


def _symbols(elf: Path) -> dict[str, int]:
    with opened(elf) as file:
        table: Any = file.get_section_by_name(".symtab")
        found = (
            {symbol.name: int(symbol["st_value"]) & ~1 for symbol in table.iter_symbols()} if table else {}
        )
    for name in (ENTRY, DONE):
        if name not in found:
            raise UsageError(
                f"`{elf.name}` has no symbol `{name}`", hint="docs/timing.md, programs of others"
            )
    return found


def _model(elf: Path, core_name: str) -> CoreModel:
    with opened(elf) as file:
        boot = next(
            int(section["sh_addr"])
            for name in (".vectors", ".text")
            for section in file.iter_sections()
            if section.name == name
        )
    identity = Identity(
        cpuid=_CPUIDS[core_name],
        interrupts=96,
        priority_bits=4,
        fpu=core_name not in _NO_FPU,
        dcache_ccsidr=0,
        icache_ccsidr=0,
        reset_vector_table=boot,
    )
    return CoreModel(core_name, identity, single_precision_only=core_name in _SINGLE)


def _load(core: Core, elf: Path) -> None:
    """Memory under every segment, RAM where chips have it, and the core's own registers."""
    with opened(elf) as file:
        segments = [
            (int(s["p_paddr"]), bytes(s.data())) for s in file.iter_segments("PT_LOAD") if s["p_filesz"]
        ]
    starts = {address & ~(_MEGABYTE - 1) for address, _ in segments} | {start for start, _ in _RAM}
    everything = Permission.READ | Permission.WRITE | Permission.EXEC
    for start in sorted(starts):
        core.space.add_memory(Memory(f"{start:#x}", start, _MEGABYTE, everything))
    core.space.add_device(Mapped("system control", _SYSTEM_CONTROL, _PAGE_4K, core.system))
    for address, data in segments:
        core.space.write(address, data, rom=True)
