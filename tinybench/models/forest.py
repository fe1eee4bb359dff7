"""Random forests as models: one custom operator whose trees are constant tensors, and its exact evaluation.

A .tflite has no operator for trees, so that this one is ours, `tinybench.forest`, version 1:

input 0   int8, one sample of any shape; feature n is its element n, compared as it is stored
input 1   int16 [nodes, 4], decision nodes: feature, threshold, left, right. A feature below the threshold
          goes left, any other right. A child of 0 or more is a later row of this table; -1 - n is a leaf that
          votes for class n
input 2   int32 [trees]: the root of each tree, written as a child is
output 0  int8 [1, classes], scale 1/255, zero point -128: each class's share of the votes times 255, rounded
          to the nearest level, halves up. The best class is the first with the most votes

TensorFlow Lite Micro has no such operator: what is right for a forest is what `ForestOracle` answers, in
integers alone.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinybench.errors import ModelError
from tinybench.model import Model, Operator, Quantisation, Tensor
from tinybench.models.tflite import read
from tinybench.models.tflite_schema import CUSTOM_PREFIX

OPERATOR = f"{CUSTOM_PREFIX}tinybench.forest"
VERSION = 1
LEVELS = 255
LOWEST = -128

_FIELDS = 4
_MOST_NODES = 2**15


class Node(NamedTuple):
    """A decision: `left` for a feature below the threshold, `right` for any other."""

    feature: int
    threshold: int
    left: int
    right: int


def leaf(chosen: int) -> int:
    """What stands for a leaf of this class in the place of a child; `leaf` of that is the class again."""
    return -1 - chosen


@dataclass(frozen=True)
class Forest:
    """Trees over `features` inputs that vote for one of `classes`."""

    nodes: tuple[Node, ...]
    roots: tuple[int, ...]
    features: int
    classes: int

    def __post_init__(self) -> None:
        """ModelError unless every walk ends in a leaf: children lie behind their parents."""
        if not self.roots or not self.features or not self.classes:
            raise ModelError("a forest needs a tree, a feature and a class at the least")
        if len(self.nodes) > _MOST_NODES:
            raise ModelError(f"the forest has `{len(self.nodes)}` nodes; the most is {_MOST_NODES}")
        for index, node in enumerate(self.nodes):
            if not 0 <= node.feature < self.features:
                raise ModelError(f"node {index} asks for feature `{node.feature}` of {self.features}")
            for child in (node.left, node.right):
                self._check(child, index + 1, f"node {index}")
        for tree, root in enumerate(self.roots):
            self._check(root, 0, f"tree {tree}")

    def _check(self, child: int, first: int, what: str) -> None:
        if child >= 0 and not first <= child < len(self.nodes):
            raise ModelError(
                f"{what} leads to node `{child}`, not to one of {first} to {len(self.nodes) - 1}"
            )
        if leaf(child) >= self.classes:
            raise ModelError(f"{what} votes for class `{leaf(child)}` of {self.classes}")

    def votes(self, sample: Sequence[int]) -> list[int]:
        """How many trees choose each class."""
        counted = [0] * self.classes
        for root in self.roots:
            at = root
            while at >= 0:
                node = self.nodes[at]
                at = node.left if sample[node.feature] < node.threshold else node.right
            counted[leaf(at)] += 1
        return counted

    def scores(self, sample: Sequence[int]) -> bytes:
        """The output tensor for a sample's features."""
        trees = len(self.roots)
        levels = [(2 * LEVELS * votes + trees) // (2 * trees) + LOWEST for votes in self.votes(sample)]
        return struct.pack(f"<{self.classes}b", *levels)

    def model(self, shape: tuple[int, ...], input_: Quantisation, description: str) -> Model:
        """A model of this forest alone, for samples of this shape."""
        nodes = b"".join(struct.pack("<4h", *node) for node in self.nodes)
        roots = struct.pack(f"<{len(self.roots)}i", *self.roots)
        return Model(
            tensors=(
                Tensor(0, "input", shape, "int8", quantisation=input_),
                Tensor(1, "nodes", (len(self.nodes), _FIELDS), "int16", nodes),
                Tensor(2, "roots", (len(self.roots),), "int32", roots),
                Tensor(3, "votes", (1, self.classes), "int8", quantisation=_SHARES),
            ),
            operators=(Operator(0, OPERATOR, (0, 1, 2), (3,), version=VERSION),),
            inputs=(0,),
            outputs=(3,),
            description=description,
        )


# A .tflite holds single precision.
_SHARES = Quantisation((struct.unpack("<f", struct.pack("<f", 1 / LEVELS))[0],), (LOWEST,))


def is_forest(model: Model) -> bool:
    """Whether the model has our operator, and so is none for TensorFlow Lite Micro."""
    return any(operator.name == OPERATOR for operator in model.operators)


def forest_of(model: Model) -> Forest:
    """The forest that a model is; ModelError, naming what is wrong, if it is not one, whole and alone."""
    operator = model.operators[0] if len(model.operators) == 1 else None
    if operator is None or operator.name != OPERATOR:
        raise ModelError(f"the model is not a single operator `{OPERATOR}`")
    if operator.version != VERSION:
        raise ModelError(f"operator `{OPERATOR}` is of version `{operator.version}`, not {VERSION}")
    ends = operator.inputs[:1] == model.inputs and operator.outputs == model.outputs
    if not ends or (len(operator.inputs), len(operator.outputs)) != (3, 1):
        raise ModelError(f"operator `{OPERATOR}` must have a sample, nodes and roots, and be the whole model")
    sample, nodes, roots = (_tensor(model, index) for index in operator.inputs)
    output = model.tensors[operator.outputs[0]]
    if sample.dtype != "int8" or nodes.shape[1:] != (_FIELDS,) or len(roots.shape) != 1:
        raise ModelError(f"operator `{OPERATOR}` has inputs of a type or shape that it cannot have")
    if output.dtype != "int8" or output.shape[:-1] != (1,) or output.quantisation != _SHARES:
        raise ModelError(
            f"the output of `{OPERATOR}` must be int8 [1, classes] of scale 1/{LEVELS} from {LOWEST}"
        )
    return Forest(
        nodes=tuple(map(Node._make, struct.iter_unpack("<4h", _constant(nodes, "int16")))),
        roots=tuple(root for (root,) in struct.iter_unpack("<i", _constant(roots, "int32"))),
        features=math.prod(sample.shape),
        classes=output.shape[-1],
    )


def _tensor(model: Model, index: int) -> Tensor:
    if index < 0:
        raise ModelError(f"operator `{OPERATOR}` lacks an input")
    return model.tensors[index]


def _constant(tensor: Tensor, dtype: str) -> bytes:
    """The bytes of a constant; a table without rows has none."""
    if tensor.dtype != dtype or (tensor.data is None and 0 not in tensor.shape):
        raise ModelError(f"tensor `{tensor.name}` must be a constant of {dtype}")
    return tensor.data or b""


@dataclass(frozen=True)
class ForestOracle:
    """The judge of forests."""

    version: str = f"tinybench.forest {VERSION}"

    def outputs(self, model: bytes, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """As Oracle says."""
        forest = forest_of(read(model))
        for tensor in tensors:
            if len(tensor) != forest.features:
                raise ModelError(f"the forest takes {forest.features} bytes, not {len(tensor)}")
        return tuple(forest.scores(struct.unpack(f"<{len(tensor)}b", tensor)) for tensor in tensors)
