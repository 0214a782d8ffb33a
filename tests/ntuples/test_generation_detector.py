"""The parametric detector: closure of its parameterisations, paths, clusters, vertices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.ntuples import calorimeter, detector, helix, material, tracker, vertices
from fullchain.ntuples.detector_settings import (
    CalorimeterSettings,
    DetectorSettings,
    TrackerSettings,
    VertexSettings,
)
from fullchain.ntuples.particles import Particles, charge_of, concatenate

TRACKER = TrackerSettings()
CALORIMETER = CalorimeterSettings()
SIZES = (0.087, 0.174, 0.41, 0.175)


def gun(
    number: int,
    code: int,
    pt: Any,
    eta: Any,
    phi: Any = 0.3,
    *,
    mass: float = 0.0,
    one_event: bool = False,
    **where: Any,
) -> Particles:
    """Particles of one species, each in its own event unless `one_event`."""
    full = np.ones(number)
    pt, eta, phi = full * pt, full * eta, full * phi
    pdg_id = np.full(number, code)
    place = {axis: full * where.get(axis, 0.0) for axis in ("x", "y", "z")}
    event = np.zeros(number, dtype=np.int32) if one_event else np.arange(number, dtype=np.int32)
    return Particles(
        event=event,
        interaction=np.asarray(full * where.get("interaction", 0)).astype(np.int32),
        pdg_id=pdg_id,
        charge=charge_of(pdg_id),
        px=pt * np.cos(phi),
        py=pt * np.sin(phi),
        pz=pt * np.sinh(eta),
        e=np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2),
        **place,
    )


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("pt", "eta", "code", "x"),
    [
        (0.3, 0.2, 211, 0.0),
        (1.0, 0.2, 211, 0.0),
        (5.0, 2.0, 321, 0.0),
        (5.0, 2.8, -211, 0.0),
        (5.0, 0.0, 211, 20.0),
        (5.0, 0.5, 11, 0.0),
        (5.0, 0.5, 13, 0.0),
    ],
)
def test_tracks_are_found_with_the_stated_efficiency(
    pt: float, eta: float, code: int, x: float
) -> None:
    number = 20_000
    tracks = tracker.reconstruct(gun(number, code, pt, eta, x=x), TRACKER, random())
    one = np.ones(1)
    expected = tracker.efficiency(one * pt, one * eta, one * abs(code), one * x, TRACKER)[0]
    assert 0.05 < expected < 1.0
    error = np.sqrt(expected * (1 - expected) / number)
    assert len(tracks.pt) / number == pytest.approx(expected, abs=4 * error)


def test_nothing_is_found_outside_the_tracker() -> None:
    for particles in (gun(500, 211, 5.0, 3.1), gun(500, 211, 0.1, 0.0), gun(500, 22, 5.0, 0.0)):
        assert len(tracker.reconstruct(particles, TRACKER, random()).pt) == 0


@pytest.mark.parametrize(("pt", "eta"), [(1.0, 0.2), (10.0, 1.0), (100.0, 2.0)])
def test_track_resolution_closes(pt: float, eta: float) -> None:
    tracks = tracker.reconstruct(gun(40_000, 211, pt, eta), TRACKER, random())
    relative = pt / tracks.pt - 1.0
    expected = tracker.pt_resolution(np.array([pt]), np.array([eta]))[0]
    assert np.std(relative) == pytest.approx(expected, rel=0.03)
    assert np.mean(relative) == pytest.approx(0.0, abs=4 * expected / np.sqrt(len(relative)))
    for value, error in ((tracks.d0, tracks.d0_error), (tracks.z, tracks.z_error)):
        pull = value / error
        assert np.std(pull) == pytest.approx(1.0, rel=0.03)
        assert abs(np.mean(pull)) < 4.0 / np.sqrt(len(pull))


def test_impact_resolution_resembles_cms() -> None:
    # Medians of d0Err and dzErr [um] of tracks with |eta| < 1 in the CMS file, by pT.
    for pt, d0, dz in ((0.72, 97, 98), (1.4, 55, 62), (3.0, 35, 43), (7.0, 21, 27), (20.0, 14, 22)):
        found = tracker.impact_resolution(np.array([pt]), np.array([0.5]), TRACKER)
        assert found[0][0] * 1e4 == pytest.approx(d0, rel=0.25)
        assert found[1][0] * 1e4 == pytest.approx(dz, rel=0.35)


@pytest.mark.parametrize(
    ("code", "pt", "expected"),
    [(11, 10.0, 11), (-11, 1.0, 211), (13, 10.0, 13), (-13, 1.0, 211), (-2212, 10.0, -211)],
)
def test_reconstructed_species(code: int, pt: float, expected: int) -> None:
    particles = gun(500, code, pt, 0.1)
    tracks = tracker.reconstruct(particles, TRACKER, random())
    assert set(tracks.pdg_id.tolist()) == {expected}
    assert set(tracks.charge.tolist()) == {particles.charge[0]}


def follow(particle: Particles, field: float, radius: float, half_length: float) -> np.ndarray:
    """Step a charged particle through the field until it leaves the cylinder."""
    position = np.array([particle.x[0], particle.y[0], particle.z[0]])
    momentum = np.array([particle.px[0], particle.py[0], particle.pz[0]])
    size = np.linalg.norm(momentum)
    step = 0.01  # cm
    # dp/ds = q 0.3 B (p/|p|) x z, with s in m.
    bend = 0.299792458e-2 * field * particle.charge[0]
    while np.hypot(*position[:2]) < radius and abs(position[2]) < half_length:
        direction = momentum / size
        middle = momentum + 0.5 * step * bend * np.cross(direction, [0.0, 0.0, 1.0])
        direction = middle / np.linalg.norm(middle)
        position = position + step * direction
        momentum = momentum + step * bend * np.cross(direction, [0.0, 0.0, 1.0])
        momentum *= size / np.linalg.norm(momentum)
    return position


@pytest.mark.parametrize("code", [211, -211])
@pytest.mark.parametrize(("pt", "eta"), [(1.0, 0.1), (5.0, -1.0), (0.9, 2.2)])
def test_helix_follows_the_lorentz_force(code: int, pt: float, eta: float) -> None:
    particle = gun(1, code, pt, eta, phi=2.0, x=3.0, y=-2.0, z=5.0)
    entrance = helix.calorimeter_entrance(particle, 3.8, 129.0, 317.0)
    expected = follow(particle, 3.8, 129.0, 317.0)
    assert entrance.reached[0]
    found = np.array([entrance.x[0], entrance.y[0], entrance.z[0]])
    assert found == pytest.approx(expected, abs=0.1)


def test_soft_particles_turn_before_the_calorimeter() -> None:
    soft = helix.calorimeter_entrance(gun(1, 211, 0.6, 0.0), 3.8, 129.0, 317.0)
    hard = helix.calorimeter_entrance(gun(1, 211, 0.8, 0.0), 3.8, 129.0, 317.0)
    assert not soft.reached[0]
    assert hard.reached[0]


@given(
    pt=st.floats(0.3, 200.0),
    eta=st.floats(-2.9, 2.9),
    phi=st.floats(-3.1, 3.1),
    code=st.sampled_from([22, 211, -211]),
)
def test_entrance_lies_on_the_surface(pt: float, eta: float, phi: float, code: int) -> None:
    entrance = helix.calorimeter_entrance(gun(1, code, pt, eta, phi), 3.8, 129.0, 317.0)
    radius, z = np.hypot(entrance.x[0], entrance.y[0]), abs(entrance.z[0])
    if entrance.reached[0]:
        on_barrel = radius == pytest.approx(129.0, rel=1e-6) and z <= 317.0 + 1e-3
        on_endcap = z == pytest.approx(317.0, rel=1e-6) and radius <= 129.0 + 1e-3
        assert on_barrel or on_endcap


@given(phi=st.floats(-3.1, 3.1), turn=st.floats(-3.0, 3.0), x=st.floats(-5, 5), y=st.floats(-5, 5))
def test_impact_parameter_does_not_depend_on_the_frame(
    phi: float, turn: float, x: float, y: float
) -> None:
    here = gun(1, 211, 3.0, 0.5, phi, x=x, y=y)
    turned = gun(
        1,
        211,
        3.0,
        0.5,
        phi + turn,
        x=np.cos(turn) * x - np.sin(turn) * y,
        y=np.sin(turn) * x + np.cos(turn) * y,
    )
    one, other = (helix.impact_parameters(p, 3.8)[0][0] for p in (here, turned))
    assert one == pytest.approx(other, abs=1e-6)


def test_impact_parameter_of_a_nearly_straight_line() -> None:
    particle = gun(1, 211, 1000.0, 1.0, phi=0.7, x=0.2, y=-0.1, z=3.0)
    d0, z = helix.impact_parameters(particle, 3.8)
    assert d0[0] == pytest.approx(-0.2 * np.sin(0.7) - 0.1 * np.cos(0.7), abs=1e-4)
    along = 0.2 * np.cos(0.7) - 0.1 * np.sin(0.7)
    assert z[0] == pytest.approx(3.0 - along * np.sinh(1.0))


@pytest.mark.parametrize("energy", [2.0, 20.0, 200.0])
@pytest.mark.parametrize("resolution", [calorimeter.ecal_resolution, calorimeter.hcal_resolution])
def test_energy_resolution_closes(energy: float, resolution: Any) -> None:
    full = np.full(200_000, energy)
    sigma = resolution(full, np.zeros(len(full)), CALORIMETER)
    measured = calorimeter.smear(full, sigma, random())
    assert np.all(measured >= 0)
    assert np.mean(measured) == pytest.approx(energy, abs=4 * sigma[0] / np.sqrt(len(full)))
    assert np.std(measured) == pytest.approx(sigma[0], rel=0.02)


def test_resolutions_have_the_documented_values() -> None:
    hundred, central = np.array([100.0]), np.array([0.0])
    hadron = calorimeter.hcal_resolution(hundred, central, CALORIMETER)[0] / 100.0
    assert hadron == pytest.approx(np.hypot(0.11, 0.09))
    photon = calorimeter.ecal_resolution(hundred, central, CALORIMETER)[0] / 100.0
    assert photon == pytest.approx(np.sqrt(0.0028**2 + 0.0012**2 + 0.007**2))


@given(
    eta=st.floats(-5.19, 5.19),
    phi=st.floats(-3.14, 3.14),
    deta=st.floats(-0.5, 0.5),
    dphi=st.floats(0.0, 6.28),
)
def test_cells_tell_directions_apart(eta: float, phi: float, deta: float, dphi: float) -> None:
    other_eta = np.clip(eta + deta, -5.19, 5.19)
    cells = calorimeter.cell_number(
        np.array([eta, eta, other_eta]), np.array([phi, phi + 2 * np.pi, phi + dphi]), SIZES
    )
    assert cells.min() >= 0
    assert cells.max() < calorimeter.CELLS
    apart = np.hypot(other_eta - eta, min(dphi, 2 * np.pi - dphi))
    if apart > 2 * (0.42 if max(abs(eta), abs(other_eta)) > 2.4 else 0.18):
        assert cells[0] != cells[2]


def test_clusters_hold_all_energy() -> None:
    number, events = 5000, 7
    draw = random(3)
    eta, phi = draw.uniform(-5, 5, number), draw.uniform(-np.pi, np.pi, number)
    event = np.sort(draw.integers(0, events, number)).astype(np.int32)
    deposits = calorimeter.Deposits(
        event=event,
        eta=eta,
        phi=phi,
        x=129.0 * np.cos(phi),
        y=129.0 * np.sin(phi),
        z=129.0 * np.sinh(eta),
        energy=draw.exponential(3.0, number),
        track=np.where(draw.random(number) < 0.5, draw.exponential(3.0, number), 0.0),
        hard=(draw.random(number) < 0.5).astype(float),
    )
    clusters = calorimeter.cluster(deposits, SIZES)
    assert len(clusters.energy) < number
    for of_clusters, of_deposits in (
        (clusters.energy, deposits.energy),
        (clusters.track, deposits.track),
    ):
        assert np.bincount(clusters.event, of_clusters) == pytest.approx(
            np.bincount(event, of_deposits)
        )
    assert np.all((clusters.hard_fraction >= 0) & (clusters.hard_fraction <= 1))


def test_photons_convert_with_the_stated_probability() -> None:
    for eta in (0.0, 1.5, 2.3):
        photons = gun(20_000, 22, 5.0, eta)
        after = material.convert(photons, 129.0, 317.0, random())
        pairs = np.count_nonzero(after.pdg_id == 11)
        expected = material.conversion_probability(np.array([eta]))[0]
        assert pairs / len(photons) == pytest.approx(expected, abs=0.015)
        assert np.count_nonzero(after.pdg_id == -11) == pairs
        assert len(after) <= len(photons) + 2 * pairs
        assert np.count_nonzero(after.pdg_id == 22) > len(photons) - pairs


def test_pairs_radiate_as_much_as_the_material_says() -> None:
    photons = gun(40_000, 22, 5.0, 0.7)
    after = material.convert(photons, 129.0, 317.0, random())
    electrons = np.abs(after.pdg_id) == 11
    kept = after.e[electrons].sum() / (photons.e[0] * np.count_nonzero(electrons) / 2)
    # exp(-t) on average over t radiation lengths, pairs being made anywhere along the way.
    thickness = material.radiation_lengths(np.array([0.7]))[0]
    left = thickness * (1.0 - np.linspace(material.FIRST, material.LAST, 1001))
    assert kept == pytest.approx(np.mean(np.exp(-left)), abs=0.01)
    radiated = (after.pdg_id == 22) & (np.hypot(after.x, after.y) > 0)
    goes_on = np.mean((1.0 - np.exp(-left)) * np.exp(-material.PAIRS_PER_LENGTH * left / 2.0))
    pairs = np.count_nonzero(electrons) / 2
    assert after.e[radiated].sum() / (photons.e[0] * pairs) == pytest.approx(goes_on, abs=0.01)
    assert after.e.sum() < photons.e.sum()


@pytest.mark.parametrize(("electromagnetic", "eta"), [(True, 0.5), (True, 2.0), (False, 0.5)])
def test_the_softest_candidate_lies_above_the_threshold(electromagnetic: bool, eta: float) -> None:
    energy, places = np.linspace(0.0, 40.0, 8001), np.full(8001, eta)
    seen = calorimeter.visibility(energy, places, electromagnetic, CALORIMETER)
    lowest = calorimeter.threshold(places[:1], electromagnetic, CALORIMETER)[0]
    assert np.all(seen[energy <= lowest] == 0)
    assert np.all(np.diff(seen) > -1e-9)
    assert seen[-1] > 0.99
    made = calorimeter.calibrated(energy, places, electromagnetic, CALORIMETER)
    # CMS: 0.29, 0.8 and 1.0 GeV.
    expected = {(True, 0.5): 0.29, (True, 2.0): 0.8, (False, 0.5): 1.0}[electromagnetic, eta]
    assert made[seen > 0].min() == pytest.approx(expected, rel=0.1)
    assert made[-1] == pytest.approx(40.0, rel=1e-3)


def test_thresholds_of_hadrons_grow_towards_the_beam() -> None:
    eta = np.linspace(0.0, 2.99, 300)
    lowest = calorimeter.threshold(eta, False, CALORIMETER)
    assert np.all(np.diff(lowest) >= 0)
    assert lowest[0] == CALORIMETER.hcal_threshold_barrel
    assert lowest[-1] == pytest.approx(CALORIMETER.hcal_threshold_endcap)


def test_photons_beyond_the_tracker_join_the_hadron_behind_them() -> None:
    number = 400

    def both(eta: float) -> detector.Candidates:
        hadron = gun(number, 130, 8.0, eta, 0.3)
        photon = gun(number, 22, 3.0, eta, 0.3, interaction=1)
        return reconstruct(concatenate([hadron, photon]), number)

    edge, endcap = both(2.7), both(2.2)
    assert np.mean(edge.pdg_id == 22) < 0.1
    assert np.mean(endcap.pdg_id == 22) > 0.15
    neutral = edge.pdg_id == 130
    assert np.mean(edge.hard_fraction[neutral]) < 0.95
    assert np.all(endcap.hard_fraction[endcap.pdg_id == 130] == 1.0)


def reconstruct(particles: Particles, events: int) -> detector.Candidates:
    return detector.reconstruct(particles, events, DetectorSettings(), random()).candidates


def test_an_isolated_photon_is_one_photon() -> None:
    number = 3000
    found = reconstruct(gun(number, 22, 40.0, 0.3), number)
    # Conversions split some.
    single = np.bincount(found.event, minlength=number) == 1
    assert np.mean(single) > 0.7
    alone = single[found.event] & (found.pdg_id == 22)
    assert np.mean(found.pt[alone]) == pytest.approx(40.0, rel=0.005)
    # The central part; pairs of which one side is lost make a tail.
    low, high = np.percentile(found.pt[alone], [16, 84])
    assert (high - low) / 2 / 40.0 < 0.02
    assert np.mean(found.phi[alone]) == pytest.approx(0.3, abs=1e-3)
    assert np.all(found.d0[found.pdg_id == 22] == detector.NO_TRACK)


def test_an_isolated_pion_is_one_charged_hadron_or_without_track_a_neutral_one() -> None:
    number = 4000
    found = reconstruct(gun(number, 211, 20.0, 0.3, mass=tracker.PION_MASS), number)
    charged = np.bincount(found.event[found.charge != 0], minlength=number)
    neutral = np.bincount(found.event[found.charge == 0], minlength=number)
    with_track = charged == 1
    # A fluctuation beyond 1.6 standard deviations makes a neutral hadron beside the track.
    assert np.mean(neutral[with_track]) < 0.12
    assert np.mean(neutral[~with_track]) > 0.95
    lost = ~with_track[found.event]
    assert np.mean(found.pt[lost]) == pytest.approx(20.0, rel=0.05)
    assert set(found.pdg_id[lost].tolist()) == {130}


def test_forward_particles_have_the_codes_of_the_forward_calorimeter() -> None:
    number = 500
    hadrons = reconstruct(gun(number, 211, 10.0, 3.6, mass=tracker.PION_MASS), number)
    photons = reconstruct(gun(number, 22, 10.0, 3.6), number)
    assert set(hadrons.pdg_id.tolist()) == {detector.FORWARD_HADRON}
    assert set(photons.pdg_id.tolist()) == {detector.FORWARD_PHOTON}


def test_candidates_are_ordered() -> None:
    draw = random(8)
    particles = gun(4000, 211, draw.exponential(2.0, 4000), draw.uniform(-2, 2, 4000), 1.0)
    object.__setattr__(particles, "event", np.sort(draw.integers(0, 50, 4000)).astype(np.int32))
    found = reconstruct(particles, 50)
    same = np.diff(found.event) == 0
    assert np.all(np.diff(found.event) >= 0)
    assert np.all(np.diff(found.pt)[same] <= 0)


def two_collisions(distance: float, events: int = 200) -> tuple[Particles, np.ndarray]:
    """Ten pions from a hard collision at z = 1 cm and ten softer ones `distance` cm away."""
    draw = random(4)
    number = 20 * events
    second = np.tile(np.repeat([0, 1], 10), events)
    particles = gun(
        number,
        211,
        np.where(second == 0, 20.0, 2.0),
        draw.uniform(-1.5, 1.5, number),
        draw.uniform(-3, 3, number),
        mass=tracker.PION_MASS,
        z=1.0 + distance * second,
        interaction=second,
    )
    object.__setattr__(particles, "event", np.repeat(np.arange(events, dtype=np.int32), 20))
    return particles, second


def test_vertices_of_two_collisions() -> None:
    particles, _ = two_collisions(0.5)
    tracks = tracker.reconstruct(particles, TRACKER, random())
    found = vertices.reconstruct(tracks, 200, VertexSettings())
    assert np.all(np.bincount(found.event) == 2)
    assert vertices.leading_z(found) == pytest.approx(1.0, abs=0.02)
    association = vertices.associate(tracks, found, VertexSettings())
    hard = tracks.interaction == 0
    assert np.mean(association.from_pv[hard] == vertices.PV_USED_IN_FIT) > 0.99
    assert np.mean(association.from_pv[~hard] == vertices.NO_PV) > 0.99
    assert np.mean(association.vertex[~hard] == 1) > 0.99
    assert np.median(association.dz[~hard]) == pytest.approx(0.5, abs=0.01)


def test_close_collisions_are_one_vertex() -> None:
    particles, _ = two_collisions(0.01)
    tracks = tracker.reconstruct(particles, TRACKER, random())
    found = vertices.reconstruct(tracks, 200, VertexSettings())
    assert np.mean(np.bincount(found.event) == 1) > 0.95


def test_an_event_without_tracks_has_a_vertex_at_the_origin() -> None:
    tracks = tracker.reconstruct(gun(3, 22, 10.0, 0.0), TRACKER, random())
    found = vertices.reconstruct(tracks, 3, VertexSettings())
    assert np.array_equal(found.event, [0, 1, 2])
    assert np.all(found.z == 0)
    assert np.all(found.tracks == 0)


def test_an_empty_detector_gives_nothing() -> None:
    found = reconstruct(gun(0, 22, 1.0, 0.0), 5)
    assert len(found.pt) == 0


def test_an_unknown_species_is_refused() -> None:
    with pytest.raises(ValueError, match="1000022"):
        charge_of(np.array([211, 1000022]))
