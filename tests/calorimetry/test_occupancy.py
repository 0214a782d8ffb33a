"""Scaling of voxels that keeps which of them are empty."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry.occupancy import scaled

GEOMETRY = geometries.parse(
    '<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,1,2,3,4" n_bin_alpha="1"/>'
    '<Layer id="3" r_edges="0,1" n_bin_alpha="1"/></Bin></Bins>',
    "test",
)


def of(energy: float, *voxels: float) -> list[float]:
    layers = torch.tensor([[energy, 0.0]], dtype=torch.float64)
    rows = torch.tensor([[*voxels, 0.0]])
    found = scaled(layers, rows, GEOMETRY, 1.0)
    assert found[0, 4] == 0.0
    return [float(value) for value in found[0, :4]]


def test_occupancy_is_kept_where_energies_are_scaled_down() -> None:
    assert of(5.0, 3.0, 1.2, 0.9, 5.8) == pytest.approx([1.571, 1.057, 0.0, 2.371], abs=1e-3)


def test_the_weakest_are_emptied_where_energy_is_short() -> None:
    assert of(2.5, 3.0, 1.2, 1.1, 5.8) == pytest.approx(
        [1.0 + 0.5 * 2 / 6.8, 0, 0, 1.0 + 0.5 * 4.8 / 6.8], abs=1e-5
    )


def test_the_nearest_takes_all_where_none_is_above() -> None:
    assert of(3.0, 0.1, 0.7, 0.2, 0.0) == pytest.approx([0.0, 3.0, 0.0, 0.0])


def test_equal_parts_where_nothing_is_above_the_threshold() -> None:
    assert of(4.0, 1.0, 1.0, 0.5, 0.0) == pytest.approx([2.0, 2.0, 0.0, 0.0])


def test_an_empty_layer() -> None:
    assert of(0.0, 3.0, 2.0, 0.0, 0.0) == [0.0] * 4


@given(
    energy=st.floats(1.0, 1e6),
    voxels=st.lists(st.floats(0.0, 2.0**40, width=32), min_size=4, max_size=4),
)
def test_energy_is_conserved_and_nothing_is_faint(energy: float, voxels: list[float]) -> None:
    found = of(energy, *voxels)
    assert sum(found) == pytest.approx(energy, rel=1e-5)
    assert all(value == 0.0 or value >= 1.0 for value in found)
