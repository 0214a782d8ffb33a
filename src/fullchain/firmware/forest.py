"""Boosted trees as plain numbers, and their fixed-point version, which hardware must reproduce."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import InputNumbers
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.input_scaling import scaled

Array = NDArray[np.float64]
Nodes = NDArray[np.int64]

LEAF = -2
"""Number of the feature of a leaf, as in scikit-learn and conifer."""


@dataclass(frozen=True)
class Tree:
    """One tree; node 0 is the root.

    Parameters
    ----------
    feature
        (nodes) number of the feature that is cut on, `LEAF` for a leaf.
    threshold
        (nodes) a jet goes left where its feature is at most this; 0 for leaves.
    left, right
        (nodes) numbers of the children, larger than that of the node; -1 for leaves.
    value
        (nodes) what the leaf adds to the score; 0 for cuts.
    """

    feature: Nodes
    threshold: Array
    left: Nodes
    right: Nodes
    value: Array

    @property
    def leaves(self) -> NDArray[np.bool_]:
        """Which nodes are leaves, (nodes)."""
        return self.feature == LEAF

    @property
    def depth(self) -> int:
        """Cuts from the root to the deepest leaf."""
        depth = np.zeros(len(self.feature), dtype=np.int64)
        for node in np.flatnonzero(~self.leaves):
            depth[[self.left[node], self.right[node]]] = depth[node] + 1
        return int(depth.max())

    def evaluate(self, inputs: Array) -> Array:
        """Give the value of the leaf of each row, (rows); `inputs` is (rows, features)."""
        node = np.zeros(len(inputs), dtype=np.int64)
        rows = np.arange(len(inputs))
        feature, leaves = np.maximum(self.feature, 0), self.leaves
        for _ in range(self.depth):
            goes_left = inputs[rows, feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(leaves[node], node, below)
        return self.value[node]


@dataclass(frozen=True)
class Forest:
    """Trees of all classes; the score of a class is its first value and the sum of its trees.

    Parameters
    ----------
    names
        Quantities that are cut on.
    shift, exponent
        (quantities) cuts are on (quantity - shift) * 2^-exponent, in single precision.
    classes
        Names of the classes.
    first
        (classes) scores without trees.
    rounds
        One tree for each class, in the order that they were grown.
    """

    names: tuple[str, ...]
    shift: Array
    exponent: NDArray[np.int64]
    classes: tuple[str, ...]
    first: Array
    rounds: tuple[tuple[Tree, ...], ...]

    @property
    def trees(self) -> list[Tree]:
        """All trees."""
        return [tree for trees in self.rounds for tree in trees]

    @property
    def depth(self) -> int:
        """Cuts from a root to the deepest leaf of all trees."""
        return max((tree.depth for tree in self.trees), default=0)

    @property
    def cuts(self) -> int:
        """Number of nodes that are no leaves."""
        return sum(int((~tree.leaves).sum()) for tree in self.trees)

    def inputs_of(self, quantities: Array) -> Array:
        """Give what trees cut on, (rows, quantities), from quantities in their own units."""
        exact = scaled(quantities, self.shift, self.exponent)
        return exact.astype(np.float32).astype(np.float64)

    def evaluate(self, inputs: Array, rows_at_once: int = 8192) -> Array:
        """Give the scores, (rows, classes), added in the order of scikit-learn."""
        scores = np.tile(self.first, (len(inputs), 1))
        for start in range(0, len(inputs), rows_at_once):
            part = slice(start, start + rows_at_once)
            for trees in self.rounds:
                for number, tree in enumerate(trees):
                    scores[part, number] += tree.evaluate(inputs[part])
        return scores

    def check(self) -> None:
        """Check that nodes form trees of finite numbers.

        Raises
        ------
        InputError
            Names round, class and node at fault.
        """
        if not self.rounds:
            raise InputError("there are no trees; grow them again")
        if not np.isfinite(self.first).all():
            raise InputError("a score without trees is not finite; grow the trees again")
        for number, trees in enumerate(self.rounds):
            if len(trees) != len(self.classes):
                raise InputError(
                    f"round {number}: {len(trees)} trees for {len(self.classes)} classes"
                )
            for name, tree in zip(self.classes, trees, strict=True):
                _check(tree, len(self.names), f"round {number}, class {name}")


def _check(tree: Tree, features: int, where: str) -> None:
    numbers = np.arange(len(tree.feature))
    if not len(numbers):
        raise InputError(f"{where}: a tree without nodes; grow the trees again")
    wrong = ~(np.isfinite(tree.threshold) & np.isfinite(tree.value))
    if wrong.any():
        raise InputError(
            f"{where}: threshold or value of node {np.argmax(wrong)} is not finite; conifer would "
            "write it as a number without saying so: grow the trees again"
        )
    cuts = np.flatnonzero(~tree.leaves)
    if ((tree.feature[cuts] < 0) | (tree.feature[cuts] >= features)).any():
        raise InputError(f"{where}: a cut on none of the {features} features")
    children = np.concatenate([tree.left[cuts], tree.right[cuts]])
    parents = np.concatenate([cuts, cuts])
    if not (np.array_equal(np.sort(children), numbers[1:]) and (children > parents).all()):
        raise InputError(f"{where}: the nodes are no tree; grow the trees again")


@dataclass(frozen=True)
class FixedForest:
    """A forest whose inputs, thresholds and scores are fixed-point numbers.

    Parameters
    ----------
    inputs
        How quantities become numbers; all have one format.
    forest
        Thresholds are on the grid of the inputs, values and first scores on that of the scores.
    score
        Format of leaves and sums, one channel.
    saturated
        Number of thresholds outside the range of the inputs, put to its ends.
    """

    inputs: InputNumbers
    forest: Forest
    score: Format
    saturated: int

    def evaluate(self, inputs: Array) -> Array:
        """Give the scores exactly, (rows, classes)."""
        return self.forest.evaluate(inputs)


def quantised(
    forest: Forest, input_bits: int, score_bits: int, score_integer: int | None
) -> FixedForest:
    """Put a forest on grids.

    Inputs are in [-1, 1) and rounded half up; thresholds are rounded down to their grid. For inputs
    on the grid that changes no comparison, and a cut at t then acts at floor(t) + half a step: it
    is not biased, while rounding t would shift all cuts up by half a step on average.

    Raises
    ------
    InputError
        `score_integer` does not hold a leaf, or the sum that the leaves of a class can reach (how
        many leaves, which class); or no bit of the scores is left right of the point.
    """
    quantities = len(forest.names)
    grid = Format.uniform(quantities, signed=True, integer=0, fractional=input_bits - 1)
    integer = _integer_bits(forest, score_bits) if score_integer is None else score_integer
    score = Format.uniform(1, signed=True, integer=integer, fractional=score_bits - 1 - integer)
    leaves = np.concatenate([tree.value[tree.leaves] for tree in forest.trees])
    beyond = int(score.overflows(leaves[:, None]).sum())
    if beyond:
        raise InputError(
            f"{beyond} of {len(leaves)} leaves are beyond +-{2.0**integer:g}, the range of scores "
            f"of {score_bits} bits with {integer} left of the point; raise score_integer"
        )
    step, low, high = grid.step[0], grid.lowest[0], grid.highest[0]
    saturated = 0
    rounds = []
    for trees in forest.rounds:
        row = []
        for tree in trees:
            cuts = ~tree.leaves
            down = np.floor(tree.threshold / step) * step
            saturated += int((cuts & ((down < low) | (down > high))).sum())
            threshold = np.where(cuts, np.clip(down, low, high), 0.0)
            value = np.where(cuts, 0.0, _rounded(tree.value, score))
            row.append(replace(tree, threshold=threshold, value=value))
        rounds.append(tuple(row))
    fixed = replace(forest, first=_rounded(forest.first, score), rounds=tuple(rounds))
    for name, ends in zip(forest.classes, reach(fixed), strict=True):
        if ends[0] < score.lowest[0] or ends[1] > score.highest[0]:
            raise InputError(
                f"class {name}: scores reach from {ends[0]:g} to {ends[1]:g}, beyond the "
                f"{integer} bits left of the point; raise score_integer"
            )
    numbers = InputNumbers(forest.names, forest.shift, forest.exponent, grid)
    return FixedForest(numbers, fixed, score, saturated)


def reach(forest: Forest) -> Array:
    """Give lowest and highest sum of leaves of each class, (classes, 2)."""
    ends = np.stack([forest.first, forest.first], axis=1)
    for trees in forest.rounds:
        for number, tree in enumerate(trees):
            leaves = tree.value[tree.leaves]
            ends[number] += leaves.min(), leaves.max()
    return ends


def _rounded(values: Array, score: Format) -> Array:
    return np.asarray(np.floor(values / score.step[0] + 0.5) * score.step[0])


def _integer_bits(forest: Forest, score_bits: int) -> int:
    """Give the fewest bits left of the point that hold all leaves and sums once rounded."""
    largest = float(np.abs(reach(forest)).max())
    leaves = max(float(np.abs(tree.value).max()) for tree in forest.trees)
    terms = len(forest.rounds) + 1
    for integer in range(-20, 31):
        step = 2.0 ** (integer + 1 - score_bits)
        if max(largest + terms * step / 2, leaves + step) <= 2.0**integer - step:
            return integer
    raise InputError(f"scores of {score_bits} bits hold no sum of {terms} terms; raise score_bits")
