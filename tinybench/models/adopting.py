"""A model of the user's own as a workload: its file looked at, its answers judged, one TOML written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tinybench import fetch
from tinybench.errors import SetupError, UsageError
from tinybench.models.golden import input_tensor
from tinybench.models.normalise import normalise
from tinybench.models.oracle import Oracle, record_goldens
from tinybench.models.tflite import read, write
from tinybench.wheels import Unavailable
from tinybench.workload import (
    GOLDEN_NAMES,
    FileSource,
    GoldenSpec,
    InputSpec,
    ModelSpec,
    UrlSource,
    WorkloadSpec,
)

Encoding = Literal["int8", "uint8", "int16", "float32"]

_LICENCE = "not stated"
_UNJUDGED = GoldenSpec(
    oracle="nobody yet", inputs_sha256="0" * 64, outputs_sha256=dict.fromkeys(GOLDEN_NAMES, "0" * 64)
)
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def write_workload(
    name: str, location: str, into: Path, oracle: Oracle, encoding: Encoding | None = None
) -> Path:
    """Write `<into>/<name>/workload.toml` for the .tflite at `location`, a path or a URL; returns the file.

    Samples travel as the input tensor has them (`encoding` says otherwise), as floats if the model is wrapped
    in conversions from float. Raises UsageError if the name will not do or the workload is there already,
    SetupError if the model cannot be had or the folder cannot be written, ModelError for a model that is
    damaged or that the oracle cannot judge.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot name a workload", hint="lower-case words with hyphens, as in `my-model`"
        )
    file = into / name / "workload.toml"
    if file.exists():
        raise UsageError(f"`{file}` exists already", hint="choose another name, or another --into folder")
    text = _text(name, location, _bytes_of(location), oracle, encoding)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"`{file}` cannot be written: {error.strerror or error}") from error
    return file


def _is_url(location: str) -> bool:
    return urlsplit(location).scheme in {"http", "https"}


def _bytes_of(location: str) -> bytes:
    try:
        return fetch.body_of(location) if _is_url(location) else Path(location).read_bytes()
    except Unavailable as reason:
        raise SetupError(f"the model cannot be had: {reason}") from reason
    except OSError as error:
        raise SetupError(f"cannot read `{location}`: {error.strerror}") from error


def _text(name: str, location: str, published: bytes, oracle: Oracle, encoding: Encoding | None) -> str:
    model = read(published)
    data = published
    bare = normalise(model)
    ends = [[m.tensors[i].dtype for i in (*m.inputs, *m.outputs)] for m in (model, bare)]
    if ends[0] != ends[1]:
        model, data = bare, write(bare)
    wire = encoding or ("float32" if ends[0][0] == "float32" else input_tensor(model).dtype)
    digests = [hashlib.sha256(content).hexdigest() for content in (published, data)]
    source: UrlSource | FileSource = (
        UrlSource(kind="url", url=location, licence=_LICENCE)
        if _is_url(location)
        else FileSource(kind="file", path=str(Path(location).resolve()), licence=_LICENCE)
    )
    spec = WorkloadSpec(
        id=name,
        title=Path(urlsplit(location).path).name,
        task="own",
        protocol_id=name,
        model=ModelSpec(
            file=f"{name}.tflite", sha256=digests[0], normalised_sha256=digests[1], sources=(source,)
        ),
        input=InputSpec.model_validate({"encoding": wire}),
        golden=_UNJUDGED,
    )
    return "\n".join([*_lines(spec, source), record_goldens(spec, model, data, oracle)])


def _lines(spec: WorkloadSpec, source: UrlSource | FileSource) -> tuple[str, ...]:
    """What is known before the oracle has judged; a TOML string is written as a JSON one is."""
    where = (
        f"url = {json.dumps(source.url)}"
        if isinstance(source, UrlSource)
        else f"path = {json.dumps(source.path)}"
    )
    return (
        f'id = "{spec.id}"',
        f"title = {json.dumps(spec.title)}",
        f'task = "{spec.task}"',
        f'protocol_id = "{spec.protocol_id}"',
        "",
        "[model]",
        f'file = "{spec.model.file}"',
        f'sha256 = "{spec.model.sha256}"',
        f'normalised_sha256 = "{spec.model.normalised_sha256}"',
        "",
        "[[model.sources]]",
        f'kind = "{source.kind}"',
        where,
        f'licence = "{source.licence}"',
        "",
        "[input]",
        f'encoding = "{spec.input.encoding}"',
        "",
    )
