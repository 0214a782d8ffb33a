"""Showers as numbers and back: round trips, energies, thresholds, marginals."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry import gflash
from fullchain.calorimetry.geometry import Geometry, turned_voxels
from fullchain.calorimetry.parts import Parts, divide
from fullchain.calorimetry.preprocessing import Preprocessing, join
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_file import Showers
from fullchain.learning.device import repeatable

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,10,40" n_bin_alpha="1"/><Layer id="1" r_edges="0,5,20,60" n_bin_alpha="4"/>
<Layer id="2" r_edges="0,20,80" n_bin_alpha="1"/></Bin></Bins>"""
GEOMETRY = geometries.parse(XML, "test")
WAYS = {
    "log": {},
    "logit": {"transform": "logit"},
    "normal": {"marginals": "normal"},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with repeatable(1):
        yield


def drawn(number: int, seed: int, energies: np.ndarray | None = None) -> Showers:
    random = np.random.default_rng(seed)
    medium = gflash.Medium(74, 7.4, 20.0)
    detector = gflash.Detector(GEOMETRY, medium, ((0, 2), (2, 14), (14, 30)), 1.0)
    if energies is None:
        energies = 2.0 ** random.integers(8, 16, number)
    voxels = gflash.showers(energies, detector, random, photons=True)
    there = voxels.sum(axis=1) > 0
    return Showers(energies[there], voxels[there])


def measured(way: str, parts: Parts, **changes: object) -> Preprocessing:
    found = Preprocessing(GEOMETRY, PreprocessingSettings.model_validate(WAYS[way] | changes))
    found.measure(parts, torch.Generator().manual_seed(1))
    return found


def numbers_of(found: Preprocessing, parts: Parts, seed: int = 2) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return found(parts.ratios, parts.fractions, chance, incident=parts.incident)


@pytest.fixture(scope="module")
def showers() -> Showers:
    return drawn(4000, 1)


@pytest.mark.parametrize("way", WAYS)
def test_round_trip(way: str, showers: Showers) -> None:
    parts = divide(showers, GEOMETRY)
    # Far below any voxel above the threshold.
    found = measured(way, parts, noise=1e-9)
    back = found.inverse(numbers_of(found, parts), parts.incident).numpy()
    near_threshold = showers.voxels < 1.01
    wrong = np.abs(back - showers.voxels) > 2e-3 * showers.voxels + 1e-2
    assert (wrong & ~near_threshold).mean() < (0.0 if way == "normal" else 2e-3) + 1e-9


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.0, 30.0), energy=st.floats(0.5, 1e7))
def test_any_numbers_give_showers(way: str, seed: int, scale: float, energy: float) -> None:
    """Whatever a model draws: nothing below threshold, and the total is what u_0 says."""
    found = FITTED[way]
    chance = torch.Generator().manual_seed(seed)
    numbers = scale * torch.randn(50, found.size, generator=chance)
    incident = torch.full((50, 1), energy)
    voxels = found.inverse(numbers, incident)
    assert voxels.isfinite().all()
    assert bool(((voxels == 0) | (voxels >= 1.0 - 1e-6)).all())
    if found.normal is not None:
        odds = found.normal.of_ratios.inverse(numbers[:, :3], incident.log())
        total = incident[:, 0].double() * odds[:, 0].exp().double()
    else:
        raw = numbers[:, 0] * found.width[0] + found.mean[0]
        total = incident[:, 0].double() * raw.exp().double()
    finite = total.isfinite() & (total < 1e30)
    expected = torch.where(total >= 1.0, total, 0.0)[finite]
    torch.testing.assert_close(voxels.double().sum(dim=1)[finite], expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_layer_energies_do_not_depend_on_voxels(way: str, showers: Showers) -> None:
    parts = divide(showers, GEOMETRY)
    found = measured(way, parts)
    numbers = numbers_of(found, parts)
    numbers[:, found.layers :] = torch.randn(
        numbers[:, found.layers :].shape, generator=torch.Generator().manual_seed(3)
    )
    layers = GEOMETRY.layer_energies(found.inverse(numbers, parts.incident).numpy())
    np.testing.assert_allclose(
        layers, GEOMETRY.layer_energies(showers.voxels), rtol=1e-3, atol=2e-6 * layers.max()
    )


def test_normal_marginals_are_normal_at_each_energy(showers: Showers) -> None:
    found = measured("normal", divide(showers, GEOMETRY))
    other = divide(drawn(4000, 5), GEOMETRY)
    numbers = numbers_of(found, other)
    for energy in (2.0**8, 2.0**15):
        at = numbers[(other.incident == energy)[:, 0]]
        # The ratios at one energy: about 500 showers.
        assert bool((at[:, :3].mean(dim=0).abs() < 5 / len(at) ** 0.5).all())
        assert bool(((at[:, :3].std(dim=0) - 1).abs() < 0.2).all())
    voxels = numbers[:, 3:]
    assert bool((voxels.mean(dim=0).abs() < 0.1).all())
    assert bool(((voxels.std(dim=0) - 1).abs() < 0.1).all())


def test_independent_normal_numbers_have_the_response_and_occupancy(showers: Showers) -> None:
    """Even a model that knows nothing has a response that is right within 0.3 %."""
    found = measured("normal", divide(drawn(12_000, 11), GEOMETRY))
    incident = torch.from_numpy(showers.energies).float()[:, None]
    chance = torch.Generator().manual_seed(4)
    numbers = torch.randn(len(showers), found.size, generator=chance)
    voxels = found.inverse(numbers, incident).numpy()
    response = [values.sum(axis=1) / showers.energies for values in (voxels, showers.voxels)]
    error = np.hypot(*(values.std() / len(showers) ** 0.5 for values in response))
    assert abs(response[0].mean() / response[1].mean() - 1) < 0.003 + 3 * error
    assert (voxels > 0).mean() == pytest.approx((showers.voxels > 0).mean(), abs=0.02)


def test_empty_layers_stay_empty() -> None:
    showers = drawn(3000, 7, np.full(3000, 60.0))
    layers = GEOMETRY.layer_energies(showers.voxels)
    empty = layers == 0
    assert empty.any(axis=0)[[0, 2]].all()
    parts = divide(showers, GEOMETRY)
    found = measured("normal", parts)
    back = found.inverse(numbers_of(found, parts), parts.incident).numpy()
    # Rounding may decide for a layer with just the threshold.
    assert ((GEOMETRY.layer_energies(back) == 0) != empty).sum() <= 3
    chance = torch.Generator().manual_seed(6)
    model = found.inverse(torch.randn(3000, found.size, generator=chance), parts.incident).numpy()
    parts_empty = (GEOMETRY.layer_energies(model) == 0).mean(axis=0)
    np.testing.assert_allclose(parts_empty, empty.mean(axis=0), atol=0.06)


@pytest.mark.parametrize("way", WAYS)
def test_one_energy(way: str) -> None:
    showers = drawn(500, 8, np.full(500, 5000.0))
    parts = divide(showers, GEOMETRY)
    found = measured(way, parts)
    numbers = numbers_of(found, parts)
    assert numbers.isfinite().all()
    assert found.condition(parts.incident).abs().max() < 0.01
    back = found.inverse(numbers, parts.incident)
    assert back.sum() == pytest.approx(float(showers.voxels.sum()), rel=1e-3)


def test_an_energy_between_those_of_training_is_interpolated() -> None:
    known = drawn(6000, 9)
    kept = known.energies != 2.0**11
    found = measured("normal", divide(known.select(kept), GEOMETRY))
    left = divide(known.select(~kept), GEOMETRY)
    numbers = numbers_of(found, left)
    assert bool((numbers[:, :3].mean(dim=0).abs() < 0.3).all())


@pytest.mark.parametrize("number", [3, 60])
def test_normal_marginals_of_few_showers_stay_moderate(number: int) -> None:
    """At a node with one shower there would be no width: other showers would be 1e5 away."""
    energies = 2.0 ** np.random.default_rng(12).uniform(8, 16, number + 500)
    few = divide(drawn(number, 13, energies[:number]), GEOMETRY)
    others = divide(drawn(500, 14, energies[number:]), GEOMETRY)
    numbers = numbers_of(measured("normal", few), others)
    assert numbers.isfinite().all()
    assert numbers.abs().max() < 300


def test_normal_marginals_need_energies_and_a_threshold(showers: Showers) -> None:
    parts = divide(showers, GEOMETRY)
    with pytest.raises(ValueError, match="incident"):
        measured("normal", parts)(parts.ratios, parts.fractions)
    with pytest.raises(ValidationError, match="threshold"):
        PreprocessingSettings(marginals="normal", threshold=0.0)


def test_turns_keep_rings_and_are_all_different() -> None:
    turns = turned_voxels(GEOMETRY)
    assert len(turns) == 8
    np.testing.assert_array_equal(turns[0], np.arange(GEOMETRY.voxels))
    for own in turns:
        np.testing.assert_array_equal(np.sort(own), np.arange(GEOMETRY.voxels))
        np.testing.assert_array_equal(GEOMETRY.radius_of_voxel[own], GEOMETRY.radius_of_voxel)
        np.testing.assert_array_equal(GEOMETRY.layer_of_voxel[own], GEOMETRY.layer_of_voxel)
    # One turn by a quarter moves all angles of the divided layer by as much.
    angles = GEOMETRY.angle_of_voxel[GEOMETRY.slices[1]]
    steps = {
        tuple(np.round((GEOMETRY.angle_of_voxel[own][GEOMETRY.slices[1]] - angles), 6) % 6.283185)
        for own in turns
    }
    assert sum(len(set(np.round(step, 3))) == 1 for step in steps) == 4


def test_symmetric_training_turns_showers(showers: Showers) -> None:
    parts = divide(showers, GEOMETRY)
    plain, turned = measured("log", parts), measured("log", parts, symmetric=True)
    torch.manual_seed(1)
    assert plain.turned(parts.fractions) is parts.fractions
    other = turned.turned(parts.fractions)
    assert not torch.equal(other, parts.fractions)
    torch.testing.assert_close(other.sort(dim=1).values, parts.fractions.sort(dim=1).values)


def test_join_of_a_shower_too_faint_for_its_layers() -> None:
    ratios = torch.tensor([[0.02, 0.3, 0.5], [0.001, 0.5, 0.5]])
    found = join(torch.full((2, 1), 100.0), ratios, torch.ones(2, 18), GEOMETRY, 1.0)
    assert found[0].sum() == pytest.approx(2.0)
    assert int((found[0] > 0).sum()) == 1
    assert found[1].sum() == 0.0


def fitted(geometry: Geometry = GEOMETRY) -> dict[str, Preprocessing]:
    return {way: measured(way, divide(drawn(1500, 3), geometry)) for way in WAYS}


FITTED = fitted()
