"""Boosted trees as a module: the same numbers as scikit-learn's to the last bit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from fullchain.errors import InputError
from fullchain.learning.training import History
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.trees import TreeEnsemble, ensemble, fit
from fullchain.tagging.trees_settings import TreesSettings

NAMES = ("mass", "tau21", "tau32", "d2")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="openmp"):
        yield


def sample(seed: int, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping classes; some values missing, more often in the last class; weights."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    features = rng.normal(labels[:, None] * [0.8, -0.5, 0.3, 0.0], 1.0).astype(np.float32)
    features[:, 1] = np.round(features[:, 1], 1)
    features[rng.random(rows) < 0.05 + 0.2 * (labels == classes - 1), 2] = np.nan
    return features, labels, rng.uniform(0.2, 2.0, rows)


def booster(classes: int, **options: object) -> HistGradientBoostingClassifier:
    features, labels, weights = sample(1, 2000, classes)
    fitted = HistGradientBoostingClassifier(max_iter=12, max_depth=5, **options)
    return fitted.fit(features, labels, sample_weight=weights)


def on_the_thresholds(fitted: HistGradientBoostingClassifier) -> np.ndarray:
    """Rows of values at every threshold, the floats next to it, and NaN."""
    thresholds = [p.nodes["num_threshold"] for round_ in fitted._predictors for p in round_]
    at = np.unique(np.concatenate(thresholds)).astype(np.float32)
    values = np.concatenate([at, np.nextafter(at, np.float32(9)), np.nextafter(at, np.float32(-9))])
    values = np.concatenate([values, np.full(len(values) // 5, np.nan, np.float32)])
    rng = np.random.default_rng(2)
    return np.stack([rng.permutation(values) for _ in NAMES], axis=1)


def settings(**options: object) -> TreesSettings:
    return TreesSettings.model_validate({"features": NAMES, "max_depth": 4, **options})


def fitted(classes: int, **options: object) -> tuple[TreeEnsemble, History]:
    parts = (*sample(3, 1500, classes), *sample(4, 800, classes))
    return fit(*parts, settings(**options), seed=5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("iterations", [1, 12])
def test_raw_predictions_are_those_of_scikit_learn_to_the_bit(
    classes: int, iterations: int
) -> None:
    theirs = booster(classes)
    theirs._predictors = theirs._predictors[:iterations]
    ours = ensemble(theirs, len(NAMES), classes, iterations)
    for features in (on_the_thresholds(theirs), sample(6, 500, classes)[0]):
        expected = theirs._raw_predict(features)
        raw = ours.raw(torch.from_numpy(features))
        np.testing.assert_array_equal(raw.numpy(), expected)
        probability = torch.softmax(ours(torch.from_numpy(features)), dim=-1).numpy()
        np.testing.assert_allclose(probability, theirs.predict_proba(features), atol=1e-6)


def test_a_threshold_rounded_to_the_nearest_would_differ() -> None:
    """Between two neighbouring floats the nearest may lie above the threshold."""
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2))
    features = np.repeat(np.array([[low], [high]], np.float32), 200, axis=0)
    theirs = HistGradientBoostingClassifier(max_iter=3).fit(features, np.repeat([0, 1], 200))
    threshold = theirs._predictors[0][0].nodes["num_threshold"][0]
    assert float(low) < threshold < float(high)
    # push it to where rounding to the nearest goes up
    for round_ in theirs._predictors:
        round_[0].nodes["num_threshold"][0] = 0.25 * float(low) + 0.75 * float(high)
    ours = ensemble(theirs, 1, 2, 3)
    raw = ours.raw(torch.from_numpy(features))
    np.testing.assert_array_equal(raw.numpy(), theirs._raw_predict(features))
    assert raw[0] < 0 < raw[-1]


def test_a_cut_on_being_missing_alone() -> None:
    features = np.repeat(np.array([[1.0], [np.nan]], np.float32), 200, axis=0)
    theirs = HistGradientBoostingClassifier(max_iter=3).fit(features, np.repeat([0, 1], 200))
    raw = ensemble(theirs, 1, 2, 3).raw(torch.from_numpy(features))
    np.testing.assert_array_equal(raw.numpy(), theirs._raw_predict(features))
    assert raw[0] < 0 < raw[-1]


@pytest.mark.parametrize("classes", [2, 3])
def test_keeps_the_rounds_up_to_the_lowest_validation_loss(classes: int) -> None:
    module, history = fitted(classes, learning_rate=0.3, patience=10)
    losses = [terms["loss"] for terms in history.validation]
    assert history.stopped_early and len(losses) < 500
    assert history.best_epoch == int(np.argmin(losses)) < len(losses) - 1
    assert module.roots.shape == (history.best_epoch + 1, 1 if classes == 2 else classes)
    features, labels, weights = sample(4, 800, classes)
    logits = module(torch.from_numpy(features)).double()
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none")
    mean = np.average(loss.numpy(), weights=weights)
    assert mean == pytest.approx(history.best_loss, abs=1e-6)
    assert history.train[-1]["loss"] < history.train[0]["loss"]


def test_repeats_to_the_bit_and_depends_on_the_seed_where_features_are_drawn() -> None:
    options = {"iterations": 8, "feature_fraction": 0.5}
    (first, _), (second, _) = fitted(2, **options), fitted(2, **options)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    parts = (*sample(3, 1500, 2), *sample(4, 800, 2))
    other, _ = fit(*parts, settings(**options), seed=6)
    x = torch.from_numpy(sample(7, 50, 2)[0])
    assert not torch.equal(first(x), other(x))


def test_jets_of_weight_zero_do_not_matter() -> None:
    features, labels, weights = sample(3, 1500, 2)
    validation = sample(4, 800, 2)
    chosen = settings(iterations=5)
    validation[2][400:] = 0
    part = tuple(array[:400] for array in validation)
    _, full = fit(features, labels, weights, *validation, chosen, seed=5)
    _, half = fit(features, labels, weights, *part, chosen, seed=5)
    assert full.best_loss == pytest.approx(half.best_loss, rel=1e-9)
    # with the opposite class beside each jet nothing can be learnt, unless these have no weight
    twice, both = np.tile(features, (2, 1)), np.concatenate([labels, 1 - labels])
    for other, learns in ((0 * weights, True), (weights, False)):
        total = np.concatenate([weights, other])
        _, history = fit(twice, both, total, *part, chosen, seed=5)
        assert (history.best_loss < half.best_loss + 0.02) == learns


def test_state_dict_brings_the_sizes() -> None:
    module, _ = fitted(3, iterations=6)
    x = torch.from_numpy(sample(7, 50, 3)[0])
    empty = TreeEnsemble(len(NAMES), 3)
    assert torch.equal(empty(x), torch.zeros(50, 3))
    empty.load_state_dict(module.state_dict())
    assert torch.equal(empty(x), module(x))
    outer = torch.nn.ModuleDict({"network": TreeEnsemble(len(NAMES), 3)})
    outer.load_state_dict({f"network.{k}": v for k, v in module.state_dict().items()})
    assert torch.equal(outer["network"](x), module(x))


def test_trees_of_another_tagger_are_refused() -> None:
    module, _ = fitted(3, iterations=6)
    with pytest.raises(RuntimeError, match="baseline"):
        TreeEnsemble(len(NAMES), 2).load_state_dict(module.state_dict())
    with pytest.raises(RuntimeError, match="more than the 2 features"):
        TreeEnsemble(2, 3).load_state_dict(module.state_dict())


@pytest.mark.parametrize("classes", [2, 3])
def test_onnx_agrees_with_torch(tmp_path: Path, classes: int) -> None:
    module, _ = fitted(classes, iterations=8)
    path = tmp_path / "trees.onnx"
    program = torch.onnx.export(
        module,
        (torch.zeros(2, len(NAMES)),),
        dynamo=True,
        input_names=["features"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("jets")},),
        verbose=False,
    )
    program.save(path)
    nodes = [node.op_type for node in program.model_proto.graph.node]
    assert nodes.count("TreeEnsembleRegressor") == 1 and "GatherElements" not in nodes
    session = onnxruntime.InferenceSession(path)
    for rows in (1, 300):
        features = sample(8, rows, classes)[0]
        found = session.run(None, {"features": features})[0]
        np.testing.assert_allclose(found, module(torch.from_numpy(features)).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda x, y, w: (np.where(x > 2, np.inf, x), y, w), "mass of training jet .* is infinite"),
        (lambda x, y, w: (x, y, -w), "weights for training must be"),
        (lambda x, y, w: (x, y - 1, w), "classes for training must be whole numbers"),
        (lambda x, y, w: (x, 2 * y, w), "class 1 has no jets for training"),
        (lambda x, y, w: (x, 0 * y, w), "class 1 has no jets for training"),
        (lambda x, y, w: (x[:, :2], y, w), "have shapes"),
        (lambda x, y, w: (x[:0], y[:0], w[:0]), "no jets for training"),
    ],
)
def test_bad_input_is_named(break_it, message: str) -> None:
    features, labels, weights = sample(3, 300, 2)
    features[:, 1:] = np.clip(features[:, 1:], None, 1.9)
    with pytest.raises(InputError, match=message):
        fit(*break_it(features, labels, weights), *sample(4, 50, 2), settings(), seed=1)


def test_a_class_for_validation_alone_is_refused() -> None:
    with pytest.raises(InputError, match="class 2 has jets for validation and none for training"):
        fit(*sample(3, 300, 2), *sample(4, 50, 3), settings(), seed=1)


def test_seeds_that_change_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="feature_fraction"):
        TaggerSettings(architecture=TreesSettings(), seeds=2)
    TaggerSettings(architecture=TreesSettings(feature_fraction=0.7), seeds=2)
