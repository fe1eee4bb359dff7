"""`cmsis-nn`: our ahead-of-time graph walk, calling Arm's CMSIS-NN kernels where it has them.

The other operators run in our portable kernels; the version in the record says which. CMSIS-NN itself is
fetched, never shipped: tinybench/codegen/cmsis_nn_sources.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from tinybench import config
from tinybench.codegen import cmsis_nn_sources, graph_walk
from tinybench.codegen.cmsis_nn_sources import CmsisNn
from tinybench.codegen.graph_walk import KernelSet
from tinybench.codegen.lowering import KERNELS, Lowered, Site, cmsis_nn
from tinybench.engine import Sources
from tinybench.engine_options import DOES_NOT_IDENTIFY
from tinybench.engines import reference
from tinybench.errors import ModelError
from tinybench.model import Model
from tinybench.records import Record
from tinybench.target import Target
from tinybench.workload import Workload

# In every release since 4.0.0, which is the least that is called here.
_ALWAYS: Mapping[str, Callable[[Site], Lowered]] = MappingProxyType(
    {
        "AVERAGE_POOL_2D": cmsis_nn.average_pool_2d,
        "CONV_2D": cmsis_nn.conv_2d,
        "DEPTHWISE_CONV_2D": cmsis_nn.depthwise_conv_2d,
        "FULLY_CONNECTED": cmsis_nn.fully_connected,
        "MAX_POOL_2D": cmsis_nn.max_pool_2d,
    }
)
_UNSUITED = MappingProxyType(
    {"host": "CMSIS-NN is for Arm cores", "cortex-m55": "the memory that its MVE kernels need is not planned"}
)


class CmsisNnOptions(Record):
    """What `--engine-option cmsis-nn.…` may set."""

    path: Path | None = Field(
        default=None,
        description="a checkout of CMSIS-NN to use instead of the packaged release",
        json_schema_extra=DOES_NOT_IDENTIFY,
    )


@dataclass(frozen=True)
class CmsisNnEngine:
    """Arm's kernels, of the checkout in its options or in CMSIS_NN_PATH, else of the packaged release."""

    name: str = "cmsis-nn"
    exactness: Literal["exact", "close"] = "exact"
    options: CmsisNnOptions = field(default_factory=CmsisNnOptions)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def with_options(self, options: CmsisNnOptions) -> CmsisNnEngine:
        """This engine with the user's options."""
        return replace(self, options=options)

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """Why this model or this core cannot be had, in a sentence; None if it can be built."""
        return _unsuited(target) or graph_walk.refusal(workload.model, KernelSet(self.name, ""))

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:
        """Write weights.c, weights.h and model.c, and name the files of CMSIS-NN.

        Raises ModelError where `refuses` gives a reason, and what cmsis_nn_sources.find raises.
        """
        unsuited = _unsuited(target)
        if unsuited is not None:
            raise ModelError(unsuited)
        cache = config.load({}, environ=self.environ, cwd=Path.cwd()).settings.cache_dir
        library = cmsis_nn_sources.find(self.environ, cache, option=self.options.path)
        return graph_walk.generate(workload.model, into, _kernels(self.name, library, workload.model))


ENGINES = (CmsisNnEngine(),)


def _unsuited(target: Target) -> str | None:
    reason = _UNSUITED.get(target.core.name)
    return reason and f"target `{target.name}` has the core `{target.core.name}`: {reason}"


def _kernels(name: str, library: CmsisNn, model: Model) -> KernelSet:
    """The kernel set for one model; its version says which of the model's operators are not Arm's."""
    arms = {**_ALWAYS, **({"ADD": cmsis_nn.add} if library.offers("arm_elementwise_add_s8") else {})}
    kernels = KernelSet(
        name,
        library.version,
        lower=MappingProxyType({**KERNELS, **arms}),
        files=library.files,
        include_dirs=library.include_dirs,
        headers=("arm_nnfunctions.h",),
    )
    lowered = zip(model.operators, graph_walk.lowered_model(model, kernels), strict=True)
    ours = sorted({operator.name for operator, found in lowered if found.library != cmsis_nn.LIBRARY})
    by_us = f"; {', '.join(ours)} by {reference.ENGINES[0].name} {reference.VERSION}" if ours else ""
    return replace(kernels, version=kernels.version + by_us)
