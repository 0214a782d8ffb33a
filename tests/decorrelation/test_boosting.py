"""Boosting to uniformity: hep-ml's own predictions come out of a model on disk."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from hep_ml.gradientboosting import BinFlatnessLossFunction, UGradientBoostingClassifier
from hep_ml.uboost import uBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from fullchain.decorrelation import boosting, trained_tagger, uniform_trees
from fullchain.decorrelation.method_settings import BoostingSettings
from fullchain.decorrelation.uniform_trees import ensemble
from fullchain.errors import InputError
from fullchain.learning.standardise import Standardisation
from fullchain.tagging import model_file
from fullchain.tagging.members import Member
from fullchain.tagging.onnx_file import save_onnx
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger, probabilities
from fullchain.tagging.trees import TreeEnsemble

NAMES = ("mass", "tau21", "tau32", "d2")
SMALL = {"trees": 20, "min_jets_in_leaf": 10, "bins": 8, "efficiencies": 4, "neighbours": 30}

Jets = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        # hep-ml and scikit-learn warn of what a newer version refuses: none of it may be ours.
        warnings.simplefilter("error")
        yield


def toy(seed: int, jets: int) -> Jets:
    """Features (jets, 4), classes, weights, masses (jets, 1); the first feature says the mass."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, jets)
    mass = np.where(target == 0, rng.normal(80, 10, jets), 50 + rng.exponential(60, jets))
    features = rng.normal((1 - target)[:, None] * [0.0, 0.8, 0.5, 0.3], 1.0).astype(np.float32)
    features[:, 0] = mass + rng.normal(0, 3, jets)
    features[rng.random(jets) < 0.1, 2] = np.nan
    return features, target, rng.uniform(0.5, 1.5, jets), mass[:, None]


def settings(loss: str, **changes: Any) -> BoostingSettings:
    return BoostingSettings.model_validate({**SMALL, "loss": loss, **changes})


def from_disk(trees: TreeEnsemble, folder: Path) -> Tagger:
    """A tagger with these trees, written and read again."""
    chosen = TaggerSettings.model_validate(
        {"architecture": {"kind": "trees", "features": NAMES}, "seeds": 1}
    )
    nothing = Standardisation((0.0,) * len(NAMES), (1.0,) * len(NAMES))
    tagger = Tagger(chosen, nothing)
    tagger.network = trees
    path = folder / "model.pt"
    model_file.save(path, tagger, chosen, SelectionSettings(), Member(0, 0))
    loaded: Tagger = model_file.load(path).tagger
    return loaded


def signal(tagger: Tagger, features: np.ndarray) -> np.ndarray:
    return probabilities(tagger, {"features": features}, torch.device("cpu"))[:, 0]


def filled(features: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(features), boosting.MISSING, features)


def test_flatness_gives_the_predictions_of_hep_ml(tmp_path: Path) -> None:
    features, target, weight, mass = toy(1, 2500)
    names = [f"f{k}" for k in range(4)]
    table = pandas.DataFrame(filled(features).astype(float), columns=names)
    table["mass"] = mass[:, 0]
    theirs = UGradientBoostingClassifier(
        loss=BinFlatnessLossFunction(["mass"], uniform_label=0, n_bins=8, fl_coefficient=4.0),
        n_estimators=25,
        max_depth=4,
        subsample=0.7,
        train_features=names,
        random_state=5,
    )
    theirs.fit(table, (target == 0).astype(int), sample_weight=weight)
    fitted = [(tree.tree_, theirs.learning_rate * values) for tree, values in theirs.estimators]
    tagger = from_disk(ensemble([fitted], [theirs.initial_step], 4), tmp_path)
    probe = toy(2, 1500)[0]
    expected = theirs.predict_proba(pandas.DataFrame(filled(probe).astype(float), columns=names))
    np.testing.assert_allclose(signal(tagger, probe), expected[:, 1], atol=1e-6)
    assert expected[:, 1].std() > 0.1


