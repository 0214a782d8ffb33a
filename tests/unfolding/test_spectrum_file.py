"""Spectra on disk."""

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import spectrum_file
from fullchain.unfolding.unfolded import Spectrum


def spectrum(name, bins=3):
    chance = np.random.default_rng(bins)
    root = chance.random((bins, bins))
    return Spectrum(
        name,
        np.linspace(0.0, 1.0, bins + 1),
        chance.random(bins) * 100,
        (1.5, 0.25),
        {"data": root @ root.T, "simulation": np.eye(bins)},
        {"jes_up": chance.random(bins)},
    )


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "spectra.json"
    kept = {
        "metric": {"mass": spectrum("mass", 5)},
        "published": {"mass": spectrum("mass"), "width": spectrum("width", 4)},
    }
    spectrum_file.write(path, kept, {"method": "ibu", "iterations": 4})
    found, about = spectrum_file.read(path)
    assert about == {"method": "ibu", "iterations": 4}
    assert {binning: set(one) for binning, one in found.items()} == {
        "metric": {"mass"},
        "published": {"mass", "width"},
    }
    for binning, spectra in kept.items():
        for name, one in spectra.items():
            other = found[binning][name]
            assert (other.observable, other.outside) == (name, (1.5, 0.25))
            np.testing.assert_array_equal(other.edges, one.edges)
            np.testing.assert_array_equal(other.counts, one.counts)
            np.testing.assert_array_equal(other.covariances["data"], one.covariances["data"])
            np.testing.assert_array_equal(other.shifts["jes_up"], one.shifts["jes_up"])
    assert spectrum_file.read_replicas(path) == {}
    assert spectrum_file.read_joint(path) == {}


def test_replicas_and_joint_spectra_are_kept(tmp_path):
    path = tmp_path / "spectra.json"
    counts = np.random.default_rng(1).random((4, 3)) * 1e5
    joint = spectrum_file.JointSpectrum(
        ("mass", "width"),
        (np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0])),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        7.0,
        {"data": np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 3.0, 2.0], [0.0, 1.0, 1.0, 4.0]])},
        {"jes_up": np.arange(4.0)},
        {"mass": spectrum("mass", 2)},
    )
    spectrum_file.write(
        path,
        {"metric": {"mass": spectrum("mass")}},
        {},
        replicas={"metric": {"mass": {"data": counts}}},
        joint={"mass_width": joint},
    )
    found = spectrum_file.read_replicas(path)["metric"]["mass"]["data"]
    np.testing.assert_allclose(found, counts, rtol=1e-6)
    other = spectrum_file.read_joint(path)["mass_width"]
    assert (other.observables, other.outside) == (joint.observables, 7.0)
    np.testing.assert_array_equal(other.counts, joint.counts)
    np.testing.assert_array_equal(other.edges[1], joint.edges[1])
    expected = np.cov(joint.replicas["data"], rowvar=False)
    np.testing.assert_array_equal(other.covariances["data"], expected)
    projected = other.projections["mass"]
    np.testing.assert_array_equal(projected.counts, joint.projections["mass"].counts)
    assert projected.observable == "mass"


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    path = tmp_path / "spectra.json"
    bad = spectrum("mass")
    bad.counts[1] = np.nan
    with pytest.raises(ValueError):
        spectrum_file.write(path, {"metric": {"mass": bad}}, {})
    assert not path.exists()


def test_what_is_no_file_of_spectra_is_named(tmp_path):
    path = tmp_path / "spectra.json"
    with pytest.raises(InputError, match="no such file"):
        spectrum_file.read(path)
    path.write_text("{}")
    with pytest.raises(InputError, match=r"spectra\.json"):
        spectrum_file.read(path)
