"""Our files, judged by the tools that will read them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import replace

import pandas as pd
import pytest
import xmlschema
from junitparser import Error, JUnitXml, Skipped
from junitparser import Failure as FailureElement
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tinybench.compare import Side, answer_of, compare
from tinybench.errors import UsageError
from tinybench.export import FORMATS, render
from tinybench.export.github import as_benchmark, step_summary, workflow_commands
from tinybench.export.markdown import escape
from tinybench.records import Failure

NASTY = '<script>alert("1")</script>|`x`\n% "\\'


@pytest.fixture
def stored(store, make_run):
    """Five Cases: plain, nasty name, changed, failed on the bench, a wrong answer with a long transcript."""
    base = [make_run(case={"engine": engine}) for engine in ("plain", NASTY, "changed", "broken", "wrong")]
    bench = Failure(error="LinkTimeout", exit_code=4, message=f"no answer {NASTY}", hint="replug it")
    answer = Failure(error="WrongAnswer", exit_code=3, message="wrong", details=("\x00\x1b[31m<" * 50_000,))
    new = [
        make_run(case={"engine": "plain"}),
        make_run(case={"engine": NASTY}, conditions={"clock_hz": 1}),
        make_run(
            case={"engine": "changed"}, samples={"flash": (333_300,), "ram_heap": (8,), "accuracy": (0.9,)}
        ),
        make_run(case={"engine": "broken"}, failure=bench),
        make_run(case={"engine": "wrong"}, failure=answer),
    ]
    for run in [*base, *new]:
        store.append(run)
    comparison = compare(Side("base", tuple(map(answer_of, base))), Side("new", tuple(map(answer_of, new))))
    return store.read().runs, comparison


def test_csv_has_every_sample(stored):
    runs, _ = stored
    frame = pd.read_csv(io.BytesIO(render("csv", runs)))
    assert len(frame) == 8 * 57
    assert NASTY in set(frame["engine"])
    assert set(frame.loc[frame["metric"] == "flash", "value"]) == {333288, 333300}


@pytest.mark.needs("python:pyarrow")
def test_parquet_has_every_sample(stored):
    runs, _ = stored
    frame = pd.read_parquet(io.BytesIO(render("parquet", runs)))
    pd.testing.assert_frame_equal(frame, runs.frame())


def test_junit_of_a_comparison(stored):
    runs, comparison = stored
    (suite,) = JUnitXml.fromstring(render("junit", runs, comparison))
    outcomes = {(case.classname, case.name): [type(r) for r in case.result] for case in suite}
    prefix = "tinybench.nucleo-f746."
    assert outcomes[prefix + "changed", "vww01 flash"] == [FailureElement]
    assert outcomes[prefix + "changed", "vww01 accuracy"] == []
    assert outcomes[prefix + "plain", "vww01 flash"] == []
    assert outcomes[prefix + "broken", "vww01"] == [Error]
    assert outcomes[prefix + "wrong", "vww01"] == [FailureElement]
    assert [Skipped] in outcomes.values()
    assert (suite.failures, suite.errors, suite.skipped) == (3, 1, 12)
    assert suite.tests == len(outcomes)


@pytest.fixture(scope="session")
def jenkins_schema(tmp_path_factory):
    """The Jenkins xUnit plug-in's schema, from the source package of pytest, which carries a copy."""
    folder = tmp_path_factory.mktemp("pytest-source")
    wanted = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder), "pytest==8.4.2"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip("needs the package index, which did not answer")
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(folder.glob("pytest-*.tar.gz"))) as archive:
        member = next(name for name in archive.getnames() if name.endswith("junit-10.xsd"))
        return xmlschema.XMLSchema(archive.extractfile(member).read().decode())


def test_junit_by_the_jenkins_schema(stored, jenkins_schema):
    runs, comparison = stored
    for content in (
        render("junit", runs, comparison),
        render("junit", runs),
        render("junit", runs.where(lambda entry: False)),
    ):
        jenkins_schema.validate(io.BytesIO(content))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        jenkins_schema.validate("<testsuites><testsuite><testcase/></testsuite></testsuites>")


def test_junit_of_runs_is_small_whatever_the_transcript(stored):
    runs, _ = stored
    content = render("junit", runs)
    (suite,) = JUnitXml.fromstring(content)
    assert (suite.tests, suite.failures, suite.errors) == (5, 1, 1)
    assert len(content) < 200_000
    assert "more characters" in content.decode()


