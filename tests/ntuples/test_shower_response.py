"""Photons and electrons as showers: energies, places, clusters, tracks, bad sources."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.dag.closure import ImportClosure
from fullchain.errors import InputError
from fullchain.ntuples import calorimeter, crystal_clusters, detector, material, tracker
from fullchain.ntuples.calorimeter import Deposits
from fullchain.ntuples.crystal_clusters import Seeds
from fullchain.ntuples.detector_settings import CalorimeterSettings, DetectorSettings
from fullchain.ntuples.electromagnetic_settings import ParameterisedResponse, ResolutionResponse
from fullchain.ntuples.particles import Particles, charge_of, concatenate
from fullchain.ntuples.shower_crystals import Grid, in_crystals
from fullchain.ntuples.shower_points import VoxelPlaces, points
from fullchain.ntuples.shower_response import Showering
from fullchain.ntuples.shower_source import ShowerSource, calibrate

CALORIMETER = CalorimeterSettings()
EXACT = CalorimeterSettings(ecal_stochastic=0.0, ecal_constant=0.0, ecal_noise=1e-6)
HOW = ParameterisedResponse()
EDGES = np.array([0.0, 5.0, 10.0, 20.0, 40.0, 80.0])
SECTORS = 8
PARTS = np.array([0.5, 0.3, 0.15, 0.04, 0.01])
"""Of a shower's energy, in the rings."""


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def places() -> VoxelPlaces:
    """Two layers of the same rings and sectors."""
    radii = np.column_stack([EDGES[:-1], EDGES[1:]])
    turn = np.linspace(-np.pi, np.pi, SECTORS + 1)
    angles = np.repeat(np.column_stack([turn[:-1], turn[1:]]), len(radii), axis=0)
    layer = VoxelPlaces(np.tile(radii, (SECTORS, 1)), angles)
    return VoxelPlaces(np.tile(layer.radii, (2, 1)), np.tile(layer.angles, (2, 1)))


def source(
    response: float = 0.9,
    width: float = 0.05,
    *,
    lowest: float = 0.0,
    highest: float = np.inf,
    **changes: Any,
) -> ShowerSource:
    """Showers of one shape, whose energy alone fluctuates."""
    shape = np.tile(np.tile(PARTS / SECTORS, SECTORS), 2) / 2.0

    def draw(energies: Any, photons: bool, random: np.random.Generator) -> Any:
        total = energies * response * random.normal(1.0, width, len(energies))
        return total[:, None] * shape

    values = {"draw": draw, "places": places(), "tells_electrons": False, **changes}
    return ShowerSource("a source", lowest=lowest, highest=highest, **values)


def showering(one: ShowerSource, **changes: Any) -> Showering:
    made = Showering(one, ParameterisedResponse(**changes), random(5))
    return made.of_block(random(6))


def at(eta: Any, phi: Any, energy: Any, *, track: Any = 0.0, event: Any = None) -> Deposits:
    """Particles at points of the face, each in its own event unless `event`."""
    eta, phi, energy, track = np.broadcast_arrays(eta, phi, energy, track)
    grid = Grid.of(HOW, CALORIMETER)
    x, y, z = grid.face(eta.astype(float), phi.astype(float))
    number = np.arange(len(eta)) if event is None else np.asarray(event)
    return Deposits(
        number, eta * 1.0, phi * 1.0, x, y, z, energy * 1.0, track * 1.0, np.ones(len(eta))
    )


def gun(number: int, code: int, energy: Any, eta: Any, phi: Any = 0.3) -> Particles:
    full = np.ones(number)
    energy, eta, phi = full * energy, full * eta, full * phi
    pdg_id, pt = np.full(number, code), energy / np.cosh(eta)
    momentum = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta)}
    place = {axis: np.zeros(number) for axis in "xyz"}
    event = np.arange(number, dtype=np.int32)
    zero = np.zeros(number, dtype=np.int32)
    return Particles(event, zero, pdg_id, charge_of(pdg_id), **momentum, e=energy, **place)


