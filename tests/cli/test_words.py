"""Words in, exit code out: names, help, listings, settings. Nothing is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Command

HEAVY = {
    "pandas",
    "plotly",
    "numpy",
    "unicorn",
    "pyocd",
    "elftools",
    "capstone",
    "serial",
    "jinja2",
    "tflite_micro",
}


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tinybench.cli import main\n"
        "try: main(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("run", "plan", "build", "show", "report", "list", "doctor"):
        assert f"\n  {command} " in done.stdout
    assert not HEAVY & {module.partition(".")[0] for module in done.stderr.split()}


@pytest.mark.parametrize("command", ["run", "plan", "build", "show", "report", "list", "doctor", "config"])
def test_every_command_shows_an_example(tinybench: Command, command: str) -> None:
    said = tinybench(command, "--help")
    assert said.code == 0
    assert "Example: tinybench" in said.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("run", "--suite", "vvw", "--device", "nucleo-f746"), "unknown suite `vvw`", "did you mean `vww`?"),
        (
            ("run", "--suite", "vww", "--device", "nucleo-f764"),
            "unknown device `nucleo-f764`",
            "`nucleo-f746`",
        ),
        (
            ("plan", "--suite", "vww", "--device", "nucleo-f746", "--engine", "referense", "--simulate"),
            "unknown engine `referense`",
            "did you mean `reference`",
        ),
        (("plan", "--workload", "vww1", "--device", "nucleo-f746"), "unknown workload `vww1`", "vww01"),
        (("plan", "--device", "nucleo-f746"), "no suite and no workload", "--suite"),
        (("plan", "--suite", "vww"), "no device is named", "--device"),
        (("run", "--suite", "vww", "--device", "rpi-pico", "--rules", "mlpref"), "`mlpref`", "`mlperf`"),
        (("run", "--siute", "vww"), "No such option", "--help"),
        (("list", "boards"), "boards", "--help"),
        (("plan", "--suite", "vww", "--device", "x", "--plugins", "nowhere"), "`nowhere` does not exist", ""),
    ],
)
def test_a_wrong_word_is_told_the_right_one(
    tinybench: Command, words: tuple[str, ...], message: str, hint: str
) -> None:
    said = tinybench(*words)
    assert said.code == 2
    assert message in said.err
    assert hint in said.err
    assert said.out == ""


def test_without_a_board_the_virtual_one_is_offered(tinybench: Command) -> None:
    said = tinybench("run", "--suite", "vww", "--device", "nucleo-f746")
    assert said.code == 4
    assert said.err.splitlines() == [
        "error: no board of target nucleo-f746 was found",
        "hint: add --simulate to run on the virtual board",
    ]


def test_a_port_is_looked_for_before_a_model_is_fetched(tinybench: Command, tmp_path: Path) -> None:
    said = tinybench("run", "--workload", "vww01", "--device", f"serial:{tmp_path / 'ttyACM7'}")
    assert said.code == 4
    assert said.err.splitlines() == [
        f"error: there is no serial port `{tmp_path / 'ttyACM7'}`",
        "hint: tinybench devices",
    ]


def test_an_error_in_json_is_one_document(tinybench: Command) -> None:
    said = tinybench("run", "--suite", "vvw", "--device", "nucleo-f746", "--json")
    assert said.json == {
        "schema": "tinybench.error",
        "error": "UsageError",
        "exit_code": 2,
        "message": "unknown suite `vvw`",
        "hint": "did you mean `vww`?",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("suites", "mlperf-tiny"),
        ("workloads", "vww01-mltk"),
        ("engines", "reference"),
        ("devices", "nucleo-f746"),
        ("adapters", "virtual"),
        ("metrics", "instructions"),
    ],
)
def test_everything_that_can_be_named_is_listed(tinybench: Command, what: str, name: str) -> None:
    assert name in tinybench("list", what).out
    assert name in [item["name"] for item in tinybench("list", what, "--json").json["items"]]


def test_doctor_finds_what_a_run_needs(tinybench: Command) -> None:
    said = tinybench("doctor", "--json")
    assert said.code == 0
    assert {"cross compiler", "virtual boards", "results"} <= {check["what"] for check in said.json["checks"]}
    missing = tinybench("doctor", TINYBENCH_MODELS="/nowhere")
    assert missing.code == 7
    assert "unset TINYBENCH_MODELS" in missing.out


def test_settings_say_where_they_come_from(tinybench: Command) -> None:
    said = tinybench("config", "--show-origin", TINYBENCH_ENGINE="reference")
    assert [line.split() for line in said.out.splitlines() if line.split()[0] == "engine"] == [
        ["engine", '["reference"]', "environment"]
    ]


def test_the_reader_may_leave_early(tinybench: Command) -> None:
    assert tinybench("--version").out.startswith("tinybench ")
    pipe = f"{sys.executable} -m tinybench list workloads | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_a_broken_part_is_mentioned_and_left_out(tinybench: Command, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import no_such_package\n", encoding="utf-8")
    said = tinybench("list", "engines", "--plugins", str(tmp_path))
    assert said.code == 0
    assert "warning: " in said.err
    assert "no_such_package" in said.err
    assert "reference" in said.out
