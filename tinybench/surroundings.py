"""Where a Run was made: by which tinybench, on which computer, in what state of the working directory."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tinybench import __version__
from tinybench.records import Git, Host

_GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Surroundings:
    """What every Run of one command shares."""

    tinybench: str
    host: Host
    git: Git | None


def here() -> Surroundings:
    """Those of this process."""
    return Surroundings(__version__, host(), git(Path.cwd()))


def host() -> Host:
    """This computer, without its name: a record may be published."""
    return Host(
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        python=platform.python_version(),
    )


def git(folder: Path) -> Git | None:
    """Commit of the checkout around `folder` and whether files differ from it; None outside a checkout."""
    commit = _answer(folder, "rev-parse", "HEAD")
    changes = _answer(folder, "status", "--porcelain", "--untracked-files=no")
    return None if not commit or changes is None else Git(commit=commit, dirty=bool(changes))


def _answer(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
