"""Trainings with a penalty, on toys whose best decorrelated classifier is known."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.decorrelation.method_settings import (
    AdversarySettings,
    DiscoSettings,
    ModeSettings,
)
from fullchain.decorrelation.penalised import Penalised, PenalisedClassification, penalty_of
from fullchain.learning.large_distance_correlation import by_sorting
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Resumption, initialised, train
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.train import Classification
from fullchain.tagging.views import view_of

VIEW = view_of(TaggerSettings.model_validate({"architecture": {"kind": "mlp"}}))
HOW = TrainingSettings(epochs=20, batch_size=500, learning_rate=0.01)
DISCO, ADVERSARY = DiscoSettings(), AdversarySettings(components=3, layers=(16,))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 24), nn.ReLU(), nn.Dropout(0.05), nn.Linear(24, 24), nn.ReLU(),
            nn.Linear(24, 2),
        )  # fmt: skip

    def forward(self, batch: Any) -> Tensor:
        logits: Tensor = self.layers(batch["features"])
        return logits


def toy(seed: int, number: int, *, resonance: bool = True) -> dict[str, Tensor]:
    """Jets with a clean feature, a unit Gaussian that the signal has shifted by one, and the mass.

    The mass of background is uniform from -1 to 1. That of signal is a resonance, or, without,
    linear in the mass.
    """
    generator = np.random.default_rng(seed)
    target = np.arange(number) % 2
    clean = generator.normal(size=number) + (target == 0)
    uniform = generator.uniform(-1, 1, number)
    rising = 2.0 * np.sqrt(generator.uniform(0, 1, number)) - 1.0
    peak = generator.normal(-0.2, 0.15, number).clip(-1, 1)
    mass = np.where(target == 1, uniform, peak if resonance else rising)
    features = torch.from_numpy(np.stack([clean, mass], axis=1)).float()
    return {
        "features": features,
        "target": torch.from_numpy(target),
        "weight": torch.ones(number),
        "against": features[:, 1:].clone(),
    }


def trained(
    method: Any,
    strength: float,
    jets: dict[str, Tensor],
    validation: dict[str, Tensor],
    how: TrainingSettings = HOW,
    **options: Any,
) -> nn.Module:
    background = jets["target"] == 1

    def build() -> Penalised:
        against, weight = (jets[name][background].numpy() for name in ("against", "weight"))
        return Penalised(Network(), penalty_of(method, against, weight))

    model = initialised(1, build)
    objective = PenalisedClassification(VIEW, False, strength)
    train(model, objective, jets, validation, how, seed=1, **options)
    assert isinstance(model, Penalised)
    return model.tagger


def scores(network: nn.Module, jets: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of signal, scores of background, masses of background."""
    with torch.no_grad():
        score = network(jets).softmax(1)[:, 0]
    background = jets["target"] == 1
    return score[~background], score[background], jets["against"][background, 0]


def area(signal: Tensor, background: Tensor) -> float:
    return float((signal[:, None] > background[None, :]).double().mean())


def divergence(score: Tensor, mass: Tensor) -> float:
    """Jensen-Shannon divergence [bits] of the mass in 20 bins, upper half of the score to lower."""
    passed = (score > score.median()).numpy()
    counts = [np.histogram(mass[mine], 20, (-1, 1))[0] for mine in (passed, ~passed)]
    p, q = (count / count.sum() for count in counts)
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = [np.nansum(one * np.log2(one / middle)) for one in (p, q)]
    return 0.5 * float(sum(each))


@pytest.fixture(scope="module")
def jets() -> tuple[dict[str, Tensor], ...]:
    return toy(1, 4000), toy(2, 3000), toy(3, 6000)


