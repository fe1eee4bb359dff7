"""Growing forests: the purest split is the one that counting finds, and trees fit what they saw."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinybench.making.exact import Seed
from tinybench.making.forest import _drawn, _purest, grown

PAIRS = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=30)


def impurity(pairs, threshold: int) -> Fraction:
    """The Gini impurity of both sides, each by its size, as the books write it."""
    total = Fraction(0)
    for side in ([c for v, c in pairs if v < threshold], [c for v, c in pairs if v >= threshold]):
        total += len(side) * (1 - sum(Fraction(side.count(c), len(side)) ** 2 for c in set(side)))
    return total


@given(PAIRS)
def test_the_split_is_the_purest_there_is(pairs):
    values = np.array([value for value, _ in pairs])
    found = _purest(values, np.array([chosen for _, chosen in pairs]))
    if len(set(values.tolist())) == 1:
        assert found is None
        return
    assert found is not None
    possible = range(int(values.min()) + 1, int(values.max()) + 1)
    assert found[1] in possible
    least = min(impurity(pairs, threshold) for threshold in possible)
    assert float(impurity(pairs, found[1])) <= float(least) + 1e-9


def test_trees_are_grown_until_they_know_what_they_saw_and_generalise():
    x = Seed("x").levels("x", 600 * 6).astype(np.int64).reshape(600, 6)
    y = (x[:, 1] > 100).astype(np.int64) + (x[:, 4] > 150)
    forest = grown(x[:400], y[:400], 15, Seed("trees"))
    answers = [int(np.argmax(forest.votes(row))) for row in x.tolist()]
    assert (answers[:400] == y[:400]).mean() > 0.99
    assert (answers[400:] == y[400:]).mean() > 0.95
    assert forest == grown(x[:400], y[:400], 15, Seed("trees"))
    assert forest != grown(x[:400], y[:400], 15, Seed("other trees"))


def test_samples_that_cannot_be_told_apart_are_a_leaf_of_most_of_them():
    forest = grown(np.ones((9, 4), np.int64), np.array([1] * 8 + [0]), 3, Seed("same"))
    assert forest.nodes == ()
    assert forest.votes((1, 1, 1, 1)) == [0, 3]


def test_draws_are_with_replacement_and_cover_what_they_should():
    drawn = _drawn(Seed("s"), "tree 0", 10_000)
    assert drawn.min() >= 0
    assert drawn.max() < 10_000
    assert abs(len(set(drawn.tolist())) / 10_000 - (1 - np.exp(-1))) < 0.02
