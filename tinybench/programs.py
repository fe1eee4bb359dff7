"""An engine that runs on this computer -> Image: a folder with the model and what to do with it.

There is nothing to compile and nothing to link; `tinybench.host_program` runs it behind the wire.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from tinybench.engine import Engine, RunsHere
from tinybench.errors import BuildError
from tinybench.records import Record
from tinybench.target import Image, ImageKind, Target
from tinybench.workload import Workload, WorkloadSpec

MODEL = "model.tflite"
PROGRAM = "program.json"


class Written(Record):
    """The program as it is kept: which class infers, for what, and what it says of itself.

    `inference` is `module:name`, as Engine's Program has it.
    """

    engine: str
    version: str
    inference: str
    kind: ImageKind
    target: str
    spec: WorkloadSpec


def make(workload: Workload, engine: Engine, target: Target, kind: ImageKind, *, cache: Path) -> Image:
    """The program of this cell; made twice, it has the same build id.

    Raises BuildError if the engine does not run on this computer, and what its `program` raises.
    """
    if not isinstance(engine, RunsHere):
        raise BuildError(f"engine `{engine.name}` makes firmware and no program for this computer")
    program = engine.program(workload)
    written = Written(
        engine=engine.name,
        version=program.version,
        inference=program.inference,
        kind=kind,
        target=target.name,
        spec=workload.spec,
    )
    data, text = workload.model_path.read_bytes(), written.model_dump_json(indent=1)
    build_id = hashlib.sha256(hashlib.sha256(data).digest() + text.encode()).hexdigest()[:40]
    kept = cache / "programs" / build_id
    if not (kept / PROGRAM).is_file():
        _keep(kept, data, text)
    return Image(
        elf=kept / PROGRAM,
        build_id=build_id,
        kind=kind,
        toolchain=None,
        flash_bytes=None,
        ram_static_bytes=None,
        memory=None,
        operators=(),
        engine_version=program.version,
    )


def _keep(kept: Path, data: bytes, text: str) -> None:
    """Written aside and moved in one step; the first of two writers wins."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=kept.parent))
    try:
        (scratch / MODEL).write_bytes(data)
        (scratch / PROGRAM).write_text(text, encoding="utf-8")
        scratch.rename(kept)
    except OSError:
        if not (kept / PROGRAM).is_file():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
