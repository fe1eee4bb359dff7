"""What GitHub Actions shows: the step summary, annotations, and github-action-benchmark's file."""

from __future__ import annotations

import json

from tinybench.compare import Comparison
from tinybench.export.markdown import change_text, comparison_markdown
from tinybench.export.rows import rows_of
from tinybench.records import METRICS, Better
from tinybench.results.runs import Runs

_MOST_ANNOTATIONS = 10  # GitHub shows ten of each level per step
_SUMMARY_BYTES = 1000 * 1024  # GitHub refuses a step summary above 1 MiB


def as_benchmark(runs: Runs, better: Better = "lower") -> str:
    """The medians for the tool `customSmallerIsBetter`, or `customBiggerIsBetter` for `better="higher"`.

    The tool takes one direction per file; `range` holds the extremes and `extra` what kind of number it is.
    """
    entries = [
        {
            "name": f"{row.name} {row.measurement.metric}",
            "unit": row.measurement.unit,
            "value": row.summary.median,
            "range": f"{row.summary.low} to {row.summary.high}",
            "extra": f"{row.measurement.kind}, n = {row.summary.n}, Run {row.run.run_id}",
        }
        for row in rows_of(runs)
        if row.measurement.metric in METRICS and METRICS[row.measurement.metric].better == better
    ]
    return json.dumps(entries, indent=1) + "\n"


def step_summary(comparison: Comparison) -> str:
    """Markdown to append to the file that $GITHUB_STEP_SUMMARY names."""
    text = comparison_markdown(comparison)
    encoded = text.encode()
    if len(encoded) <= _SUMMARY_BYTES:
        return text
    rows = encoded[:_SUMMARY_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{rows}\n\nCut: the whole comparison is {len(encoded)} bytes long.\n"


def workflow_commands(comparison: Comparison) -> list[str]:
    """Workflow commands to print, one per line: errors for regressions, warnings for failed Cases."""
    errors = [
        _command("error", f"{verdict.metric} of {verdict.case} regressed", text)
        for verdict in comparison.of("regressed")
        for text in [f"{change_text(verdict.effect, verdict.unit)}: {verdict.reason}"]
    ]
    warnings = [
        _command("warning", f"{failed.case} failed", f"{failed.failure.error}: {failed.failure.message}")
        for failed in comparison.failures
    ]
    return [*errors[:_MOST_ANNOTATIONS], *warnings[:_MOST_ANNOTATIONS]]


def _command(level: str, title: str, text: str) -> str:
    """A workflow command, escaped as the runner unescapes it: properties also lose `:` and `,`."""
    property_text = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={property_text}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
