"""Where Runs are kept: append-only JSON Lines, one self-contained Run per line (fields: results/README.md).

A store is a folder. Runs are appended to `runs-<year>-<month>.jsonl`, by the month (UTC) in which they are
written; every `*.jsonl` directly in the folder is read, so files of other computers may lie beside ours. A
store may also be one `.jsonl` file, or any URL that fsspec understands: there each append is a new object.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tinybench.errors import MeasurementError, SetupError, UsageError
from tinybench.records import METRICS, Run
from tinybench.results.lines import LocalFile, append_line
from tinybench.results.reading import StoreContents, gather


def new_run_id(started: datetime) -> str:
    """An id that no other Run has and that sorts by time: `20261121T035613Z-9f86d081884c`."""
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"


def is_url(place: str | Path) -> bool:
    """Whether `place` is a URL for fsspec rather than a path."""
    return isinstance(place, str) and "://" in place


class Store:
    """A folder, file or URL of Runs. Nothing is opened before it is needed."""

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self._url = is_url(place)
        self._path = Path(place) if not self._url else Path()

    def __repr__(self) -> str:
        return f"Store({self.place!r})"

    def check_writable(self) -> None:
        """Prove that a Run could be appended now; call it before a device is touched.

        Raises:
            SetupError: the folder cannot be made or written, or its disk is full.
        """
        if self._url:
            from tinybench.results import remote

            remote.check_writable(self.place)
            return
        probe = self._folder / f".writable-{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("xb") as file:
                    file.write(b"\0" * 4096)
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)
            target = self._file_for(datetime.now(UTC))
            if target.exists():
                os.close(os.open(target, os.O_RDWR | os.O_APPEND))
        except OSError as error:
            raise self._not_written(self._folder, error) from error

    def append(self, run: Run) -> None:
        """Write one Run. When this returns, the Run is on the disk; when it raises, nothing of it is.

        Raises:
            MeasurementError: a measurement is in another unit than its metric's.
            SetupError: the folder cannot be written or its disk is full.
        """
        check_units(run)
        line = run.model_dump_json().encode() + b"\n"
        if self._url:
            from tinybench.results import remote

            remote.publish(self.place, f"run-{run.run_id}.jsonl", line)
            return
        target = self._file_for(datetime.now(UTC))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            append_line(target, line)
        except OSError as error:
            raise self._not_written(target, error) from error

    def publish(self, runs: Iterable[Run], name: str) -> None:
        """Write `runs` as one finished file `name` (ending in .jsonl) that must not exist yet.

        Raises:
            UsageError: the file is already there; a finished file is never edited.
            SetupError: the place cannot be written.
        """
        lines: list[bytes] = []
        for run in runs:
            check_units(run)
            lines.append(run.model_dump_json().encode() + b"\n")
        content = b"".join(lines)
        if self._url:
            from tinybench.results import remote

            remote.publish(self.place, name, content)
            return
        target = self._folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise UsageError(
                f"`{target}` exists and is never overwritten", hint="choose another name"
            ) from error
        except OSError as error:
            raise self._not_written(target, error) from error

    def read(self) -> StoreContents:
        """Every Run, oldest first; an unfinished last line of a file is left out and reported.

        Raises:
            UsageError: there is no such folder or file.
            StoreDamaged: a line in the middle is unreadable, or two Runs contradict each other.
            SetupError: a line was written by a newer tinybench; the hint says which one to install.
        """
        if self._url:
            from tinybench.results import remote

            return gather(remote.fetched(self.place))
        return gather(LocalFile(path) for path in self._files())

    def _files(self) -> list[Path]:
        if self._path.is_file():
            return [self._path]
        if not self._path.is_dir():
            raise UsageError(
                f"there are no results at `{self.place}`", hint="tinybench run, or give --results FOLDER"
            )
        return sorted(path for path in self._path.glob("*.jsonl") if path.is_file())

    @property
    def _folder(self) -> Path:
        return self._path.parent if self._path.suffix == ".jsonl" else self._path

    def _file_for(self, now: datetime) -> Path:
        return self._path if self._path.suffix == ".jsonl" else self._path / f"runs-{now:%Y-%m}.jsonl"

    def _not_written(self, path: Path, error: OSError) -> SetupError:
        return SetupError(
            f"cannot write results to `{path}`: {error.strerror or error}",
            hint="make room or give another place: --results FOLDER",
        )


def check_units(run: Run) -> None:
    """Refuse a Run whose numbers are not in the unit of their metric.

    Raises:
        MeasurementError: names the metric, the unit it came in and the unit it must have.
    """
    for measurement in run.measurements:
        metric = METRICS.get(measurement.metric)
        if metric is not None and measurement.unit != metric.unit:
            raise MeasurementError(
                f"`{metric.name}` of Run `{run.run_id}` is in `{measurement.unit}`, not in `{metric.unit}`",
                hint="convert to SI units before recording",
            )
