"""The written word agrees with the code: record format, JSON Schema, and the Python examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

import tinybench as tb
from tinybench.records import METRICS, Record, Run
from tinybench.schema import FILE, run_schema, shipped_schema

ROOT = Path(__file__).parents[3]
README = (ROOT / "results" / "README.md").read_text(encoding="utf-8")


def records_below(record: type[Record]) -> dict[str, type[Record]]:
    """A record and all that it is made of, by name."""
    found = {record.__name__: record}

    def look(annotation):
        if (
            isinstance(annotation, type)
            and issubclass(annotation, Record)
            and annotation.__name__ not in found
        ):
            found.update(records_below(annotation))
        for inner in get_args(annotation):
            look(inner)

    for field in record.model_fields.values():
        look(field.annotation)
    return found


def section(title: str) -> str:
    return README.split(f"\n### {title}\n")[1].split("\n#")[0]


@pytest.mark.parametrize("name", sorted(records_below(Run)))
def test_every_field_is_documented_and_nothing_else(name):
    fields = records_below(Run)[name].model_fields
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", section(name), re.MULTILINE)
    assert [row[0] for row in rows] == [field.alias or at for at, field in fields.items()]
    assert all(meaning.strip() for _, _, meaning in rows)


def test_every_metric_is_documented():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", README.split("\n## Metrics\n")[1], re.MULTILINE)
    assert rows == [(metric.name, metric.unit, metric.better) for metric in METRICS.values()]


def test_the_shipped_schema_is_up_to_date():
    assert shipped_schema() == run_schema(), f"python -m tinybench.schema > tinybench/{FILE}"


def test_the_shipped_schema_accepts_a_run_and_refuses_a_damaged_one(make_run):
    schema = shipped_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(make_run().model_dump_json())
    jsonschema.validate(document, schema)
    document["measurements"][0]["kind"] = "guessed"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_python_examples_run(store, make_run, tmp_path):
    for engine in ("reference", "tflm"):
        for flash in (333_288, 333_300):
            store.append(make_run(case={"engine": engine}, samples={"flash": (flash,)}))
    code = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 runs, the last on vww01 tflm nucleo-f746" in done.stdout
    assert re.search(r"vww01 +reference +nucleo-f746 +250\.\d\d\n", done.stdout)
    assert "vww01 333300 bytes of flash" in done.stdout
    assert "2 regressed, 2 within noise, 20 unchanged" in done.stdout
    assert "vww01 tflm nucleo-f746 flash regressed +12 B" in done.stdout


def test_the_frame_is_tidy(store, make_run):
    first, second = make_run(), make_run(case={"options": {"opt": "O2"}}, samples={"latency": (0.1, 0.2)})
    store.append(first)
    store.append(second)
    frame = tb.load(store.place).frame()
    assert len(frame) == 57 + 29
    latency = frame[(frame.metric == "latency") & (frame.run_id == second.run_id)]
    assert latency["value"].tolist() == [0.1, 0.2]
    assert latency["sample"].tolist() == [0, 1]
    assert latency["options"].tolist() == ["opt=O2"] * 2
    assert frame["run_id"].iloc[0] == first.run_id
    assert str(frame["started"].dtype).endswith("UTC]")


def test_importing_tinybench_is_instant():
    heavy = "{'numpy', 'pandas', 'scipy', 'pydantic', 'pyarrow', 'plotly'}"
    code = f"import sys, tinybench; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
