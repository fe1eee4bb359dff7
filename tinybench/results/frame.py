"""Runs as a tidy pandas DataFrame: one row per sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tinybench.results.runs import Runs


def tidy_frame(runs: Runs) -> pd.DataFrame:
    """One row per sample; columns as `Runs.frame` documents them."""
    columns = runs.source.columns(runs.entries)
    order = np.argsort(columns.owner, kind="stable")
    starts = np.cumsum(columns.count) - columns.count
    counts = columns.count[order]
    first = np.repeat(starts[order], counts)
    position = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    owner = np.repeat(columns.owner[order], counts)
    entries = runs.entries
    per_run = pd.DataFrame(
        {
            "run_id": [entry.run_id for entry in entries],
            "started": pd.to_datetime([entry.started for entry in entries], utc=True),
            "workload": pd.Categorical([entry.key.workload for entry in entries]),
            "engine": pd.Categorical([entry.key.engine for entry in entries]),
            "target": pd.Categorical([entry.key.target for entry in entries]),
            "options": pd.Categorical(
                [" ".join(f"{k}={v}" for k, v in entry.key.options) for entry in entries]
            ),
            "unit": pd.Categorical([entry.unit for entry in entries]),
            "device": pd.Categorical([entry.device for entry in entries]),
            "simulated": np.array([entry.simulated for entry in entries], dtype=bool),
            "commit": pd.Categorical([entry.commit for entry in entries]),
        }
    )
    frame = per_run.take(owner).reset_index(drop=True)
    frame["metric"] = pd.Categorical(np.repeat(columns.metric[order], counts))
    frame["kind"] = pd.Categorical(np.repeat(columns.kind[order], counts))
    frame["metric_unit"] = pd.Categorical(np.repeat(columns.unit[order], counts))
    frame["sample"] = position
    frame["value"] = columns.samples[first + position]
    return frame
