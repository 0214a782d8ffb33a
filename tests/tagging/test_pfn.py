"""Laws of the network and of its inputs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fullchain.learning.training import initialised
from fullchain.tagging import features
from fullchain.tagging.pfn import ParticleFlowNetwork
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger

INPUTS = sorted(features.FUNCTIONS)


def momenta(jets: int, particles: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    constituents = torch.rand(jets, particles, 4, generator=generator)
    constituents[..., 0] = 1 + 40 * constituents[..., 0]
    constituents[..., 1:3] = 0.8 * (constituents[..., 1:3] - 0.5)
    constituents[..., 3] = 0.14
    jet = torch.tensor([[600.0, 0.1, 0.05, 120.0]]).repeat(jets, 1)
    return constituents, jet


def tagger(inputs: str) -> Tagger:
    chosen = TaggerSettings.model_validate({"inputs": inputs})
    built = initialised(3, lambda: Tagger(chosen, features.PUBLISHED[inputs]))
    assert isinstance(built, Tagger)
    return built.eval()


@pytest.mark.parametrize("inputs", INPUTS)
@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_score_does_not_depend_on_the_order_of_particles(inputs: str, seed: int) -> None:
    network = tagger(inputs)
    constituents, jet = momenta(4, 20, seed)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        difference = network(constituents, jet) - network(constituents[:, order], jet)
    assert difference.abs().max() < 1e-4


@pytest.mark.parametrize("inputs", INPUTS)
def test_score_does_not_depend_on_padding(inputs: str) -> None:
    network = tagger(inputs)
    constituents, jet = momenta(4, 20)
    padded = torch.cat([constituents, torch.zeros(4, 30, 4)], dim=1)
    with torch.no_grad():
        difference = network(constituents, jet) - network(padded, jet)
    assert difference.abs().max() < 1e-4


def test_score_depends_on_what_is_not_padding() -> None:
    network = tagger("kin")
    constituents, jet = momenta(4, 20)
    with torch.no_grad():
        difference = network(constituents, jet) - network(constituents[:, :15], jet)
    assert difference.abs().min() > 1e-4


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    # 1810.05165 with four inputs per particle: counted by hand from 4-100-100-256 and
    # 256-100-100-100, and one output for the two of the paper's softmax.
    network = ParticleFlowNetwork(4, (100, 100, 256), (100, 100, 100))
    expected = (4 + 1) * 100 + 101 * 100 + 101 * 256 + 257 * 100 + 2 * 101 * 100 + 101
    assert sum(weights.numel() for weights in network.parameters()) == expected


def test_kin_against_numpy() -> None:
    constituents = torch.tensor([[[100.0, -0.9, 3.1, 5.0]]])
    jet = torch.tensor([[500.0, -1.0, -3.1, 80.0]])
    found = features.kin(constituents, jet)[0, 0].numpy()
    energy = np.hypot(100 * np.cosh(0.9), 5)
    jet_energy = np.hypot(500 * np.cosh(1.0), 80)
    delta_phi = 6.2 - 2 * np.pi
    expected = [
        np.log(100),
        np.log(energy),
        np.log(0.2),
        np.log(energy / jet_energy),
        np.hypot(0.1, delta_phi),
        -0.1,
        delta_phi,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_rotation_keeps_distances_and_momenta() -> None:
    constituents, jet = momenta(50, 20)
    torch.manual_seed(1)
    turned = features.rotated(constituents, jet)
    before, after = features.kin(constituents, jet), features.kin(turned, jet)
    torch.testing.assert_close(before[..., 4], after[..., 4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(constituents[..., 0], turned[..., 0])
    assert (before[..., 5] - after[..., 5]).abs().mean() > 0.05


def test_rotation_reflects_half_of_the_jets() -> None:
    constituents = torch.zeros(4000, 2, 4)
    constituents[..., 0] = 1.0
    constituents[:, 0, 1], constituents[:, 1, 2] = 0.1, 0.1
    jet = torch.tensor([[100.0, 0.0, 0.0, 1.0]]).repeat(4000, 1)
    torch.manual_seed(1)
    eta, phi = features.relative_angles(features.rotated(constituents, jet), jet)
    orientation = torch.sign(eta[:, 0] * phi[:, 1] - phi[:, 0] * eta[:, 1])
    assert set(orientation.tolist()) == {-1.0, 1.0}
    assert abs(orientation.mean()) < 5 / np.sqrt(4000)
