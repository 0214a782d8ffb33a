"""The penalties on analytic cases, their settings, and input that they refuse."""

from collections.abc import Iterator
from typing import Any

import dcor
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.decorrelation.adversary import reversed_gradient
from fullchain.decorrelation.method_settings import (
    AdversarySettings,
    DiscoSettings,
    FlowSettings,
    ModeSettings,
    PlaningSettings,
)
from fullchain.decorrelation.mutual_information import binned_information, inner_edges
from fullchain.decorrelation.penalised import check_batch, penalty_of, smallest_batch
from fullchain.decorrelation.planing import planed
from fullchain.errors import InputError
from fullchain.learning.settings import TrainingSettings
from fullchain.tagging.settings import TaggerSettings

RNG = np.random.default_rng(5)
NUMBER = 2000
MASS = 50.0 + 250.0 * RNG.beta(1.0, 3.0, NUMBER)
ONES = np.ones(NUMBER)
METHODS: list[Any] = [DiscoSettings(), ModeSettings(), AdversarySettings()]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many small operations: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluated(
    method: Any, score: Any, against: np.ndarray = MASS[:, None], weight: np.ndarray = ONES
) -> float:
    penalty = penalty_of(method, against, weight).eval()
    tensors = (torch.from_numpy(np.asarray(one)).float() for one in (score, against, weight))
    return float(penalty(*tensors))


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.kind)
def test_penalties_are_near_zero_for_an_independent_score_and_large_for_the_mass(
    method: Any,
) -> None:
    independent = evaluated(method, RNG.uniform(size=NUMBER))
    itself = evaluated(method, (MASS - 50.0) / 250.0)
    assert abs(independent) < 0.01 and itself > 10 * abs(independent)
    if method.kind == "disco":
        assert itself == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("power", [0.7, 1.0])
@pytest.mark.parametrize("number", [200, 700])
def test_disco_with_several_variables_is_dcor_of_standardised_columns(
    power: float, number: int
) -> None:
    mass, other = MASS[:number], RNG.exponential(30.0, number)
    score = 0.5 + 0.3 * np.tanh((mass - 100.0) / 50.0) * np.cos(other / 20.0)
    against = np.stack([mass, other], axis=1)
    found = evaluated(DiscoSettings(power=power), score, against, np.ones(number))
    scaled = against / against.std(axis=0)
    wanted = dcor.distance_correlation_sqr(
        scaled, score.astype(np.float32).astype(float)[:, None], exponent=power
    )
    assert found == pytest.approx(wanted, abs=1e-6)


def test_disco_with_flat_weights_is_dcor_of_jets_repeated_to_a_flat_mass() -> None:
    mass = np.concatenate([np.full(600, 60.0), np.full(200, 100.0), np.full(100, 140.0)])
    score = np.clip(0.3 + mass / 400.0 + RNG.normal(0, 0.1, 900), 0, 1).astype(np.float32)
    found = evaluated(DiscoSettings(weighting="flat"), score, mass[:, None], np.ones(900))
    repeat = np.concatenate([np.full(600, 1), np.full(200, 3), np.full(100, 6)])
    wanted = dcor.distance_correlation_sqr(
        np.repeat(mass, repeat), np.repeat(score.astype(float), repeat)
    )
    assert found == pytest.approx(wanted, abs=1e-6)
    plain = evaluated(DiscoSettings(), score, mass[:, None], np.ones(900))
    assert abs(plain - wanted) > 0.02


def test_jets_of_negative_weight_count_nothing() -> None:
    score = RNG.uniform(size=NUMBER)
    weight = np.where(np.arange(NUMBER) % 10, 1.0, -1.0)
    for method in METHODS:
        kept = weight > 0
        assert evaluated(method, score, MASS[:, None], weight) == pytest.approx(
            evaluated(method, score[kept], MASS[kept, None], weight[kept]), rel=1e-3, abs=1e-4
        )


