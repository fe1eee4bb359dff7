"""Forests: what they answer is what scikit-learn answers, and what is broken is said before it is walked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybench.errors import ModelError
from tinybench.model import Quantisation, total_macs
from tinybench.models.arena import plan_tflm
from tinybench.models.forest import LEVELS, LOWEST, Forest, ForestOracle, Node, forest_of, is_forest, leaf
from tinybench.models.oracle import fitting
from tinybench.models.tflite import read, write

INPUT = Quantisation((1.0,), (0,))
FOREST = Forest(
    nodes=(Node(0, 3, leaf(0), 1), Node(2, -7, leaf(1), leaf(2)), Node(1, 0, leaf(2), leaf(0))),
    roots=(0, 2, leaf(1)),
    features=4,
    classes=3,
)


def model_of(forest: Forest):
    return forest.model((1, forest.features), INPUT, "a test")


@pytest.mark.needs("python:sklearn")
@pytest.mark.parametrize("trees", [15, 40])
def test_scikit_learns_trees_choose_what_scikit_learn_chooses(trees):
    """Fully grown trees, whose leaves are pure: then its mean of probabilities is a share of votes."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_digits(return_X_y=True)
    levels = x.astype(int) * 15 - 128
    held = np.arange(len(x)) % 5 == 0
    made = RandomForestClassifier(trees, random_state=1).fit(levels[~held], y[~held])
    data = write(model_of(converted([each.tree_ for each in made.estimators_], levels.shape[1], 10)))
    answers = ForestOracle().outputs(data, [row.astype(np.int8).tobytes() for row in levels[held]])
    scores = np.array([np.frombuffer(answer, np.int8) for answer in answers]).astype(int)
    shares = made.predict_proba(levels[held])
    assert (scores == np.floor(shares * LEVELS + 0.5 + 1e-9) + LOWEST).all()
    assert (scores.argmax(axis=1) == made.predict(levels[held])).all()
    assert len(scores) == math.ceil(len(x) / 5)


def converted(trees, features: int, classes: int) -> Forest:
    """scikit-learn's arrays; `<=` a threshold between whole numbers is `<` the next whole number."""
    nodes, roots = [], []
    for tree in trees:
        inner = [n for n in range(tree.node_count) if tree.children_left[n] >= 0]
        place = {n: len(nodes) + index for index, n in enumerate(inner)}

        def child(n, place=place, tree=tree):
            return place[n] if n in place else leaf(int(tree.value[n, 0].argmax()))

        roots.append(child(0))
        nodes += [
            Node(
                int(tree.feature[n]),
                math.floor(tree.threshold[n]) + 1,
                child(tree.children_left[n]),
                child(tree.children_right[n]),
            )
            for n in inner
        ]
    return Forest(tuple(nodes), tuple(roots), features, classes)


def test_a_file_holds_the_forest_whole():
    model = read(write(model_of(FOREST)))
    assert is_forest(model)
    assert forest_of(model) == FOREST
    assert total_macs(model) == 0, "trees compare, and multiply nothing"
    assert plan_tflm(model).bytes >= FOREST.features + FOREST.classes


@pytest.mark.parametrize(
    ("sample", "votes"),
    [((2, -1, 0, 0), [1, 1, 1]), ((3, 0, -8, 0), [1, 2, 0]), ((3, 0, -7, 0), [1, 1, 1])],
)
def test_votes_are_counted_by_hand_the_same(sample, votes):
    assert FOREST.votes(sample) == votes
    assert [level - LOWEST for level in np.frombuffer(FOREST.scores(sample), np.int8).astype(int)] == [
        85 * count for count in votes
    ]


def test_a_table_without_nodes_is_a_forest_of_leaves():
    forest = Forest((), (leaf(1), leaf(1)), 2, 2)
    assert forest_of(read(write(model_of(forest)))) == forest
    assert forest.scores((0, 0)) == b"\x80\x7f"


def test_the_judge_of_a_forest_is_its_own_evaluation_and_needs_no_other():
    assert fitting(model_of(FOREST), None) == ForestOracle()
    other = replace(model_of(FOREST), operators=())
    assert fitting(other, None) is None


CHILD = st.integers(-6, 6)


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-128, 127), CHILD, CHILD), max_size=5),
    st.lists(CHILD, max_size=4),
    st.binary(min_size=4, max_size=4),
)
def test_whatever_the_tables_hold_it_is_refused_or_every_walk_ends(nodes, roots, sample):
    try:
        forest = Forest(tuple(map(Node._make, nodes)), tuple(roots), 4, 3)
    except ModelError:
        return
    (answer,) = ForestOracle().outputs(write(model_of(forest)), [sample])
    assert len(answer) == 3
    assert sum(forest.votes(np.frombuffer(sample, np.int8).tolist())) == len(roots)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: replace(m, operators=()), "not a single operator"),
        (lambda m: with_operator(m, version=2), "version `2`"),
        (lambda m: with_operator(m, inputs=(0, 1)), "a sample, nodes and roots"),
        (lambda m: with_operator(m, inputs=(0, -1, 2)), "lacks an input"),
        (lambda m: with_tensor(m, 0, dtype="uint8"), "inputs of a type"),
        (lambda m: with_tensor(m, 1, dtype="uint16"), "constant of int16"),
        (lambda m: with_tensor(m, 2, data=None), "constant of int32"),
        (lambda m: with_tensor(m, 3, quantisation=INPUT), "scale 1/255"),
        (lambda m: with_tensor(m, 0, shape=(1, 2)), "asks for feature `2` of 2"),
        (lambda m: with_tensor(m, 3, shape=(1, 2)), "votes for class `2` of 2"),
    ],
)
def test_what_is_no_forest_is_said_in_a_sentence(change, said):
    with pytest.raises(ModelError, match=said):
        forest_of(change(model_of(FOREST)))


def with_operator(model, **changes):
    return replace(model, operators=(replace(model.operators[0], **changes),))


def with_tensor(model, index, **changes):
    tensors = list(model.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(model, tensors=tuple(tensors))


def test_a_walk_that_would_turn_back_is_refused():
    with pytest.raises(ModelError, match="node 0 leads to node `0`"):
        Forest((Node(0, 1, 0, leaf(0)),), (0,), 1, 1)


def test_a_sample_of_another_length_is_refused():
    with pytest.raises(ModelError, match="takes 4 bytes, not 3"):
        ForestOracle().outputs(write(model_of(FOREST)), [bytes(3)])