@pytest.mark.parametrize(
    ("method", "strength"),
    [
        (DISCO, 3.0),
        (DiscoSettings(weighting="flat"), 3.0),
        (ModeSettings(bins=12), 30.0),
        (ADVERSARY, 2.0),
    ],
    ids=["disco", "disco_flat", "mode", "adversary"],
)
def test_what_remains_is_the_best_classifier_that_does_not_see_the_mass(
    method: Any, strength: float, jets: tuple[dict[str, Tensor], ...]
) -> None:
    training, validation, test = jets
    plain = initialised(1, Network)
    train(plain, Classification(VIEW, False), training, validation, HOW, seed=1)
    free, decorrelated = (
        scores(one, test) for one in (plain, trained(method, strength, training, validation))
    )
    # A shift by one of a unit Gaussian, and nothing else: an area of Phi(1 / sqrt 2).
    best = 0.5 * (1.0 + math.erf(0.5))
    assert area(*free[:2]) > best + 0.1
    assert area(*decorrelated[:2]) == pytest.approx(best, abs=0.02)
    dependence = [float(by_sorting(mass, score)) for _, score, mass in (free, decorrelated)]
    assert dependence[1] < dependence[0] / 40
    assert divergence(*decorrelated[1:]) < divergence(*free[1:]) / 40


def test_without_strength_it_is_the_plain_training_to_the_bit(
    jets: tuple[dict[str, Tensor], ...],
) -> None:
    training, validation, _ = jets
    short = HOW.model_copy(update={"epochs": 3})
    plain = initialised(1, Network)
    train(plain, Classification(VIEW, False), training, validation, short, seed=1)
    penalised = trained(DISCO, 0.0, training, validation, short)
    for name, weights in plain.state_dict().items():
        assert torch.equal(weights, penalised.state_dict()[name])


def mean_scores(network: nn.Module, test: dict[str, Tensor]) -> np.ndarray:
    """Mean score of background in ten bins of the mass."""
    _, score, mass = scores(network, test)
    index = ((mass + 1.0) * 5.0).long().clamp(0, 9)
    return np.array([float(score[index == b].mean()) for b in range(10)])


def test_of_a_linear_dependence_order_one_leaves_it_and_order_zero_removes_it() -> None:
    parts = [toy(seed, 4000, resonance=False) for seed in (1, 2, 3)]
    slopes = {}
    for order in (0, 1):
        network = trained(ModeSettings(order=order, bins=10), 60.0, *parts[:2])  # type: ignore[arg-type]
        means = mean_scores(network, parts[2])
        centres = np.linspace(-0.9, 0.9, 10)
        slopes[order], constant = np.polyfit(centres, means, 1)
        curved = means - constant - slopes[order] * centres
        assert np.abs(curved).max() < 0.05
    assert slopes[1] > 0.1 and abs(slopes[0]) < 0.2 * slopes[1]


@pytest.mark.parametrize("method", [DISCO, ADVERSARY], ids=lambda one: one.kind)
def test_a_training_that_is_resumed_is_the_same_to_the_bit(
    method: Any, tmp_path: Path, jets: tuple[dict[str, Tensor], ...]
) -> None:
    training, validation, _ = jets
    short = HOW.model_copy(update={"epochs": 4, "schedule": "constant"})
    whole = trained(method, 3.0, training, validation, short)
    resumption = Resumption(tmp_path / "checkpoint.pt", "mark")
    first = short.model_copy(update={"epochs": 2})
    trained(method, 3.0, training, validation, first, resumption=resumption)
    resumed = trained(method, 3.0, training, validation, short, resumption=resumption)
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name])


def test_the_loss_is_that_of_the_classification_and_the_penalty(
    jets: tuple[dict[str, Tensor], ...],
) -> None:
    training = jets[0]
    background = training["target"] == 1
    rest = training["against"][background], training["weight"][background]
    penalty = penalty_of(DISCO, *(one.numpy() for one in rest))
    model = Penalised(initialised(2, Network), penalty).eval()
    terms = PenalisedClassification(VIEW, False, 7.0)(model, training)
    plain = Classification(VIEW, False)(model.tagger, training)
    terms = {name: value.detach() for name, value in terms.items()}
    assert float(terms["classification"]) == float(plain["loss"].detach())
    assert float(terms["accuracy"]) == float(plain["accuracy"])
    _, score, _ = scores(model.tagger, training)
    assert float(terms["penalty"]) == pytest.approx(float(penalty(score, *rest)))
    assert torch.equal(terms["loss"], terms["classification"] + 7.0 * terms["penalty"])
