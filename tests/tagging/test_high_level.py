"""High-level features: their definitions, and the network on them."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.jets.columns import JET
from fullchain.learning.training import initialised
from fullchain.tagging import high_level
from fullchain.tagging.high_level import HighLevelNetwork
from fullchain.tagging.mlp_settings import DEFAULT_FEATURES, FEATURES, MlpSettings
from fullchain.tagging.settings import TaggerSettings

SCALARS = {
    "pt": np.array([500.0, 600.0, 700.0]),
    "mass": np.array([170.0, 60.0, 0.0]),
    "tau3": np.array([0.2, 0.1, 0.0]),
    "tau4": np.array([0.1, 0.08, 0.0]),
    "tau32": np.array([0.4, 0.8, np.nan]),
    "n_constituents": np.array([60, 30, 1], np.int32),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def network(features: int = 4, classes: int = 3) -> HighLevelNetwork:
    values = high_level.measure(table(0, 400), np.ones(400), "abcd"[:features])
    built = initialised(
        2, lambda: HighLevelNetwork(features, classes, layers=(16, 8), dropout=(0.1,),
                                    standardisation=values)
    )  # fmt: skip
    assert isinstance(built, HighLevelNetwork)
    return built.eval()


def table(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = rng.normal([100, 0.5, -3, 40], [50, 0.1, 2, 10], (rows, 4)).astype(np.float32)
    features[rng.random(rows) < 0.2, 1] = np.nan
    return features


def test_every_feature_is_made_of_columns_of_the_jets() -> None:
    names = {column.name for column in JET}
    features = FEATURES
    assert set(DEFAULT_FEATURES) < set(features)
    assert set(high_level.columns(features)) <= names


def test_features_in_closed_form() -> None:
    names = ("mass_over_pt", "tau43", "n_constituents", "tau32")
    assert high_level.columns(names) == ("mass", "pt", "tau4", "tau3", "n_constituents", "tau32")
    found = high_level.inputs(SCALARS, names)
    expected = [[0.34, 0.5, 60, 0.4], [0.1, 0.8, 30, 0.8], [0.0, np.nan, 1, np.nan]]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-6)
    assert found.dtype == np.float32


def test_bad_columns_are_named() -> None:
    with pytest.raises(InputError, match="no column d2, n2"):
        high_level.inputs(SCALARS, ("mass", "d2", "n2"))
    with pytest.raises(InputError, match="jet 1: mass is inf"):
        high_level.inputs(SCALARS | {"mass": np.array([1.0, np.inf, 2.0])}, ("mass",))
    with pytest.raises(InputError, match="tau32 is NaN for all"):
        high_level.measure(np.full((4, 1), np.nan), np.ones(4), ("tau32",))


def test_standardisation_is_of_what_exists() -> None:
    values, weights = table(1, 5000), np.ones(5000)
    found = high_level.measure(values, weights, ("a", "b", "c", "d"))
    np.testing.assert_allclose(found.subtract, [100, 0.5, -3, 40], rtol=0.05)
    np.testing.assert_allclose(found.multiply, [1 / 50, 10, 0.5, 0.1], rtol=0.06)
    weights[values[:, 0] < 100] = 0
    assert high_level.measure(values, weights, ("a", "b", "c", "d")).subtract[0] > 120


def test_missing_is_the_median() -> None:
    built = network()
    features = torch.from_numpy(table(2, 50))
    filled = torch.where(features.isnan(), built.standardise.subtract, features)
    assert torch.equal(built(features), built(filled))
    assert built(features).shape == (50, 3)
    assert torch.isfinite(built(torch.full((2, 4), torch.nan))).all()


def test_without_standardisation_missing_is_zero() -> None:
    built = initialised(1, lambda: HighLevelNetwork(2, 2)).eval()
    missing = torch.tensor([[0.3, torch.nan]])
    assert torch.equal(built(missing), built(torch.tensor([[0.3, 0.0]])))


def test_a_nan_leaks_into_no_gradient() -> None:
    built = network().train()
    built(torch.from_numpy(table(2, 50))).square().sum().backward()
    gradients = [p.grad for p in built.parameters()]
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients)


def test_default_sizes() -> None:
    settings = MlpSettings()
    built = HighLevelNetwork(9, 2, layers=settings.layers, dropout=settings.dropout)
    expected = 10 * 64 + 2 * 65 * 64 + 65 * 2
    assert sum(p.numel() for p in built.parameters()) == expected
    rates = [layer.p for layer in built.layers if isinstance(layer, torch.nn.Dropout)]
    assert rates == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"features": ["mass", "mass"]}, "named twice"),
        ({"features": []}, "at least 1"),
        ({"features": ["tau 21"]}, "tau 21"),
        ({"layers": [3], "dropout": [0.1, 0.1]}, "2 numbers for 1 layers"),
        ({"dropout": [1.0]}, "probability"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MlpSettings.model_validate(values)


@pytest.mark.parametrize("kind", ["mlp", "trees"])
def test_features_of_measured_jets_are_a_closed_list(kind: str) -> None:
    def tagger(name: str, jets_from: str = "jets") -> TaggerSettings:
        architecture = {"kind": kind, "features": ["mass", name]}
        return TaggerSettings.model_validate({"architecture": architecture, "jets_from": jets_from})

    with pytest.raises(ValidationError, match="jets makes no 'tau23'; did you mean 'tau"):
        tagger("tau23")
    with pytest.raises(ValidationError, match=r"no 'zcut'; there are pt, mass, .*jets_from: ntup"):
        tagger("zcut")
    assert tagger("zcut", "ntuples").architecture.features == ("mass", "zcut")  # type: ignore[union-attr]


def test_onnx_agrees_with_torch(tmp_path: Path) -> None:
    built = network()
    path = tmp_path / "mlp.onnx"
    program = torch.onnx.export(
        built,
        (torch.zeros(2, 4),),
        dynamo=True,
        input_names=["features"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("jets")},),
        verbose=False,
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    for rows in (1, 40):
        features = table(3, rows)
        found = session.run(None, {"features": features})[0]
        expected = built(torch.from_numpy(features)).detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
