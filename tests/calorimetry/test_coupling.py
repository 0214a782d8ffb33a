"""The coupling flow: inverse, density, Bayesian weights, and what it learns."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry.coupling import Coupling, build
from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.rational_quadratic import RationalQuadratic
from fullchain.learning.device import repeatable
from fullchain.learning.training import initialised
from fullchain.tagging import bayesian

GEOMETRY = geometries.parse(
    '<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,1,2" n_bin_alpha="1"/>'
    '<Layer id="1" r_edges="0,1" n_bin_alpha="1"/></Bin></Bins>',
    "test",
)
SMALL = {"blocks": 4, "width": 16, "depth": 2, "bins": 6, "bound": 5.0}
KINDS = [
    {"spline": "quadratic"},
    {"spline": "affine"},
    {"spline": "quadratic", "mixing": "rotation"},
    {"spline": "affine", "mixing": "rotation"},
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with repeatable(1):
        yield


def flow(seed: int = 1, **changes: object) -> Coupling:
    settings = CouplingSettings.model_validate(SMALL | changes)
    preprocessing = Preprocessing(GEOMETRY, PreprocessingSettings())
    found = initialised(seed, lambda: build(settings, preprocessing))
    assert isinstance(found, Coupling)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # Far from the identity where all begin.
        for weights in found.parameters():
            weights.add_(0.2 * torch.randn(weights.shape, generator=chance))
    return found.eval()


def through(found: Coupling, rows: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    for block in found.flow.blocks:
        rows, _ = block(rows, condition)
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_inverted(kind: dict[str, str]) -> None:
    found = flow(**kind).double()
    chance = torch.Generator().manual_seed(2)
    rows, condition = torch.randn(200, 6, generator=chance).double().split([5, 1], dim=1)
    rows = 3 * rows
    with torch.no_grad():
        back = through(found, rows, condition)
        for block in reversed(found.flow.blocks):
            back = block.inverse(back, condition)  # type: ignore[operator]
    # A rotation is orthogonal as far as single precision goes.
    tolerance = 2e-3 if "mixing" in kind else 1e-8
    torch.testing.assert_close(back, rows, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_density(kind: dict[str, str]) -> None:
    found = flow(**kind).double()
    rows, condition = torch.randn(3, 5, dtype=torch.float64), torch.zeros(3, 1, dtype=torch.float64)
    losses = found.loss(rows, condition).detach()
    for row, loss in zip(rows, losses, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda one: through(found, one[None], condition[:1])[0], row
        )
        normal = through(found, row[None], condition[:1])[0]
        expected = (
            0.5 * normal.square().sum()
            + 2.5 * math.log(2 * math.pi)
            - torch.linalg.slogdet(jacobian).logabsdet
        )
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_a_spline_is_monotonic_and_the_identity_outside() -> None:
    spline = RationalQuadratic(5, 3.0)
    shape = 3 * torch.randn(1, 14, generator=torch.Generator().manual_seed(1))
    rows = torch.linspace(-4, 4, 801)[:, None]
    values, _ = spline.forward(rows, shape.expand(801, -1))
    assert bool((values.diff(dim=0) > 0).all())
    outside = rows.abs() >= 3
    torch.testing.assert_close(values[outside], rows[outside])


def test_a_spline_of_zeros_is_the_identity() -> None:
    spline = RationalQuadratic(10, 18.0)
    rows = torch.linspace(-20, 20, 100)[:, None]
    values, stretch = spline.forward(rows, torch.zeros(100, 29))
    torch.testing.assert_close(values, rows, atol=1e-5, rtol=0)
    assert stretch.abs().max() < 1e-5


def test_draws_follow_the_density() -> None:
    """The mean of -log p over draws is the entropy, by change of variables found from both ends."""
    found = flow(spline="affine")
    condition = torch.zeros(40_000, 1)
    with torch.no_grad():
        rows = found.draw(condition, torch.Generator().manual_seed(3))
        normal = through(found, rows, condition)
    assert normal.mean(dim=0).abs().max() < 0.03
    assert (normal.std(dim=0) - 1).abs().max() < 0.03


def test_it_learns_a_correlation_that_depends_on_the_energy() -> None:
    found = flow(blocks=6, spline="affine").train()
    chance = torch.Generator().manual_seed(4)
    condition = torch.rand(4000, 1, generator=chance) * 2 - 1
    normal = torch.randn(4000, 5, generator=chance)
    rows = normal.clone()
    rows[:, 4] = condition[:, 0] * normal[:, 0] + 0.3 * normal[:, 4]
    optimiser = torch.optim.Adam(found.parameters(), lr=3e-3)
    for step in range(300):
        chosen = torch.arange(step * 200, (step + 1) * 200) % 4000
        optimiser.zero_grad()
        found.loss(rows[chosen], condition[chosen]).mean().backward()
        optimiser.step()
    at = torch.ones(4000, 1) * 0.8
    with torch.no_grad():
        drawn = found.eval().draw(at, torch.Generator().manual_seed(5)).numpy()
    expected = 0.8 / np.hypot(0.8, 0.3)
    assert np.corrcoef(drawn[:, 0], drawn[:, 4])[0, 1] == pytest.approx(expected, abs=0.08)


def test_energies_first_is_a_density_and_its_draws_follow_it() -> None:
    found = flow(energies="first", spline="affine", energy_blocks=4, energy_width=8)
    assert found.energies is not None
    condition = torch.zeros(40_000, 1)
    with torch.no_grad():
        rows = found.draw(condition, torch.Generator().manual_seed(3))
        energies, voxels = rows.split([2, 3], dim=1)
        whole = found.loss(rows, condition)
        parts = found.energies.loss(energies, condition)
        parts = parts + found.flow.loss(voxels, torch.cat([condition, energies], dim=1))
        # Energies do not depend on voxels, and back through their own flow they are normal.
        for block in found.energies.blocks:
            energies, _ = block(energies, condition)
    torch.testing.assert_close(whole, parts)
    assert energies.mean(dim=0).abs().max() < 0.03
    assert (energies.std(dim=0) - 1).abs().max() < 0.03


def test_every_number_is_transformed_in_each_pair_of_blocks() -> None:
    found = flow()
    for first, second in zip(found.flow.blocks[::2], found.flow.blocks[1::2], strict=True):
        moved = torch.cat([first.moved, second.moved]).sort().values  # type: ignore[list-item]
        assert moved.tolist() == list(range(5))


def test_bayesian_weights_vary_and_come_back() -> None:
    found = flow(weights={"initial_width": 0.05})
    condition = torch.zeros(50, 1)

    def drawn() -> torch.Tensor:
        with torch.no_grad():
            return found.draw(condition, torch.Generator().manual_seed(1))

    mean = drawn()
    with found.fixed_weights(0):
        first = drawn()
    with found.fixed_weights(1):
        second = drawn()
    with found.fixed_weights(0):
        again = drawn()
    assert torch.equal(first, again)
    assert torch.equal(drawn(), mean)
    assert not torch.allclose(first, second)
    assert not torch.allclose(first, mean)


def test_the_loss_of_bayesian_weights_has_the_divergence_per_training_shower() -> None:
    found = flow(weights={})
    rows, condition = torch.randn(20, 5), torch.zeros(20, 1)
    with torch.no_grad():
        whole = found.loss(rows, condition)
        found.preprocessing.showers.fill_(100.0)
        less = found.loss(rows, condition)
        expected = 0.99 * bayesian.divergence(found)
    torch.testing.assert_close(whole - less, expected.expand(20), rtol=1e-4, atol=1e-3)


def test_weights_without_distribution_cannot_be_fixed() -> None:
    with pytest.raises(ValueError, match="no distribution"), flow().fixed_weights(0):
        pass
