"""The variational autoencoder: likelihoods against known densities, learning, drawing."""

import math

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from scipy.special import gammainc

from fullchain.calorimetry import vae
from fullchain.calorimetry.empty_layers import spread
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.preprocessing import Preprocessing, divide
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_likelihoods import log_below, log_dirichlet, log_normal
from fullchain.calorimetry.shower_model import objective
from fullchain.calorimetry.vae_settings import VaeSettings
from fullchain.learning import training
from fullchain.learning.device import repeatable

GEOMETRY = Geometry(22, "photon", (Layer(0, (0.0, 1.0, 2.0, 3.0), 1), Layer(1, (0.0, 1.0, 2.0), 4)))
SPOTS = np.array([0.6, 0.3, 0.1, *np.tile([0.2, 0.05], 4)])
"""Part of the deposits of its layer in each voxel."""

TRAINING = {"epochs": 14, "batch_size": 200, "learning_rate": 5e-3, "gradient_clip": 10.0}


def showers(number, seed):
    """Energies of two layers, each shared by Dirichlet numbers, and cut at 1 MeV."""
    random = np.random.default_rng(seed)
    energies = random.choice([500.0, 2000.0], number)
    first = random.beta(8, 12, number)
    layers = energies[:, None] * 0.9 * np.stack([first, 1 - first], axis=1)
    deposits = layers[:, GEOMETRY.layer_of_voxel] / 20.0 * SPOTS
    gammas = random.standard_gamma(deposits)
    sums = GEOMETRY.layer_energies(gammas)
    voxels = gammas * (layers / sums)[:, GEOMETRY.layer_of_voxel]
    return Showers(energies, np.where(voxels >= 1.0, voxels, 0.0).astype(np.float32))


def trained(settings, number=4000):
    chosen = VaeSettings.model_validate({"latent": 2, "encoder": [32], "decoder": [32], **settings})
    parts = divide(showers(number, 1), GEOMETRY)
    preprocessing = Preprocessing(GEOMETRY, chosen.preprocessing)
    preprocessing.measure(parts, torch.Generator().manual_seed(1))
    model = training.initialised(2, lambda: vae.build(chosen, preprocessing))
    held = number // 5
    first, last = (
        {name: rows[some] for name, rows in parts.columns().items()}
        for some in (slice(held, None), slice(held))
    )
    history = training.train(model, objective, first, last, chosen.training, seed=3)
    return model, history


@pytest.fixture(scope="module")
def dirichlet():
    return trained({"training": TRAINING})


def drawn(model, energies, seed=5):
    incident = torch.from_numpy(np.asarray(energies, dtype=np.float32)).view(-1, 1)
    with repeatable(1):
        return model.sample(incident, torch.Generator().manual_seed(seed)).numpy()


def test_drawn_showers_have_the_occupancy_mean_and_spread_of_true_ones(dirichlet):
    model, history = dirichlet
    assert history.best_loss < history.validation[0]["loss"] - 1.0
    true = showers(4000, 9)
    voxels = drawn(model, true.energies)
    assert (voxels == 0).mean(0) == pytest.approx((true.voxels == 0).mean(0), abs=0.05)
    for energy in (500.0, 2000.0):
        mine, theirs = (one[true.energies == energy] for one in (voxels, true.voxels))
        assert mine.mean(0) == pytest.approx(theirs.mean(0), rel=0.15)
        # Not the mean shower: each voxel fluctuates as much as a true one.
        assert mine.std(0) == pytest.approx(theirs.std(0), rel=0.2)


def test_drawn_showers_obey_the_threshold_and_the_first_ratio(dirichlet):
    model, _ = dirichlet
    voxels = drawn(model, np.full(500, 700.0))
    assert np.isfinite(voxels).all()
    assert not ((voxels > 0) & (voxels < 1.0)).any()
    assert voxels.sum(axis=1).mean() == pytest.approx(0.9 * 700, rel=0.05)


