"""Training between two generators: what is learnt at each r, checked against closed forms."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import Standardisation
from fullchain.learning.training import Resumption, initialised, train
from fullchain.settings import validate
from fullchain.tagging import between_performance, between_scores, conditioned
from fullchain.tagging.between_settings import BetweenSettings
from fullchain.tagging.between_training import (
    AT_THE_ENDS,
    POINTS,
    Interpolated,
    drawn,
    find_working_point,
    fixed,
    own_tensors,
)
from fullchain.tagging.classification import Classification
from fullchain.tagging.conditioned import PARAMETER, Conditioned, at_parameter
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.lorentz import LorentzTransformer
from fullchain.tagging.reweighting import tagger_weights
from fullchain.tagging.scored_jets import ScoredJets
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger, probabilities
from fullchain.tagging.views import view_of

CPU = torch.device("cpu")
U, V = 0.6, 0.8
"""Distance of the means of the two features from zero, in widths of the normal distributions."""

BOTH = {"samples": {"tt": "tt_a14", "qcd": "qcd_a14"}}
TRAINING = TrainingSettings(
    epochs=20, batch_size=500, learning_rate=0.01, device="cpu", threads=1, schedule="one_cycle"
)


def toy_settings(**between: Any) -> TaggerSettings:
    return TaggerSettings.model_validate(
        {
            "architecture": {
                "kind": "mlp",
                "features": ["tau21", "tau32"],
                "layers": [32, 32],
                "dropout": [0.0],
            },
            "between": {**BOTH, **between},
        }
    )


def toy_jets(seed: int, jets: int, *, train: bool) -> dict[str, Tensor]:
    """Two features: u is the same in both generators, v of the second has its sign changed."""
    generator = np.random.default_rng(seed)
    target = np.arange(jets) % 2
    second = (np.arange(jets) // 2) % 2 == 1
    side = np.where(target == 0, 1.0, -1.0)
    means = np.stack([U * side, V * side * np.where(second, -1.0, 1.0)], axis=1)
    features = generator.normal(means, 1.0).astype(np.float32)
    return {
        "features": torch.from_numpy(features),
        "target": torch.from_numpy(target),
        "weight": torch.ones(jets),
        **own_tensors(second, train=train),
    }


def posterior(features: np.ndarray, r: float) -> np.ndarray:
    """Probability of the signal in the mixture with a part r of the second generator.

    With v the same normal distributions, exchanged between the classes, in the second generator.
    """
    u, v = features.astype(float).T
    high, low = np.exp(V * v), np.exp(-V * v)
    signal = np.exp(U * u) * ((1 - r) * high + r * low)
    background = np.exp(-U * u) * ((1 - r) * low + r * high)
    return np.asarray(signal / (signal + background))


def trained_toy(jets: int = 20_000, **between: Any) -> Tagger:
    settings = toy_settings(**between)
    view = view_of(settings)
    scale = Standardisation((0.0, 0.0), (1.0, 1.0))
    tagger = initialised(3, lambda: Tagger(settings, scale))
    assert isinstance(tagger, Tagger)
    objective = Interpolated(Classification(view, rotate=False))
    samples = toy_jets(1, jets, train=True), toy_jets(2, jets // 4, train=False)
    train(tagger, objective, *samples, TRAINING, seed=5)
    return tagger


def assert_follows_the_posterior(
    tagger: Tagger, given: Callable[[float], float] = lambda r: r
) -> None:
    """Mean distance of score and closed form, and where the area is largest; `given` r."""
    test = toy_jets(9, 8000, train=False)
    features = test["features"].numpy()
    grid = (0.0, 0.25, 0.5, 0.75, 1.0)
    scores = [
        probabilities(tagger, at_parameter({"features": features}, given(r)), CPU)[:, 0]
        for r in grid
    ]
    for r, score in zip(grid, scores, strict=True):
        distance = np.abs(score - posterior(features, r)).mean()
        assert distance < 0.03, f"r = {r}: mean distance {distance:.3f}"
    is_signal, second = test["target"].numpy() == 0, test["second"].numpy() > 0
    areas = [
        [roc.area(roc.roc_curve(score[mine], is_signal[mine])) for score in scores]
        for mine in (~second, second)
    ]
    assert areas[0] == sorted(areas[0], reverse=True) and areas[1] == sorted(areas[1])
    # At either end the likelihood ratio is linear in (u, v), and the area is known.
    best = 0.5 * (1 + math.erf(math.hypot(U, V)))
    assert areas[0][0] == pytest.approx(best, abs=0.012)
    assert areas[1][-1] == pytest.approx(best, abs=0.012)


@pytest.fixture(scope="module")
def toy_tagger() -> Tagger:
    return trained_toy()


def test_score_is_the_posterior_of_the_mixture_at_each_r(toy_tagger: Tagger) -> None:
    assert_follows_the_posterior(toy_tagger)


def test_a_network_that_does_not_get_r_fails_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def constant(features: Tensor, parameter: Tensor) -> Tensor:
        return torch.cat((features, torch.zeros_like(parameter)), dim=-1)

    with monkeypatch.context() as patch:
        patch.setattr(conditioned, "_appended", constant)
        broken = trained_toy(4000)
        with pytest.raises(AssertionError, match=r"r = 0\.0: mean distance"):
            assert_follows_the_posterior(broken)


def test_a_network_whose_r_is_of_the_wrong_generator_fails_that(
    toy_tagger: Tagger,
) -> None:
    with pytest.raises(AssertionError, match="mean distance"):
        assert_follows_the_posterior(toy_tagger, lambda r: 1.0 - r)


def test_working_point_of_least_regret_is_in_the_middle_of_equal_generators(
    toy_tagger: Tagger,
) -> None:
    found = find_working_point(toy_tagger, toy_jets(4, 4000, train=False), CPU)
    assert found["working_point"] == pytest.approx(0.5, abs=0.1)
    assert float(toy_tagger.working_point) == pytest.approx(found["working_point"])  # type: ignore[arg-type]
    assert int(np.argmin(found["first"])) <= 1
    assert int(np.argmin(found["second"])) >= len(POINTS) - 2
    # Without an r in the tensors, the score is that of the working point.
    arrays = {"features": toy_jets(9, 40, train=False)["features"].numpy()}
    there = at_parameter(arrays, found["working_point"])
    np.testing.assert_array_equal(
        probabilities(toy_tagger, arrays, CPU), probabilities(toy_tagger, there, CPU)
    )


def test_least_regret_does_not_favour_the_easier_generator() -> None:
    r = np.linspace(0, 1, 11)
    first, second = 0.1 + r**2, 0.6 + (1 - r) ** 2
    assert between_scores.least_regret(r, first, second) == 0.5
    # The second generator loses four times as much: a compromise is nearer to it.
    steeper = between_scores.least_regret(r, first, 0.6 + 4 * (1 - r) ** 2)
    assert steeper == pytest.approx(2 / 3, abs=0.01)
    flat = np.ones(11)
    assert between_scores.least_regret(r, flat, flat) == 0.5


def test_at_given_r_a_part_r_of_the_jets_is_of_the_second_generator() -> None:
    second = torch.arange(200_000) % 2
    with torch.random.fork_rng():
        torch.manual_seed(1)
        chance = drawn(second.float())[:, 0].numpy()
    for r in (chance, fixed(second.numpy() > 0)[:, 0]):
        assert r.min() == 0 and r.max() == 1
        ends = (r == 0) | (r == 1)
        assert ends.mean() == pytest.approx(AT_THE_ENDS, abs=0.003)
        np.testing.assert_array_equal(r[ends], second.numpy()[ends])
        bins = np.minimum((10 * r[~ends]).astype(int), 9)
        part = np.bincount(bins, second.numpy()[~ends]) / np.bincount(bins)
        np.testing.assert_allclose(part, np.linspace(0.05, 0.95, 10), atol=0.015)
        np.testing.assert_allclose(np.bincount(bins) / len(bins), 0.1, atol=0.003)


def test_r_is_drawn_anew_in_each_epoch_and_fixed_in_validation() -> None:
    settings = toy_settings()
    tagger = Tagger(settings, Standardisation((0.0, 0.0), (1.0, 1.0)))
    objective = Interpolated(Classification(view_of(settings), rotate=False))
    jets = toy_jets(1, 100, train=False)
    losses = [objective(tagger.train(), jets)["loss"].item() for _ in range(2)]
    assert losses[0] != losses[1]
    losses = [objective(tagger.eval(), jets)["loss"].item() for _ in range(2)]
    assert losses[0] == losses[1]


def test_a_kill_costs_no_bit(tmp_path: Path) -> None:
    settings = toy_settings()
    how = TRAINING.model_copy(update={"epochs": 3})
    samples = toy_jets(1, 500, train=True), toy_jets(2, 200, train=False)
    objective = Interpolated(Classification(view_of(settings), rotate=False))

    def run(resumption: Resumption | None, stop: Callable[[int], None] | None) -> Tagger:
        scale = Standardisation((0.0, 0.0), (1.0, 1.0))
        tagger = initialised(3, lambda: Tagger(settings, scale))
        train(tagger, objective, *samples, how, seed=5, resumption=resumption, after_epoch=stop)
        assert isinstance(tagger, Tagger)
        return tagger

    def stop(epoch: int) -> None:
        if epoch == 0:
            raise KeyboardInterrupt

    whole = run(None, None)
    resumption = Resumption(tmp_path / "checkpoint.pt", "mark")
    with pytest.raises(KeyboardInterrupt):
        run(resumption, stop)
    parts = run(resumption, None)
    for name, values in whole.state_dict().items():
        assert torch.equal(values, parts.state_dict()[name]), name


def test_generators_and_classes_have_equal_weight_and_one_spectrum() -> None:
    generator = np.random.default_rng(1)
    jets = 4000
    columns: dict[str, Any] = {
        "target": generator.integers(0, 2, jets),
        "second": generator.random(jets) < 0.2,
        "weight": generator.uniform(0.5, 1.5, jets),
    }
    means = 600 + 20 * columns["target"] + 15 * columns["second"]
    columns["pt"] = generator.normal(means, 30)
    weight = tagger_weights(columns, toy_settings())
    assert weight.mean() == pytest.approx(1.0)
    for target in (0, 1):
        for second in (False, True):
            mine = (columns["target"] == target) & (columns["second"] == second)
            assert weight[mine].sum() == pytest.approx(jets / 4)
            mean = np.average(columns["pt"][mine], weights=weight[mine])
            assert mean == pytest.approx(600, abs=3)


SMALL: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [8], "f": [8]},
    "efn": {"phi": [8], "f": [8]},
    "particlenet": {"neighbours": 3, "blocks": [[8, 8]], "fc": [8]},
    "part": {},
    "lgatr": {"blocks": 1, "vector_channels": 4, "scalar_channels": 8, "heads": 2},
    "lund": {"blocks": [[8, 8]], "head": [8]},
    "mlp": {"layers": [8]},
}


def cloud_arrays(jets: int, particles: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(4)
    constituents = np.zeros((jets, particles, 4), dtype=np.float32)
    constituents[..., 0] = np.sort(generator.exponential(20, (jets, particles)))[:, ::-1]
    constituents[..., 1:3] = generator.normal(0, 0.2, (jets, particles, 2))
    constituents[..., 3] = 0.14
    constituents[:, particles - 3 :] = 0
    jet = np.tile(np.array([600, 0.1, 0.1, 100], dtype=np.float32), (jets, 1))
    return {"constituents": constituents, "jet": jet}


def arrays_for(settings: TaggerSettings) -> dict[str, np.ndarray]:
    view = view_of(settings)
    if settings.architecture.kind == "lund":
        nodes = view.examples["nodes"].shape[1:]
        generator = np.random.default_rng(4)
        before = np.maximum(np.arange(nodes[0]) - 1, 0)
        own = np.arange(nodes[0])
        links = np.stack([before, own, np.minimum(own + 1, nodes[0] - 1)], axis=1)
        return {
            "nodes": generator.normal(0, 1, (6, *nodes)).astype(np.float32),
            "mask": np.ones((6, nodes[0]), dtype=bool),
            "neighbours": np.tile(links.astype(np.int32), (6, 1, 1)),
        }
    if settings.architecture.kind == "mlp":
        number = len(view.features) - 1
        return {"features": np.random.default_rng(4).normal(0, 1, (6, number)).astype(np.float32)}
    return cloud_arrays(6, settings.n_constituents)


@pytest.mark.parametrize("kind", list(SMALL))
def test_every_network_sees_r(kind: str) -> None:
    architecture = {"kind": kind, **SMALL[kind]}
    if kind == "part":
        from fullchain.tagging.part_settings import TINY

        architecture = TINY.model_dump()
    settings = TaggerSettings.model_validate(
        {"architecture": architecture, "n_constituents": 8, "between": BOTH}
    )
    view = view_of(settings)
    assert isinstance(view, Conditioned) and view.features[-1] == PARAMETER
    number = len(view.features) - 1
    scale = Standardisation((0.0,) * number, (1.0,) * number)
    torch.manual_seed(2)
    tagger = Tagger(settings, scale).eval()
    arrays = arrays_for(settings)
    scores = {
        r: probabilities(tagger, at_parameter(arrays, r), CPU, batch_size=4)
        for r in (0.0, 0.5, 1.0)
    }
    assert (np.abs(scores[0.0] - scores[1.0]) > 1e-7).all()
    np.testing.assert_array_equal(probabilities(tagger, arrays, CPU, batch_size=4), scores[0.5])
    if "constituents" in arrays:
        spoilt = {name: values.copy() for name, values in arrays.items()}
        spoilt["constituents"][:, -3:, 1:] = 7.0
        np.testing.assert_allclose(
            probabilities(tagger, at_parameter(spoilt, 1.0), CPU), scores[1.0], atol=1e-6
        )


def test_energy_flow_network_with_r_is_infrared_and_collinear_safe() -> None:
    settings = TaggerSettings.model_validate(
        {"architecture": {"kind": "efn", **SMALL["efn"]}, "n_constituents": 8, "between": BOTH}
    )
    torch.manual_seed(2)
    tagger = Tagger(settings, Standardisation((0.0,) * 7, (1.0,) * 7)).eval()
    arrays = cloud_arrays(6, 8)
    particles = arrays["constituents"]
    split = particles.copy()
    split[:, 5] = split[:, 0] * np.array([0.3, 1, 1, 1], dtype=np.float32)
    split[:, 0, 0] *= 0.7
    soft = particles.copy()
    soft[:, 5] = np.array([1e-6, 0.4, -0.3, 0.0], dtype=np.float32)
    for r in (0.0, 1.0):
        expected = probabilities(tagger, at_parameter(arrays, r), CPU)
        for changed in (split, soft):
            found = probabilities(tagger, at_parameter({**arrays, "constituents": changed}, r), CPU)
            np.testing.assert_allclose(found, expected, atol=2e-6)


def test_lorentz_network_with_r_is_invariant() -> None:
    from fullchain.tagging.cloud import ParticleCloud

    torch.manual_seed(1)
    network = (
        LorentzTransformer(3, 2, beam="none", time=False, conditions=1, **SMALL["lgatr"])
        .double()
        .eval()
    )
    momenta = torch.randn(4, 6, 3, dtype=torch.float64) * 20
    energy = torch.sqrt((momenta**2).sum(-1, keepdim=True) + 0.02)
    momenta = torch.cat((energy, momenta), dim=-1)
    boost = torch.eye(4, dtype=torch.float64)
    boost[0, 0] = boost[3, 3] = math.cosh(0.7)
    boost[0, 3] = boost[3, 0] = math.sinh(0.7)
    mask = torch.ones(4, 6, dtype=torch.bool)

    def logits(momenta: Tensor, r: float) -> Tensor:
        # The other features may change with the frame: they are not seen.
        features = torch.cat((momenta[..., :2], torch.full((4, 6, 1), r)), dim=-1)
        return network(ParticleCloud(features, mask, momenta[..., 2:], momenta))

    with torch.no_grad():
        torch.testing.assert_close(logits(momenta, 0.3), logits(momenta @ boost, 0.3))
        assert (logits(momenta, 0.3) - logits(momenta, -0.9)).abs().min() > 1e-9


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ({"samples": {"tt": "tt_a14"}}, r"between\.samples: no sample .* stands in for qcd"),
        ({"samples": {**BOTH["samples"], "wjet": "zprime"}}, r"between\.samples\.wjet: no class"),
        ({"samples": {"tt": "tt", "qcd": "qcd_a14"}}, r"samples\.tt: tt is a sample of the first"),
        ({"samples": {"tt": "qcd", "qcd": "qcd_a14"}}, r"samples\.tt: qcd is a sample of the fi"),
        ({"samples": {"tt": "tt_a14", "qcd": "tt_a14"}}, r"samples\.qcd: tt_a14 stands in for tt"),
        ({**BOTH, "working_point": 1.5}, r"working_point"),
        ({**BOTH, "working_point": -0.1}, r"working_point"),
        ({**BOTH, "working_point": "worst"}, r"working_point"),
        ({"samples": {}}, r"between.samples"),
        ({"samples": {"tt": "tt_a41", "qcd": "qcd_a14"}}, r"between\.samples\.tt: .*'tt_a41'"),
    ],
)
def test_bad_settings_are_named(between: dict[str, Any], message: str) -> None:
    ntuples = {"samples": {name: {"events": 100} for name in ("tt_a14", "qcd_a14")}}
    good = {"ntuples": ntuples, "tagging": {"taggers": {"pfn": {"between": BOTH}}}}
    validate(good)
    with pytest.raises((InputError, ValueError), match=message):
        validate({**good, "tagging": {"taggers": {"pfn": {"between": between}}}})


def test_an_alternative_cannot_be_called_like_one_of_the_generators() -> None:
    alternatives = {"second": {"qcd": "qcd_pu50"}}
    validate({"tagging": {"evaluation": {"alternatives": alternatives}}})
    overlay = {"taggers": {"pfn": {"between": BOTH}}, "evaluation": {"alternatives": alternatives}}
    with pytest.raises((InputError, ValueError), match=r"alternatives\.second: .* call"):
        validate({"tagging": overlay})


def test_trees_are_refused() -> None:
    with pytest.raises(ValueError, match="between: trees are fitted once"):
        TaggerSettings.model_validate({"architecture": {"kind": "trees"}, "between": BOTH})


@pytest.mark.parametrize("grid", [[0.0, 0.5], [0.1, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0, 1.0, 0.5]])
def test_grid_goes_from_one_generator_to_the_other(grid: list[float]) -> None:
    with pytest.raises((InputError, ValueError), match="interpolation: values that rise"):
        validate({"tagging": {"evaluation": {"interpolation": grid}}})


def test_a_class_cannot_be_called_like_a_value_of_r() -> None:
    classes = {
        "top": {"samples": ["tt"], "labels": ["top"]},
        "r0": {"samples": ["qcd"], "labels": ["light"]},
        "g": {"samples": ["qcd"], "labels": ["gluon"]},
    }
    TaggerSettings.model_validate({"classes": classes})
    with pytest.raises(ValueError, match="classes: 'r0' would be taken for a value of r"):
        TaggerSettings.model_validate({"classes": classes, "between": BOTH})


def test_working_point_is_a_part() -> None:
    tagger = Tagger(toy_settings(), Standardisation((0.0, 0.0), (1.0, 1.0)))
    with pytest.raises(ValueError, match="working_point"):
        tagger.set_working_point(1.2)
    one = TaggerSettings.model_validate({"architecture": {"kind": "pfn"}})
    plain = Tagger(one, Standardisation((0.0,) * 7, (1.0,) * 7))
    assert "working_point" not in plain.state_dict()
    with pytest.raises(ValueError, match="one generator"):
        plain.set_working_point(0.5)


def test_stand_ins_have_their_place() -> None:
    settings = toy_settings()
    assert settings.training_samples == ("tt", "qcd", "tt_a14", "qcd_a14")
    assert settings.samples == ("tt", "qcd")
    between = BetweenSettings.model_validate(BOTH)
    assert between.first("tt_a14") == "tt" and between.first("tt") == "tt"


def scored_toy(seed: int, second: bool, how: EvaluationSettings, jets: int = 20_000) -> ScoredJets:
    """Jets of one generator whose scores are the closed form at each r; the score is at 0.5."""
    toy = toy_jets(seed, 2 * jets, train=False)
    mine = (toy["second"].numpy() > 0) == second
    features, target = toy["features"].numpy()[mine], toy["target"].numpy()[mine]
    columns: dict[str, Any] = {
        "weight": np.ones(jets),
        "split": np.where(np.arange(jets) % 4 < 1, "validation", "test"),
    }
    for r in how.interpolation:
        columns[f"score{between_scores.suffix(r)}"] = posterior(features, r)
    score = posterior(features, 0.5)
    chances = np.stack([score, 1 - score], axis=1)
    return ScoredJets(columns, target, np.arange(jets), chances, np.empty((0, jets, 2)))


def normal(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def test_measured_performance_and_resilience_are_those_of_the_closed_form() -> None:
    how = EvaluationSettings(interpolation=(0.0, 0.25, 0.5, 0.75, 1.0), replicas=40)
    sets = {"first": scored_toy(1, False, how), "second": scored_toy(2, True, how)}
    samples = {"first": {"tt": "tt", "qcd": "qcd"}, "second": BOTH["samples"]}

    def measured(point: float) -> dict[str, Any]:
        def flat(jets: ScoredJets) -> np.ndarray:
            return np.ones(len(jets))

        return between_performance.measure(sets, samples, toy_settings(), how, point, flat, seed=1)

    found = measured(0.5)
    assert found["r"] == list(how.interpolation)
    first, second = (found["simulations"][name]["points"] for name in ("first", "second"))
    # At r = 0 the score rises with U u + V v, normal with these means and deviation.
    width = math.hypot(U, V)
    best, crossed = normal(math.sqrt(2) * width), normal(math.sqrt(2) * (U**2 - V**2) / width)
    for points, at_zero, at_one in ((first, best, crossed), (second, crossed, best)):
        for index, expected in ((0, at_zero), (4, at_one)):
            auc = points[index]["auc"]
            assert abs(auc["value"] - expected) < 4 * auc["deviation"] < 0.03
    # Half way, v says nothing, and both generators look alike.
    assert first[2]["auc"]["value"] == pytest.approx(normal(math.sqrt(2) * U), abs=0.015)
    point = found["resilience"][2]["working_points"][1]["background"]
    assert abs(point["value"]) < 4 * point["deviation"]
    # The cut with half of the signal at r = 0 is at the mean of the signal.
    passing = {
        "first": normal(-2 * width),
        "second": normal((-(U**2) + V**2 - U**2 - V**2) / width),
    }
    expected = 2 * (passing["second"] - passing["first"]) / sum(passing.values())
    point = found["resilience"][0]["working_points"][1]["background"]
    assert abs(point["value"] - expected) < 4 * point["deviation"] < 0.5
    # Probabilities are those of the mixture, and so of one generator at its end only.
    errors = [one["calibration_error"] for one in first]
    assert abs(errors[0]["value"] - errors[0]["if_perfect"]) < 4 * errors[0]["deviation"]
    assert errors[4]["value"] > errors[4]["if_perfect"] + 10 * errors[4]["deviation"]
    # The generators mirror each other: so does the best compromise.
    assert found["rule"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["simulations"]["first"]["variation"]["best_r"]["value"] == 0.0
    assert found["simulations"]["second"]["variation"]["best_r"]["value"] == 1.0
    change = found["simulations"]["first"]["variation"]["auc"]
    assert change["values"][2] == {"value": 0.0, "deviation": 0.0}
    half = 0.5 * (change["values"][0]["value"] - change["values"][4]["value"])
    assert change["uncertainty"]["value"] == pytest.approx(half)
    assert 0 < change["uncertainty"]["deviation"] < 0.01
