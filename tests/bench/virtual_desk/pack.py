"""A CMSIS-Pack made on the spot, unpacked: with it the plain `pyocd` command flashes by our algorithm."""

from __future__ import annotations

import shutil
from pathlib import Path

from device_adapters.pyocd_probe import algorithms
from device_adapters.pyocd_probe.facts import probe_facts
from tinybench.target import Target

# pyOCD 0.46 finds no core without the `debug` element
_DESCRIPTION = """\
<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.4">
  <vendor>tinybench</vendor>
  <name>virtual</name>
  <description>One board of the virtual desk</description>
  <url></url>
  <releases><release version="1.0.0">for tests</release></releases>
  <devices>
    <family Dfamily="virtual" Dvendor="STMicroelectronics:13">
      <processor Dcore="Cortex-M7" DcoreVersion="r0p1" Dfpu="SP_FPU" Dmpu="MPU" Dendian="Little-endian"/>
      <device Dname="{name}">
        <memory name="Flash" access="rx" start="{flash:#x}" size="{flash_bytes:#x}" startup="1" default="1"/>
        <memory name="RAM" access="rwx" start="{ram:#x}" size="{ram_bytes:#x}" default="1"/>
        <algorithm name="flash.flm" start="{flash:#x}" size="{flash_bytes:#x}"
                   RAMstart="{ram:#x}" RAMsize="{ram_bytes:#x}" default="1"/>
        <debug __ap="0"/>
      </device>
    </family>
  </devices>
</package>
"""


def write(target: Target, folder: Path, cache: Path) -> Path:
    """The pack of a target that has a flash algorithm of ours; `folder` is what `pyocd --pack` takes."""
    facts = probe_facts(target)
    assert facts is not None
    assert facts.algorithm is not None
    own = facts.algorithm
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(algorithms.build(own, cache), folder / "flash.flm")
    text = _DESCRIPTION.format(
        name=facts.pyocd_targets[0],
        flash=own.flash_origin,
        flash_bytes=own.flash_bytes,
        ram=own.ram_origin,
        ram_bytes=own.ram_bytes,
    )
    (folder / "tinybench.virtual.pdsc").write_text(text, encoding="utf-8")
    return folder
