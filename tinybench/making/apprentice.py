"""Trains in a process of its own, with one thread: on small matrices BLAS is faster so, and disturbs less.

How many threads BLAS uses is decided when NumPy is imported, hence another process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinybench.errors import DeadlineExceeded, SetupError
from tinybench.making import recipes

TRAINING_S = 1800.0
_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def trained(recipe: str, seed: int, files: Sequence[Path]) -> bytes:
    """The model of a recipe.

    Raises UsageError for an unknown recipe, SetupError if training fails, DeadlineExceeded if it takes long.
    """
    recipes.recipe(recipe)
    with tempfile.TemporaryDirectory(prefix="tinybench-") as folder:
        result = Path(folder) / "model.tflite"
        command = [sys.executable, "-m", __name__, recipe, str(seed), str(result), *map(str, files)]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TRAINING_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise DeadlineExceeded(f"training `{recipe}` took longer than {TRAINING_S:.0f} s") from late
        if done.returncode != 0 or not result.is_file():
            said = done.stderr.strip().splitlines()
            raise SetupError(f"training `{recipe}` failed: {said[-1] if said else f'code {done.returncode}'}")
        return result.read_bytes()


def _main(recipe: str, seed: str, result: str, *files: str) -> None:
    Path(result).write_bytes(recipes.made(recipe, int(seed), [Path(file) for file in files]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