def test_draws_repeat_and_depend_on_the_generator(dirichlet):
    model, _ = dirichlet
    energies = [500.0, 900.0, 2000.0]
    assert (drawn(model, energies) == drawn(model, energies)).all()
    assert (drawn(model, energies) != drawn(model, energies, 6)).any()


def test_latent_numbers_without_use_carry_nothing(dirichlet):
    """Given the energies of layers, the voxels of these showers have nothing more in common."""
    model, _ = dirichlet
    parts = divide(showers(1000, 4), GEOMETRY)
    with torch.no_grad():
        numbers = model.preprocessing(parts.ratios, parts.fractions)
        known = model.information(numbers, model.preprocessing.condition(parts.incident))
    assert known.shape == (1000, 2)
    assert float(known.mean(0).sum()) < 0.8


@pytest.mark.parametrize("likelihood", ["normal", "mixed", "dirichlet"])
@pytest.mark.parametrize("energies", ["normal", "flow"])
def test_all_likelihoods_learn_and_draw_showers(likelihood, energies):
    model, history = trained(
        {
            "likelihood": likelihood,
            "energies": energies,
            "training": {**TRAINING, "epochs": 3},
            "ratio_flow": {"blocks": 2, "layers": [16]},
        },
        800,
    )
    losses = [epoch["loss"] for epoch in history.validation]
    assert losses[-1] < losses[0]
    voxels = drawn(model, np.full(200, 1000.0))
    assert np.isfinite(voxels).all() and (voxels >= 0).all()
    assert (voxels.std(axis=0) > 0).all()
    if likelihood != "normal":
        assert (voxels[:, 2] == 0).any() or (voxels[:, 4::2] == 0).any()


def test_beta_rises_in_training_and_is_full_in_validation():
    chosen = VaeSettings(latent=2, encoder=(8,), decoder=(8,), beta=2.0, beta_warmup=10)
    model = vae.build(chosen, Preprocessing(GEOMETRY, chosen.preprocessing))
    assert [model._beta() for _ in range(12)] == pytest.approx(
        [*(0.2 * step for step in range(1, 11)), 2.0, 2.0]
    )
    model.eval()
    assert model._beta() == 2.0
    assert int(model.state_dict()["steps"]) == 12


def test_point_masses_need_the_logarithm():
    with pytest.raises(ValidationError, match=r"preprocessing\.transform: log"):
        VaeSettings.model_validate({"likelihood": "mixed", "preprocessing": {"transform": "logit"}})
    VaeSettings.model_validate({"likelihood": "normal", "preprocessing": {"transform": "logit"}})


@given(st.floats(1e-3, 50.0), st.floats(1e-4, 8.0))
def test_log_below_is_the_incomplete_gamma_function(shape, threshold):
    found = float(log_below(torch.tensor(shape).double(), torch.tensor(threshold).double()))
    assert found == pytest.approx(math.log(gammainc(shape, threshold)), rel=1e-5, abs=5e-6)


def test_log_below_has_the_derivative_of_the_incomplete_gamma_function():
    shape = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    log_below(shape, torch.tensor(0.6).double()).backward()
    step = 1e-5
    numeric = (math.log(gammainc(1.7 + step, 0.6)) - math.log(gammainc(1.7 - step, 0.6))) / (
        2 * step
    )
    assert float(shape.grad) == pytest.approx(numeric, rel=1e-5)


