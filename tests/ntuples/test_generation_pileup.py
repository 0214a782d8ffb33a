"""Pile-up: the overlay, the measurement of densities, and the comparison with CMS."""

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullchain.ntuples import densities as measured
from fullchain.ntuples import pool_file, processes, pythia_events, truth
from fullchain.ntuples.detector import reconstruct
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.generation_settings import BeamSettings, PoolSettings
from fullchain.ntuples.measure import read_sky
from fullchain.ntuples.measurement_settings import MeasurementSettings
from fullchain.ntuples.pairing import pairs
from fullchain.ntuples.particles import Particles, concatenate
from fullchain.ntuples.pileup_overlay import Pool, draw_means, overlay

RADIUS = MeasurementSettings().jet_radius


@pytest.fixture(scope="module")
def pool() -> Pool:
    """300 minimum-bias collisions."""
    lines = processes.pool_lines(PoolSettings(), BeamSettings())
    pythia = pythia_events.open_pythia(lines)
    records = pythia_events.flatten(pythia_events.generate(pythia, 4, 300), [])
    particles = pool_file.pool_particles(records, 5.4)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(particles.event, minlength=300))])
    return Pool(offsets, particles)


def test_overlay_draws_poisson_numbers_of_whole_collisions(pool: Pool) -> None:
    random = np.random.default_rng(2)
    laid = overlay(pool, np.full(2000, 3.0), 3.5, random)
    assert np.mean(laid.number) == pytest.approx(3.0, abs=4 * np.sqrt(3.0 / 2000))
    assert np.var(laid.number) == pytest.approx(3.0, rel=0.15)
    particles = laid.particles
    assert np.all(np.diff(particles.event) >= 0)
    # Each interaction is one collision of the pool: its size and its scalar sum of pT are there.
    pool_event = np.repeat(np.arange(300), np.diff(pool.offsets))
    sums = np.bincount(pool_event, pool.particles.pt)
    sizes = np.diff(pool.offsets)
    known = {(size, round(total, 6)) for size, total in zip(sizes, sums, strict=True)}
    chosen = particles.event < 100
    key = particles.event[chosen] * 100 + particles.interaction[chosen]
    _, which = np.unique(key, return_inverse=True)
    found = zip(np.bincount(which), np.bincount(which, particles.pt[chosen]), strict=True)
    assert all((size, round(total, 6)) in known for size, total in found)


def test_interactions_are_spread_along_the_beam(pool: Pool) -> None:
    laid = overlay(pool, np.full(500, 10.0), 3.5, np.random.default_rng(3))
    particles = laid.particles
    made_at_centre = np.hypot(particles.x, particles.y) == 0
    key = particles.event[made_at_centre] * 100 + particles.interaction[made_at_centre]
    _, first = np.unique(key, return_index=True)
    place = particles.z[made_at_centre][first]
    assert np.std(place) == pytest.approx(3.5, rel=0.05)
    assert np.mean(place) == pytest.approx(0.0, abs=0.25)


def test_profile_gives_the_means() -> None:
    random = np.random.default_rng(1)
    means = draw_means(20_000, 50.0, {20: 1.0, 40: 3.0}, random)
    assert set(means.tolist()) == {20.0, 40.0}
    assert np.mean(means == 40.0) == pytest.approx(0.75, abs=0.015)
    assert set(draw_means(10, 50.0, {}, random).tolist()) == {50.0}


def test_pairs_of_the_same_event() -> None:
    counts, others = np.array([2, 0, 1, 3]), np.array([1, 4, 0, 2])
    i, j = pairs(counts, others)
    event_i = np.repeat(np.arange(4), counts)
    event_j = np.repeat(np.arange(4), others)
    expected = {(a, b) for a in range(6) for b in range(7) if event_i[a] == event_j[b]}
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected
    assert len(i) == len(expected)


def uniform_sky(density: float, events: int = 60) -> measured.Sky:
    """Photons with a uniform density per interaction, and two jets full of more of them."""
    random = np.random.default_rng(7)
    interactions = random.integers(20, 40, events).astype(float)
    area = 2 * 1.5 * 2 * np.pi
    number = random.poisson(density * interactions * area)
    total = int(number.sum())
    eta, phi = random.uniform(-1.5, 1.5, total), random.uniform(-np.pi, np.pi, total)
    event = np.repeat(np.arange(events), number)
    jet_eta, jet_phi = random.uniform(-1, 1, (events, 2)), random.uniform(-3, 3, (events, 2))
    crowd = np.repeat(np.arange(events), 200)
    eta = np.concatenate([eta, jet_eta[crowd, 0] + random.uniform(-0.5, 0.5, len(crowd))])
    phi = np.concatenate([phi, jet_phi[crowd, 0] + random.uniform(-0.5, 0.5, len(crowd))])
    event = np.concatenate([event, crowd])
    order = np.argsort(event, kind="stable")
    return measured.Sky(
        counts=np.bincount(event, minlength=events),
        pt=np.full(len(event), 0.4),
        eta=eta[order],
        phi=phi[order],
        pdg_id=np.full(len(event), 22),
        jet_counts=np.full(events, 2),
        jet_eta=jet_eta.ravel(),
        jet_phi=jet_phi.ravel(),
        interactions=interactions,
    )


def test_density_is_recovered_beside_jets() -> None:
    found = measured.densities(uniform_sky(0.3), 1.2)["densities"]["photon.barrel"]
    assert found["density"] == pytest.approx(0.3, abs=4 * found["error"])
    assert found["error"] < 0.01
    in_bin = [low <= 0.4 < high for low, high in pairwise(measured.PT_EDGES)]
    assert [value > 0 for value in found["spectrum"]] == in_bin
    assert sum(found["spectrum"]) == pytest.approx(found["density"])


