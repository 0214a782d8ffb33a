"""The parameterisation: known limits of its profiles, and the showers that are drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.calorimetry import geometry, gflash, media, shower_profiles
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.gflash import Detector
from fullchain.calorimetry.media import MATERIALS

# Depth of the maximum at 10 and 100 GeV, energy within 1 and 3.5 Moliere radii at 100 GeV.
KNOWN = {
    "lead": (6.40, 8.71, 0.893, 0.986),
    "tungsten": (6.32, 8.62, 0.885, 0.984),
    "lead_tungstate": (6.23, 8.53, 0.879, 0.983),
    "iron": (5.37, 7.67, 0.840, 0.973),
}

LEAD_ARGON = media.layered(MATERIALS["lead"], 1.5, MATERIALS["liquid_argon"], 4.2, 0.1)


def block(medium, threshold=0.0, rings=(0.0, 10.0, 30.0, 100.0, 1e5), depth=60.0, layers=12):
    """A calorimeter that holds nearly everything."""
    edges = np.linspace(0.0, depth, layers + 1)
    return Detector(
        Geometry(22, "photon", tuple(Layer(i, rings, 4) for i in range(layers))),
        medium,
        tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)),
        threshold,
    )


@pytest.mark.parametrize("name", KNOWN)
def test_mean_profiles_have_known_maximum_and_containment(name):
    medium = media.homogeneous(MATERIALS[name])
    energies = np.array([1e4, 1e5])
    means = shower_profiles.longitudinal(energies, medium)
    peak, alpha = np.exp(means.log_peak), np.exp(means.log_alpha)
    assert peak == pytest.approx(KNOWN[name][:2], abs=0.006)
    edges = np.tile(np.linspace(0, 60, 1201), (2, 1))
    energy = gflash._in_slices(edges, peak, alpha)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    tau = shower_profiles.scaled_depth(middle, peak, alpha, alpha)
    # The mean shower has tau = 1 at its maximum.
    assert np.interp(peak[1], middle[1], tau[1]) == pytest.approx(1.0, abs=1e-6)
    radial = shower_profiles.radial(tau, energies, medium)
    within = shower_profiles.contained(np.array([1.0, 3.5]), *radial)
    assert (energy[1] @ within[1]) == pytest.approx(KNOWN[name][2:], abs=0.001)


def test_drawn_showers_have_the_containment_of_the_mean_profile():
    medium = media.homogeneous(MATERIALS["lead"])
    radius = medium.moliere_radius
    detector = block(medium, rings=(0.0, radius, 3.5 * radius, 1e6), layers=30)
    voxels = gflash.showers(np.full(2000, 1e5), detector, np.random.default_rng(1))
    rings = voxels.reshape(2000, 30, 4, 3).sum(axis=(1, 2)) / 1e5
    means, errors = rings.mean(axis=0), rings.std(axis=0) / np.sqrt(2000)
    assert means[0] == pytest.approx(0.893, abs=0.005 + 4 * errors[0])
    assert means[:2].sum() == pytest.approx(0.986, abs=0.003)


@pytest.mark.parametrize("resolution", [0.1, 0.17])
@pytest.mark.parametrize("energy", [1e3, 1e4])
def test_resolution_of_sampling_is_c_over_the_root_of_the_energy(resolution, energy):
    medium = media.layered(MATERIALS["lead"], 1.5, MATERIALS["liquid_argon"], 4.2, resolution)
    voxels = gflash.showers(np.full(6000, energy), block(medium), np.random.default_rng(2))
    response = voxels.sum(axis=1) / energy
    expected = resolution / np.sqrt(energy / 1e3)
    # The spread of a spread is 1 / sqrt(2 n), 0.9 %; counting fluctuations twice gives 40 % more.
    assert response.std() == pytest.approx(expected, rel=0.04)
    assert response.mean() == pytest.approx(1.0, abs=5 * expected / np.sqrt(6000))


def test_each_layer_has_the_energy_of_the_profile_of_this_shower():
    """Also a deep one, where there are next to no spots and yet energy."""
    medium = media.homogeneous(MATERIALS["iron"])
    detector = block(medium, depth=30.0)
    energies = np.full(500, 1e3)
    voxels = gflash.showers(energies, detector, np.random.default_rng(3))
    found = detector.geometry.layer_energies(voxels)
    # The first numbers that are drawn are those of the profile.
    drawn = shower_profiles.longitudinal(energies, medium).draw(np.random.default_rng(3))
    edges = np.tile(np.linspace(0.0, 30.0, 13), (500, 1))
    expected = 1e3 * gflash._in_slices(edges, *drawn)
    some = expected > 1e-3
    assert some[:, 6:].sum() > 1000
    assert found[some] == pytest.approx(expected[some], rel=1e-3)


@pytest.mark.parametrize("photons", [True, False])
def test_without_sampling_and_threshold_energy_is_conserved(photons):
    detector = block(media.homogeneous(MATERIALS["lead"]), depth=100.0)
    energies = np.geomspace(100.0, 1e6, 300)
    voxels = gflash.showers(energies, detector, np.random.default_rng(3), photons)
    assert voxels.sum(axis=1) / energies == pytest.approx(1.0, abs=2e-3)


def test_photons_begin_deeper_by_their_conversion_length():
    detector = block(media.homogeneous(MATERIALS["lead"]), layers=60)
    energies = np.full(4000, 1e4)
    depths = []
    for photons in (False, True):
        voxels = gflash.showers(energies, detector, np.random.default_rng(4), photons)
        layers = detector.geometry.layer_energies(voxels)
        depths.append((layers @ (np.arange(60) + 0.5)) / layers.sum(axis=1))
    difference = depths[1].mean() - depths[0].mean()
    error = np.sqrt(sum(one.var() for one in depths) / 4000)
    assert difference == pytest.approx(9 / 7, abs=4 * error)


def test_no_voxel_is_below_the_threshold_and_energies_are_continuous():
    detector = Detector(
        geometry.load("set1_photons"),
        LEAD_ARGON,
        ((0, 1.7), (1.7, 6), (6, 22), (22, 24), (24, 44)),
        1.0,
    )
    energies = np.full(300, 65536.0)
    voxels = gflash.showers(energies, detector, np.random.default_rng(5), True)
    assert voxels.dtype == np.float32
    positive = voxels[voxels > 0]
    assert positive.min() >= 1.0
    # Equal spots would give few different values.
    assert len(np.unique(positive)) > 0.99 * len(positive)


def test_the_spectrum_of_a_voxel_fluctuates_as_the_number_of_spots():
    medium = media.homogeneous(MATERIALS["lead"])
    detector = Detector(Geometry(11, "electron", (Layer(0, (0.0, 1e6), 10),)), medium,
                        ((0.0, 80.0),), 0.0)  # fmt: skip
    energy = 2e3
    voxels = gflash.showers(np.full(4000, energy), detector, np.random.default_rng(6))
    number = 93 * np.log(82) * 2**0.876
    expected = np.sqrt(0.1 * 0.9 / (number + 1))
    assert (voxels / energy).std(axis=0) == pytest.approx(np.full(10, expected), rel=0.06)


def test_layers_are_independent_of_voxels_in_angle():
    detector = block(media.homogeneous(MATERIALS["lead"]))
    voxels = gflash.showers(np.full(3000, 1e4), detector, np.random.default_rng(7))
    sectors = voxels.reshape(3000, 12, 4, 4).sum(axis=(1, 3)) / 1e4
    errors = sectors.std(axis=0) / np.sqrt(3000)
    assert (np.abs(sectors.mean(axis=0) - 0.25) < 4.5 * errors + 5e-4).all()


@settings(max_examples=25, deadline=None)
@given(
    st.floats(5.0, 1e7),
    st.sampled_from(sorted(MATERIALS)),
    st.booleans(),
    st.booleans(),
)
def test_all_energies_and_materials_give_finite_showers(energy, name, sampling, photons):
    material = MATERIALS[name]
    medium = media.homogeneous(material)
    if sampling:
        medium = media.layered(material, 3.0, MATERIALS["scintillator"], 3.0, 0.2)
    voxels = gflash.showers(
        np.full(5, energy), block(medium, depth=30.0), np.random.default_rng(8), photons
    )
    assert np.isfinite(voxels).all() and (voxels >= 0).all()
    if not sampling:
        assert (voxels.sum(axis=1) <= energy * (1 + 1e-5)).all()


@given(st.floats(1.0, 15.0), st.floats(1.2, 12.0), st.floats(1.2, 12.0))
def test_tau_is_the_depth_over_the_mean_depth_of_this_shower(peak, alpha, mean_alpha):
    depth = peak * alpha / (alpha - 1.0)
    tau = shower_profiles.scaled_depth(
        np.array([[0.0, depth]]), np.array([peak]), np.array([alpha]), np.array([mean_alpha])
    )
    assert tau[0] == pytest.approx([0.0, mean_alpha / (mean_alpha - 1.0)])


def test_parameters_are_kept_in_range_at_low_energies():
    energies = np.array([1.0, 10.0, 50.0])
    for medium in (media.homogeneous(MATERIALS["lead"]), LEAD_ARGON):
        means = shower_profiles.longitudinal(energies, medium)
        assert (means.spread_peak <= 0.5).all() and (means.spread_alpha <= 0.5).all()
        assert (np.abs(means.correlation) <= 1).all()
        peak, alpha = means.draw(np.random.default_rng(9))
        assert (peak >= 1.0).all() and (alpha >= 1.1).all()
        core, tail, part = shower_profiles.radial(np.linspace(0, 5, 30).reshape(3, 10), energies,
                                                  medium)  # fmt: skip
        assert (core > 0).all() and (tail > 0).all() and ((part >= 0) & (part <= 1)).all()


def test_drawn_parameters_have_mean_spread_and_correlation():
    medium = media.homogeneous(MATERIALS["lead"])
    energies = np.full(40_000, 1e5)
    means = shower_profiles.longitudinal(energies, medium)
    peak, alpha = (np.log(values) for values in means.draw(np.random.default_rng(10)))
    log_y = np.log(1e5 / medium.critical_energy)
    assert peak.mean() == pytest.approx(np.log(log_y - 0.812), abs=0.002)
    assert peak.std() == pytest.approx(1 / (-1.4 + 1.26 * log_y), rel=0.02)
    assert alpha.std() == pytest.approx(1 / (-0.58 + 0.86 * log_y), rel=0.02)
    assert np.corrcoef(peak, alpha)[0, 1] == pytest.approx(0.705 - 0.023 * log_y, abs=0.02)


def test_sampling_corrections_vanish_for_ever_thinner_layers_of_one_material():
    lead = MATERIALS["lead"]
    thin = media.layered(lead, 1e-4, lead, 1e-4, 0.1)
    alone = media.homogeneous(lead)
    energies, tau = np.array([1e3, 1e5]), np.linspace(0.1, 4, 20).reshape(2, 10)
    for name in ("log_peak", "log_alpha"):
        one, other = (
            getattr(shower_profiles.longitudinal(energies, medium), name)
            for medium in (thin, alone)
        )
        assert one == pytest.approx(other, abs=1e-4)
    for one, other in zip(
        shower_profiles.radial(tau, energies, thin),
        shower_profiles.radial(tau, energies, alone),
        strict=True,
    ):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_weight_of_the_core_is_corrected_most_at_the_maximum():
    """The Gaussian in depth has unit width: the frequency scales it, not its argument."""
    alone = media.Medium(74.0, 8.0, 10.0)
    energies, tau = np.array([1e4]), np.array([[0.2, 1.0, 1.8]])
    plain = shower_profiles.radial(tau, energies, alone)[2]
    for frequency in (2.0, 8.0):
        sampled = media.Medium(74.0, 8.0, 10.0, media.Sampling(frequency, 0.9, 0.1))
        change = (shower_profiles.radial(tau, energies, sampled)[2] - plain)[0]
        expected = 0.1 * (0.348 - 0.642 / frequency * np.exp(-np.array([0.64, 0.0, 0.64])))
        assert change == pytest.approx(expected)
