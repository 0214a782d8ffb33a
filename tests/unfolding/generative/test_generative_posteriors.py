"""Both densities against a posterior that is known, and the pieces they are made of."""

import math

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning import ode
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised
from fullchain.unfolding.cinn import Cinn, partitions
from fullchain.unfolding.generative_settings import CinnSettings, FlowMatchingSettings
from fullchain.unfolding.generative_unfolding import builder
from fullchain.unfolding.posterior import descendants
from fullchain.unfolding.posterior_training import Pairs, draw, fit

SMALL_CINN = CinnSettings(
    blocks=2,
    layers=(24,),
    training=TrainingSettings(epochs=12, batch_size=200, learning_rate=5e-3),
)
SMALL_MATCHING = FlowMatchingSettings(
    layers=(32, 32),
    training=TrainingSettings(epochs=30, batch_size=200, learning_rate=6e-3, schedule="cosine"),
)
SMALL = pytest.mark.parametrize("settings", [SMALL_CINN, SMALL_MATCHING], ids=["cinn", "matching"])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)


def gaussian(rows: int = 4000) -> Pairs:
    """Two observables, z ~ N(0, 1), of which x is the first one smeared by 0.5."""
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 1, (rows, 2))
    seen = truth + rng.normal(0, [0.5, 1.0], (rows, 2))
    return Pairs(truth, seen[:, None], rng.random(rows) < 0.2)


@SMALL
def test_a_known_posterior_is_learned(settings):
    pairs = gaussian()
    posterior = initialised(1, lambda: builder(2, settings)([0]))
    fit(posterior, pairs, np.ones((4000, 1)), [0], settings.training, seed=3)
    at = np.array([[-1.0, 0.0], [0.0, 1.0], [1.2, -1.0]])
    found = draw(posterior, at, 1500, seed=4)[0]
    # z|x = N(x/(1 + s^2), s^2/(1 + s^2)); the mean moves by 1.8 over these conditions.
    np.testing.assert_allclose(found.mean(axis=1), at * [0.8, 0.5], atol=0.13)
    widths = np.sqrt([0.2, 0.5])
    np.testing.assert_allclose(found.std(axis=1) / widths, 1.0, atol=0.15)


@SMALL
def test_members_are_fits_of_their_own(settings):
    """A member whose weights select other events learns these, beside one that does not."""
    pairs = gaussian(1000)
    posterior = initialised(1, lambda: builder(2, settings)([0, 0]))
    with torch.no_grad():
        for value in posterior.parameters():
            value[1] = value[0]
    weight = np.ones((1000, 2))
    weight[:, 1] = pairs.target[:, 0] > 0
    fit(posterior, pairs, weight, [0, 0], settings.training, seed=3)
    found = draw(posterior, np.zeros((1, 2)), 400, seed=4)[:, 0, :, 0].mean(axis=1)
    assert abs(found[0]) < 0.15
    assert found[1] > found[0] + 0.2


@SMALL
def test_descendants_begin_where_their_ancestors_are_and_share_their_chance(settings):
    build = builder(2, settings)
    parent = initialised(1, lambda: build([0, 1]))
    child = descendants(parent, [1, 0, 1], build)
    at = np.random.default_rng(1).normal(size=(5, 2))
    old, new = draw(parent, at, 3, seed=2), draw(child, at, 3, seed=2)
    np.testing.assert_allclose(new, old[[1, 0, 1]], atol=1e-5)
    few = draw(parent, at, 2, seed=2)
    np.testing.assert_allclose(old[:, :, :2], few, atol=1e-5)


@pytest.mark.parametrize("observables", [1, 2, 5])
def test_the_flow_is_a_density_and_can_be_inverted(observables):
    settings = CinnSettings(blocks=4, layers=(16,))
    flow = initialised(1, lambda: Cinn([0, 1], observables, 3, settings)).eval()
    assert isinstance(flow, Cinn)
    with torch.no_grad():
        for value in flow.parameters():
            value *= 4
        flow = flow.double()
        given = torch.randn(2, 50, 3, dtype=torch.float64)
        latent = torch.randn(2, 50, observables, dtype=torch.float64)
        rows = flow.sampled(latent, given)
        again, stretch = rows, torch.zeros(2, 50, dtype=torch.float64)
        for block in flow.blocks:
            again, more = block(again, given)
            stretch = stretch + more
        torch.testing.assert_close(again, latent, atol=1e-6, rtol=1e-5)
    if observables == 1:
        grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)[:, None]
        density = torch.exp(-flow(grid, given[:, :1].expand(-1, 20_001, -1)))
        torch.testing.assert_close(
            torch.trapezoid(density, grid[:, 0]), torch.ones(2, dtype=torch.float64), atol=1e-3,
            rtol=0.0,
        )  # fmt: skip


@pytest.mark.parametrize("observables", [2, 3, 6, 7])
def test_each_pair_of_observables_is_separated(observables):
    chosen = partitions(observables, 6)
    for first in range(observables):
        for second in range(first):
            assert any((first in one) != (second in one) for one in chosen)
    assert set(chosen[0]) | set(chosen[1]) == set(range(observables))
    assert all(chosen)


def test_solvers_follow_a_rotation():
    def velocity(time: float, state: torch.Tensor) -> torch.Tensor:
        return 2 * time * torch.stack([-state[..., 1], state[..., 0]], dim=-1)

    start = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    turned = torch.tensor(
        [[math.cos(1), math.sin(1)], [-2 * math.sin(1), 2 * math.cos(1)]], dtype=torch.float64
    )
    torch.testing.assert_close(ode.rk4(velocity, start, 12), turned, atol=1e-5, rtol=0)
    coarse = (ode.rk4(velocity, start, 4) - turned).abs().max()
    fine = (ode.rk4(velocity, start, 8) - turned).abs().max()
    assert 10 < coarse / fine < 24
    found, cost = ode.dopri5(velocity, start, 1e-8)
    torch.testing.assert_close(found, turned, atol=1e-7, rtol=0)
    assert ode.dopri5(velocity, start, 1e-4)[1] < cost


def test_a_solver_that_cannot_arrive_says_so():
    with pytest.raises(InputError, match="did not arrive"):
        ode.dopri5(lambda time, state: state * float("nan"), torch.ones(2), 1e-5)


def test_no_events_for_validation():
    pairs = gaussian(50)
    none = Pairs(pairs.target, pairs.conditions, np.zeros(50, dtype=bool))
    posterior = builder(2, SMALL_CINN)([0])
    with pytest.raises(InputError, match="validation"):
        fit(posterior, none, np.ones((50, 1)), [0], SMALL_CINN.training, seed=3)
