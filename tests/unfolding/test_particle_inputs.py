"""Tensors of particles."""

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.unfolding.particle_inputs import cut, measure, n_features, prepare
from fullchain.unfolding.particle_network_settings import ParticleInputSettings
from fullchain.unfolding.sample import Particles

NAMES = ("pt", "deta", "dphi", "charge", "pdgId")
ROWS = np.array(
    [
        [30.0, 0.1, -0.2, 1, 211],
        [10.0, 0.2, 0.1, 0, 22],
        [50.0, 0.0, 0.04, -1, -3112],
        [25.0, 0.0, 0.0, 0, 3122],
        [20.0, -0.1, 0.0, 1, 2212],
        [5.0, 0.0, 0.4, 0, 130],
    ]
)
OFFSETS = np.array([0, 2, 2, 6])


def particles(**changed: object) -> Particles:
    """Jets of two, no and four particles; `changed` sets columns."""
    rows = ROWS.copy()
    for name, values in changed.items():
        rows[:, NAMES.index(name)] = values
    return Particles(rows, OFFSETS, NAMES)


def prepared(given: Particles, **settings: object):
    chosen = ParticleInputSettings.model_validate(settings)
    return prepare(given, chosen, measure(given, np.ones(3)))


def test_features_and_mask():
    found = prepared(particles(), radius=0.4)
    assert found.particles.dtype == torch.float32
    assert found.mask.tolist() == [[True, True, False, False], [False] * 4, [True] * 4]
    expected = torch.tensor([[0.75, 0.25, -0.5, 0.1], [0.25, 0.5, 0.25, 0.0]])
    torch.testing.assert_close(found.particles[0, :2], expected)
    assert (found.particles[~found.mask] == 0).all()
    torch.testing.assert_close(found.particles[2, :, 0].sum(), torch.tensor(1.0))


def test_identities_of_energyflow_and_of_other_particles():
    found = prepared(particles())
    # sigma minus counts as a negative pion, lambda as a neutral kaon
    torch.testing.assert_close(found.particles[2, :, 3], torch.tensor([0.2, 0.5, 0.8, 0.5]))
    charges = prepared(particles(), identity="charge").particles[2, :, 3]
    assert charges.tolist() == [-1, 0, 1, 0]
    none = ParticleInputSettings(identity="none")
    assert prepared(particles(), identity="none").particles.shape[-1] == n_features(none) == 3


def test_what_the_features_lose_is_in_the_values():
    given = particles()
    scale = measure(given, np.array([1.0, 1.0, 3.0]))
    values = prepare(given, ParticleInputSettings(), scale).values.double().numpy()
    assert (values[1] == 0).all()
    back = np.exp(values[[0, 2]] * scale.width + scale.mean)
    np.testing.assert_allclose(back, [[40, 2], [100, 4]], rtol=1e-6)
    np.testing.assert_allclose(values[0] + 3 * values[2], 0, atol=1e-6)


def test_the_softest_are_cut_and_counted():
    whole, fewer = prepared(particles()), prepared(particles(), largest=3)
    assert fewer.particles.shape == (3, 3, 4)
    torch.testing.assert_close(fewer.particles, whole.particles[:, :3], rtol=0, atol=0)
    torch.testing.assert_close(fewer.values, whole.values, rtol=0, atol=0)
    # One jet of two with particles loses one of four; an event that fails has none to lose.
    assert cut(particles(), 3).as_dict() == pytest.approx(
        {"jets": 1 / 2, "particles": 1 / 6, "momentum": 5 / 140, "most": 4}
    )
    nothing = {"jets": 0.0, "particles": 0.0, "momentum": 0.0}
    assert cut(particles(), 4).as_dict() == nothing | {"most": 4}
    assert cut(particles().take(np.array([1])), 3).as_dict() == nothing | {"most": 0}


def test_no_particles_at_all():
    empty = Particles(np.zeros((0, 5)), np.zeros(3, np.int64), NAMES)
    scale = measure(particles(), np.ones(3))
    found = prepare(empty, ParticleInputSettings(), scale)
    assert found.particles.shape == (2, 1, 4)
    assert not found.mask.any()
    with pytest.raises(InputError, match="no jet with a positive weight has particles"):
        measure(empty, np.ones(2))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"deta": [0, 0, 0, np.nan, 0, 0]}, "deta of a particle of jet 2 is nan"),
        ({"pt": [30, -1, 50, 25, 20, 5]}, "pt of a particle of jet 0 is -1"),
        ({"pt": [30, 10, 50, 25, 26, 5]}, "particles of jet 2 are not in falling pT"),
        ({"pdgId": [np.inf, 0, 0, 0, 0, 0]}, "pdgId of a particle of jet 0 is inf"),
    ],
)
def test_unusable_particles_are_errors(changed, message):
    with pytest.raises(InputError, match=message):
        prepared(particles(**changed))


def test_missing_feature_is_an_error():
    given = Particles(ROWS[:, :3], OFFSETS, NAMES[:3])
    assert prepared(given, identity="none").particles.shape[-1] == 3
    with pytest.raises(InputError, match="no feature 'charge'"):
        prepared(given, identity="charge")