def unconverted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "convert", lambda particles, *others: particles)


def test_without_showers_the_detector_is_what_it_was() -> None:
    # Numbers of the detector before it knew showers.
    draw = np.random.default_rng(3)
    number = 2000
    parts = []
    for code in (22, 11, 211, 130):
        pt, eta = draw.exponential(6.0, number) + 0.1, draw.uniform(-5, 5, number)
        parts.append(gun(number, code, pt * np.cosh(eta), eta, draw.uniform(-3, 3, number)))
    found = detector.reconstruct(concatenate(parts), number, DetectorSettings(), random(7))
    c = found.candidates
    kinds = np.bincount(np.abs(c.pdg_id))[[1, 2, 11, 22, 130, 211]]
    assert kinds.tolist() == [1536, 1030, 444, 1363, 1216, 1546]
    sums = (c.pt.sum(), c.eta.sum(), (c.pt * c.phi).sum())
    assert sums == pytest.approx((40768.48420127, 261.39293148, -533.85333518), rel=1e-8)


def test_the_default_is_the_formula_and_generation_imports_no_showers() -> None:
    assert DetectorSettings().calorimeter.electromagnetic == ResolutionResponse()
    generate = ImportClosure("fullchain.ntuples.generate")
    strangers = [name for name in generate.modules if "calorimetry" in name or "shower" in name]
    assert not strangers
    assert "torch" not in generate.imports
    parameterised = ImportClosure("fullchain.ntuples.generate_parameterised")
    assert "torch" not in parameterised.imports
    assert "fullchain.calorimetry.gflash" in parameterised.modules
    assert "fullchain.calorimetry.shower_model" not in parameterised.modules
    learned = ImportClosure("fullchain.ntuples.generate_learned")
    assert "fullchain.calorimetry.shower_model" in learned.modules


def test_points_keep_energy_and_centre() -> None:
    where = points(places())
    voxels = random().random((20, 2 * SECTORS * len(PARTS)))
    energies = where.energies(voxels)
    assert energies.sum(axis=1) == pytest.approx(voxels.sum(axis=1), rel=1e-12)
    even = np.ones((1, voxels.shape[1]))
    centre = where.energies(even) @ np.column_stack([where.x, where.y])
    assert np.abs(centre).max() < 1e-9
    # A voxel that goes all around has its energy all around.
    ring = points(VoxelPlaces(np.array([[10.0, 20.0]]), np.array([[-np.pi, np.pi]])))
    assert abs(ring.share @ ring.x) < 1e-9
    assert ring.share @ np.hypot(ring.x, ring.y) == pytest.approx(1.5555, rel=0.01)  # cm
    assert where.reach < 8.0


@pytest.mark.parametrize("eta", [-2.95, -1.633, -0.4, 0.0, 0.9, 1.625, 1.64, 2.2, 2.7])
def test_the_middle_of_a_crystal_is_near(eta: float) -> None:
    grid = Grid.of(HOW, CALORIMETER)
    phi = random().uniform(-np.pi, np.pi, 300)
    row, column = grid.place(np.full(300, eta), phi)
    assert np.all((row >= 0) & (row < grid.begins[2]))
    column = grid.closed(row, column)
    middle = grid.centre(row, column)
    here, there = grid.face(np.full(300, eta), phi), grid.face(*middle)
    apart = np.sqrt(sum((one - other) ** 2 for one, other in zip(here, there, strict=True)))
    # Half a diagonal: in the barrel of 0.0175 in phi and, along z, 0.0175 cosh(eta).
    barrel = 0.5 * 129.0 * 0.0175 * np.hypot(1.0, np.cosh(eta))
    assert apart.max() < (1.02 * barrel if abs(eta) < 1.63 else 0.5 * 2.86 * np.sqrt(2) + 2.0)
    if np.abs(np.abs(eta) - grid.corner) > 0.05:
        again = grid.place(*middle)
        assert np.array_equal(again[0], row)
        assert np.array_equal(grid.closed(*again), column)


