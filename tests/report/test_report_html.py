"""The page as bytes: escaped, self-contained, reproducible, within its size."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from tinybench.errors import UsageError
from tinybench.records import ArenaBuffer, FunctionCost, Gap, Symbol
from tinybench.report.drawings import Bars, Line, Lines, Point, Points, Series, Span, Spans
from tinybench.report.figures import plotly_spec
from tinybench.report.html import write_report
from tinybench.report.svg import draw, ticks

EVIL = "<script>alert('1')</script>&\"`</SCRIPT><!--"
VOID = {"meta", "input", "br"}


class Wellformed(HTMLParser):
    """Every element is closed in order, ids are unique, links inside the page lead somewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.outside, self.scripts = [], [], [], [], 0

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("href", "src", "action", "data", "poster", "srcset"):
            if name in attributes:
                (self.links if attributes[name].startswith("#") else self.outside).append(attributes[name])
        assert not any(name.startswith("on") for name in attributes)

    def handle_startendtag(self, tag, attrs):
        assert tag in {"rect", "circle", "path"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1763683200")

    def write(*runs, **more) -> str:
        write_report(runs, tmp_path / "report.html", **more)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def checked(html: str) -> Wellformed:
    page = Wellformed()
    page.feed(html)
    page.close()
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.outside == []
    return page


def test_the_page_is_well_formed_and_refers_to_nothing_outside_itself(written, run_of):
    html = written(run_of(), run_of("kws01", "tflm"), run_of("ic01", failure=run_of.failure()))
    checked(html)
    assert "default-src 'none'" in unescape(html)
    assert "@import" not in html
    assert "url(" not in html


def test_plotly_is_there_once_with_its_licence(written, run_of):
    html = written(run_of(), run_of("kws01"))
    assert len(re.findall(r"plotly\.js v\d", html)) == 1
    assert html.count('id="plotly"') == 1
    assert "MIT" in html
    bare = run_of(arena=(), measurements=())
    without = written(bare.model_copy(update={"measurements": ()}))
    assert 'id="plotly"' not in without
    assert len(without) < 60_000


def test_hostile_names_are_text_everywhere(written, run_of):
    buffers = (ArenaBuffer(name=EVIL, offset=0, bytes=64, first_operator=0, last_operator=3),)
    run = run_of(EVIL, EVIL, EVIL, arena=buffers, functions=(FunctionCost(name=EVIL, instructions=5),))
    memory = run.memory.model_copy(
        update={"largest_ram_symbols": (Symbol(name=EVIL, section=EVIL, bytes=4),)}
    )
    failed = run_of(EVIL, "x", failure=run_of.failure(EVIL, 4, EVIL, hint=EVIL, details=(EVIL,)))
    gap = Gap(workload=EVIL, engine=EVIL, target=EVIL, reason=EVIL)
    html = written(run.model_copy(update={"memory": memory}), failed, gaps=(gap,))
    assert "alert(" in html
    assert "<script>alert" not in html.lower()
    page = checked(html)
    assert page.scripts == 3
    figures = re.search(r'<script id="figures" type="application/json">(.*?)</script>', html, re.DOTALL)
    spec = json.loads(figures[1])
    assert spec["case-1-arena"]["data"][0]["hovertext"] == [EVIL]


def test_equal_runs_make_equal_bytes(written, run_of, tmp_path):
    runs = run_of(), run_of("kws01")
    first = written(*runs)
    assert written(*runs) == first
    assert "2025-11-21 00:00 UTC" in first


def test_five_workloads_four_engines_four_devices_stay_within_six_megabytes(written, run_of):
    html = written(
        *(
            run_of(f"w{workload}", f"engine-{engine}", f"device-{device}", scale=1 + engine / 10)
            for workload in range(5)
            for engine in range(4)
            for device in range(4)
        )
    )
    assert len(html.encode()) <= 6_000_000


def test_a_place_that_cannot_be_written_is_named(run_of, tmp_path):
    with pytest.raises(UsageError, match="cannot write the report to"):
        write_report([run_of()], tmp_path / "missing" / "report.html")


DRAWINGS = [
    Bars(("a", "b"), (Series("x", (1.0, None)), Series("y", (2.0, 3e6))), "B", "RAM"),
    Bars(("a",), (Series("x", (0.0,)),), "1", "Instructions", stacked=False),
    Spans((Span("t", 0, 3, 0, 4096), Span("u", 2, 2, 4096, 4100)), 5, "B", "Operator", "Offset"),
    Points((Point("a", "g", 1e-3, 2e3, front=True), Point("b", "h", 5.0, 70.0)), "Latency", "s", "RAM", "B"),
    Points((Point("a", "g", 10.0, 10.0),), "Latency", "s", "RAM", "B"),
    Lines((Line("x", (0.0, 86400.0), (1e-3, 2e-3)),), "", "Latency", "s", dates=True, marks=(86400.0,)),
    Lines((Line("x", (1.0,), (5.0,)),), "Time", "Power", "W"),
]


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_plotly_accepts_every_figure_and_the_still_one_is_well_formed(drawing):
    from plotly.graph_objects import Figure

    spec = plotly_spec(drawing)
    colours = json.loads(re.sub(r'"--[\w-]+"', '"#123456"', json.dumps(spec)))
    Figure(colours)  # raises on an unknown property or a value of the wrong kind
    checked(f"<p>{draw(drawing, EVIL)}</p>")


def test_ticks_are_round_and_cover_the_range():
    assert ticks(0, 61_860) == [0, 20_000, 40_000, 60_000, 80_000]
    assert ticks(0, 0) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(0.00093, 0.00117)[0] <= 0.00093
