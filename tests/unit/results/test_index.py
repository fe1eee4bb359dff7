"""The index is only a copy: with it, without it, and with a wrong one, the same is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tinybench.records import Failure, Git
from tinybench.results import index
from tinybench.store import Store

DATA = Path(__file__).parents[2] / "data"
pytestmark = pytest.mark.needs("python:pyarrow")


@pytest.fixture
def large(store, make_run):
    """A store just large enough for an index: a month of Runs of all kinds."""
    variants = [
        {"case": {"engine": "tflm", "options": {"opt": "O2", "b": "=,"}}},
        {"provenance": {"unit": None, "git": None}},
        {"provenance": {"git": Git(commit="c" * 40, dirty=True)}},
        {"failure": Failure(error="LinkTimeout", exit_code=4, message="m")},
        {"only": ("flash",)},
        {},
    ]
    store.publish([make_run(**variants[i % len(variants)]) for i in range(150)], "runs-2026-03.jsonl")
    return store


def index_of(store: Store) -> Path:
    return Path(store.place) / index.FOLDER / "runs-2026-03.parquet"


def test_reading_through_the_index_gives_the_same(large):
    parsed = large.read().runs
    assert index_of(large).exists()
    indexed = large.read().runs
    assert indexed.entries == parsed.entries
    assert list(indexed) == list(parsed)
    pd.testing.assert_frame_equal(indexed.frame(), parsed.frame())


def test_what_was_appended_since_is_read_too(large, make_run):
    large.read()
    before = index_of(large).read_bytes()
    late = make_run(samples={"flash": (1,)})
    path = Path(large.place) / "runs-2026-03.jsonl"
    Store(path).append(late)
    runs = large.read().runs
    assert list(runs)[-1] == late
    assert runs.frame().query("metric == 'flash'")["value"].iloc[-1] == 1
    assert index_of(large).read_bytes() == before  # not worth a new index


def test_a_torn_end_behind_the_index_is_reported(large):
    large.read()
    path = Path(large.place) / "runs-2026-03.jsonl"
    path.write_bytes(path.read_bytes() + b'{"sch')
    contents = large.read()
    assert [torn.line for torn in contents.torn] == [151]
    assert len(contents.runs) == 150


@pytest.mark.parametrize("damage", ["shorter", "other content", "not parquet", "deleted"])
def test_a_wrong_index_is_not_believed(large, make_run, damage):
    large.read()
    path = Path(large.place) / "runs-2026-03.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "shorter":
        path.write_bytes(b"".join(lines[:140]))
    elif damage == "other content":
        path.write_bytes(b"".join(reversed(lines)))
    elif damage == "not parquet":
        index_of(large).write_bytes(b"PAR1 but not really")
    else:
        index_of(large).unlink()
    runs = large.read().runs
    assert len(runs) == (140 if damage == "shorter" else 150)
    assert [runs.source.run(entry).run_id for entry in runs.entries] == [e.run_id for e in runs.entries]


def test_git_does_not_see_the_index(large):
    large.read()
    assert (index_of(large).parent / ".gitignore").read_text() == "*\n"


def test_without_pyarrow_the_same_is_read(large):
    """A machine without the extra: the import is made to fail, as it would there."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import tinybench as tb\n"
        "runs = tb.load(sys.argv[1]); print(len(runs), len(runs.frame()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, large.place], capture_output=True, text=True, check=True
    )
    assert not index_of(large).exists()
    assert done.stdout.split() == ["150", str(len(large.read().runs.frame()))]
