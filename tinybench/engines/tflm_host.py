"""`tflm-host`: the TensorFlow Lite Micro interpreter of the package `tflite-micro`, on this computer.

The same interpreter judges everybody's answers (tinybench/models/oracle.py). Its latency is this computer's,
its arena has this computer's pointers, of 64 bits: more than a microcontroller needs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tinybench.engine import Program, Sources
from tinybench.errors import ModelError, SetupError
from tinybench.models.forest import OPERATOR, is_forest
from tinybench.models.oracle import ARENA_BYTES, oracle_version
from tinybench.target import Target
from tinybench.workload import Workload

_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True)
class TflmHostEngine:
    """The interpreter in the wheel; needs the extra `oracle`."""

    name: str = "tflm-host"
    exactness: Literal["exact", "close"] = "exact"

    def refuses(self, workload: Workload, target: Target) -> str | None:
        """Why it cannot run there, in a sentence."""
        if target.core.name != "host":
            return f"`{self.name}` runs on this computer only; for `{target.name}` there is `tflm`"
        inputs, outputs = len(workload.model.inputs), len(workload.model.outputs)
        if (inputs, outputs) != (1, 1):
            return f"the model has {inputs} inputs and {outputs} outputs, and one of each can be handed over"
        if is_forest(workload.model):
            return f"the model has the operator `{OPERATOR}`, which TensorFlow Lite Micro does not have"
        return None

    def generate(self, workload: Workload, target: Target, into: Path) -> Sources:  # noqa: ARG002 - it has none
        """ModelError: there is no C of it."""
        raise ModelError(self.refuses(workload, target) or f"`{self.name}` has no firmware: `--device host`")

    def program(self, workload: Workload) -> Program:  # noqa: ARG002 - the same for all
        """What runs: `Interpreter`, below. SetupError if the package is not installed."""
        version = oracle_version()
        if version is None:
            raise SetupError(
                "the package `tflite-micro` is not installed",
                hint=f"{Path(sys.executable).name} -m pip install 'tinybench-mcu[oracle]' (Linux on x86-64)",
            )
        return Program(inference=f"{__name__}:Interpreter", version=version.replace(" ", "-"))


ENGINES = (TflmHostEngine(),)


class Interpreter:
    """One model in the interpreter, as tinybench.host_program wants it."""

    def __init__(self, model: bytes) -> None:
        import numpy as np
        from tflite_micro.python.tflite_micro import runtime

        self._numpy = np
        self._interpreter: Any = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
        details = self._interpreter.get_input_details(0)
        self._shape, self._dtype = tuple(details["shape"]), details["dtype"]

    def write(self, tensor: bytes) -> None:
        """Fill the input tensor."""
        values = self._numpy.frombuffer(tensor, self._dtype).reshape(self._shape)
        self._interpreter.set_input(values, 0)

    def invoke(self) -> None:
        """One inference."""
        self._interpreter.invoke()

    def output(self) -> bytes:
        """The bytes of the output tensor."""
        return bytes(self._numpy.asarray(self._interpreter.get_output(0)).tobytes())

    def arena(self) -> tuple[int, int]:
        """What the interpreter's own allocator says it uses, and what it was given."""
        found = _TOTAL.search(_printed_by(self._interpreter.print_allocations))
        if found is None:
            raise SetupError(
                "this release of `tflite-micro` does not print its arena", hint="install another release"
            )
        return int(found[1]), ARENA_BYTES


def _printed_by(call: Any) -> str:
    """What a call prints on this process's standard error, from C."""
    with tempfile.TemporaryFile() as scratch:
        kept = os.dup(2)
        try:
            os.dup2(scratch.fileno(), 2)
            call()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        scratch.seek(0)
        return scratch.read().decode("utf-8", "replace")