def test_uboost_gives_the_predictions_of_hep_ml(tmp_path: Path) -> None:
    """At uniforming rate 1, learning rate 1 and equal spacing, which hep-ml's own class has."""
    features, target, weight, mass = toy(1, 2000)
    chosen = settings("uboost", spacing="equal", subsample=1.0, trees=6, efficiencies=3)
    ours, _ = boosting.fit(features, target, weight, mass, chosen, 1.0, seed=9)
    ranks = boosting._conditions(target, weight, mass, ["mass"]).ranks(mass)
    table = pandas.DataFrame(filled(features), columns=list("abcd"))
    table["rank"] = ranks[:, 0]
    theirs = uBoostClassifier(
        ["rank"],
        0,
        train_features=list("abcd"),
        n_neighbors=30,
        efficiency_steps=3,
        n_estimators=6,
        base_estimator=DecisionTreeClassifier(max_depth=4, min_samples_leaf=10),
        random_state=0,
    )
    # hep-ml asks for neighbours of a table in a set that it made of an array, and leaves its pool
    # of threads open.
    warnings.filterwarnings("ignore", "X has feature names, but NearestNeighbors")
    warnings.filterwarnings("ignore", category=ResourceWarning)
    warnings.filterwarnings("ignore", category=pytest.PytestUnraisableExceptionWarning)
    theirs.fit(table, (target == 0).astype(int), sample_weight=weight)
    probe = toy(2, 1500)[0]
    expected = theirs.predict_proba(pandas.DataFrame(filled(probe), columns=list("abcd")))[:, 1]
    found = signal(from_disk(ours, tmp_path), probe)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert expected.std() > 0.05


@pytest.mark.parametrize("loss", ["flatness", "uboost"])
def test_stages_end_with_what_the_module_says(loss: str) -> None:
    jets = toy(3, 1200)
    chosen = settings(loss, trees=5)
    conditions = boosting._conditions(*jets[1:], ["mass"])
    rows = boosting._rows(*jets, conditions)
    train = getattr(uniform_trees, loss)
    module, stages = train(rows, chosen, 2.0, uniform_trees.Size(5, 0.5), 1, "boosting")
    last = list(stages(rows))[-1]
    with torch.no_grad():
        logits = module(torch.from_numpy(rows.features))
    np.testing.assert_allclose(-logits[:, 1].numpy(), last, atol=2e-6)


@pytest.mark.parametrize(
    ("loss", "strengths"), [("flatness", (0.01, 20.0)), ("uboost", (0.01, 2.0))]
)
def test_strength_makes_background_uniform(loss: str, strengths: tuple[float, float]) -> None:
    jets, others = toy(1, 2500), toy(2, 4000)
    chosen = settings(loss, trees=40 if loss == "flatness" else 12, efficiencies=6)
    flatness, gain = [], []
    for strength in strengths:
        module, record = boosting.fit(*jets, chosen, strength, seed=1, validation=others)
        assert len(record["train"]) == len(record["validation"]) == record["best_epoch"] + 1
        flatness.append(record["validation"][-1]["flatness"])
        with torch.no_grad():
            score = -module(torch.from_numpy(others[0]))[:, 1].numpy()
        gain.append(score[others[1] == 0].mean() - score[others[1] == 1].mean())
    assert flatness[1] < 0.7 * flatness[0]
    assert min(gain) > 0.05


def test_repeats_to_the_bit_and_depends_on_the_seed() -> None:
    jets = toy(1, 800)
    chosen = settings("flatness", trees=4)
    values = [boosting.fit(*jets, chosen, 3.0, seed=seed)[0].value for seed in (1, 1, 2)]
    assert torch.equal(values[0], values[1])
    assert values[0].shape != values[2].shape or not torch.equal(values[0], values[2])


@pytest.mark.parametrize(
    ("loss", "background", "message"),
    [
        ("flatness", 40, "39 background and .* needs 40, 5 for each of its 8 bins: lower method.b"),
        ("uboost", 150, "149 background and .* needs 150 of background and 30 of signal"),
    ],
)
def test_too_little_background_to_be_uniform_in(loss: str, background: int, message: str) -> None:
    features, target, weight, mass = toy(1, 900)

    def boosted(number: int) -> None:
        kept = np.where((target == 0) | (np.cumsum(target == 1) <= number), weight, 0.0)
        boosting.fit(features, target, kept, mass, settings(loss, trees=2), 1.0, seed=1)

    with pytest.raises(InputError, match=message):
        boosted(background - 1)
    boosted(background)


