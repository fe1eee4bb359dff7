"""Words in, exit code out: the only package that prints. One function per command; heavy imports inside.

`app` frames every command, `terminal` prints, `options` leads from flags to settings; the others are the
commands themselves, registered by being imported.
"""

from tinybench.cli import (
    analyzing,
    engines,
    looking,
    making,
    pipelines,
    profiling,
    replaying,
    results,
    running,
    timing,
)
from tinybench.cli.app import app, main

__all__ = [
    "analyzing",
    "app",
    "engines",
    "looking",
    "main",
    "making",
    "pipelines",
    "profiling",
    "replaying",
    "results",
    "running",
    "timing",
]