def test_a_jet_that_is_kept_spoils_the_density() -> None:
    found = measured.densities(uniform_sky(0.3), 0.01)["densities"]["photon.barrel"]
    assert found["density"] > 0.4


@pytest.fixture(scope="module")
def our_sky(pool: Pool) -> measured.Sky:
    """50 events of 30 minimum-bias collisions each, without a hard one."""
    events = 50
    random = np.random.default_rng(5)
    laid = overlay(pool, np.full(events, 30.0), 3.5, random)
    found = reconstruct(concatenate([laid.particles]), events, DetectorSettings(), random)
    c = found.candidates
    return measured.Sky(
        counts=np.bincount(c.event, minlength=events),
        pt=c.pt,
        eta=c.eta,
        phi=c.phi,
        pdg_id=c.pdg_id,
        jet_counts=np.zeros(events, dtype=np.int64),
        jet_eta=np.zeros(0),
        jet_phi=np.zeros(0),
        interactions=laid.number.astype(float),
    )


@pytest.mark.parametrize("place", [".".join(pair) for pair in measured.MEASURED])
def test_density_of_pileup_resembles_cms(our_sky: measured.Sky, place: str) -> None:
    ours = measured.densities(our_sky, RADIUS)["densities"][place]
    cms = measured.cms_reference()["densities"][place]
    ratio = ours["density"] / cms["density"]
    error = ratio * np.hypot(ours["error"] / ours["density"], cms["error"] / cms["density"])
    # The CMS events have a hard collision and recoiling jets, ours none: up to a tenth more there.
    assert abs(ratio - 1.0) < 0.20 + error, f"{place}: {ratio:.2f} +- {error:.2f}"


@pytest.mark.parametrize("place", [".".join(pair) for pair in measured.MEASURED])
def test_spectrum_of_pileup_resembles_cms(our_sky: measured.Sky, place: str) -> None:
    ours = measured.densities(our_sky, RADIUS)["densities"][place]
    reference = measured.cms_reference()
    cms = reference["densities"][place]
    low, high = measured.REGIONS[place.partition(".")[2]]
    exposure = reference["events"] * reference["interactions"] * (high - low) * 4 * np.pi
    compared = 0
    for edge, a, b, error in zip(
        measured.PT_EDGES, ours["spectrum"], cms["spectrum"], cms["spectrum_error"], strict=False
    ):
        if b * exposure >= measured.ENOUGH_COUNTS:
            compared += 1
            relative = max(error / b, (b * exposure) ** -0.5)
            # Two standard errors; without a hard collision the softest photons are fewer.
            assert abs(a / b - 1.0) < 0.30 + 2.0 * relative, f"{place} from {edge}: {a / b:.2f}"
    assert compared >= 3 or place == "photon.edge"


def test_worst_bin_is_found() -> None:
    reference = measured.cms_reference()
    same = measured.worst_bin(reference, reference)
    assert same is not None
    assert same["ratio"] == 1.0
    assert same["beyond"] == 0
    assert same["bins"] > 50
    ours = copy.deepcopy(reference)
    ours["densities"]["neutral.barrel"]["spectrum"][4] *= 0.5
    ours["densities"]["photon.barrel"]["spectrum"][0] *= 1.6
    worst = measured.worst_bin(ours, reference)
    assert worst is not None
    assert (worst["place"], worst["edges"]) == ("neutral.barrel", [0.8, 1.2])
    assert worst["ratio"] == pytest.approx(0.5)
    assert worst["beyond"] == 2
    cms = reference["densities"]["neutral.barrel"]
    assert worst["error"] > 0.5 * cms["spectrum_error"][4] / cms["spectrum"][4]
    # A bin with hardly any candidates, here and there, does not count; a surplus does.
    ours["densities"]["photon.edge"]["spectrum"][-2] *= 0.1
    assert measured.worst_bin(ours, reference) == worst
    ours["densities"]["photon.endcap"]["spectrum"][0] *= 6.0
    surplus = measured.worst_bin(ours, reference)
    assert surplus is not None
    assert (surplus["place"], surplus["edges"]) == ("photon.endcap", [0.1, 0.2])
    assert surplus["ratio"] == pytest.approx(6.0)


def test_most_vertices_are_found(pool: Pool) -> None:
    random = np.random.default_rng(6)
    laid = overlay(pool, np.full(40, 30.0), 3.5, random)
    found = reconstruct(concatenate([laid.particles]), 40, DetectorSettings(), random)
    per_interaction = np.bincount(found.vertices.event, minlength=40).sum() / laid.number.sum()
    # 23.7 of 29.5 in the CMS file.
    assert per_interaction == pytest.approx(0.80, abs=0.10)


def test_detector_particles_come_without_neutrinos(pool: Pool) -> None:
    particles: Particles = pool.particles
    assert not set(np.abs(particles.pdg_id).tolist()) & {12, 14, 16}
    assert truth.NEUTRINOS == (12, 14, 16)


@pytest.mark.real_data
def test_reference_is_what_the_cms_file_gives(shared_data: Path) -> None:
    limit = MeasurementSettings().max_events
    fresh = measured.densities(read_sky(shared_data / "pfnano.root", "Events", limit), RADIUS)
    saved = measured.cms_reference()

    def check(one: Any, other: Any, where: str) -> None:
        if isinstance(one, dict):
            for key in one:
                check(one[key], other[key], f"{where}.{key}")
        else:
            assert other == pytest.approx(one, rel=1e-3, abs=1e-9), where

    check(fresh, saved, "reference")
