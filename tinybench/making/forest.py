"""Growing random forests (Breiman 2001) with one result on every machine, on samples of whole numbers.

Each tree sees a draw with replacement and, at each node, as many features as the square root of their number;
it is grown until its leaves are pure. Counts are whole numbers, and of two splits as good the first is taken,
so that there is nothing for a library or a processor to decide.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinybench.making.training import permutation
from tinybench.models.forest import Forest, Node, leaf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinybench.making.exact import Seed

    Integers = NDArray[np.int64]


def grown(x: Integers, y: Integers, trees: int, seed: Seed) -> Forest:
    """A forest over samples [n, features] of classes `y`, which count from 0."""
    nodes: list[Node] = []
    roots = []
    for tree in range(trees):
        drawn = _drawn(seed, f"tree {tree}", len(x))
        roots.append(_Tree(x[drawn], y[drawn], seed, f"tree {tree}", nodes).grown())
    return Forest(tuple(nodes), tuple(roots), x.shape[1], int(y.max()) + 1)


@dataclass
class _Tree:
    """One tree, written behind the nodes that are there."""

    x: Integers
    y: Integers
    seed: Seed
    name: str
    nodes: list[Node] = field(repr=False)

    def grown(self) -> int:
        """Its root."""
        import numpy as np

        return self._grown(np.arange(len(self.y)))

    def _grown(self, chosen: Integers) -> int:
        import numpy as np

        counts = np.bincount(self.y[chosen])
        found = None if np.count_nonzero(counts) == 1 else self._split(chosen)
        if found is None:
            return leaf(int(counts.argmax()))
        feature, threshold = found
        below = self.x[chosen, feature] < threshold
        index = len(self.nodes)
        self.nodes.append(Node(feature, threshold, 0, 0))
        left, right = self._grown(chosen[below]), self._grown(chosen[~below])
        self.nodes[index] = Node(feature, threshold, left, right)
        return index

    def _split(self, chosen: Integers) -> tuple[int, int] | None:
        """The purest split among the first features drawn that differ at all; None if none does."""
        features = self.x.shape[1]
        order = permutation(self.seed, f"{self.name} node {len(self.nodes)}", features)
        best, seen = None, 0
        for feature in order:
            split = _purest(self.x[chosen, feature], self.y[chosen])
            if split is None:
                continue
            if best is None or split[0] > best[0]:
                best = (*split, int(feature))
            seen += 1
            if seen == math.isqrt(features):
                break
        return None if best is None else (best[2], best[1])


def _purest(values: Integers, classes: Integers) -> tuple[float, int] | None:
    """How pure the best split of one feature is, and its threshold; None where all values are the same.

    Pure is what lessens the Gini impurity: the squared counts of each side's classes over the side's size.
    """
    import numpy as np

    levels, place = np.unique(values, return_inverse=True)
    if len(levels) == 1:
        return None
    table = np.zeros((len(levels), int(classes.max()) + 1), np.int64)
    np.add.at(table, (place, classes), 1)
    left = table.cumsum(axis=0)[:-1]
    right = table.sum(axis=0) - left
    purity = (left * left).sum(axis=1) / left.sum(axis=1) + (right * right).sum(axis=1) / right.sum(axis=1)
    best = int(purity.argmax())
    return float(purity[best]), int(levels[best] + levels[best + 1] + 1) // 2


def _drawn(seed: Seed, name: str, count: int) -> Integers:
    """As many numbers below `count`, each drawn by itself."""
    import numpy as np

    drawn = np.frombuffer(hashlib.shake_128(f"{seed.text} {name}".encode()).digest(8 * count), "<u8")
    return (drawn % np.uint64(count)).astype(np.int64)