def test_crystals_of_two_places_are_two() -> None:
    grid = Grid.of(HOW, CALORIMETER)
    eta, phi = np.meshgrid(np.linspace(-2.99, 2.99, 400), np.linspace(-3.14, 3.14, 400))
    row, column = grid.place(eta.ravel(), phi.ravel())
    column = grid.closed(row, column)
    assert np.all((column >= 0) & (column < grid.around))
    cells, inverse = np.unique(row * grid.around + column, return_inverse=True)
    for values in grid.face(eta.ravel(), phi.ravel()):
        low, high = np.full(len(cells), np.inf), np.full(len(cells), -np.inf)
        np.minimum.at(low, inverse, values)
        np.maximum.at(high, inverse, values)
        # 0.0175 in eta is 6 cm at the end of the barrel.
        assert (high - low).max() < 7.0


@settings(max_examples=25, deadline=None)
@given(
    eta=st.floats(-2.85, 2.85),
    phi=st.floats(-np.pi, np.pi),
    energy=st.floats(0.1, 1000.0),
    track=st.floats(0.0, 100.0),
)
def test_crystals_keep_energy_and_track(
    eta: float, phi: float, energy: float, track: float
) -> None:
    where = points(places())
    parts = np.tile(np.tile(PARTS / SECTORS, SECTORS), 2)[None] / 2.0 * energy
    some = at([eta], [phi], [energy], track=[track])
    found = in_crystals(some, where.energies(parts), where, Grid.of(HOW, CALORIMETER)).deposits
    # Beyond |eta| = 2.8 the rim begins to leave the calorimeter.
    lost = 0.0 if abs(eta) < 2.7 else 0.05
    assert found.energy.sum() == pytest.approx(energy, rel=1e-9 + lost)
    assert found.energy.sum() <= energy * (1 + 1e-9)
    assert found.track.sum() == pytest.approx(track, rel=1e-9, abs=1e-12)
    assert np.all(np.abs(found.eta) < calorimeter.ENDCAP_END)


def test_a_shower_without_energy_keeps_its_track() -> None:
    where = points(places())
    some = at([0.3, 0.5], [0.1, 0.2], [2.0, 3.0], track=[2.0, 3.0])
    voxels = np.zeros((2, len(places().radii)))
    voxels[1] = 0.1
    found = in_crystals(some, where.energies(voxels), where, Grid.of(HOW, CALORIMETER)).deposits
    assert found.track.sum() == pytest.approx(5.0)
    assert found.energy[found.event == 0].tolist() == [0.0]


@pytest.mark.parametrize("eta", [0.4, 1.6, 2.2])
def test_the_resolution_of_a_photon_is_that_of_its_shower(eta: float) -> None:
    made = showering(source(0.9, 0.05))
    number = 2000
    clusters = made.clusters(at(np.full(number, eta), 0.7, 50.0), np.ones(number, bool), EXACT)
    total = np.bincount(clusters.event, clusters.energy, minlength=number)
    # Leakage is corrected on average: within the error of the calibration, 0.05 / sqrt(400).
    assert total.mean() == pytest.approx(50.0, rel=0.01)
    assert total.std() / 50.0 == pytest.approx(0.05, rel=0.08)
    assert clusters.showered == pytest.approx(clusters.energy)


