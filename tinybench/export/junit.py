"""JUnit XML that satisfies both common schemas, Jenkins' and Windy Road's.

One suite per target. Without a comparison a test case is a Run, and fails if the Run did. With one it is a
metric of a Case: a regression is a failure, a broken bench an error, what could not be compared is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from tinybench import units
from tinybench.compare import Comparison
from tinybench.export.markdown import change_text
from tinybench.records import Failure, Run
from tinybench.results.runs import CaseKey, Runs, key_of
from tinybench.results.verdict import summary_of

_LONGEST_TEXT = 64 * 1024
# XML 1.0 (section 2.2) has no way at all to write these characters.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Test:
    case: CaseKey
    name: str
    outcome: str = ""  # failure, error, skipped, or empty for a pass
    kind: str = ""
    message: str = ""
    text: str = ""


def as_junit(runs: Runs, comparison: Comparison | None = None) -> bytes:
    """A JUnit file of the comparison, or of the Runs if there is none."""
    tests = list(_of_comparison(comparison) if comparison else _of_runs(runs))
    started = max((entry.started for entry in runs.entries), default=datetime.now(UTC))
    root = ET.Element("testsuites")
    targets = sorted({test.case.target for test in tests})
    for number, target in enumerate(targets):
        root.append(_suite(number, target, started, [test for test in tests if test.case.target == target]))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _of_runs(runs: Iterable[Run]) -> Iterator[_Test]:
    for run in runs:
        if run.failure is not None:
            yield _failed(key_of(run.case), key_of(run.case).workload, run.failure)
            continue
        numbers = "\n".join(
            f"{m.metric} = {units.show(summary_of(m).median, m.unit)} ({m.kind}, n = {len(m.samples)})"
            for m in run.measurements
        )
        yield _Test(key_of(run.case), key_of(run.case).workload, text=numbers)


def _failed(case: CaseKey, name: str, failure: Failure) -> _Test:
    """A wrong or poor answer is a failure of what is tested; everything else an error of the bench."""
    outcome = "failure" if failure.exit_code in (1, 3, 5) else "error"
    text = "\n".join(filter(None, (failure.message, failure.hint, *failure.details)))
    return _Test(case, name, outcome, failure.error, failure.message, text)


def _of_comparison(comparison: Comparison) -> Iterator[_Test]:
    failed = {entry.case: entry.failure for entry in comparison.failures}
    for case, failure in failed.items():
        yield _failed(case, case.workload, failure)
    for verdict in comparison.verdicts:
        if verdict.case in failed:
            continue
        outcome = {"regressed": "failure", "incomparable": "skipped", "missing": "skipped"}.get(
            verdict.word, ""
        )
        change = change_text(verdict.effect, verdict.unit)
        text = f"{verdict.word}: {change + ': ' if change else ''}{verdict.reason}"
        yield _Test(
            verdict.case, f"{verdict.case.workload} {verdict.metric}", outcome, verdict.word, text, text
        )


def _suite(number: int, target: str, started: datetime, tests: list[_Test]) -> ET.Element:
    count = {kind: sum(test.outcome == kind for test in tests) for kind in ("failure", "error", "skipped")}
    suite = ET.Element(
        "testsuite",
        {
            "id": str(number),
            "name": _clean(target),
            "package": "tinybench",
            "timestamp": started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": "localhost",
            "tests": str(len(tests)),
            "failures": str(count["failure"]),
            "errors": str(count["error"]),
            "skipped": str(count["skipped"]),
            "time": "0",
        },
    )
    ET.SubElement(suite, "properties")
    for test in tests:
        suite.append(_testcase(test))
    passed = [f"{test.name}: {test.text}" for test in tests if not test.outcome and test.text]
    ET.SubElement(suite, "system-out").text = _clean("\n".join(passed))
    ET.SubElement(suite, "system-err")
    return suite


def _testcase(test: _Test) -> ET.Element:
    options = "".join(f" {name}={value}" for name, value in test.case.options)
    element = ET.Element(
        "testcase",
        {
            "classname": _clean(f"tinybench.{test.case.target}.{test.case.engine}{options}"),
            "name": _clean(test.name),
            "time": "0",
        },
    )
    if test.outcome == "skipped":
        ET.SubElement(element, "skipped", {"message": _clean(test.message)})
    elif test.outcome:
        found = {"type": _clean(test.kind), "message": _clean(test.message)}
        ET.SubElement(element, test.outcome, found).text = _clean(test.text)
    return element


def _clean(text: str) -> str:
    shown = _UNWRITABLE.sub("\ufffd", text[:_LONGEST_TEXT])
    return shown + f"\n… {len(text) - _LONGEST_TEXT} more characters" * (len(text) > _LONGEST_TEXT)