@pytest.mark.parametrize("columns", [1, 2])
def test_information_in_bins_is_that_of_a_table(columns: int) -> None:
    against = np.stack([MASS, RNG.uniform(size=NUMBER)][:columns], axis=1)
    edges = [torch.from_numpy(inner) for inner in inner_edges(against, ONES)]
    tensor = torch.from_numpy(against)
    score = torch.from_numpy(MASS)
    found = float(binned_information(score, tensor, torch.ones(NUMBER), edges))
    # Six bins in the score, twelve (or 3 x 3) in the columns; a mass says all of its own bin.
    assert found == pytest.approx(np.log(6 if columns == 1 else 3), abs=0.03)
    shuffled = torch.from_numpy(RNG.permutation(MASS))
    for weight in (torch.ones(NUMBER), torch.from_numpy(RNG.exponential(1.0, NUMBER))):
        assert abs(float(binned_information(shuffled, tensor, weight, edges))) < 0.02


def test_a_reversed_gradient_leaves_values_as_they_are() -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    result = reversed_gradient(values)
    (result**2).sum().backward()
    assert torch.equal(result.detach(), values.detach())
    assert values.grad is not None and values.grad.tolist() == [-2.0, 4.0]


def test_the_adversary_goes_up_what_the_score_goes_down() -> None:
    torch.manual_seed(1)
    penalty = penalty_of(AdversarySettings(), MASS[:, None], ONES)
    score = torch.from_numpy((MASS - 50.0) / 260.0 + 0.02).float().requires_grad_()
    rest = torch.from_numpy(MASS[:, None]).float(), torch.ones(NUMBER)
    before = penalty(score, *rest)
    before.backward()
    size = 1e-3
    with torch.no_grad():
        changed = (score - size * score.grad / score.grad.norm()).clone()
        assert float(penalty(changed, *rest)) < float(before)
        for parameter in penalty.layers.parameters():
            parameter -= size * parameter.grad
        assert float(penalty(score, *rest)) > float(before)


def test_the_gain_of_a_trained_adversary_is_the_mutual_information() -> None:
    """Of Gaussian mass and score with correlation rho it is -ln(1 - rho^2) / 2."""
    torch.manual_seed(1)
    rho = 0.8
    first, second = RNG.normal(size=(2, NUMBER))
    mass = first[:, None]
    seen = torch.from_numpy(rho * first + np.sqrt(1 - rho**2) * second).float().sigmoid()
    penalty = penalty_of(AdversarySettings(components=3, layers=(16,)), mass, ONES)
    optimiser = torch.optim.Adam(penalty.parameters(), lr=0.02)
    tensors = (seen, torch.from_numpy(mass).float(), torch.ones(NUMBER))
    for _ in range(150):
        optimiser.zero_grad()
        penalty(*tensors).backward()
        optimiser.step()
    wanted = -0.5 * np.log(1 - rho**2)
    assert float(penalty(*tensors).detach()) == pytest.approx(wanted, abs=0.06)
    assert float(penalty.eval()(*tensors)) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("factor", [0.1, 5.0])
def test_the_rate_of_the_adversary_is_a_factor_on_that_of_the_tagger(factor: float) -> None:
    def outputs(scale: float) -> tuple[Tensor, Tensor]:
        torch.manual_seed(2)
        penalty = penalty_of(AdversarySettings(learning_rate_factor=scale), MASS[:, None], ONES)
        blind: Any = penalty.blind
        before = (blind.scale * blind.bias).detach().clone()
        optimiser = torch.optim.Adam(penalty.parameters(), lr=1e-3)
        score = torch.from_numpy(RNG.uniform(0.1, 0.9, NUMBER)).float()
        penalty(score, torch.from_numpy(MASS[:, None]).float(), torch.ones(NUMBER)).backward()
        optimiser.step()
        return before, (blind.scale * blind.bias).detach() - before

    before, step = outputs(1.0)
    before_scaled, step_scaled = outputs(factor)
    torch.testing.assert_close(before_scaled, before)
    torch.testing.assert_close(step_scaled, factor * step, rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.kind)
