"""How long a page of 2,000 cases makes a reader wait: the longest task of Chromium after each key stroke.

    python tests/speed/report.py [--cases 2000]

Prints the time to write the page, its size, and for each key stroke the longest task of the main thread (a
task beyond 50 ms is long; 200 ms is a stall). Exits 1 if filtering stalls.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tinybench.records import Run
from tinybench.report.html import write_report

LINE = Path(__file__).parents[1] / "data" / "runs-v1.jsonl"
STALL_MS = 200
ENGINES = ("reference", "tflm", "cmsis-nn", "emlearn", "microtvm")
WATCH = """() => {
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((task) => task.duration)))
        .observe({ type: "longtask" });
}"""


def cases(count: int) -> list[Run]:
    """Runs of `count` different Cases."""
    run = Run.model_validate_json(LINE.read_bytes())
    return [
        run.model_copy(
            update={
                "run_id": f"{number:06d}",
                "case": run.case.model_copy(
                    update={
                        "workload": f"w{number // len(ENGINES):04d}",
                        "engine": ENGINES[number % len(ENGINES)],
                    }
                ),
            }
        )
        for number in range(count)
    ]


def longest_ms(page: Page) -> float:
    """The longest task since the last call, once the page is at rest."""
    page.wait_for_timeout(700)
    return max(page.evaluate("window.tasks.splice(0)"), default=0.0)


def main() -> int:
    """Write, open, filter, sort; print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    count = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        runs = cases(count)
        before = time.perf_counter()
        write_report(runs, path)
        print(f"write   {time.perf_counter() - before:.2f} s, {path.stat().st_size / 1e6:.2f} MB")
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page()
        before = time.perf_counter()
        page.goto(path.as_uri())
        print(f"open    {time.perf_counter() - before:.2f} s")
        page.evaluate(WATCH)
        longest_ms(page)
        page.keyboard.press("/")
        worst = 0.0
        for key in (*"w0123 tflm", "Escape"):
            page.keyboard.press("Space" if key == " " else key)
            took = longest_ms(page)
            worst = max(worst, took)
            print(f"filter  {key!r:9} {took:5.0f} ms")
        page.locator("#answers thead th").nth(3).click()
        print(f"sort              {longest_ms(page):5.0f} ms")
        chromium.close()
    print(f"longest task while filtering: {worst:.0f} ms (a stall is {STALL_MS} ms)")
    return 1 if worst > STALL_MS else 0


if __name__ == "__main__":
    sys.exit(main())
