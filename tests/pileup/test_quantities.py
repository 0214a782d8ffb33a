"""Quantities that mitigation is judged by: masses of two jets."""

import numpy as np
import pytest

from fullchain.jets.arrays import Kinematics, momenta
from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.events import Objects, Truth
from fullchain.pileup.quantities import _fat_jets


def truth(jets: Kinematics, offsets: list[int]) -> Truth:
    """Events with these particle-level AK8 jets."""
    n = len(offsets) - 1
    none = Objects(*(np.empty(0) for _ in range(4)), np.zeros(n + 1, dtype=int))
    fat = Objects(jets.pt, jets.eta, jets.phi, jets.mass, np.array(offsets))
    return Truth(np.empty(0), np.zeros(n), np.ones(n), fat, none, np.zeros((n, 2)))


def test_the_mass_of_two_jets_is_that_of_their_sum() -> None:
    # Three events: two jets, a lone one, three of which the softest does not count.
    jets = Kinematics(
        pt=np.array([600.0, 500.0, 700.0, 650.0, 550.0, 450.0]),
        eta=np.array([0.5, -1.0, 0.0, 1.5, -0.3, 0.1]),
        phi=np.array([0.1, -3.0, 1.0, 2.0, -1.1, 0.4]),
        mass=np.array([80.0, 170.0, 20.0, 30.0, 90.0, 10.0]),
    )
    offsets = [0, 2, 3, 6]
    p4 = momenta(jets.pt, jets.eta, jets.phi, jets.mass)
    found = _fat_jets(p4, np.array(offsets), truth(jets, offsets), EvaluationSettings())
    pairs = found["dijet_mass"]
    expected = [Kinematics.of((p4[a] + p4[b])[None]).mass[0] for a, b in ((0, 1), (3, 4))]
    assert pairs.event.tolist() == [0, 2]
    assert pairs.reference == pytest.approx(expected)
    # Jets of one candidate each are the candidates.
    assert pairs.value == pytest.approx(expected)
    # Back to back at rest, two massless jets of 600 GeV have a mass of 1200 GeV.
    pair = Kinematics(np.full(2, 600.0), np.zeros(2), np.array([0.0, np.pi]), np.zeros(2))
    p4 = momenta(pair.pt, pair.eta, pair.phi, pair.mass)
    found = _fat_jets(p4, np.array([0, 2]), truth(pair, [0, 2]), EvaluationSettings())
    assert found["dijet_mass"].value == pytest.approx(1200.0)


def test_a_lost_jet_leaves_no_mass() -> None:
    pair = Kinematics(np.full(2, 600.0), np.zeros(2), np.array([0.0, np.pi]), np.zeros(2))
    p4 = momenta(pair.pt[:1], pair.eta[:1], pair.phi[:1], pair.mass[:1])
    found = _fat_jets(p4, np.array([0, 1]), truth(pair, [0, 2]), EvaluationSettings())
    assert np.isnan(found["dijet_mass"].value).all() and len(found["dijet_mass"].value) == 1
