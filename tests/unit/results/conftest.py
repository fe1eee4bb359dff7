"""A complete Run to vary, and a folder of Runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tinybench.records import Failure, Measurement, Run
from tinybench.store import Store, new_run_id

STORED = Path(__file__).parents[2] / "data" / "runs-v1.jsonl"
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def stored_run() -> Run:
    """The Run that every reader of schema version 1 must understand."""
    return Run.model_validate_json(STORED.read_text(encoding="utf-8"))


@pytest.fixture
def make_run(stored_run: Run) -> Callable[..., Run]:
    """A Run like the stored one, with other identity, conditions or numbers; days apart by default."""
    made = iter(range(10**6))

    def make(
        *,
        case: dict[str, Any] | None = None,
        conditions: dict[str, Any] | None = None,
        provenance: dict[str, Any] | None = None,
        samples: dict[str, tuple[float, ...]] | None = None,
        kinds: dict[str, str] | None = None,
        only: tuple[str, ...] | None = None,
        failure: Failure | None = None,
    ) -> Run:
        started = (provenance or {}).get("started", START + timedelta(days=next(made)))
        measurements = () if failure else stored_run.measurements
        if only is not None:
            measurements = tuple(m for m in measurements if m.metric in only)
        virtual = {"measured": "rehearsed"} if (conditions or {}).get("simulated") else {}
        changed = tuple(
            Measurement(
                metric=m.metric,
                kind=(kinds or {}).get(m.metric, virtual.get(m.kind, m.kind)),
                unit=m.unit,
                samples=(samples or {}).get(m.metric, m.samples),
            )
            for m in measurements
        )
        run = stored_run.model_copy(
            update={
                "run_id": new_run_id(started),
                "case": stored_run.case.model_copy(update=case or {}),
                "conditions": stored_run.conditions.model_copy(update=conditions or {}),
                "provenance": stored_run.provenance.model_copy(
                    update={**(provenance or {}), "started": started}
                ),
                "measurements": changed,
                "failure": failure,
            }
        )
        return Run.model_validate_json(run.model_dump_json())

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")
