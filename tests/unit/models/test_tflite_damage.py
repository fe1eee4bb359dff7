"""Ten thousand damaged files: each is refused in a sentence, or is a whole model after all."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from tinybench.errors import ModelError
from tinybench.model import parameters, total_macs
from tinybench.models import tflite
from tinybench.models.arena import overlaps, plan_smallest, plan_tflm
from tinybench.models.normalise import normalise
from tinybench.models.tflite_schema import CUSTOM_PREFIX, OPTIONS
from tinybench.models.wellformed import check

MUTATIONS = 10_000
INTERESTING = (0, 1, 2, 3, 4, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LARGE_BYTES = 64  # constants of this size are left alone: any value in them is as good as another


def structure(data: bytes) -> list[int]:
    """The positions outside large constants, where damage can mean something."""
    large = {t.data for t in tflite.read(data).tensors if t.data is not None and len(t.data) >= LARGE_BYTES}
    spans = sorted((at, at + len(c)) for c in large if (at := data.find(c)) >= 0)
    edges = [(0, 0), *spans, (len(data), len(data))]
    return [i for (_, end), (start, _) in pairwise(edges) for i in range(end, start)]


def damaged(data: bytes, positions: list[int], dice: random.Random) -> bytes:
    """One to three wounds: a flipped bit, a wrong byte or integer, bytes lost or moved, an early end."""
    wounded = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.choice(positions)
        match dice.randrange(8):
            case 0 | 1:
                wounded[at : at + 1] = bytes([data[at] ^ (1 << dice.randrange(8))])
            case 2:
                wounded[at : at + 1] = bytes([dice.randrange(256)])
            case 3 | 4:
                value = dice.choice((*INTERESTING, len(data), at, dice.getrandbits(32)))
                at -= at % 4
                wounded[at : at + 4] = value.to_bytes(4, "little")
            case 5:
                other = dice.choice(positions)
                wounded[at : at + 8] = data[other : other + 8]
            case 6:
                wounded[at : at + dice.randrange(9)] = dice.randbytes(dice.randrange(9))
            case _:
                del wounded[dice.randrange(len(wounded) + 1) :]
    return bytes(wounded)


def outcome(data: bytes, *, thoroughly: bool) -> str:
    """What became of one file; only a ModelError may come out of it."""
    try:
        model = tflite.read(data)
    except ModelError as error:
        return error.message.split(":")[0] if ":" in error.message else "named"
    if thoroughly:
        check(model)
        if all(op.name in OPTIONS or op.name.startswith(CUSTOM_PREFIX) for op in model.operators):
            assert tflite.read(tflite.write(model)) == model
        assert parameters(model) >= 0
        assert overlaps(plan_tflm(model)) == overlaps(plan_smallest(model)) == ()
        if not any(tensor.variable for tensor in model.tensors):  # TFLM keeps those elsewhere
            assert plan_smallest(model).bytes <= plan_tflm(model).bytes
        check(normalise(model))
        try:
            total_macs(model)
        except ModelError:
            return "whole, of impossible shapes"
    return "whole"


def survive(files: list[bytes], seed: int) -> Counter[str]:
    dice = random.Random(seed)
    places = [structure(data) for data in files]
    outcomes: Counter[str] = Counter()
    for count in range(MUTATIONS):
        which = count % len(files)
        wounded = damaged(files[which], places[which], dice)
        outcomes[outcome(wounded, thoroughly=count % 5 == 0)] += 1
    return outcomes


def test_ten_thousand_wounds_of_packaged_models(mltk_models):
    """The three smallest, and one of them once more as we write it, where every offset is close by."""
    smallest = sorted((path.read_bytes() for path in mltk_models.values()), key=len)[:3]
    outcomes = survive([*smallest, tflite.write(normalise(tflite.read(smallest[0])))], seed=2026)
    assert outcomes.total() == MUTATIONS
    # The wounds are neither harmless nor all deadly: both branches were tried.
    assert outcomes["whole"] > MUTATIONS // 20
    assert outcomes["truncated"] > MUTATIONS // 20
    assert outcomes["named"] > MUTATIONS // 50


@pytest.mark.parametrize("name", ["hello_world_int8.tflite", "micro_speech_quantized.tflite"])
def test_every_truncation_of_small_official_models(official_models, name):
    data = (official_models / name).read_bytes()
    for length in range(0, len(data), 3 if len(data) < 4096 else 97):
        with pytest.raises(ModelError):
            tflite.read(data[:length])
