"""A derived Parquet index beside the results, so that a large store is not parsed again at every reading.

It holds, per line, what an Entry says and the samples of the measurements. It may be deleted at any time,
is never needed, and is left out where pyarrow (the extra `parquet`) is missing or the folder is read-only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tinybench.results.lines import LineFile
from tinybench.results.runs import CaseKey, Entry, Place
from tinybench.results.samples import SampleColumns, SampleLists, joined

FOLDER = ".index"
FORMAT = 1  # of the index: another one is made anew
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SMALLEST_BYTES = 1 << 20  # below, parsing the lines is as quick as importing pyarrow
STALE_SHARE = 50  # rewritten once the file has grown by a fiftieth: the work stays linear over the years
_SEAL_BYTES = 4096

_TEXTS = ("question", "unit", "device", "adapter", "commit", "failure")


@dataclass(frozen=True)
class Part:
    """What is known of one file: its lines up to byte `end`, the first `indexed` of them from the index."""

    name: str
    entries: tuple[Entry, ...] = ()
    end: int = 0
    lines: int = 0
    units: frozenset[tuple[str, str]] = frozenset()
    indexed: int = 0
    indexed_end: int = 0
    index: Path | None = None
    newer: SampleLists = field(default_factory=SampleLists)

    def samples(self) -> SampleColumns:
        """The samples of every line; the owner is the line number, from 1."""
        newer = self.newer.columns()
        return joined([_stored_samples(self.index), newer]) if self.index else newer


def load(file: LineFile) -> Part:
    """What the index knows of `file`: nothing if there is none, or if it was made of another file."""
    path = _index_of(file)
    if path is None or not path.is_file() or not _has_pyarrow():
        return Part(file.name)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as stored:
            facts = json.loads((stored.schema_arrow.metadata or {}).get(b"tinybench", b"{}"))
            if facts.get("format") != FORMAT or facts["seal"] != _seal(file, facts["end"]):
                return Part(file.name)
            table = stored.read(columns=[n for n in stored.schema_arrow.names if n != "measurements"])
    except (OSError, pa.ArrowInvalid):  # half written or damaged: it is only a copy
        return Part(file.name)
    return Part(
        name=file.name,
        entries=tuple(_entries(file.name, table)),
        end=facts["end"],
        lines=table.num_rows,
        units=frozenset((name, unit) for name, unit in facts["units"]),
        indexed=table.num_rows,
        indexed_end=facts["end"],
        index=path,
    )


def save_if_worth_it(file: LineFile, part: Part) -> None:
    """Write the index of `file` anew if enough was added since, and if it can be written at all."""
    path = _index_of(file)
    added = part.end - part.indexed_end
    if path is None or added < max(SMALLEST_BYTES, part.indexed_end // STALE_SHARE) or not _has_pyarrow():
        return
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(exist_ok=True)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        _write(unfinished, file, part)
        os.replace(unfinished, path)  # noqa: PTH105 - Path.replace would hide that this is the atomic one
    except OSError:  # a read-only folder or a full disk: the index is only a copy
        unfinished.unlink(missing_ok=True)


def _index_of(file: LineFile) -> Path | None:
    return file.path.parent / FOLDER / f"{file.path.stem}.parquet" if file.path else None


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def _seal(file: LineFile, end: int) -> str:
    """Digest of the first and last bytes of what was indexed: an append-only file keeps both."""
    if end > file.size:
        return "the file shrank"
    first = file.read(0, min(_SEAL_BYTES, end))
    last = file.read(max(0, end - _SEAL_BYTES), min(_SEAL_BYTES, end))
    return hashlib.sha256(first + last).hexdigest()


def _write(path: Path, file: LineFile, part: Part) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    entries = part.entries
    columns: dict[str, list[str | None]] = {name: [getattr(e, name) for e in entries] for name in _TEXTS}
    columns["case"] = [json.dumps(e.key) for e in entries]
    arrays = {name: pa.array(texts, type=pa.string()).dictionary_encode() for name, texts in columns.items()}
    arrays["run_id"] = pa.array([e.run_id for e in entries], type=pa.string())
    arrays["started"] = pa.array([e.started for e in entries], type=pa.timestamp("us", tz="UTC"))
    arrays["simulated"] = pa.array([e.simulated for e in entries], type=pa.bool_())
    arrays["dirty"] = pa.array([e.dirty for e in entries], type=pa.bool_())
    arrays["offset"] = pa.array([e.place.offset for e in entries], type=pa.int64())
    arrays["length"] = pa.array([e.place.length for e in entries], type=pa.int64())
    arrays["measurements"] = _nested(part.samples(), len(entries))
    facts = {
        "format": FORMAT,
        "end": part.end,
        "seal": _seal(file, part.end),
        "units": sorted(part.units),
    }
    table = pa.table(arrays).replace_schema_metadata({"tinybench": json.dumps(facts)})
    pq.write_table(table, path, compression="zstd")


def _nested(samples: SampleColumns, rows: int) -> Any:
    """The samples as one Arrow list per row: list<struct<metric, kind, unit, samples: list<double>>>."""
    import numpy as np
    import pyarrow as pa

    per_row = np.bincount(samples.owner - 1, minlength=rows)
    values = pa.LargeListArray.from_arrays(_offsets(samples.count), pa.array(samples.samples))
    fields = [pa.array(column, type=pa.string()) for column in (samples.metric, samples.kind, samples.unit)]
    measured = pa.StructArray.from_arrays([*fields, values], names=["metric", "kind", "unit", "samples"])
    return pa.LargeListArray.from_arrays(_offsets(per_row), measured)


def _offsets(counts: Any) -> Any:
    import numpy as np

    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _stored_samples(path: Path) -> SampleColumns:
    import numpy as np
    import pyarrow.parquet as pq

    nested = pq.read_table(path, columns=["measurements"]).column("measurements").combine_chunks()
    measured = nested.flatten()
    samples = measured.field("samples")
    rows = np.diff(nested.offsets.to_numpy())
    return SampleColumns(
        owner=np.repeat(np.arange(1, len(rows) + 1), rows),
        metric=_names(measured.field("metric")),
        kind=_names(measured.field("kind")),
        unit=_names(measured.field("unit")),
        count=np.diff(samples.offsets.to_numpy()),
        samples=samples.flatten().to_numpy(),
    )


def _names(column: Any) -> Any:
    """A text column as a numpy column that shares one object per distinct text."""
    import numpy as np

    encoded = column.dictionary_encode()
    return np.array(encoded.dictionary.to_pylist(), dtype=object)[encoded.indices.to_numpy()]


def _entries(name: str, table: Any) -> list[Entry]:
    cases = _shared(table.column("case"))
    keys = {text: _key(text) for text in set(cases)}
    texts = {column: _shared(table.column(column)) for column in _TEXTS}
    plain = {column: table.column(column).to_pylist() for column in ("run_id", "simulated", "dirty")}
    began = table.column("started").cast("int64").to_pylist()
    places = zip(table.column("offset").to_pylist(), table.column("length").to_pylist(), strict=True)
    rows = zip(cases, began, places, *(texts | plain).values(), strict=True)
    return [
        Entry(
            key=keys[case],
            started=_EPOCH + timedelta(microseconds=microseconds),
            place=Place(name, line, *place),
            **dict(zip((*texts, *plain), facts, strict=True)),
        )
        for line, (case, microseconds, place, *facts) in enumerate(rows, start=1)
    ]


def _key(text: str) -> CaseKey:
    workload, engine, target, options = json.loads(text)
    return CaseKey(workload, engine, target, tuple((name, value) for name, value in options))


def _shared(column: Any) -> list[Any]:
    """A dictionary-encoded text column as a list in which equal texts are one object."""
    encoded = column.combine_chunks()
    names = [sys.intern(text) for text in encoded.dictionary.to_pylist()]
    return [None if at is None else names[at] for at in encoded.indices.to_pylist()]