def test_log_dirichlet_without_empty_voxels_is_that_of_scipy():
    shapes = np.array([[0.7, 3.0, 11.0, 2.0, 5.0]])
    parts = np.array([[0.1, 0.2, 0.7, 0.45, 0.55]])
    found = log_dirichlet(
        torch.from_numpy(shapes).float(),
        torch.from_numpy(parts).float(),
        torch.full((1, 2), 1e-3),
        (slice(0, 3), slice(3, 5)),
    )
    expected = stats.dirichlet.logpdf(parts[0, :3], shapes[0, :3])
    expected += stats.dirichlet.logpdf(parts[0, 3:], shapes[0, 3:])
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_log_dirichlet_of_two_voxels_sums_to_one():
    """One part x: empty below t, full above 1 - t, else of the beta density."""
    shapes, threshold = torch.tensor([[30.0, 0.8]]), 0.02
    grid = torch.linspace(threshold, 1 - threshold, 4001)[:, None]
    inside = log_dirichlet(
        shapes.expand(len(grid), 2),
        torch.cat([1 - grid, grid], dim=1),
        torch.full((len(grid), 1), threshold),
        (slice(0, 2),),
    )
    empty = log_dirichlet(
        shapes, torch.tensor([[1.0, 0.0]]), torch.full((1, 1), threshold), (slice(0, 2),)
    )
    total = float(torch.trapezoid(inside.exp(), grid[:, 0]) + empty.exp())
    # The sum of what is not empty is taken at its mean.
    assert total == pytest.approx(1.0, abs=0.02)


def test_a_layer_without_energy_adds_nothing():
    shapes = torch.tensor([[2.0, 3.0, 4.0]])
    full = log_dirichlet(
        shapes,
        torch.tensor([[0.4, 0.6, 0.0]]),
        torch.full((1, 2), 0.01),
        (slice(0, 2), slice(2, 3)),
    )
    alone = log_dirichlet(
        shapes[:, :2], torch.tensor([[0.4, 0.6]]), torch.full((1, 1), 0.01), (slice(0, 2),)
    )
    assert float(full) == pytest.approx(float(alone))


def test_log_normal_is_that_of_scipy():
    found = log_normal(torch.tensor(0.3), torch.tensor(-0.5), torch.tensor(math.log(1.4)))
    assert float(found) == pytest.approx(stats.norm.logpdf(0.3, -0.5, 1.4), rel=1e-5)


def test_energies_that_were_not_trained_are_refused(dirichlet):
    from fullchain.errors import InputError

    model, _ = dirichlet
    with pytest.raises(InputError, match="outside the trained range of 500 to 2000 MeV"):
        model.check_energies(torch.tensor([[5000.0]]), "x.h5")


@hypothesis.settings(max_examples=15)
@given(st.integers(0, 500))
def test_spread_numbers_of_empty_layers_stand_for_the_same_energies(seed):
    random = np.random.default_rng(seed)
    three = Geometry(22, "photon", tuple(Layer(number, (0.0, 1.0), 1) for number in range(3)))
    voxels = random.uniform(2.0, 500.0, (40, 3)) * (random.random((40, 3)) < 0.6)
    voxels = voxels[voxels.sum(axis=1) > 0].astype(np.float32)
    parts = divide(Showers(np.full(len(voxels), 1000.0), voxels), three)
    preprocessing = Preprocessing(three, VaeSettings().preprocessing)
    preprocessing.measure(parts, torch.Generator().manual_seed(1))
    numbers = preprocessing(parts.ratios, parts.fractions)[:, :3]
    condition = preprocessing.condition(parts.incident)
    energies = preprocessing.energies_of_layers(numbers, condition).float()
    assert energies.numpy() == pytest.approx(voxels, rel=1e-3, abs=0.01)
    found = spread(numbers, energies, preprocessing, torch.Generator().manual_seed(seed))
    again = preprocessing.energies_of_layers(found, condition).numpy()
    empty = voxels == 0
    assert (again[empty] < 1.0).all()
    assert again[~empty] == pytest.approx(voxels[~empty], abs=2.5)
    # What is not at an end is untouched, and there are no spikes any more.
    both = (voxels[:, 0] > 0) & (voxels[:, 1:].sum(axis=1) > 0)
    assert torch.equal(found[both, 1], numbers[both, 1])
    assert len(found[~both, 1].unique()) == int((~both).sum())
