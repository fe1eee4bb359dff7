"""The page as a reader has it: a real Chromium, from file://, with the network off."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from contextlib import contextmanager

import pytest

from tinybench.compare import Side, answer_of, compare
from tinybench.records import Gap
from tinybench.report.html import write_report

pytestmark = pytest.mark.needs("chromium", "python:playwright")

AXE = "axe-core@4.10.3"
AXE_INTEGRITY = (
    "sha512-Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a report of `runs`; leaving fails if the page spoke on the console or asked for anything."""

    @contextmanager
    def opening(runs, *, said=None, **context):
        path = tmp_path / "report.html"
        write_report(runs, path, **(said or {}))
        heard = []
        with browser.new_context(offline=True, **context) as tab:
            page = tab.new_page()
            page.on("console", lambda message: heard.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: heard.append(f"error: {error}"))
            page.on("request", lambda request: heard.append(f"request: {request.url[:100]}"))
            page.goto(path.as_uri())
            yield page
        assert heard == [f"request: {path.as_uri()}"[:109]]

    return opening


@pytest.fixture
def several(run_of):
    return [
        run_of(workload, engine, scale=scale)
        for workload in ("vww01", "kws01", "ic01")
        for engine, scale in (("reference", 1.0), ("tflm", 1.31), ("cmsis-nn", 0.42))
    ]


@pytest.fixture
def changed(run_of, several):
    """What to say of `several` so that one case has regressed, one improved and the others stayed."""
    base = [
        run_of(run.case.workload, run.case.engine, scale=scale, day=-1)
        for run, scale in zip(several, (0.9, 1.31, 0.42, 1.0, 1.31, 0.5, 1.0, 1.31, 0.42), strict=True)
    ]
    comparison = compare(
        Side("nightly", tuple(map(answer_of, base))), Side("latest", tuple(map(answer_of, several)))
    )
    return {"comparison": comparison, "base_runs": base}


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def test_it_opens_without_a_word_and_the_figures_come_alive(opened, run_of):
    with opened([run_of()]) as page:
        assert page.title() == page.locator("h1").inner_text()
        assert page.locator("h1").inner_text().startswith("reference runs vww01 on nucleo-f746 in 51.9 M")
        for figure in page.locator("figure").all():
            figure.scroll_into_view_if_needed()
            figure.locator(".live .main-svg").first.wait_for()
            assert not figure.locator(".still").is_visible()
        assert page.locator("figure").count() == 2
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(
            "(dark) => getComputedStyle(document.querySelector('.live .xtick text')).fill === dark",
            arg="rgb(228, 231, 235)",
        )
        page.emulate_media(media="print")
        assert page.locator("figure .still").first.is_visible()
        assert not page.locator("figure .live").first.is_visible()


def test_without_javascript_it_is_complete(opened, several):
    gap = Gap(workload="sww01", engine="reference", target="nucleo-f746", reason="lacks `SVDF`")
    with opened(several, said={"gaps": [gap]}, java_script_enabled=False) as page:
        assert "3 engines run 3 workloads" in page.locator("h1").inner_text()
        assert page.locator("#answers-virtual tbody tr").count() == 9
        assert page.locator("#ram-figure svg").is_visible()
        assert not page.locator("#tools").is_visible()
        page.locator("#case-1 > summary").click()
        assert page.locator("#case-1-operators tbody tr").first.is_visible()
        assert page.locator("#case-1-arena svg").is_visible()
        assert page.locator("#gaps-table").is_visible()


def test_columns_sort_by_value_and_back(opened, several):
    with opened(several) as page:
        head = page.locator("#answers-virtual thead th", has_text="Instructions")
        number = "#answers-virtual tbody tr td:nth-child(4)"
        original = texts(page, number)
        values = [int(text.replace(",", "")) for text in original]
        head.click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert [int(text.replace(",", "")) for text in texts(page, number)] == sorted(values)
        head.locator("button").press("Enter")
        assert [int(text.replace(",", "")) for text in texts(page, number)] == sorted(values, reverse=True)
        head.locator("button").press("Space")
        assert texts(page, number) == original
        assert head.get_attribute("aria-sort") is None


def test_slash_filters_and_escape_ends_it(opened, several):
    with opened(several) as page:
        page.keyboard.press("/")
        page.keyboard.type("kws cmsis")
        page.wait_for_function("() => document.querySelector('#tools output').textContent !== ''")
        assert page.locator("#answers-virtual tbody tr:visible").count() == 1
        assert "kws01" in page.locator("#answers-virtual tbody tr:visible").inner_text()
        assert page.locator("#cases details:visible").count() == 1
        page.keyboard.press("Escape")
        page.wait_for_function("() => document.querySelector('#tools output').textContent === ''")
        assert page.locator("#answers-virtual tbody tr:visible").count() == 9
        page.get_by_label("Keys").uncheck()
        page.locator("h1").click()
        page.keyboard.press("/")
        assert not page.evaluate("document.activeElement.matches('input[type=search]')")


