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
    constituents = torch.rand(jets, particles, 10, generator=generator)
    constituents[..., 0] = 1 + 40 * constituents[..., 0]
    constituents[..., 1:3] = 0.8 * (constituents[..., 1:3] - 0.5)
    constituents[..., 3] = 0.14
    codes = torch.tensor([211.0, -211.0, 22.0, 130.0, 11.0, -13.0])
    constituents[..., 5] = codes[(6 * constituents[..., 5]).long()]
    constituents[..., 4] = torch.isin(constituents[..., 5].abs(), codes[[0, 4]]) * 1.0
    jet = torch.tensor([[600.0, 0.1, 0.05, 120.0]]).repeat(jets, 1)
    return constituents, jet


def tagger(inputs: str) -> Tagger:
    chosen = TaggerSettings.model_validate({"inputs": inputs})
    built = initialised(3, lambda: Tagger(chosen, features.PUBLISHED[inputs]))
    assert isinstance(built, Tagger)
    return built.eval()


def logits(network: Tagger, constituents: torch.Tensor, jet: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = network({"constituents": constituents, "jet": jet})
    return result


@pytest.mark.parametrize("inputs", INPUTS)
@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_score_does_not_depend_on_the_order_of_particles(inputs: str, seed: int) -> None:
    network = tagger(inputs)
    constituents, jet = momenta(4, 20, seed)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        difference = logits(network, constituents, jet) - logits(
            network, constituents[:, order], jet
        )
    assert difference.abs().max() < 1e-4


@pytest.mark.parametrize("inputs", INPUTS)
def test_score_does_not_depend_on_padding(inputs: str) -> None:
    network = tagger(inputs)
    constituents, jet = momenta(4, 20)
    padded = torch.cat([constituents, torch.zeros(4, 30, 10)], dim=1)
    with torch.no_grad():
        difference = logits(network, constituents, jet) - logits(network, padded, jet)
    assert difference.abs().max() < 1e-4


def test_score_depends_on_what_is_not_padding() -> None:
    network = tagger("kin")
    constituents, jet = momenta(4, 20)
    with torch.no_grad():
        difference = logits(network, constituents, jet) - logits(network, constituents[:, :15], jet)
    assert difference.abs().min() > 1e-4


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    # 1810.05165 with four inputs per particle: counted by hand from 4-100-100-256 and
    # 256-100-100-100, and the two outputs of the paper's softmax.
    network = ParticleFlowNetwork(4, 2)
    expected = (4 + 1) * 100 + 101 * 100 + 101 * 256 + 257 * 100 + 2 * 101 * 100 + 2 * 101
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


def test_full_inputs_against_numpy() -> None:
    names = features.NAMES["full"]
    rows = [
        # charge, PDG code, d0, its uncertainty, dz, its uncertainty [cm]
        ((1, 211, 0.02, 0.003, -0.1, 0.2), "is_charged_hadron"),
        ((0, 130, 0.0, 0.0, 0.0, 0.0), "is_neutral_hadron"),
        ((0, 22, 0.0, 0.0, 0.0, 0.0), "is_photon"),
        ((-1, 11, -3.0, 0.01, 2.0, 0.02), "is_electron"),
        ((1, -13, 0.0, 0.01, 0.0, 0.02), "is_muon"),
    ]
    constituents = torch.tensor([[[10.0, 0.1, 0.2, 0.1, *row] for row, _ in rows]])
    jet = torch.tensor([[500.0, -1.0, -3.1, 80.0]])
    found = features.full(constituents, jet)[0].numpy()
    assert found.shape == (5, 17) and len(names) == 17
    columns = dict(zip(names, found.T, strict=True))
    kin = features.kin(constituents[..., :4], jet)[0].numpy()
    for index, name in enumerate(features.NAMES["kin"]):
        np.testing.assert_array_equal(columns[name], kin[:, index])
    for name in [flag for _, flag in rows]:
        assert columns[name].tolist() == [float(name == flag) for _, flag in rows]
    track = np.array([row[2:] for row, _ in rows]) * 10
    np.testing.assert_allclose(columns["charge"], [row[0] for row, _ in rows])
    np.testing.assert_allclose(columns["tanh_d0"], np.tanh(track[:, 0]), atol=1e-6)
    np.testing.assert_allclose(columns["d0_error"], np.clip(track[:, 1], 0, 1), atol=1e-6)
    np.testing.assert_allclose(columns["tanh_dz"], np.tanh(track[:, 2]), atol=1e-6)
    np.testing.assert_allclose(columns["dz_error"], np.clip(track[:, 3], 0, 1), atol=1e-6)


def test_rotation_leaves_what_is_no_momentum() -> None:
    constituents, jet = momenta(50, 20)
    torch.manual_seed(1)
    turned = features.rotated(constituents, jet)
    before, after = features.full(constituents, jet), features.full(turned, jet)
    same = [features.NAMES["full"].index(name) for name in ("charge", "is_muon", "tanh_d0")]
    torch.testing.assert_close(before[..., same], after[..., same])
    assert (before[..., -1] - after[..., -1]).abs().mean() > 0.05
