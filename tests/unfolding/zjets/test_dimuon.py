"""The muon pair of a Z boson."""

import numpy as np
import pytest

from fullchain.jets.arrays import Kinematics, momenta, offsets_of
from fullchain.jets.reading import Candidates
from fullchain.settings import validate
from fullchain.unfolding.dimuon import find
from fullchain.unfolding.selection_settings import DimuonSettings

SETTINGS = DimuonSettings()


def events(*rows):
    """Particles of events given as lists of (pt, eta, phi, mass, charge, pdgId)."""
    counts = np.array([len(event) for event in rows])
    table = np.array([row for event in rows for row in event], float).reshape(-1, 6)
    n = len(table)
    offsets = offsets_of(counts)
    return Candidates(
        momenta(*table[:, :4].T),
        np.ones(n),
        table[:, 4].astype(np.int8),
        table[:, 5].astype(np.int32),
        np.full(n, 3),
        np.arange(n),
        np.arange(n) - np.repeat(offsets[:-1], counts),
        offsets,
    )


def test_a_pair_is_found_with_its_mass_and_pt(pair):
    given = events(pair(250.0, 0.3, 3.0), [])
    found = find(given, SETTINGS)
    total = Kinematics.of(given.momenta.sum(axis=0)[None])
    np.testing.assert_array_equal(found.found, [True, False])
    assert found.mass[0] == pytest.approx(total.mass[0])
    assert found.pt[0] == pytest.approx(250.0, rel=1e-3)
    assert found.mass[0] == pytest.approx(91.1876, rel=1e-2)
    assert found.members.all() and np.isnan(found.pt[1])


def test_the_pair_nearest_to_the_z_is_taken_not_the_hardest(pair):
    extra = (300.0, 1.0, -1.0, 0.106, -1, 13)
    found = find(events([extra, *pair(250.0, 0.0, 1.0)]), SETTINGS)
    np.testing.assert_array_equal(found.members, [False, True, True])


@pytest.mark.parametrize(
    "change", [{"charge": 1}, {"pt": 15.0}, {"eta": 2.5}, {"pdgId": 211}], ids=str
)
def test_a_muon_that_fails_makes_no_pair(pair, change):
    first, second = pair(250.0, 0.0, 1.0)
    names = ("pt", "eta", "phi", "mass", "charge", "pdgId")
    second = tuple(change.get(name, value) for name, value in zip(names, second, strict=True))
    first = (*first[:4], 1, -13)
    if "charge" not in change:
        second = (*second[:4], -1, second[5])
    found = find(events([first, second]), SETTINGS)
    assert not found.found[0] and not found.members.any()


def test_photons_near_a_muon_belong_to_it(pair):
    first, second = pair(250.0, 0.0, 1.0)
    near = (20.0, first[1] + 0.05, first[2], 0.0, 0, 22)
    far = (20.0, first[1] + 0.15, first[2], 0.0, 0, 22)
    pion = (20.0, first[1] - 0.05, first[2], 0.14, 1, 211)
    given = events([near, first, far, second, pion])
    dressed = find(given, SETTINGS)
    np.testing.assert_array_equal(dressed.members, [True, True, False, True, False])
    total = Kinematics.of(given.momenta[[0, 1, 3]].sum(axis=0)[None])
    assert dressed.pt[0] == pytest.approx(total.pt[0])
    bare = find(given, DimuonSettings(dressing_radius=0.0))
    np.testing.assert_array_equal(bare.members, [False, True, False, True, False])


def test_dressing_comes_before_the_cut_on_the_muon(pair):
    muon = (18.0, 0.0, 0.0, 0.106, 1, -13)
    photon = (4.0, 0.0, 0.02, 0.0, 0, 22)
    other = (80.0, 0.0, 2.0, 0.106, -1, 13)
    assert find(events([muon, photon, other]), SETTINGS).found[0]
    assert not find(events([muon, other]), SETTINGS).found[0]


def test_cuts_follow_each_other(pair):
    low = [(40.0, 0.0, 0.0, 0.106, 1, -13), (40.0, 0.0, 0.4, 0.106, -1, 13)]
    cuts = find(events(pair(250.0, 0.0, 1.0), pair(150.0, 0.0, 1.0), low, []), SETTINGS).cuts(
        SETTINGS
    )
    assert list(cuts) == ["two muons", "dimuon mass", "dimuon pT"]
    np.testing.assert_array_equal(cuts["two muons"], [True, True, True, False])
    np.testing.assert_array_equal(cuts["dimuon mass"], [True, True, False, False])
    np.testing.assert_array_equal(cuts["dimuon pT"], [True, False, False, False])


@pytest.mark.parametrize("sample", ["zmumu", "zmumu_cp5"])
def test_default_samples_begin_well_below_the_cut(sample):
    """Else no event would enter the selection from below, and fakes would be missing."""
    assert validate({}).ntuples.samples[sample].pthat_min <= 0.85 * SETTINGS.pt_min


def test_a_mass_window_must_be_one():
    with pytest.raises(ValueError, match="mass_max"):
        DimuonSettings(mass_min=100.0, mass_max=90.0)
