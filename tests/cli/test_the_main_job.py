"""`run … --simulate` end to end: a real model, real firmware, a virtual board, a record, a report."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from tinybench.model import Model, Operator, Quantisation, Tensor
from tinybench.models.tflite import write

from .conftest import Command, Desk, nothing_recorded

# The smallest of the package index's models: what is proved here does not depend on size.
KWS = ("--workload", "kws01-mltk", "--device", "nucleo-f746", "--simulate")
pytestmark = pytest.mark.needs("python:unicorn")
METRICS = [
    "instructions", "cycles", "latency", "flash", "ram_static", "ram_arena", "ram_stack", "ram_heap",
    "ram_peak", "macs", "parameters",
]  # fmt: skip


def test_a_run_is_counted_recorded_shown_and_reported(tinybench: Command, tmp_path: Path) -> None:
    first = tinybench("run", *KWS, "--json")
    assert first.code == 0, first.err
    (run,) = first.json["runs"]
    values = {m["metric"]: m["samples"] for m in run["measurements"]}
    assert list(values) == METRICS
    estimated = {m["metric"]: m for m in run["measurements"] if m["kind"] == "estimated"}
    assert set(estimated) == {"cycles", "latency"}
    assert {m["kind"] for m in run["measurements"] if m["metric"] not in estimated} == {"counted"}
    assert all("cortex-m7" in m["estimator"] and 0 < m["error"] < 0.5 for m in estimated.values())
    assert 0.4 < values["cycles"][0] / values["instructions"][0] < 2.5
    assert values["latency"][0] == pytest.approx(values["cycles"][0] / 216e6)
    assert values["ram_peak"][0] == sum(
        values[f"ram_{part}"][0] for part in ("static", "arena", "stack", "heap")
    )
    assert (values["macs"], values["parameters"]) == ([2656768], [22604])
    assert [check["equal"] for check in run["golden"]] == [True, True, True]
    assert sum(op["instructions"] for op in run["operators"]) <= values["instructions"][0]
    stages = [line.split()[0] for line in first.err.splitlines()]
    assert stages[-5:] == ["run", "build", "build", "check", "record"]

    again = tinybench("run", *KWS, "--json").json["runs"][0]
    assert again["run_id"] != run["run_id"]
    assert again["measurements"] == run["measurements"], "the same run gives the same numbers, to the digit"
    assert again["functions"] == run["functions"]

    lines = [
        line for file in (tmp_path / "results").glob("*.jsonl") for line in file.read_text().splitlines()
    ]
    assert [json.loads(line) for line in lines] == [run, again]
    assert tinybench("show", run["run_id"]).json == run
    assert tinybench("show").json == again

    report = tinybench("report", "-o", "r.html")
    assert report.code == 0, report.err
    assert report.out.strip() == str(tmp_path / "r.html")
    assert "kws01-mltk" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    "toolchain", [pytest.param("gcc", marks=pytest.mark.needs("arm-none-eabi-gcc")), "zig"]
)
def test_all_four_tasks_are_right_to_the_bit_with_either_compiler(tinybench: Command, toolchain: str) -> None:
    said = tinybench(
        "run",
        "--suite",
        "mlperf-tiny",
        "--device",
        "nucleo-f746",
        "--simulate",
        "--json",
        "--toolchain",
        toolchain,
    )
    assert said.code == 0, said.err
    document = said.json
    tasks = [run["case"]["workload"][:2] for run in document["runs"]]
    gaps = [gap["workload"] for gap in document["gaps"]]
    assert (tasks, gaps) in ((["vw", "kw", "ic", "ad"], ["sww"]), (["vw", "kw", "ic", "ad", "sw"], []))
    for run in document["runs"]:
        assert run["failure"] is None
        assert [check["equal"] for check in run["golden"]] == [True] * 3
        assert run["provenance"]["toolchain"]["name"] == toolchain


def test_build_says_where_and_how_large(tinybench: Command) -> None:
    said = tinybench("build", "--workload", "kws01-mltk", "--device", "nucleo-f746", "--json")
    (image,) = said.json["images"]
    assert Path(image["elf"]).is_file()
    assert len(image["build_id"]) == 40
    assert image["flash_bytes"] > 22604, "more than the model's parameters"
    assert image["case"]["target"] == "nucleo-f746"


BROKEN_ENGINE = """
from dataclasses import replace
from pathlib import Path
from tinybench.engines.reference import ENGINES as OURS

class Broken:
    name = "broken"
    exactness = "exact"
    refuses = staticmethod(lambda workload, target: None)

    def generate(self, workload, target, into):
        sources = OURS[0].generate(workload, target, into)
        changed = 0
        for path in (p for p in into.rglob("*") if p.is_file()):
            text = path.read_text()
            if "tb_engine_output" in text and "tb_engine_invoke(void)" in text:
                path.write_text(text.replace("tb_engine_invoke(void)", "sound_invoke(void)") + '''
tb_status tb_engine_invoke(void);
tb_status tb_engine_invoke(void) {
    const tb_status status = sound_invoke();
    ((signed char *)tb_engine_output().data)[1] ^= 1; /* the one wrong bit */
    return status;
}
''')
                changed += 1
        assert changed == 1
        return sources

