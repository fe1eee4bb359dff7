"""A report shows no time of a virtual desk, ranks none, and says that it left them out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tinybench.compare import Side, answer_of, compare
from tinybench.records import Measurement
from tinybench.report.data import build_report
from tinybench.report.html import render
from tinybench.report.page import Table

WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def rehearsal(run_of):
    """A Run of a virtual desk: a time that no board took, beside bytes that are exact."""

    def made(engine="reference", seconds=0.123456, **changes):
        latency = Measurement(metric="latency", kind="rehearsed", unit="s", samples=(seconds,) * 7)
        unit = {"unit": "066FVIRTUALF746000000001"}
        return run_of(engine=engine, measurements=(latency,), provenance=unit, **changes)

    return made


def test_no_time_of_a_virtual_desk_is_on_the_page(rehearsal):
    """Neither in the heading nor in any table or figure: three engines, so that each section speaks."""
    runs = [rehearsal(engine) for engine in ("reference", "tflm", "cmsis-nn")]
    report = build_report(runs, written=WRITTEN)
    page = render(report)
    assert "123" not in report.heading
    assert "Times that were rehearsed on a virtual desk are of no board, and are left out." in page
    assert "123 ms" not in page
    assert "0.123456" not in page


def test_it_is_not_ranked_with_a_board(rehearsal, run_of):
    """The board's latency stands alone in its table; the virtual one's exact bytes stand in another."""
    board = run_of(engine="tflm", simulated=False, measurements=(run_of.measured("latency", 0.2),))
    report = build_report([rehearsal(), board], written=WRITTEN)
    tables = {
        block.id: block for section in report.sections for block in section.blocks if isinstance(block, Table)
    }
    assert [len(tables[name].rows) for name in ("answers-boards", "answers-virtual")] == [1, 1]
    assert "Latency" not in [column.title for column in tables["answers-virtual"].columns]
    assert report.heading.endswith("on real and on virtual boards, which are not compared")


def test_a_comparison_gives_no_verdict_on_it(rehearsal):
    base, new = rehearsal(seconds=0.1), rehearsal(seconds=0.9, day=1)
    comparison = compare(*(Side("side", (answer_of(run),)) for run in (base, new)))
    report = build_report([new], written=WRITTEN, comparison=comparison, base_runs=[base])
    assert "regressed" not in report.heading
    assert "1 incomparable" in report.heading