def test_what_showers_lack_of_the_resolution_is_added_once() -> None:
    number = 4000
    deposits = at(np.full(number, 0.4), 0.7, 10.0)
    formula = calorimeter.ecal_resolution(np.array([10.0]), np.array([0.4]), CALORIMETER)[0]
    alone = np.sqrt(formula**2 - CALORIMETER.ecal_noise**2) / 10.0
    for own, expected in ((0.5 * alone, alone), (0.05, 0.05)):
        made = showering(source(0.9, own), calibration_showers=4000)
        clusters = made.clusters(deposits, np.ones(number, bool), CALORIMETER)
        total = np.bincount(clusters.event, clusters.energy, minlength=number) / 10.0
        assert total.std() == pytest.approx(expected, rel=0.05)
        measured = detector._measured(clusters, CALORIMETER, random(), True)
        total = np.bincount(clusters.event, measured, minlength=number) / 10.0
        noise = CALORIMETER.ecal_noise / 10.0
        assert total.std() == pytest.approx(np.hypot(expected, noise), rel=0.05)


def test_soft_particles_keep_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    unconverted(monkeypatch)
    made = showering(source(), least_energy=1.0)
    number = 20_000
    clusters = made.clusters(at(np.full(number, 0.4), 0.7, 0.8), np.ones(number, bool), CALORIMETER)
    assert np.all(clusters.showered == 0)
    measured = detector._measured(clusters, CALORIMETER, random(), True)
    sigma = calorimeter.ecal_resolution(np.array([0.8]), np.array([0.4]), CALORIMETER)[0]
    assert measured.std() == pytest.approx(sigma, rel=0.03)
    assert made.counts.number["soft"] == number
    assert made.counts.number["showered"] == 0
    assert made.counts.energy["soft"] == pytest.approx(0.8 * number)


@pytest.mark.parametrize(("eta", "largest"), [(0.4, 0.003), (2.0, 0.003)])
def test_the_place_of_a_photon_is_found_within_a_crystal(eta: float, largest: float) -> None:
    number = 2000
    draw = random(9)
    eta = eta + draw.uniform(-0.02, 0.02, number)
    phi = draw.uniform(-3.1, 3.1, number)
    made = showering(source(0.9, 0.0))
    clusters = made.clusters(at(eta, phi, 50.0), np.ones(number, bool), EXACT)
    assert np.array_equal(clusters.event, np.arange(number))
    apart = clusters.eta - eta, np.arctan2(clusters.y, clusters.x) - phi
    for values in apart:
        # A point in a crystal of 0.0175 alone would have 0.005.
        assert values.std() < largest
        assert abs(values.mean()) < 3 * largest / np.sqrt(number) + 1e-4


def test_two_photons_merge_where_they_are_close() -> None:
    number = 300
    draw = random(2)
    middle = draw.uniform(-0.5, 0.5, number)
    made = showering(source(0.9, 0.0))

    def seen(distance: float) -> np.ndarray:
        eta = np.concatenate([middle - distance / 2, middle + distance / 2])
        event = np.tile(np.arange(number), 2)
        both = at(eta, np.full(2 * number, 0.5), np.full(2 * number, 20.0), event=event)
        clusters = made.clusters(both, np.ones(2 * number, bool), EXACT)
        total = np.bincount(clusters.event, clusters.energy, minlength=number)
        assert total == pytest.approx(np.full(number, 40.0), rel=0.01)
        return np.bincount(clusters.event, minlength=number)

    assert np.all(seen(0.01) == 1)
    assert np.all(seen(0.08) == 2)
    assert 0.02 < np.mean(seen(0.035) == 2) < 0.98


def test_electrons_with_tracks_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    unconverted(monkeypatch)
    number = 3000
    electrons = gun(number, 11, 40.0, 0.4)
    made = showering(source(0.9, 0.01))
    settings = DetectorSettings()
    found = detector.reconstruct(electrons, number, settings, random(), made).candidates
    with_track = np.bincount(found.event[found.charge != 0], minlength=number) > 0
    assert np.mean(with_track) > 0.8
    energy = np.bincount(found.event, found.pt * np.cosh(found.eta), minlength=number)
    # The excess of a calorimeter that fluctuates by one standard deviation over its track.
    assert energy[with_track].mean() == pytest.approx(40.0, rel=0.01)
    photons = np.bincount(found.event[found.pdg_id == 22], minlength=number)
    assert np.mean(photons[with_track]) < 0.2
    assert np.all(photons[~with_track] == 1)
    assert energy[~with_track].mean() == pytest.approx(40.0, rel=0.01)