def test_junit_keeps_the_order_and_attributes_of_both_schemas(stored):
    """Windy Road's schema is a sequence and wants every attribute; Jenkins' allows them all."""
    runs, comparison = stored
    text = render("junit", runs, comparison).decode()
    (suite,) = re.findall(r"<testsuite .*?>", text, re.DOTALL)
    wanted = {
        "id",
        "name",
        "package",
        "timestamp",
        "hostname",
        "tests",
        "failures",
        "errors",
        "skipped",
        "time",
    }
    assert set(re.findall(r'(\w+)="', suite)) == wanted
    assert re.search(r'timestamp="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"', suite)
    children = re.findall(r"^    <(properties|testcase|system-out|system-err)", text, re.MULTILINE)
    assert children[0] == "properties"
    assert children[-2:] == ["system-out", "system-err"]
    assert set(children[1:-2]) == {"testcase"}


def test_openmetrics_by_prometheus_own_parser(stored):
    runs, _ = stored
    families = {f.name: f for f in text_string_to_metric_families(render("openmetrics", runs).decode())}
    flash = families["tinybench_flash_bytes"]
    assert (flash.type, flash.unit) == ("gauge", "bytes")
    values = {sample.labels["engine"]: sample.value for sample in flash.samples}
    assert values == {"plain": 333288.0, NASTY: 333288.0, "changed": 333300.0}
    assert families["tinybench_latency_seconds"].samples[0].labels["kind"] == "measured"


def test_bencher_metric_format(stored):
    runs, _ = stored
    document = json.loads(render("bencher", runs))
    measures = document["vww01/changed/nucleo-f746"]
    assert measures["flash"] == {"value": 333300, "lower_value": 333300, "upper_value": 333300}
    assert measures["latency"]["value"] == pytest.approx(0.25e9, rel=0.01)
    assert measures["latency"]["lower_value"] < measures["latency"]["value"]


def test_an_estimate_never_shares_a_line_with_a_measurement(store, make_run):
    store.append(make_run(kinds={"latency": "estimated"}))
    (measures,) = json.loads(render("bencher", store.read().runs)).values()
    assert "latency" not in measures
    assert "latency-estimated" in measures


def test_github_benchmark_has_one_direction_per_file(stored):
    runs, _ = stored
    smaller, bigger = (json.loads(as_benchmark(runs.newest(), better)) for better in ("lower", "higher"))
    assert {entry["name"].split()[-1] for entry in bigger} == {"accuracy"}
    assert all({"name", "unit", "value", "range", "extra"} == set(entry) for entry in smaller)
    assert json.loads(render("github-benchmark", runs)) == smaller


def test_markdown_escapes_what_came_from_outside(stored):
    runs, comparison = stored
    text = render("markdown", runs, comparison).decode()
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = {len(re.split(r"(?<!\\)\|", row)) for row in rows}
    assert cells == {12, 5, 9}  # verdicts, failures, numbers: no stray column
    assert "+12 B" not in text.split("## Regressed")[0]
    assert "+0.0036 % (exact)" in text.split("## Improved")[0]


def test_step_summary_and_workflow_commands(stored):
    _, comparison = stored
    assert step_summary(comparison).startswith("# 2 regressed, 1 improved")
    commands = workflow_commands(comparison)
    assert len(commands) == 4
    assert all("\n" not in command for command in commands)
    assert commands[0].startswith("::error title=ram_heap of vww01 changed nucleo-f746 regressed::+8 B")
    assert commands[2].startswith(
        "::warning title=vww01 broken nucleo-f746 failed::LinkTimeout: no answer <script>"
    )
    assert "%0A%25 " in commands[2]


def test_a_step_summary_never_exceeds_what_github_takes(make_run):
    one = answer_of(make_run(only=("flash", "ram_peak")))
    many = tuple(replace(one, case=one.case.model_copy(update={"engine": f"e{i}"})) for i in range(4000))
    text = step_summary(compare(Side("base", many), Side("new", many)))
    assert len(text.encode()) < 1 << 20
    assert "Cut: the whole comparison is" in text


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_takes_an_empty_store_and_one_of_failures_only(store, make_run, name):
    store.check_writable()
    assert isinstance(render(name, store.read().runs), bytes)
    store.append(make_run(failure=Failure(error="LoadError", exit_code=4, message="m")))
    assert isinstance(render(name, store.read().runs), bytes)


def test_an_unknown_format(store):
    store.check_writable()
    with pytest.raises(UsageError, match="unknown format `jnuit`") as error:
        render("jnuit", store.read().runs)
    assert error.value.hint == "did you mean `junit`?"


def test_escape_leaves_plain_text_alone():
    assert escape("vww01 at 216 MHz") == "vww01 at 216 MHz"
    assert escape("a\nb  c") == "a b c"
    assert len(escape("x" * 10_000)) < 400
