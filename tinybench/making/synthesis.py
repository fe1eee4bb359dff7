"""From a synthetic source to the bytes of a .tflite: the same bytes on every machine."""

from __future__ import annotations

from tinybench.errors import UsageError, did_you_mean
from tinybench.fetch import describe
from tinybench.making.architectures import ARCHITECTURES
from tinybench.making.formats import as_model
from tinybench.making.synthetic import Seeded
from tinybench.models.tflite import write
from tinybench.workload import SyntheticSource


def synthesised(source: SyntheticSource) -> bytes:
    """The model that the source describes; UsageError with the closest names for an unknown architecture."""
    if source.architecture not in ARCHITECTURES:
        raise UsageError(
            f"unknown architecture `{source.architecture}`",
            hint=did_you_mean(source.architecture, ARCHITECTURES),
        )
    net = Seeded(f"{source.architecture} {source.seed}", keep=source.keep)
    drawing = net.finish(ARCHITECTURES[source.architecture](net))
    return write(as_model(drawing, source.numbers, f"{describe(source)}; good for speed and memory only"))
