"""Every sample as a row: CSV and Parquet."""

from __future__ import annotations

import importlib.util
import io

from tinybench.errors import SetupError
from tinybench.results.runs import Runs


def as_csv(runs: Runs) -> str:
    """One row per sample under a header; the columns of `Runs.frame`."""
    return runs.frame().to_csv(index=False, lineterminator="\n")


def as_parquet(runs: Runs) -> bytes:
    """The same rows as a Parquet file.

    Raises:
        SetupError: pyarrow is missing.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise SetupError("Parquet needs the package pyarrow", hint="pip install 'tinybench-mcu[parquet]'")
    content = io.BytesIO()
    runs.frame().to_parquet(content, index=False)
    return content.getvalue()
