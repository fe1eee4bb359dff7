"""The linker script of a target, from its regions; read by GNU ld and by lld.

Symbols for the start-up code: `tb_data_start`, `tb_data_end`, `tb_data_load` (where .data is stored),
`tb_bss_start`, `tb_bss_end`, `tb_weights_start`, `tb_weights_end`, `tb_weights_load` (the same as the start
unless the weights are copied to RAM), `tb_constructors_start`, `tb_constructors_end`, `tb_stack_start`,
`tb_stack_end`; for `tb id`: `tb_build_id_note`, the GNU note.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from tinybench.target import Target

# Sections that are placed by use; everything else of the image lies with the text.
USE_OF_SECTION: Mapping[str, Literal["weights", "data", "arena", "stack"]] = MappingProxyType(
    {".tb_weights": "weights", ".data": "data", ".bss": "data", ".tb_arena": "arena", ".tb_stack": "stack"}
)


def script(target: Target) -> str:
    """Text of the script."""
    regions = "\n".join(
        f"  {region.name} ({'rx' if region.kind == 'flash' else 'rwx'}) : "
        f"ORIGIN = 0x{region.origin:08x}, LENGTH = {region.size}"
        for region in target.regions
    )
    where = {use: target.region_for(use).name for use in ("text", "weights", "data", "arena", "stack")}
    vectors = next((region.name for region in target.regions if "vectors" in region.uses), where["text"])
    copied = target.region_for("weights").kind == "ram"
    stored = f" AT > {where['text']}" if copied else ""
    return _SCRIPT.format(regions=regions, vectors=vectors, stored=stored, **where)


# What is stored follows without gaps (padding lies inside sections), so that the bytes of its sections and
# those of its segments are the same number. The stack comes before the data: where they share a region it has
# the lowest addresses, and what overflows it faults. 32 is a cache line of Cortex-M7.
_SCRIPT = """\
ENTRY(tb_reset)

MEMORY
{{
{regions}
}}

SECTIONS
{{
  .vectors : {{ KEEP(*(.boot)) KEEP(*(.vectors)) }} > {vectors}
  .text :
  {{
    *(.text .text.*)
    *(.rodata .rodata.*)
    . = ALIGN(4);
    tb_constructors_start = .;
    KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*)))
    KEEP(*(.init_array))
    tb_constructors_end = .;
    . = ALIGN(32);
  }} > {text}
  .tb_weights :
  {{
    tb_weights_start = .;
    *(.tb_weights .tb_weights.*)
    . = ALIGN(4);
    tb_weights_end = .;
  }} > {weights}{stored}
  tb_weights_load = LOADADDR(.tb_weights);
  .note.gnu.build-id : {{ tb_build_id_note = .; KEEP(*(.note.gnu.build-id)) }} > {text}

  .tb_stack (NOLOAD) : ALIGN(8)
  {{
    tb_stack_start = .;
    KEEP(*(.tb_stack))
    tb_stack_end = .;
  }} > {stack}

  .data : ALIGN(4)
  {{
    tb_data_start = .;
    *(.data .data.*)
    . = ALIGN(4);
    tb_data_end = .;
  }} > {data} AT > {text}
  tb_data_load = LOADADDR(.data);

  .bss (NOLOAD) : ALIGN(4)
  {{
    tb_bss_start = .;
    *(.bss .bss.* COMMON)
    . = ALIGN(4);
    tb_bss_end = .;
  }} > {data}

  .tb_arena (NOLOAD) : ALIGN(32) {{ *(.tb_arena .tb_arena.*) }} > {arena}

  /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) }}
}}
"""
