"""Observables of jets against fastjet's own declustering, and against hand-made jets."""

import fastjet
import numpy as np
import pytest

from fullchain.jets.arrays import momenta, offsets_of
from fullchain.unfolding.jet_observables import SCALED, UNITS, measure
from fullchain.unfolding.selection_settings import LeadingJetSettings

SETTINGS = LeadingJetSettings()


def random_jets(n_jets=40, seed=3):
    rng = np.random.default_rng(seed)
    counts = np.concatenate([[1, 1], rng.integers(1, 40, n_jets - 2)])
    n = counts.sum()
    # about phi = pi, so that the seam of the azimuth lies inside the jets
    phi = (rng.normal(np.pi, 0.12, n) + np.pi) % (2 * np.pi) - np.pi
    p4 = momenta(rng.exponential(9, n) + 0.05, rng.normal(0.8, 0.12, n), phi, np.full(n, 0.14))
    return p4, offsets_of(counts)


def pseudojets(p4):
    return [fastjet.PseudoJet(*map(float, row)) for row in p4]


def soft_drop(p4, z_cut, beta, radius):
    """Soft drop by fastjet's history: groomed mass, z of the branching that passes (0: none)."""
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    sequence = fastjet.ClusterSequence(pseudojets(p4), definition)
    node = sequence.inclusive_jets()[0]
    while True:
        hard, soft = fastjet.PseudoJet(), fastjet.PseudoJet()
        if not node.has_parents(hard, soft):
            return node.m(), 0.0
        if hard.pt() < soft.pt():
            hard, soft = soft, hard
        z = soft.pt() / (soft.pt() + hard.pt())
        if z > z_cut * (hard.delta_R(soft) / radius) ** beta:
            return node.m(), z
        node = hard


def tau(p4, axes, radius):
    """N-subjettiness about exclusive kT axes, by fastjet."""
    constituents = pseudojets(p4)
    if len(constituents) <= axes:
        return 0.0
    definition = fastjet.JetDefinition(fastjet.kt_algorithm, 100.0)
    sequence = fastjet.ClusterSequence(constituents, definition)
    found = sequence.exclusive_jets(axes)
    sums = sum(c.pt() * min(c.delta_R(axis) for axis in found) for c in constituents)
    return sums / (radius * sum(c.pt() for c in constituents))


@pytest.mark.parametrize(("z_cut", "beta"), [(0.1, 0.0), (0.2, 1.0)])
def test_groomed_observables_agree_with_fastjet(z_cut, beta):
    p4, offsets = random_jets()
    settings = LeadingJetSettings(soft_drop_z_cut=z_cut, soft_drop_beta=beta, ln_rho_floor=-50.0)
    found = measure(p4, offsets, settings)
    for jet in range(len(offsets) - 1):
        own = p4[offsets[jet] : offsets[jet + 1]]
        mass, z = soft_drop(own, z_cut, beta, settings.radius)
        assert found["z_g"][jet] == pytest.approx(z, rel=1e-9)
        pt = np.hypot(*own.sum(axis=0)[:2])
        expected = 2 * np.log(mass / pt) if z > 0 else -50.0
        assert found["ln_rho"][jet] == pytest.approx(expected, rel=1e-5)
    assert (found["z_g"] == 0).any() and (found["z_g"] > 0).any()


def test_ungroomed_observables_agree_with_fastjet():
    p4, offsets = random_jets()
    found = measure(p4, offsets, LeadingJetSettings(subjettiness_axes="kt"))
    for jet in range(len(offsets) - 1):
        own = p4[offsets[jet] : offsets[jet + 1]]
        constituents = pseudojets(own)
        axis = fastjet.PseudoJet(*map(float, own.sum(axis=0)))
        total = sum(c.pt() for c in constituents)
        width = sum(c.pt() * c.delta_R(axis) for c in constituents) / total
        assert found["multiplicity"][jet] == len(own)
        assert found["jet_pt"][jet] == pytest.approx(axis.pt())
        assert found["mass"][jet] == pytest.approx(axis.m(), rel=1e-6)
        assert found["width"][jet] == pytest.approx(width, rel=1e-9, abs=1e-12)
        one = tau(own, 1, 0.4)
        expected = tau(own, 2, 0.4) / one if one > 0 else 0.0
        assert found["tau21"][jet] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_two_massless_particles():
    """One branching: mass and width follow from z and the angle."""
    z, apart = 0.25, 0.2
    # equal in azimuth and symmetric in rapidity about z-weighted 0 would shift the axis: keep small
    p4 = momenta([75.0, 25.0], [0.0, apart], [0.0, 0.0], [0.0, 0.0])
    found = measure(p4, np.array([0, 2]), SETTINGS)
    mass = np.sqrt(2 * 75 * 25 * (np.cosh(apart) - 1))
    assert found["mass"][0] == pytest.approx(mass)
    assert found["jet_pt"][0] == pytest.approx(100.0)
    assert found["z_g"][0] == pytest.approx(z)
    assert found["ln_rho"][0] == pytest.approx(2 * np.log(mass / 100.0))
    assert found["tau21"][0] == 0.0
    # the axis lies at about z * apart: each side contributes z (1 - z) * apart
    assert found["width"][0] == pytest.approx(2 * z * (1 - z) * apart, rel=0.01)


def test_jets_without_branches_have_the_documented_values():
    soft = momenta([100.0, 1.0], [0.0, 0.1], [0.0, 0.0], [0.14, 0.0])
    single = momenta([100.0], [0.0], [0.0], [0.14])
    found = measure(np.concatenate([soft, single]), np.array([0, 2, 3]), SETTINGS)
    np.testing.assert_array_equal(found["z_g"], 0.0)
    np.testing.assert_array_equal(found["ln_rho"], SETTINGS.ln_rho_floor)
    assert found["width"][1] == 0.0 and found["tau21"][1] == 0.0
    assert all(np.isfinite(values).all() for values in found.values())


def test_collinear_branches_are_not_below_the_floor():
    p4 = momenta([60.0, 40.0], [0.3, 0.3], [0.2, 0.2], [0.0, 0.0])
    found = measure(p4, np.array([0, 2]), SETTINGS)
    assert found["z_g"][0] == pytest.approx(0.4)
    assert found["ln_rho"][0] == SETTINGS.ln_rho_floor


@pytest.mark.parametrize("factor", [1.3, 0.8])
def test_a_factor_on_the_momenta_scales_mass_and_pt_alone(factor):
    p4, offsets = random_jets(20)
    before, after = measure(p4, offsets, SETTINGS), measure(factor * p4, offsets, SETTINGS)
    for name in UNITS:
        if name == "z_pt":
            continue
        expected = before[name] * (factor if name in SCALED else 1.0)
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-6)


def test_no_jets_give_no_values():
    found = measure(np.zeros((0, 4)), np.array([0]), SETTINGS)
    assert {len(values) for values in found.values()} == {0}
