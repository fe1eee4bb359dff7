"""Published results beside one's own: marked, sourced, and ranked with measured latencies only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tinybench.report.data import build_report
from tinybench.report.html import render
from tinybench.results import published

TASKS = {"vww01": "vww", "vww01-mltk": "vww"}
WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def section_of(stored_on):
    def build(*runs):
        report = build_report(runs, written=WRITTEN, published=published.peers(runs, TASKS))
        return next(section for section in report.sections if section.id == "published"), report

    return build


@pytest.fixture
def stored_on(run_of):
    """A Run on the Cortex-M7 of the published DISCO-F746NG rows."""

    def make(**more):
        run = run_of(**more)
        conditions = run.conditions.model_copy(update={"core": "cortex-m7", "clock_hz": 216_000_000})
        return run.model_copy(update={"conditions": conditions})

    return make


def timed(run, latency_s):
    (first, *rest) = run.measurements
    latency = first.model_copy(
        update={"metric": "latency", "kind": "measured", "unit": "s", "samples": (latency_s,) * 7}
    )
    return run.model_copy(update={"measurements": (latency, *rest)})


def table_of(section):
    return section.blocks[1]


def test_a_measured_latency_takes_its_place_among_the_published(section_of, stored_on):
    section, _ = section_of(timed(stored_on(), 0.05))
    rows = table_of(section).rows
    latencies_s = [row.cells[2].value for row in rows]
    assert latencies_s == sorted(latencies_s)
    own = [row for row in rows if row.cells[4].text == "yours"]
    assert len(own) == 1
    assert own[0].cells[2].value == 0.05
    assert 0 < rows.index(own[0]) < len(rows) - 1


def test_every_row_of_others_is_marked_and_has_its_source(section_of, stored_on):
    section, _ = section_of(timed(stored_on(), 0.06))
    theirs = [row for row in table_of(section).rows if row.cells[4].text != "yours"]
    assert theirs
    assert all(row.cells[4].badge.kind == "published" for row in theirs)
    assert all("mlcommons/tiny_results" in row.cells[5].text for row in theirs)


def test_what_was_counted_stands_apart_without_a_latency(section_of, stored_on):
    section, _ = section_of(stored_on())
    own = table_of(section).rows[0]
    assert own.cells[4].text == "yours"
    assert own.cells[2].value is None
    assert "not ranked" in own.cells[5].text
    assert "others' measurements" in section.blocks[0].text


def test_a_suspect_row_carries_its_badge(run_of, section_of):
    run = run_of()
    update = {"core": "cortex-m4", "clock_hz": 120_000_000}
    run = run.model_copy(update={"conditions": run.conditions.model_copy(update=update)})
    section, _ = section_of(run)
    suspect = [row for row in table_of(section).rows if row.cells[2].badge is not None]
    assert {row.cells[0].text for row in suspect} == {"microTVM native"}
    reference = [row for row in table_of(section).rows if "Lite" in row.cells[0].text]
    assert all("not reference kernels" in row.cells[5].note for row in reference)


def test_without_being_asked_for_there_is_no_such_section(stored_on):
    report = build_report([stored_on()], written=WRITTEN)
    assert "published" not in {section.id for section in report.sections}


def test_the_page_shows_them(section_of, stored_on):
    _, report = section_of(timed(stored_on(), 0.06))
    page = render(report)
    assert "DISCO-F746NG" in page
    assert "badge published" in page
