import numpy as np
import pytest

from fullchain.calorimetry import energy_groups, geometry, shower_shapes

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,2,4" n_bin_alpha="1"/>
<Layer id="1" r_edges="0,1,4" n_bin_alpha="2"/>
</Bin></Bins>"""

SHAPE = geometry.parse(XML, "test")


def test_profile_and_centre_by_hand():
    voxels = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 2.0])
    np.testing.assert_allclose(shower_shapes.profile(voxels, SHAPE), [3 / 8, 5 / 8])
    assert shower_shapes.centre(voxels, SHAPE)[0] == pytest.approx(5 / 8)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_radius_of_uniform_energy(part):
    # Energy in proportion to the area within 4 mm, in both layers.
    areas = np.array([4.0, 12.0, 0.5, 7.5, 0.5, 7.5])
    found = shower_shapes.containment_radius(areas, SHAPE, part)
    assert found[0] == pytest.approx(4.0 * np.sqrt(part))


def test_radius_does_not_depend_on_the_scale_and_takes_many():
    rng = np.random.default_rng(1)
    voxels = rng.exponential(size=(5, 6))
    found = shower_shapes.containment_radius(voxels, SHAPE)
    np.testing.assert_allclose(shower_shapes.containment_radius(7 * voxels, SHAPE), found)
    for row, one in zip(voxels, found, strict=True):
        np.testing.assert_allclose(shower_shapes.containment_radius(row, SHAPE), one)


def test_jackknife_is_the_error_of_a_ratio():
    rng = np.random.default_rng(2)
    x = rng.normal(10, 1, (20, 500, 2))
    ratio = lambda sums: sums[..., :1] / sums.sum(axis=-1, keepdims=True)  # noqa: E731
    value, error = shower_shapes.jackknife(x.sum(axis=1), ratio)
    known = np.sqrt(2 * (1 / 10) ** 2 / 10_000) / 4
    assert value[0] == pytest.approx(0.5, abs=5 * known)
    assert error[0] == pytest.approx(known, rel=0.5)


def test_energies_that_rounding_moves_are_one_group():
    energies = np.repeat([256.0, 512.0, 1024.0], 10)
    groups = energy_groups.groups_of(energies, 6)
    assert groups.discrete and len(groups) == 3
    np.testing.assert_array_equal(
        groups.assign(energies.astype(np.float32) * (1 + 1e-6)), np.repeat([0, 1, 2], 10)
    )
    assert groups.assign(np.array([300.0]))[0] == -1


def test_every_energy_of_a_spectrum_is_in_a_slice():
    energies = np.exp(np.random.default_rng(3).uniform(0, 9, 1000))
    groups = energy_groups.groups_of(energies, 5)
    np.testing.assert_array_equal(np.bincount(groups.assign(energies)), [200] * 5)
    assert groups.kinds([], (1.0, float(np.median(energies))))[-1] == "extrapolated"