def test_a_jet_without_weight_is_as_if_it_were_not_there() -> None:
    features, target, weight, mass = toy(1, 1000)
    weight[::5] = np.where(np.arange(200) % 2, 0.0, -1.0)
    kept = weight > 0
    chosen = settings("flatness", trees=4)
    first, _ = boosting.fit(features, target, weight, mass, chosen, 3.0, seed=1)
    second, _ = boosting.fit(
        features[kept], target[kept], weight[kept], mass[kept], chosen, 3.0, seed=1
    )
    assert torch.equal(first.value, second.value)


def test_onnx_says_the_same_of_uboost(tmp_path: Path) -> None:
    import onnxruntime

    module, _ = boosting.fit(*toy(1, 800), settings("uboost", trees=5), 1.0, seed=1)
    tagger = from_disk(module, tmp_path)
    chosen = TaggerSettings.model_validate({"architecture": {"kind": "trees", "features": NAMES}})
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        # The exporter has warnings of its own.
        warnings.simplefilter("ignore")
        save_onnx(path, [tagger], chosen)
    probe = toy(2, 300)[0]
    found = onnxruntime.InferenceSession(path).run(["score"], {"features": probe})[0]
    np.testing.assert_allclose(found, signal(tagger, probe), atol=1e-5)


def test_trees_of_several_seeds_are_read_as_one_tagger(tmp_path: Path) -> None:
    base = TaggerSettings.model_validate(
        {"architecture": {"kind": "mlp", "features": NAMES}, "seeds": 2}
    )
    chosen = trained_tagger.as_trees(base)
    paths = []
    for seed in (0, 1):
        tagger = Tagger(chosen, Standardisation((0.0,) * 4, (1.0,) * 4))
        tagger.network, _ = boosting.fit(*toy(1, 500), settings("flatness"), 1.0, seed=seed)
        paths.append(tmp_path / f"{seed}.pt")
        model_file.save(paths[-1], tagger, chosen, SelectionSettings(), Member(0, seed))
    first, second = model_file.read_models(paths)
    probe = toy(2, 200)[0]
    assert (signal(first.tagger, probe) != signal(second.tagger, probe)).any()


def test_taggers_that_boosting_has_no_use_for_are_refused() -> None:
    def tagger(**changes: Any) -> TaggerSettings:
        return TaggerSettings.model_validate({"architecture": {"kind": "mlp"}, **changes})

    with pytest.raises(InputError, match="architecture pfn does not"):
        trained_tagger.as_trees(TaggerSettings())
    three = {name: {"samples": ["tt"], "labels": [name]} for name in ("W", "top", "b")}
    with pytest.raises(InputError, match="the tagger has 3"):
        trained_tagger.as_trees(tagger(classes=three))


def test_bad_input_is_refused() -> None:
    features, target, weight, mass = toy(1, 300)

    def refused(match: str, loss: str = "flatness", **changes: np.ndarray) -> None:
        given = {"features": features, "target": target, "weight": weight, "against": mass}
        with pytest.raises(InputError, match=match):
            boosting.fit(
                **{**given, **changes},
                settings=settings(loss),
                strength=1.0,
                seed=1,
                names=["m"],
                observables=NAMES,
            )

    refused("m is 80 for all", against=np.full((300, 1), 80.0))
    refused("two classes apart, and the tagger has 3", target=np.arange(300) % 3)
    refused("no background jets", target=np.zeros(300, dtype=int))
    refused("background jets sum to zero", weight=np.where(target == 1, 0.0, 1.0))
    refused("m of .* background jets is not finite", against=np.full((300, 1), np.nan))
    infinite = np.where(np.arange(4) == 1, np.inf, features)
    refused("tau21 of training jet 0 is infinite", features=infinite)
    refused("30 nearest", loss="uboost", weight=np.where(np.cumsum(target == 0) < 20, weight, 0.0))
