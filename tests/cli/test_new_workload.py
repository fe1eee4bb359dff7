"""`tinybench new workload`: a model of the user's own, from a file or from a web server, judged and run."""

from __future__ import annotations

import hashlib
import http.server
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinybench.fetch import Fetcher, Places
from tinybench.making.synthesis import synthesised
from tinybench.workload import SyntheticSource, WorkloadSpec

from .conftest import Command

RUN = ("--device", "nucleo-l4r5zi", "--simulate", "--plugins", "mine", "--json")


@pytest.fixture(autouse=True)
def _oracle() -> None:
    pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="needs `tflite-micro`, which is not installed"
    )


def network(numbers: str = "int8") -> bytes:
    source = {"kind": "synthetic", "architecture": "stress", "seed": 7, "numbers": numbers}
    return synthesised(SyntheticSource.model_validate(source))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "mine.tflite"
    file.write_bytes(network())
    return file


@pytest.mark.needs("python:unicorn")
def test_a_file_becomes_a_workload_that_runs(tinybench: Command, model: Path, tmp_path: Path) -> None:
    said = tinybench("new", "workload", "my-model", "--model", model.name, "--into", "mine")
    assert said.code == 0, said.err
    assert said.out == "mine/my-model/workload.toml\n"
    assert "tinybench run --workload my-model" in said.err
    spec = tomllib.loads((tmp_path / "mine/my-model/workload.toml").read_text())
    assert spec["model"]["sha256"] == hashlib.sha256(network()).hexdigest()
    assert spec["model"]["sources"] == [{"kind": "file", "path": str(model), "licence": "not stated"}]

    ran = tinybench("run", "--workload", "my-model", *RUN)
    assert ran.code == 0, ran.err
    (run,) = ran.json["runs"]
    assert [check["equal"] for check in run["golden"]] == [True] * 3
    assert run["provenance"]["model_source"].startswith(f"file {model}")  # or what the cache has of it


@pytest.mark.needs("python:unicorn")
@pytest.mark.parametrize("numbers", ["int16x8", "float32"])
def test_models_of_other_numbers_run_too(tinybench: Command, tmp_path: Path, numbers: str) -> None:
    (tmp_path / "mine.tflite").write_bytes(network(numbers))
    said = tinybench("new", "workload", "my-model", "--model", "mine.tflite", "--into", "mine")
    assert said.code == 0, said.err
    (run,) = tinybench("run", "--workload", "my-model", *RUN).json["runs"]
    assert [check["equal"] for check in run["golden"]] == [True] * 3


@pytest.fixture
def served() -> Iterator[str]:
    """A web server on this computer that has the model and nothing else."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            self.send_response(200 if self.path == "/a/mine.tflite" else 404)
            self.end_headers()
            self.wfile.write(network())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_becomes_a_workload_known_by_digest(tinybench: Command, served: str, tmp_path: Path) -> None:
    said = tinybench("new", "workload", "of-the-web", "--model", f"{served}/a/mine.tflite", "--into", "mine")
    assert said.code == 0, said.err
    spec = tomllib.loads((tmp_path / "mine/of-the-web/workload.toml").read_text())
    assert spec["model"]["sources"][0]["url"] == f"{served}/a/mine.tflite"
    known = WorkloadSpec.model_validate(spec)
    fetched = Fetcher(Places(tmp_path / "cache")).fetch("of-the-web", known.model)
    assert fetched.path.read_bytes() == network()

    gone = tinybench("new", "workload", "other", "--model", f"{served}/b.tflite", "--into", "mine")
    assert gone.code == 7
    assert "answers 404" in gone.err
    assert not (tmp_path / "mine/other").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("new", "workload", "my-model"), 2, "a workload needs a model"),
        (("new", "workload", "My_Model", "--model", "mine.tflite"), 2, "cannot name a workload"),
        (("new", "workload", "vww01", "--model", "mine.tflite"), 2, "there is a workload `vww01` already"),
        (("new", "workload", "my-model", "--model", "nowhere.tflite"), 7, "cannot read `nowhere.tflite`"),
        (("new", "engine", "my-engine", "--model", "mine.tflite"), 2, "an engine has no model"),
        (
            ("new", "workload", "my-model", "--model", "mine.tflite", "--encoding", "int16"),
            6,
            "is int8, not int16 as its samples",
        ),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_cannot_be_is_refused_and_nothing_written(
    tinybench: Command, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    said = tinybench(*words, "--into", "mine")
    assert said.code == code
    assert message in said.err
    assert not (tmp_path / "mine").exists()


def test_a_damaged_file_is_no_workload(tinybench: Command, model: Path, tmp_path: Path) -> None:
    model.write_bytes(model.read_bytes()[:200])
    said = tinybench("new", "workload", "my-model", "--model", model.name, "--into", "mine")
    assert said.code == 6
    assert not (tmp_path / "mine").exists()


def test_a_file_that_changed_is_not_believed(tinybench: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.tflite"
    source = SyntheticSource(kind="synthetic", architecture="stress", seed=8)
    file.write_bytes(synthesised(source))
    assert tinybench("new", "workload", "changed", "--model", file.name, "--into", "mine").code == 0
    file.write_bytes(network())
    said = tinybench("run", "--workload", "changed", *RUN)
    assert said.code == 7
    assert "as its workload pins" in said.err
