"""Gradient-boosted trees: fitted by scikit-learn, then a module of torch like every other tagger.

Written as tensors, an ensemble is saved, applied and exported by the same code as a network, and
a file of scores needs no scikit-learn of the same version.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.training import History
from fullchain.seeds import derive
from fullchain.tagging.trees_settings import TreesSettings

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Array = NDArray[Any]

_STRUCTURE = ("feature", "threshold", "branches", "missing_right", "value", "roots")


class TreeEnsemble(nn.Module):
    """Sum of the leaves that a jet falls into, over the trees of each class.

    All trees lie in flat buffers, node by node: `feature` and `threshold` of its cut, `branches`
    (left, right; a leaf is its own), `missing_right` where NaN goes, `value` of a leaf. A jet goes
    left where its feature is not above the threshold. `roots` (iterations, trees per iteration)
    are the nodes that trees begin with, `baseline` (trees per iteration) is added to the sum. There
    is one tree per iteration for two classes, else one per class.

    An ensemble of uBoost has a buffer `width` beside: its trees per iteration are those of a
    classifier for each of several efficiencies, and the probability of class 1 is the mean over
    them of the logistic function of sum / width.

    Thresholds are those of scikit-learn rounded down to single precision: for features in single
    precision each comparison gives the same as in double. Values stay in double precision.

    Parameters
    ----------
    features
        Number of features.
    classes
        Number of classes. The ensemble is empty until a state dict is loaded, which brings the
        sizes of the buffers.
    """

    feature: Tensor
    threshold: Tensor
    branches: Tensor
    missing_right: Tensor
    value: Tensor
    roots: Tensor
    baseline: Tensor
    width: Tensor | None

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.classes = classes
        trees = 1 if classes == 2 else classes
        self.register_buffer("feature", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(0))
        self.register_buffer("branches", torch.zeros(0, 2, dtype=torch.int64))
        self.register_buffer("missing_right", torch.zeros(0, dtype=torch.bool))
        self.register_buffer("value", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("roots", torch.zeros(0, trees, dtype=torch.int64))
        self.register_buffer("baseline", torch.zeros(trees, dtype=torch.float64))
        self.register_buffer("width", None)
        self.depth = 0
        self.attributes: dict[str, Any] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Give logits, shape (jets, classes); `features` (jets, features) may hold NaN.

        For two classes the first logit is zero and the second the log-odds.
        """
        as_node = torch.onnx.is_in_onnx_export() and len(self.feature) > 0
        raw = self._node(features) if as_node else self.raw(features)
        if self.width is not None:
            scaled = raw / self.width.to(raw.dtype)
            chances = (torch.sigmoid(one).mean(dim=-1, keepdim=True) for one in (scaled, -scaled))
            above, below = (chance.log() for chance in chances)
            raw = above - below
        raw = raw.to(torch.float32)
        if self.classes == 2:
            return torch.cat((torch.zeros_like(raw), raw), dim=-1)
        return raw

    def raw(self, features: Tensor) -> Tensor:
        """Give what scikit-learn calls raw predictions, (jets, trees per iteration), in double."""
        jets = features.shape[0]
        values = self.value[self.leaves(features)].reshape(jets, *self.roots.shape)
        baseline = self.baseline.expand(jets, 1, -1)
        # one after the other, as scikit-learn adds them, so that not even rounding differs
        return torch.cumsum(torch.cat((baseline, values), dim=1), dim=1)[:, -1]

    def leaves(self, features: Tensor) -> Tensor:
        """Give the node where each jet ends up, (jets, trees)."""
        node = self.roots.reshape(1, -1).expand(features.shape[0], -1)
        for _ in range(self.depth):
            x = torch.gather(features, 1, self.feature[node])
            right = (x > self.threshold[node]) | (torch.isnan(x) & self.missing_right[node])
            node = self.branches.reshape(-1)[2 * node + right]
        return node

    def _node(self, features: Tensor) -> Tensor:
        """As `raw`, as the one node that ONNX has for trees; sums are in single precision."""
        found: Tensor = torch.onnx.ops.symbolic(
            "ai.onnx.ml::TreeEnsembleRegressor",
            (features,),
            self.attributes,
            dtype=torch.float32,
            shape=(features.shape[0], self.roots.shape[1]),
            version=3,
        )
        return found

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Take the sizes of the buffers from the state dict, before torch compares them."""
        for name in _STRUCTURE:
            given = state_dict.get(prefix + name)
            if given is not None:
                setattr(self, name, torch.zeros_like(given, device=self.baseline.device))
        width = state_dict.get(prefix + "width")
        if width is not None and self.classes == 2:
            self.width = torch.zeros_like(width, device=self.baseline.device)
            self.baseline = self.baseline.new_zeros(self.roots.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)
        errors: list[str] = rest[-1]
        if len(self.feature) and int(self.feature.max()) >= self.features:
            errors.append(f"trees on more than the {self.features} features of this tagger")
        if not errors:
            self.depth = _depth(self.branches, self.roots)
            self.attributes = _attributes(self)


def _depth(branches: Tensor, roots: Tensor) -> int:
    """Give the number of cuts on the longest way from a root to a leaf."""
    level = roots.reshape(-1).unique()
    for depth in range(len(branches)):
        level = level[branches[level, 0] != level]
        if len(level) == 0:
            return depth
        level = branches[level].unique()
    if len(branches):
        raise InputError("the nodes of the trees form a circle; train again")
    return 0


def _attributes(trees: TreeEnsemble) -> dict[str, Any]:
    """Give the attributes of ONNX's TreeEnsembleRegressor, which counts nodes tree by tree.

    Plain numbers, as an export sees no values of tensors.
    """
    roots, own = trees.roots.reshape(-1), torch.arange(len(trees.feature))
    tree = torch.bucketize(own, roots, right=True) - 1
    inside = own - roots[tree]
    leaf = trees.branches[:, 0] == own
    left, right = torch.where(leaf, 0, trees.branches.T - roots[tree])
    per_iteration = trees.roots.shape[1]
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": inside.tolist(),
        "nodes_featureids": trees.feature.tolist(),
        "nodes_values": trees.threshold.tolist(),
        "nodes_modes": ["LEAF" if one else "BRANCH_LEQ" for one in leaf.tolist()],
        "nodes_truenodeids": left.tolist(),
        "nodes_falsenodeids": right.tolist(),
        "nodes_missing_value_tracks_true": (~trees.missing_right).long().tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": inside[leaf].tolist(),
        "target_ids": (tree[leaf] % per_iteration).tolist(),
        "target_weights": trees.value[leaf].tolist(),
        "base_values": trees.baseline.tolist(),
        "n_targets": per_iteration,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
    }


def fit(
    features: Array,
    classes: Array,
    weights: Array,
    validation_features: Array,
    validation_classes: Array,
    validation_weights: Array,
    settings: TreesSettings,
    *,
    seed: int,
    threads: int = 1,
) -> tuple[TreeEnsemble, History]:
    """Boost trees and keep those of the rounds up to the lowest validation loss.

    Parameters
    ----------
    features, validation_features
        (jets, features) float32; NaN where a feature does not exist.
    classes, validation_classes
        (jets,) numbers from 0.
    weights, validation_weights
        (jets,) not negative.
    settings
        Size and number of the trees.
    seed
        Of what is random: the choice of features and, above 200 000 jets, of jets for the bins.
    threads
        CPU threads; sums of gradients are split among them, and their rounding depends on it.

    Returns
    -------
    ensemble
        The trees as a module.
    history
        Weighted mean cross entropy ("loss") after each round; a round counts as an epoch.

    Raises
    ------
    InputError
        Rows that do not agree, a feature that is infinite, a negative weight, or a class without
        jets in training.
    """
    # Here, because whoever only applies trees has no need to wait for scikit-learn.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    names = settings.features
    n_classes = _check("training", features, classes, weights, names)
    _check("validation", validation_features, validation_classes, validation_weights, names)
    if int(np.max(validation_classes)) >= n_classes:
        raise InputError(
            f"class {int(np.max(validation_classes))} has jets for validation and none for training"
        )
    booster = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.iterations,
        max_leaf_nodes=settings.max_leaves,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_jets_in_leaf,
        l2_regularization=settings.l2,
        max_features=settings.feature_fraction,
        max_bins=settings.max_bins,
        categorical_features=None,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=settings.patience,
        tol=0.0,
        random_state=derive(seed, "trees"),
    )
    with threadpool_limits(threads, user_api="openmp"):
        booster.fit(
            features.astype(np.float32),
            classes,
            sample_weight=weights,
            X_val=validation_features.astype(np.float32),
            y_val=validation_classes,
            sample_weight_val=validation_weights,
        )
    history = _history(booster, settings)
    return ensemble(booster, features.shape[1], n_classes, history.best_epoch + 1), history


def _history(booster: "HistGradientBoostingClassifier", settings: TreesSettings) -> History:
    # the first entries are the losses before any round
    train, validation = -booster.train_score_[1:], -booster.validation_score_[1:]
    best = int(np.argmin(validation))
    return History(
        train=[{"loss": float(loss)} for loss in train],
        validation=[{"loss": float(loss)} for loss in validation],
        learning_rate=[settings.learning_rate] * len(train),
        best_epoch=best,
        best_loss=float(validation[best]),
        stopped_early=len(train) < settings.iterations,
    )


def ensemble(
    booster: "HistGradientBoostingClassifier", features: int, classes: int, iterations: int
) -> TreeEnsemble:
    """Give the first rounds of a fitted classifier (numeric features) as a module."""
    nodes, roots, start = [], [], 0
    for predictors in booster._predictors[:iterations]:
        for predictor in predictors:
            tree = predictor.nodes.copy()
            own = np.arange(len(tree))
            leaf = tree["is_leaf"].astype(bool)
            tree["left"] = start + np.where(leaf, own, tree["left"])
            tree["right"] = start + np.where(leaf, own, tree["right"])
            nodes.append(tree)
            roots.append(start)
            start += len(tree)
    table = np.concatenate(nodes)
    leaf = table["is_leaf"].astype(bool)
    branches = np.stack((table["left"], table["right"]), axis=1).astype(np.int64)
    state = {
        "feature": np.where(leaf, 0, table["feature_idx"]).astype(np.int64),
        "threshold": rounded_down(np.where(leaf, 0.0, table["num_threshold"])),
        "branches": branches,
        "missing_right": ~leaf & ~table["missing_go_to_left"].astype(bool),
        "value": np.where(leaf, table["value"], 0.0),
        "roots": np.array(roots).reshape(iterations, -1),
        "baseline": np.asarray(booster._baseline_prediction, np.float64).reshape(-1),
    }
    result = TreeEnsemble(features, classes)
    result.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return result.eval()


def rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the largest single-precision numbers that are not above: x <= t stays what it is."""
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-math.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest)


def _check(part: str, features: Array, classes: Array, weights: Array, names: Sequence[str]) -> int:
    """Check the jets of one part; give the number of classes in it."""
    shapes = (features.shape, classes.shape, weights.shape)
    if features.shape != (len(classes), len(names)) or weights.shape != classes.shape:
        raise InputError(
            f"features, classes and weights for {part} have shapes {shapes}; (jets, {len(names)}), "
            "(jets,) and (jets,) are needed"
        )
    if len(classes) == 0:
        raise InputError(f"no jets for {part}")
    infinite = np.argwhere(np.isinf(features))
    if len(infinite):
        jet, index = infinite[0]
        raise InputError(f"{names[index]} of {part} jet {jet} is infinite; make the jets again")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError(f"the weights for {part} must be finite, not negative, and not all zero")
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
        raise InputError(f"the classes for {part} must be whole numbers from 0")
    numbers = np.bincount(classes)
    if part == "training" and (len(numbers) < 2 or (numbers == 0).any()):
        empty = int(np.argmin(numbers)) if (numbers == 0).any() else len(numbers)
        raise InputError(f"class {empty} has no jets for {part}; change samples or selection")
    return len(numbers)
