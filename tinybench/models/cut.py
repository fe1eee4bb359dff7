"""A model without its last SOFTMAX, for comparisons with engines that have no such operator.

The order of the scores stays, so that top-1 is what it was. The cut model is a model of its own: its digest
is in the Case, and the oracle judges it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tinybench.errors import SetupError, UsageError
from tinybench.model import Model
from tinybench.models import golden
from tinybench.models.normalise import normalise
from tinybench.models.oracle import Oracle
from tinybench.models.tflite import write
from tinybench.workload import Workload


def before_softmax(model: Model) -> Model | None:
    """The same network up to its last operator, where that is a SOFTMAX to the one output; None elsewhere."""
    last = model.operators[-1] if model.operators else None
    if last is None or last.name != "SOFTMAX" or last.outputs != model.outputs or len(model.operators) == 1:
        return None
    return normalise(replace(model, operators=model.operators[:-1], outputs=last.inputs[:1]))


def without_softmax(workload: Workload, oracle: Oracle | None, keep: Callable[[bytes], Path]) -> Workload:
    """The workload with its model cut, kept as a file by `keep`, and the answers that are right for it.

    Raises UsageError if the model does not end in a SOFTMAX, SetupError if there is no oracle to judge it.
    """
    model = before_softmax(workload.model)
    if model is None:
        raise UsageError(
            f"the model of `{workload.spec.id}` does not end in a SOFTMAX: it cannot be cut there"
        )
    if oracle is None:
        raise SetupError(
            f"what `{workload.spec.id}` answers without its SOFTMAX is known to the oracle only",
            hint="pip install 'tinybench-mcu[oracle]'",
        )
    data = write(model)
    tensors = [golden.to_tensor(workload.spec, model, sample.data) for sample in workload.goldens]
    answers = oracle.outputs(data, tensors)
    goldens = tuple(
        replace(sample, output=answer, output_sha256=hashlib.sha256(answer).hexdigest())
        for sample, answer in zip(workload.goldens, answers, strict=True)
    )
    return replace(
        workload,
        model=model,
        model_path=keep(data),
        model_sha256=hashlib.sha256(data).hexdigest(),
        goldens=goldens,
        oracle=oracle.version,
    )
