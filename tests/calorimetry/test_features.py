import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.calorimetry import feature_bins, features, geometry
from fullchain.calorimetry.shower_file import Showers

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>
<Layer id="1" r_edges="0" n_bin_alpha="1"/>
<Layer id="4" r_edges="0,2,6" n_bin_alpha="4"/>
</Bin></Bins>"""

SHAPE = geometry.parse(XML, "test")


def of(voxels, energy=100.0, threshold=0.0):
    voxels = np.array([voxels], dtype=np.float32)
    found = features.features(Showers(np.array([energy]), voxels), SHAPE, threshold)
    return {name: float(values[0]) for name, values in found.items()}


def test_one_voxel_is_where_it_is_and_has_no_width():
    # Radius runs fastest: second ring (middle 4 mm) of the second angle (-pi/4) of layer 4.
    found = of([0, 0, 0, 0, 0, 30.0, 0, 0, 0, 0])
    assert found["E_layer_4"] == pytest.approx(30.0)
    assert found["E_tot_over_E_inc"] == pytest.approx(0.3)
    assert found["EC_r_4"] == pytest.approx(4.0)
    assert found["EC_eta_4"] == pytest.approx(4.0 * math.cos(-math.pi / 4))
    assert found["EC_phi_4"] == pytest.approx(4.0 * math.sin(-math.pi / 4))
    assert found["width_r_4"] == found["width_eta_4"] == 0.0
    assert found["sparsity_4"] == pytest.approx(7 / 8)
    assert found["sparsity_0"] == 1.0
    assert found["EC_r_0"] == 0.0


def test_centres_and_widths_by_hand():
    found = of([30.0, 10.0, 0, 2.0, 0, 0, 0, 6.0, 0, 0])
    assert found["EC_r_0"] == pytest.approx((30 * 2.5 + 10 * 7.5) / 40)
    assert found["width_r_0"] == pytest.approx(math.sqrt(30 * 10) / 40 * 5.0)
    # Both voxels of layer 4 have radius 4 mm; they lie at -3/4 pi and pi/4, opposite.
    x = 4.0 / math.sqrt(2.0)
    assert found["EC_eta_4"] == pytest.approx((-2 * x + 6 * x) / 8)
    assert found["width_phi_4"] == pytest.approx(math.sqrt(2 * 6) / 8 * 2 * x)
    assert "EC_eta_0" not in found


@given(st.lists(st.floats(0, 1e5, width=32), min_size=10, max_size=10), st.integers(1, 3))
def test_a_turn_by_one_division_turns_the_centre(voxels, steps):
    layer = np.array(voxels[2:]).reshape(4, 2)
    turned = [*voxels[:2], *np.roll(layer, steps, axis=0).ravel().tolist()]
    first, second = of(voxels), of(turned)
    angle = steps * math.pi / 2
    x, y = first["EC_eta_4"], first["EC_phi_4"]
    assert second["EC_eta_4"] == pytest.approx(x * math.cos(angle) - y * math.sin(angle), abs=1e-4)
    assert second["EC_phi_4"] == pytest.approx(x * math.sin(angle) + y * math.cos(angle), abs=1e-4)
    for name in ("E_layer_4", "EC_r_4", "width_r_4", "sparsity_4"):
        assert second[name] == pytest.approx(first[name], rel=1e-5, abs=1e-3)


def test_threshold_empties_voxels_but_not_by_rounding():
    found = of([0.5, np.float32(1.0) * (1 - 1e-7), 0, 0, 0, 0, 0, 0, 0, 0], threshold=1.0)
    assert found["E_layer_0"] == pytest.approx(1.0)
    assert found["sparsity_0"] == 0.5


def test_chunks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(3)
    showers = Showers(np.full(50, 1e3), rng.exponential(5.0, (50, 10)).astype(np.float32))
    whole = features.features(showers, SHAPE)
    monkeypatch.setattr(features, "ROWS", 7)
    for name, values in features.features(showers, SHAPE).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12, atol=1e-12)


def test_high_level_has_energies_centres_and_widths_only():
    found = features.features(Showers(np.array([1e3]), np.ones((1, 10), np.float32)), SHAPE)
    columns = features.high_level(found, np.array([1e3]))
    assert columns.shape == (1, 1 + 2 + 4)
    assert columns[0, :3] == pytest.approx([3.0, math.log10(2.0), math.log10(8.0)])
    assert columns[0, -1] == pytest.approx(found["width_phi_4"][0] / 100.0)


def test_bins_are_those_of_the_challenge():
    photons = geometry.load("set1_photons")
    electrons = geometry.load("set2_electrons")
    values = np.array([0.0, 3.0, 1e5])
    assert len(feature_bins.edges("E_tot_over_E_inc", values, photons, 1.0)) == 101
    for name, end in (("EC_eta_1", 100.0), ("EC_r_12", 500.0)):
        edges = feature_bins.edges(name, values, photons, 1.0)
        assert (len(edges), edges[0], edges[-1]) == (101, -end, end)
    assert feature_bins.edges("width_r_12", values, photons, 1.0)[-1] == 400.0
    assert feature_bins.edges("EC_phi_44", values, electrons, 1.0)[-1] == pytest.approx(30.0)
    edges = feature_bins.edges("E_layer_2", values, photons, 1.0)
    assert len(edges) == 40 and edges[0] == pytest.approx(1.0) and edges[-1] >= 1e5
    assert len(feature_bins.edges("sparsity_0", values, photons, 1.0)) == 21


def test_bins_of_a_layer_that_is_always_empty_can_be_made():
    edges = feature_bins.logarithmic(np.zeros(5), 39, 1.0)
    assert (np.diff(edges) > 0).all()
