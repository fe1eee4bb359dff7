"""Models without their last SOFTMAX: the same network up to there, judged anew."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import platformdirs
import pytest

from tinybench.errors import SetupError, UsageError
from tinybench.fetch import Fetcher, Places
from tinybench.models import oracle, tflite
from tinybench.models.cut import before_softmax, without_softmax
from tinybench.models.loading import load
from tinybench.plugins import discover

pytestmark = pytest.mark.needs("python:tflite_micro")

CACHE = platformdirs.user_cache_path("tinybench")


@pytest.fixture(scope="module")
def fetcher():
    return Fetcher(Places(CACHE, offline=True))


@pytest.fixture(scope="module")
def kws(fetcher):
    return load(discover().workload("kws01-mltk"), fetcher, oracle.installed(CACHE))


def test_only_the_softmax_goes(kws):
    cut = before_softmax(kws.model)
    assert cut is not None
    assert [o.name for o in cut.operators] == [o.name for o in kws.model.operators][:-1]
    assert tflite.read(tflite.write(cut)) == cut
    weights = {t.name: t.data for t in kws.model.tensors if t.data is not None}
    assert {t.name: t.data for t in cut.tensors if t.data is not None} == weights
    assert before_softmax(cut) is None, "what is cut once is cut"


def test_a_softmax_inside_a_model_stays(kws):
    both = replace(kws.model, outputs=(*kws.model.outputs, *kws.model.operators[-1].inputs[:1]))
    assert before_softmax(both) is None


def test_the_cut_model_is_judged_anew_and_keeps_the_order_of_scores(kws, fetcher):
    cut = without_softmax(kws, oracle.installed(CACHE), fetcher.keep)
    assert cut.model_sha256 == hashlib.sha256(cut.model_path.read_bytes()).hexdigest() != kws.model_sha256
    assert [g.data for g in cut.goldens] == [g.data for g in kws.goldens]
    for whole, short in zip(kws.goldens, cut.goldens, strict=True):
        assert short.output != whole.output
        assert short.output_sha256 == hashlib.sha256(short.output).hexdigest()
        scores, logits = ([b - 256 if b > 127 else b for b in g.output] for g in (whole, short))
        assert scores[logits.index(max(logits))] == max(scores)


def test_without_a_judge_or_a_softmax_there_is_nothing_to_cut(kws, fetcher):
    with pytest.raises(SetupError, match="without its SOFTMAX") as raised:
        without_softmax(kws, None, fetcher.keep)
    assert raised.value.hint == "pip install 'tinybench-mcu[oracle]'"
    cut = without_softmax(kws, oracle.installed(CACHE), fetcher.keep)
    with pytest.raises(UsageError, match="does not end in a SOFTMAX"):
        without_softmax(cut, oracle.installed(CACHE), fetcher.keep)