@pytest.mark.parametrize(
    ("against", "weight", "message"),
    [
        (np.full(50, 80.4), np.ones(50), "msoftdrop is 80.4 for all 50 background jets"),
        (np.arange(50.0), np.zeros(50), "weights of the 50 background jets sum to 0"),
        (np.arange(50.0), np.tile([1.0, -1.0], 25), "sum to 0"),
        (np.where(np.arange(50) == 7, np.nan, np.arange(50)), np.ones(50), "jet 7 is nan"),
        (np.empty(0), np.empty(0), "no background jets"),
    ],
)
def test_bad_input_is_named(
    method: Any, against: np.ndarray, weight: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        penalty_of(method, against[:, None], weight, ("msoftdrop",))


def batch(background: int, signal: int) -> dict[str, Tensor]:
    target = torch.cat([torch.ones(background), torch.zeros(signal)]).long()
    return {"target": target, "weight": torch.ones(len(target))}


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.kind)
def test_a_batch_that_is_too_small_is_refused_with_one_that_is_not(method: Any) -> None:
    jets = batch(6000, 4000)
    with pytest.raises(InputError, match=r"set batch_size to (\d+)") as refused:
        check_batch(method, jets, TrainingSettings(batch_size=20))
    advised = int(str(refused.value).split("batch_size to ")[1].split(" ")[0])
    # Batches are of nearly equal size, so that a little more may be needed.
    check_batch(method, jets, TrainingSettings(batch_size=round(1.1 * advised)))
    with pytest.raises(InputError, match="needs"):
        check_batch(method, jets, TrainingSettings(batch_size=round(0.8 * advised)))
    with pytest.raises(InputError, match="each of 4 processes"):
        check_batch(method, jets, TrainingSettings(batch_size=2 * advised, processes=4))
    with pytest.raises(InputError, match="make more events"):
        check_batch(method, batch(smallest_batch(method) - 1, 500), TrainingSettings())
    with pytest.raises(InputError, match="set compile to false"):
        check_batch(method, jets, TrainingSettings(batch_size=5000, compile=True))


def test_methods_that_are_no_term_of_the_loss_are_refused() -> None:
    with pytest.raises(TypeError, match="flow is no term"):
        penalty_of(FlowSettings(), MASS[:, None], ONES)


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.kind)
def test_a_penalty_comes_back_from_its_state(method: Any) -> None:
    first = penalty_of(method, MASS[:, None], ONES)
    second: nn.Module = penalty_of(method, 3.0 * MASS[:, None] ** 1.5, ONES)
    second.load_state_dict(first.state_dict())
    score = torch.rand(300)
    rest = torch.from_numpy(MASS[:300, None]).float(), torch.ones(300)
    assert float(first.eval()(score, *rest)) == float(second.eval()(score, *rest))


def test_planing_is_the_reweighting_of_the_tagger() -> None:
    found = planed(TaggerSettings(), PlaningSettings(bins=7, largest=5.0), ["msoftdrop", "tau21"])
    assert found.reweighting.variables == ("msoftdrop", "tau21")
    assert found.reweighting.reference == "flat"
    assert (found.reweighting.bins, found.reweighting.largest) == (7, 5.0)
    assert found.architecture == TaggerSettings().architecture


@pytest.mark.parametrize(
    ("against", "reference", "message"),
    [
        (["mass", "mass"], "flat", "planing: variables: each column once"),
        (["pt", "mass", "msoftdrop"], "flat", "3 variables"),
        (["mass"], "nobody", "no class is called 'nobody'"),
    ],
)
def test_planing_refuses(against: list[str], reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        planed(TaggerSettings(), PlaningSettings(reference=reference), against)