def test_a_photon_on_an_electron_stays_a_photon() -> None:
    number = 500
    deposits = at(
        np.full(2 * number, 0.4),
        np.full(2 * number, 0.5),
        np.full(2 * number, 30.0),
        track=np.repeat([0.0, 30.0], number),
        event=np.tile(np.arange(number), 2),
    )
    made = showering(source(0.9, 0.0))
    clusters = made.clusters(deposits, np.repeat([True, False], number), EXACT)
    excess = np.bincount(clusters.event, clusters.energy - clusters.track, minlength=number)
    assert excess == pytest.approx(np.full(number, 30.0), rel=0.01)


def test_hadrons_and_tracks_do_not_change_with_the_response() -> None:
    number = 800
    draw = random(3)
    eta, phi = draw.uniform(-2.4, 2.4, number), draw.uniform(-3, 3, number)
    both = concatenate(
        [
            gun(number, 22, 5.0 * np.cosh(eta), eta, phi),
            gun(number, 211, 8.0 * np.cosh(eta), eta, phi + 0.05),
        ]
    )
    settings = DetectorSettings()
    before = detector.reconstruct(both, number, settings, random(4)).candidates
    after = detector.reconstruct(both, number, settings, random(4), showering(source())).candidates
    for code in (211, 130):
        old, new = np.abs(before.pdg_id) == code, np.abs(after.pdg_id) == code
        assert np.array_equal(before.event[old], after.event[new])
        assert np.array_equal(
            before.pt[old & (before.charge != 0)], after.pt[new & (after.charge != 0)]
        )


def test_equal_crystals_are_one_maximum() -> None:
    row, column = np.divmod(np.arange(16), 4)
    found = crystal_clusters.labels(
        np.zeros(16, np.int64), row, column, np.ones(16), Seeds(0.0, 0.0), 300, 100
    )
    assert set(found.tolist()) == {0}


def test_the_same_stream_gives_the_same_candidates() -> None:
    particles = gun(300, 22, 30.0, 0.4)
    first, second = (
        detector.reconstruct(
            particles, 300, DetectorSettings(), random(4), showering(source())
        ).candidates
        for _ in range(2)
    )
    assert np.array_equal(first.pt, second.pt)
    assert np.array_equal(first.phi, second.phi)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_clusters_of_crystals_are_what_a_walk_uphill_finds(seed: int) -> None:
    draw = random(seed)
    turn = 12
    cells = draw.permutation(20 * turn)[:80]
    row, column = np.divmod(cells, turn)
    energy = draw.exponential(1.0, 80)
    none = Seeds(0.0, 0.0)
    found = crystal_clusters.labels(np.zeros(80, np.int64), row, column, energy, none, turn, 20)
    known = {(r, c): n for n, (r, c) in enumerate(zip(row.tolist(), column.tolist(), strict=True))}
    for start in range(80):
        here = start
        while True:
            near = [
                known[row[here] + i, (column[here] + j) % turn]
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if (row[here] + i, (column[here] + j) % turn) in known
            ]
            best = max(near, key=lambda n: energy[n])
            if best == here:
                break
            here = best
        assert found[start] == here


