"""The reference engine: every operator in portable C11, bit-exact with TensorFlow Lite Micro's kernels.

int8, int16 (with int8 weights) and float32.

The graph walk is tinybench/codegen/graph_walk.py, the kernels are tinybench/firmware/kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinybench.codegen import graph_walk
from tinybench.codegen.graph_walk import KernelSet
from tinybench.engine import Sources
from tinybench.model import Model
from tinybench.target import Target
from tinybench.workload import Workload

VERSION = "2"


@dataclass(frozen=True)
class ReferenceEngine:
    """Our own engine; needs nothing but a C compiler."""

    name: str = "reference"
    exactness: Literal["exact", "close"] = "exact"

    def refuses(self, workload: Workload, target: Target) -> str | None:  # noqa: ARG002 - C runs anywhere
        """The first operator or tensor that has no kernel, in a sentence; None if the model can be built."""
        return graph_walk.refusal(workload.model, _kernels(self.name))

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:  # noqa: ARG002 - as above
        """Write weights.c, weights.h and model.c; raises ModelError where `refuses` gives a reason."""
        return graph_walk.generate(workload.model, into, _kernels(self.name))


ENGINES = (ReferenceEngine(),)


def generate(model: Model, into: Path) -> Sources:
    """Write the C of a model below `into`; raises ModelError, naming operator and tensor."""
    return graph_walk.generate(model, into, _kernels("reference"))


def _kernels(name: str) -> KernelSet:
    return KernelSet(name, VERSION)