def test_c_shows_changes_only(opened, several, changed):
    with opened(several, said=changed) as page:
        assert "regressed" in page.locator("h1").inner_text()
        rows = page.locator("#answers-virtual tbody tr:visible")
        assert rows.count() == 9
        page.keyboard.press("c")
        assert sorted(row.split("\t")[:2] for row in rows.all_inner_texts()) == [
            ["kws01", "cmsis-nn"],
            ["vww01", "reference"],
        ]
        page.keyboard.press("c")
        assert rows.count() == 9


def test_a_table_is_copied_as_markdown_and_as_csv(opened, several):
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(several[:2], permissions=permissions) as page:
        page.get_by_label("Copy On virtual boards: exact counts, not times as Markdown").click()
        page.get_by_text("Copied as Markdown").wait_for(state="attached")
        lines = page.evaluate("navigator.clipboard.readText()").splitlines()
        assert lines[1] == "| --- | --- | --- | --: | --: | --: |"
        assert lines[2].startswith("| vww01 | reference | nucleo-f746 | 51,890,658 | 333,288 B (325.5 KiB) |")
        page.get_by_label("Copy On virtual boards: exact counts, not times as CSV").click()
        page.get_by_text("Copied as CSV").wait_for(state="attached")
        lines = page.evaluate("navigator.clipboard.readText()").splitlines()
        assert lines[0].split(",")[4] == "Flash counted [B]"
        assert lines[1] == "vww01,reference,nucleo-f746,51890658,333288,61860"


def test_a_link_to_a_case_opens_its_fold(opened, several):
    with opened(several) as page:
        assert page.locator("#cases details[open]").count() == 0
        page.locator("#answers-virtual tbody a").first.click()
        page.locator("#case-1[open]").wait_for()
        assert page.locator("#case-1-operators").is_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_but_tables_scrolls_sideways(opened, several, run_of, width):
    real = run_of(
        simulated=False,
        measurements=(run_of.measured("latency", 0.1, 0.11), run_of.estimated("energy", 1e-3, 0.1, "J")),
    )
    with opened([*several, real], viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_on_a4(opened, run_of, tmp_path):
    with opened([run_of()]) as page:
        pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    assert 3 <= pdf.count(b"/Type /Page\n") <= 8
    width, height = (float(side) for side in pdf.split(b"/MediaBox [0 0 ")[1].split(b"]")[0].split())
    assert (round(width), round(height)) == (595, 842)


def test_a_long_page_filters_in_portions_and_ends_where_it_should(opened, run_of):
    runs = [
        run_of(f"w{number:03d}", engine, operators=(), functions=(), arena=(), memory=None)
        for number in range(200)
        for engine in ("reference", "tflm", "cmsis-nn")
    ]
    with opened(runs) as page:
        assert page.locator("#answers-virtual tbody tr").count() == 600
        page.keyboard.press("/")
        page.keyboard.type("w123 tflm")
        page.wait_for_function("() => document.querySelectorAll('main tbody tr:not([hidden])').length < 300")
        page.wait_for_function(
            "() => document.querySelectorAll('#golden tbody tr:not([hidden])').length === 1"
        )
        assert page.locator("#tools output").inner_text() == "4 of 2,600 rows"
        assert page.locator("#answers-virtual tbody tr:visible").count() == 1
        page.keyboard.press("Escape")
        page.wait_for_function("() => !document.querySelector('#provenance tbody tr[hidden]')")
        assert page.locator("#answers-virtual tbody tr:visible").count() == 600
        assert page.locator(".live").count() == 0  # a long page unpacks plotly.js when a figure is pointed at
        page.locator("#ram-figure").hover()
        page.locator("#ram-figure .live .main-svg").first.wait_for()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """axe-core from the npm registry, at test time, its digest checked."""
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        ["npm", "pack", "--json", "--pack-destination", folder, AXE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    archive = folder / json.loads(packed.stdout)[0]["filename"]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == AXE_INTEGRITY
    with tarfile.open(archive) as content:
        return content.extractfile("package/axe.min.js").read().decode()


@pytest.mark.needs("npm")
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)]
)
def test_axe_finds_nothing(opened, several, changed, run_of, axe, *, scheme, width):
    failed = run_of("ad01", failure=run_of.failure("WrongAnswer", 3, "off by 3", hint="try"), wrong=True)
    real = run_of(
        simulated=False,
        measurements=(run_of.measured("latency", 0.1, 0.11), run_of.estimated("energy", 1e-3, 0.1, "J")),
    )
    runs = [*several, failed, real]
    view = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    with opened(runs, said=changed, **view) as page:
        page.locator("#case-1 > summary").click()
        page.evaluate(axe)
        found = page.evaluate("axe.run(document)")
        told = [
            f"{violation['impact']} {violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]
        assert told == []
