"""The JSON Schema of a Run, generated from the records and shipped as `run.schema.json`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from tinybench.records import Run

FILE = "run.schema.json"


def run_schema() -> dict[str, Any]:
    """The schema of one line of a results file (JSON Schema, draft 2020-12), as the records define it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Run.model_json_schema(mode="serialization"),
    }


def schema_text() -> str:
    """The file's text; `python -m tinybench.schema > tinybench/run.schema.json` brings it up to date."""
    return json.dumps(run_schema(), indent=1) + "\n"


def shipped_schema() -> dict[str, Any]:
    """The schema as it lies in the installed package."""
    shipped: dict[str, Any] = json.loads((files("tinybench") / FILE).read_text(encoding="utf-8"))
    return shipped


if __name__ == "__main__":
    import sys

    sys.stdout.write(schema_text())
