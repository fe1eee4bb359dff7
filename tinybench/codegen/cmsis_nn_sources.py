"""Finds Arm's CMSIS-NN: a checkout of the user's, else the release that a wheel of the package index carries.

The wheel is a box of files here: its digest is pinned, it is unpacked into the cache, and never imported.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinybench import wheels
from tinybench.errors import SetupError, UsageError, WrongDigest
from tinybench.wheels import Unavailable

VARIABLE = "CMSIS_NN_PATH"
OPTION = "cmsis-nn.path"

# Folders of CMSIS-NN whose int8 kernels are called, and what those call.
_FOLDERS = (
    "BasicMathFunctions",
    "ConvolutionFunctions",
    "FullyConnectedFunctions",
    "NNSupportFunctions",
    "PoolingFunctions",
    "SoftmaxFunctions",
)
_HEADER = Path("Include") / "arm_nnfunctions.h"


@dataclass(frozen=True)
class Wheel:
    """A release of CMSIS-NN (`release`, `commit`) inside a wheel, below the folder `inside`."""

    package: str
    version: str
    wheel_tag: tuple[str, str]
    sha256: str
    inside: str
    tree_sha256: str
    release: str
    commit: str


# Licence: Apache-2.0, of the package and of CMSIS-NN and CMSIS-Core in it.
BAKENN = Wheel(
    package="bakenn",
    version="1.0.0",
    wheel_tag=("any", "3.11"),
    sha256="b8251e71a8fc39252df0d308fe9a5837bd86f7a31f1596a7dd4a319196f30e56",
    inside="bakenn/backend/cmsis_nn/vendor/",
    tree_sha256="2567be6bc9e377dcaf2f5da7c3ef9f98abce5ecf17a318c24c09f183380403a1",
    release="4.0.0",
    commit="ca5dc34313be2ee5c46652917c30baac96c52621",
)


@dataclass(frozen=True)
class CmsisNn:
    """CMSIS-NN on this machine: C files, folders of headers, and which version it is, in words."""

    files: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    version: str

    def offers(self, kernel: str) -> bool:
        """Whether a kernel (`arm_elementwise_add_s8`) is among the files."""
        return any(file.stem == kernel for file in self.files)


def find(
    environ: Mapping[str, str],
    cache: Path,
    *,
    option: Path | None = None,
    wheel: Wheel = BAKENN,
    python: str = sys.executable,
) -> CmsisNn:
    """The sources of CMSIS-NN: those of the user's `option` or of $CMSIS_NN_PATH, else those of the wheel.

    Raises UsageError if what the user names is something else, WrongDigest if the wheel is not the one that
    is pinned, SetupError if it cannot be had. `python` is the interpreter whose pip asks the package index.
    """
    if option is not None:
        return _checkout(option, OPTION)
    named = environ.get(VARIABLE)
    if named:
        return _checkout(Path(named), f"${VARIABLE}")
    return _released(_unpacked(cache / "cmsis-nn" / wheel.sha256[:16], wheel, python), wheel)


def _checkout(root: Path, named_by: str) -> CmsisNn:
    if not (root / _HEADER).is_file():
        raise UsageError(
            f"`{named_by}` names `{root}`, which holds no `{_HEADER.as_posix()}`",
            hint="set it to a checkout of CMSIS-NN, or unset it: a release is then taken from a package",
        )
    types = (root / "Include" / "arm_nn_math_types.h").read_text(encoding="utf-8", errors="replace")
    if "cmsis_compiler.h" in types and not (root / "Include" / "cmsis_compiler.h").is_file():
        raise SetupError(
            f"the CMSIS-NN in `{root}` needs CMSIS-Core, which is not in its checkout",
            hint="check out a later release (since 4.1.0 it needs no other package)",
        )
    files = _kernels(root)
    return CmsisNn(files, (root / "Include",), f"{_commit(root)}(sources-{_tree_sha256(root, files)[:12]})")


def _commit(root: Path) -> str:
    """`git-<commit>` if the folder is a repository of its own."""
    words = ("git", "-C", str(root), "rev-parse", "--show-toplevel", "HEAD")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return "checkout"
    said = done.stdout.split()
    is_its_own = done.returncode == 0 and len(said) > 1 and Path(said[0]).resolve() == root.resolve()
    return f"git-{said[1][:12]}" if is_its_own else "checkout"


def _released(root: Path, wheel: Wheel) -> CmsisNn:
    nn = root / "cmsis_nn"
    include = (nn / "Include", root / "cmsis_core" / "Include")
    return CmsisNn(_kernels(nn), include, f"{wheel.release}(git-{wheel.commit[:12]})")


def _kernels(root: Path) -> tuple[Path, ...]:
    """The int8 kernels; what the linker does not need of them is left out of the image."""
    found = (path for folder in _FOLDERS for path in (root / "Source" / folder).glob("*.c"))
    return tuple(
        sorted(path for path in found if "_s8" in path.stem or path.stem.startswith("arm_q7_to_q15"))
    )


def _tree_sha256(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over name and digest of every file, in order of their names."""
    whole = hashlib.sha256()
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        whole.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _is_whole(folder: Path, wheel: Wheel) -> bool:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return bool(files) and _tree_sha256(folder, files) == wheel.tree_sha256


def _unpacked(folder: Path, wheel: Wheel, python: str) -> Path:
    """The files of the wheel below `folder`, fetched if they are not there or not as they were."""
    if _is_whole(folder, wheel):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as scratch:
            _unpack(wheel, python, Path(scratch))
            shutil.rmtree(folder, ignore_errors=True)
            (Path(scratch) / "files").rename(folder)
    except OSError as error:
        if _is_whole(folder, wheel):  # another process was faster
            return folder
        raise SetupError(
            f"the cache folder `{folder.parent}` cannot be written: {error.strerror or error}",
            hint="free some space, or set TINYBENCH_CACHE_DIR to a folder you can write to",
        ) from error
    return folder


def _unpack(wheel: Wheel, python: str, scratch: Path) -> None:
    what = f"{wheel.package} {wheel.version}"
    try:
        path = wheels.download(wheel, scratch, python)
    except Unavailable as reason:
        raise SetupError(
            f"the sources of CMSIS-NN cannot be had: {reason}",
            hint=f"set {VARIABLE} to a checkout of CMSIS-NN",
        ) from reason
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise WrongDigest(
            f"the wheel of {what} has sha256 `{found}`, not {wheel.sha256} as tinybench pins",
            hint=f"set {VARIABLE} to a checkout of CMSIS-NN",
        )
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            inner = name.removeprefix(wheel.inside)
            if inner != name and not name.endswith(("/", ".py")):
                target = scratch / "files" / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