ENGINES = (Broken(),)
"""


def test_one_wrong_bit_gets_no_number(tinybench: Command, desk: Desk, tmp_path: Path) -> None:
    desk.engine(BROKEN_ENGINE)
    with nothing_recorded(tmp_path):
        said = tinybench("run", *KWS, "--engine", "broken", "--plugins", str(desk.folder), "--json")
    assert said.code == 3
    (run,) = said.json["runs"]
    assert run["failure"]["error"] == "WrongAnswer"
    assert "element `1`" in run["failure"]["message"]
    assert run["measurements"] == []


MUTE = "void tb_port_init(void) { board_init(); for (;;) { } }\n"
FAULTY = """
__attribute__((noinline)) static void touch_nothing(void) {
    *(volatile unsigned *)0x60000000U = 1U; /* external RAM: none is mapped */
}
void tb_port_init(void) { board_init(); touch_nothing(); }
"""


def test_firmware_that_never_answers_meets_its_deadline(
    tinybench: Command, desk: Desk, tmp_path: Path
) -> None:
    board = desk.board("mute", MUTE)
    with nothing_recorded(tmp_path):
        said = tinybench(
            "run", *KWS[:2], "--device", board, "--simulate", "--plugins", str(desk.folder), "--timeout", "2"
        )
    assert said.code == 124, said.err
    assert "hint:" in said.err


def test_firmware_that_faults_says_where_and_why(tinybench: Command, desk: Desk, tmp_path: Path) -> None:
    board = desk.board("faulty", FAULTY)
    with nothing_recorded(tmp_path):
        said = tinybench("run", *KWS[:2], "--device", board, "--simulate", "--plugins", str(desk.folder))
    assert said.code == 4, said.err
    assert "touch_nothing" in said.err
    assert "faulty.c:" in said.err
    assert "0x60000000" in said.err


def test_what_does_not_fit_is_measured_against_what_there_is(tinybench: Command, desk: Desk) -> None:
    board = desk.board("small", **{"size = 0x10_0000\nuses": "size = 0x8000\nuses"})
    said = tinybench("build", *KWS[:2], "--device", board, "--plugins", str(desk.folder))
    assert said.code == 6
    assert "region `flash` of NUCLEO-F746ZG has 32,768 bytes and " in said.err
    notes = [line for line in said.err.splitlines() if line.startswith("  ")]
    assert len(notes) == 5
    assert all(" B  " in note for note in notes)


def test_results_that_cannot_be_written_are_known_before_anything_is_built(
    tinybench: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    said = tinybench("run", *KWS, "--results", "file/below")
    assert said.code == 7
    assert "file" in said.err
    assert "build" not in said.err


@pytest.mark.parametrize("stage", ["run", "build", "check"])
def test_ctrl_c_keeps_what_is_finished(interrupted: Command, tmp_path: Path, stage: str) -> None:
    said = interrupted("run", *KWS, at=stage)
    assert said.code == 130, said.err
    assert "Traceback" not in said.err
    assert said.err.rstrip().endswith("interrupted: finished runs are kept")


def test_ctrl_c_after_the_first_of_two_keeps_the_first(interrupted: Command, tmp_path: Path) -> None:
    said = interrupted("run", "--workload", "kws01-mltk,ad01-mltk", *KWS[2:], at="record")
    assert said.code == 130, said.err
    lines = [
        line for file in (tmp_path / "results").glob("*.jsonl") for line in file.read_text().splitlines()
    ]
    assert [json.loads(line)["case"]["workload"] for line in lines] == ["kws01-mltk"]


def test_the_report_of_an_empty_store_says_what_to_run(tinybench: Command) -> None:
    for command in (("report",), ("show",)):
        said = tinybench(*command)
        assert said.code == 2
        assert "tinybench run" in said.err


def own_workload(desk: Desk, models: Path, model: bytes) -> None:
    """A workload of the user's own around any bytes: `hello_world` with another file and digest."""
    text = (Path(str(files("workloads"))) / "hello_world" / "workload.toml").read_text(encoding="utf-8")
    spec = tomllib.loads(text)
    models.mkdir()
    (models / spec["model"]["file"]).write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    text = text.replace(spec["model"]["sha256"], digest).replace(spec["model"]["normalised_sha256"], digest)
    folder = desk.folder / "own"
    folder.mkdir()
    (folder / "workload.toml").write_text(text.replace('id = "hello_world"', 'id = "own"'), encoding="utf-8")


def tiny(dtype: str) -> bytes:
    """A `.tflite` of one operator, RELU."""
    quantisation = Quantisation((0.5,), (0,)) if dtype == "int8" else None
    tensors = tuple(
        Tensor(i, name, (1, 8), dtype, None, quantisation) for i, name in enumerate(("in", "out"))
    )
    return write(Model(tensors, (Operator(0, "RELU", (0,), (1,), {}),), (0,), (1,)))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (tiny("int8")[:-100], "truncated"),
        (b"\0" * 64, "not a TFLite file"),
        (tiny("float32"), "float32"),
    ],
    ids=["truncated", "zeros", "float"],
)
def test_a_model_that_cannot_be_used_is_refused_before_anything_is_built(
    tinybench: Command, desk: Desk, tmp_path: Path, model: bytes, said: str
) -> None:
    own_workload(desk, tmp_path / "models", model)
    result = tinybench(
        "run", "--workload", "own", *KWS[2:], "--plugins", str(desk.folder),
        TINYBENCH_MODELS=str(tmp_path / "models"),
    )  # fmt: skip
    assert result.code == 6, result.err
    assert said in result.err
    assert "build" not in result.err


def test_a_file_of_the_right_name_and_other_bytes_is_not_taken(tinybench: Command, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vww_96_int8.tflite").write_bytes(tiny("int8"))
    said = tinybench("run", "--suite", "vww", *KWS[2:], TINYBENCH_MODELS=str(tmp_path / "models"))
    assert said.code == 7
    assert said.err.count("sha256") >= 1
    assert (tmp_path / "models" / "vww_96_int8.tflite").exists(), "nothing of the user's is deleted"
