"""What BASE and NEW may be: a baseline, a results file, a git ref, a run id, `latest`, or a filter.

They are tried in this order: `latest` and `previous`, a filter (it has an `=`), a file or URL that exists (of
Runs, or a baseline's), a baseline's name, a run id or its beginning, a git ref. Each gives the newest Run of
every Case that it covers. `latest` and `previous` leave out Runs that were interleaved with another image.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tinybench.compare import Side, answer_of
from tinybench.errors import SetupError, UsageError, did_you_mean
from tinybench.results.baseline import baseline_names, load_baseline, side_of
from tinybench.results.runs import Entry, Runs
from tinybench.store import Store, is_url

_ANCESTORS = 200  # how far back a git ref looks for a commit that was measured

FILTERS: Mapping[str, Callable[[Entry], str | None]] = MappingProxyType(
    {
        "workload": lambda entry: entry.key.workload,
        "engine": lambda entry: entry.key.engine,
        "target": lambda entry: entry.key.target,
        "unit": lambda entry: entry.unit,
        "device": lambda entry: entry.device,
        "adapter": lambda entry: entry.adapter,
        "commit": lambda entry: entry.commit,
    }
)


def resolve(reference: str, runs: Runs, *, baselines: Path, folder: Path) -> Side:
    """The side of a comparison that `reference` names.

    `baselines` is the folder of committed baselines, `folder` the git checkout in which a ref is looked up.

    Raises:
        UsageError: nothing is known by this name, or it covers no Run.
    """
    if reference in ("latest", "previous"):
        ordinary = runs.where(lambda entry: not entry.key.interleaved)
        return _side(reference, ordinary if reference == "latest" else _previous(ordinary))
    if "=" in reference and not Path(reference).exists():
        return _filtered(reference, runs)
    if is_url(reference) or _holds_results(Path(reference)):
        return _side(reference, Store(reference).read().runs)
    if Path(reference).suffix == ".json" and Path(reference).is_file():
        return side_of(load_baseline(Path(reference).parent, Path(reference).stem))
    if reference in baseline_names(baselines):
        return side_of(load_baseline(baselines, reference))
    side = _recorded(reference, runs, folder)
    if side is None:
        raise UsageError(
            f"`{reference}` is no baseline, results file, run id or git ref",
            hint=did_you_mean(reference, [*baseline_names(baselines), "latest", "previous"]),
        )
    return side


def _holds_results(path: Path) -> bool:
    """A folder that merely has the name of a branch is not meant."""
    return (path.suffix == ".jsonl" and path.is_file()) or (path.is_dir() and any(path.glob("*.jsonl")))


def _recorded(reference: str, runs: Runs, folder: Path) -> Side | None:
    """The Run of this id, or the Runs of this git ref."""
    if entry := runs.find(reference):
        return _side(entry.run_id, runs.where(lambda other: other is entry))
    commits = _ancestry(reference, folder)
    return _at_commit(reference, commits, runs) if commits else None


def parse_filter(text: str) -> Mapping[str, str]:
    """Read `engine=reference,target=nucleo-f746`.

    Raises:
        UsageError: an unknown name, or a part without `=`.
    """
    wanted: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in FILTERS:
            raise UsageError(f"unknown filter `{part}`", hint=did_you_mean(name, FILTERS))
        wanted[name] = value
    return MappingProxyType(wanted)


def matching(runs: Runs, wanted: Mapping[str, str]) -> Runs:
    """The Runs that match every part of a filter."""
    return runs.where(lambda entry: all(FILTERS[name](entry) == value for name, value in wanted.items()))


def _filtered(text: str, runs: Runs) -> Side:
    wanted = parse_filter(text)
    found = matching(runs, wanted)
    if not found:
        for name, value in wanted.items():
            known = {FILTERS[name](entry) for entry in runs.entries} - {None}
            if value not in known:
                raise UsageError(
                    f"no Run has the {name} `{value}`", hint=did_you_mean(value, (str(k) for k in known))
                )
    return _side(text, found, wanted)


def _previous(runs: Runs) -> Runs:
    newest = {entry.run_id for entry in runs.newest().entries}
    return runs.where(lambda entry: entry.run_id not in newest)


def _side(label: str, runs: Runs, pinned: Mapping[str, str] | None = None) -> Side:
    if not runs:
        raise UsageError(f"`{label}` covers no Run", hint="tinybench show, or tinybench run")
    return Side(label, tuple(map(answer_of, runs.newest())), pinned or MappingProxyType({}))


def _at_commit(reference: str, commits: list[str], runs: Runs) -> Side:
    """The Runs of the nearest ancestor that was measured with a clean checkout."""
    measured = {entry.commit for entry in runs.entries if not entry.dirty}
    commit = next((commit for commit in commits if commit in measured), None)
    if commit is None:
        raise UsageError(
            f"no Run was made with a clean checkout of `{reference}` ({commits[0][:12]}) or an ancestor",
            hint=f"git checkout {reference} && tinybench run",
        )
    label = reference if commit == commits[0] else f"{reference} (as of {commit[:12]})"
    return _side(label, runs.where(lambda entry: entry.commit == commit and not entry.dirty))


def _ancestry(reference: str, folder: Path) -> list[str]:
    """The commit of a ref and its first-parent ancestors, newest first; empty if it is no ref."""
    if reference.startswith("-"):
        return []
    try:
        done = subprocess.run(
            [
                "git",
                "rev-list",
                "--first-parent",
                f"--max-count={_ANCESTORS}",
                f"{reference}^{{commit}}",
                "--",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        return []
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"git took too long to look up `{reference}`", hint="git gc") from error
    return done.stdout.split() if done.returncode == 0 else []