def test_a_small_maximum_on_the_rim_belongs_to_the_large_one() -> None:
    event = np.zeros(4, dtype=np.int64)
    row, column = np.array([5, 7, 5, 50]), np.array([5, 5, 9, 5])
    energy = np.array([100.0, 0.5, 0.5, 0.5])

    def labels(seeds: Seeds) -> list[int]:
        return crystal_clusters.labels(event, row, column, energy, seeds, 300, 100).tolist()

    assert labels(Seeds(0.0, 0.0)) == [0, 1, 2, 3]
    assert labels(Seeds(0.0, 0.02)) == [0, 0, 2, 3]
    assert labels(Seeds(0.0, 0.06)) == [0, 0, 0, 3]
    assert labels(Seeds(1.0, 0.0)) == [0, 0, 2, 3]
    assert crystal_clusters.labels(*(np.zeros(0),) * 4, Seeds(0.0, 0.0), 300, 100).size == 0


def test_energies_outside_the_range_are_counted_and_too_many_are_an_error() -> None:
    made = showering(source(lowest=2.0, highest=100.0), least_energy=1.0)
    energies = np.array([0.5, 1.5, 50.0, 50.0, 500.0])
    deposits = at(np.full(5, 0.4), np.linspace(-2, 2, 5), energies)
    clusters = made.clusters(deposits, np.ones(5, bool), EXACT)
    assert made.counts.number == {"showered": 2, "soft": 1, "below_range": 1, "above_range": 1}
    assert clusters.energy[[0, 1, 4]] == pytest.approx([0.5, 1.5, 500.0])
    with pytest.raises(InputError, match=r"2 to 100 GeV, and of 4 .* 1 lie below and 1 above"):
        made.check()
    assert "2 photons and electrons (16.61% of the energy) became showers" in made.summary()
    assert "1 photons and electrons (83.06% of the energy) above the 100 GeV" in made.summary()
    loose = showering(source(lowest=2.0, highest=100.0), least_energy=1.0, most_outside=0.5)
    loose.clusters(deposits, np.ones(5, bool), EXACT)
    loose.check()


def test_beyond_the_endcap_nothing_showers() -> None:
    made = showering(source())
    clusters = made.clusters(at([3.4, -4.2], [0.1, 0.2], [50.0, 20.0]), np.ones(2, bool), EXACT)
    assert sum(made.counts.number.values()) == 0
    assert clusters.energy.tolist() == [50.0, 20.0]


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (lambda energies, *_: np.full((len(energies), 80), np.nan), "negative or not finite"),
        (lambda energies, *_: np.full((len(energies), 80), -1.0), "negative or not finite"),
        (lambda energies, *_: np.ones((len(energies), 7)), "shape"),
        (lambda energies, *_: np.zeros((len(energies), 80)), "no energy in showers of 1 GeV"),
    ],
)
def test_bad_showers_are_named(drawn: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"a source: .*{words}"):
        showering(source(draw=drawn))


def test_a_range_that_is_never_asked_for_is_an_error() -> None:
    # A model that was trained with energies in GeV.
    with pytest.raises(InputError, match="1000 MeV are one GeV"):
        calibrate(source(lowest=1e-6, highest=0.5), 1.0, 50, random())


def test_electrons_may_have_showers_of_their_own() -> None:
    def draw(energies: Any, photons: bool, random: np.random.Generator) -> Any:
        voxels = np.zeros((len(energies), 80))
        voxels[:, 0] = energies * (0.9 if photons else 0.5)
        return voxels

    found = calibrate(source(draw=draw, tells_electrons=True), 1.0, 30, random())
    mean, spread = found.at(np.array([7.0, 7.0]), np.array([False, True]))
    assert mean == pytest.approx([0.5, 0.9])
    assert spread == pytest.approx([0.0, 0.0], abs=1e-9)
    assert found.described()["electrons"]["mean"][0] == pytest.approx(0.5)


def test_pions_leave_no_shower() -> None:
    pions = gun(200, 211, 30.0, 0.4)
    made = showering(source())
    found = detector.reconstruct(pions, 200, DetectorSettings(), random(), made).candidates
    assert not np.any(found.pdg_id == 22)
    assert tracker.PION_MASS > 0 and made.counts.number["showered"] == 0
