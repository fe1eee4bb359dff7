"""Results in a shared place: any URL that fsspec understands (the extra `remote`).

Objects there are written once and never appended to: each Run, or each finished file, is a new object.
"""

from __future__ import annotations

import importlib.util
import secrets
from typing import Any

from tinybench.errors import SetupError, UsageError
from tinybench.results.lines import FetchedFile


def fetched(url: str) -> list[FetchedFile]:
    """Every `*.jsonl` directly below `url`, or the one that it names, fetched whole.

    Raises:
        UsageError: there is nothing.
        SetupError: fsspec or the package for this kind of URL is missing, or the place refuses.
    """
    filesystem, path = _filesystem(url)
    try:
        names = [path] if path.endswith(".jsonl") else sorted(filesystem.glob(f"{path}/*.jsonl"))
        files = [FetchedFile(str(name).rpartition("/")[2], filesystem.cat_file(name)) for name in names]
        exists = bool(files) or filesystem.exists(path)
    except FileNotFoundError:
        exists, files = False, []
    except OSError as error:
        raise SetupError(f"cannot read `{url}`: {error}", hint="check the address and the access") from error
    if not exists:
        raise UsageError(f"there are no results at `{url}`", hint="tinybench run --results FOLDER")
    return files


def publish(url: str, name: str, content: bytes) -> None:
    """Write one new object `name` below `url`.

    Raises:
        UsageError: it exists; a finished file is never edited.
        SetupError: fsspec is missing, or the place refuses.
    """
    filesystem, path = _filesystem(url)
    if path.endswith(".jsonl"):
        path, _, name = path.rpartition("/")
    target = f"{path}/{name}"
    try:
        if filesystem.exists(target):
            raise UsageError(f"`{url}` has `{name}` and it is never overwritten", hint="choose another name")
        filesystem.makedirs(path, exist_ok=True)
        filesystem.pipe_file(target, content)
    except OSError as error:
        raise SetupError(
            f"cannot write to `{url}`: {error}", hint="check the address and the access"
        ) from error


def check_writable(url: str) -> None:
    """Write and remove a small object.

    Raises:
        SetupError: fsspec is missing, or the place refuses.
    """
    filesystem, path = _filesystem(url)
    if path.endswith(".jsonl"):
        path = path.rpartition("/")[0]
    probe = f"{path}/.writable-{secrets.token_hex(4)}"
    try:
        filesystem.makedirs(path, exist_ok=True)
        filesystem.pipe_file(probe, b"")
        filesystem.rm_file(probe)
    except OSError as error:
        raise SetupError(
            f"cannot write results to `{url}`: {error}", hint="check the access or give --results FOLDER"
        ) from error


def _filesystem(url: str) -> tuple[Any, str]:
    if importlib.util.find_spec("fsspec") is None:
        raise SetupError(f"`{url}` needs the package fsspec", hint="pip install 'tinybench-mcu[remote]'")
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise SetupError(f"`{url}`: {error}", hint="install the package that it names") from error
    except ValueError as error:
        raise UsageError(
            f"`{url}` is not a URL that fsspec knows: {error}", hint="s3://bucket/folder"
        ) from error
    return filesystem, str(path).rstrip("/")
