"""The step that makes spectra of an unfolded sample."""

from dataclasses import replace

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.unfolding import project, spectrum_file, unfolded_file
from fullchain.unfolding.binning import edges_of
from fullchain.unfolding.covariances import covariance_of
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.unfolded import Unfolded


@pytest.fixture
def files(tmp_path, sample):
    """Paths of an unfolded sample and of one with another simulation."""
    unfolded_file.write(tmp_path / "unfolded.parquet", sample())
    unfolded_file.write(tmp_path / "a14.parquet", sample(seed=2, alternative="a14"))
    return tmp_path


@pytest.fixture
def run(files, settings):
    """Function that runs the step on the files and gives its output."""

    def step(**given):
        arguments = {
            "unfolded": files / "unfolded.parquet",
            "alternatives": [files / "a14.parquet"],
            "names": ["a14"],
            "spectra": files / "spectra.json",
            "settings": settings(),
        }
        project.main(**(arguments | given))
        return files / "spectra.json"

    return step


def test_spectra_are_those_of_the_sample(run, sample, observables):
    spectra, about = spectrum_file.read(run())
    one, other = sample(), sample(seed=2, alternative="a14")
    assert about["method"] == "multifold" and about["alternatives"] == ["a14"]
    assert about["replicas"] == {"data": 25, "simulation": 25, "network": 25}
    for binning, found in spectra.items():
        for i, (name, spectrum) in enumerate(found.items()):
            edges = edges_of(ObservableSettings.model_validate(observables[name]), binning)
            np.testing.assert_array_equal(spectrum.edges, edges)

            def fill(weight, values=one.values[:, i], edges=edges):
                return np.histogram(values, edges, weights=weight)[0]

            np.testing.assert_allclose(spectrum.counts, fill(one.weights["nominal"]))
            replicas = [fill(one.weights[f"data_{k}"]) for k in range(25)]
            np.testing.assert_allclose(
                spectrum.covariances["data"], np.cov(replicas, rowvar=False), atol=1e-9
            )
            down = fill(one.weights["shift_jes_down"]) - spectrum.counts
            np.testing.assert_allclose(spectrum.shifts["jes_down"], down, atol=1e-9)
            swapped = fill(other.weights["nominal"], other.values[:, i])
            np.testing.assert_allclose(spectrum.shifts["model_a14"], swapped - spectrum.counts)
    assert set(spectra) == {"metric", "published"}


def test_replicas_are_kept_and_give_the_covariance(run):
    path = run()
    spectra, _ = spectrum_file.read(path)
    replicas = spectrum_file.read_replicas(path)
    for binning, found in spectra.items():
        for name, spectrum in found.items():
            for source, matrix in spectrum.covariances.items():
                again = covariance_of(source, replicas[binning][name][source])
                np.testing.assert_allclose(again, matrix, rtol=1e-3, atol=1e-5 * matrix.max())


def test_two_runs_give_the_same_bytes(run):
    first = run().read_bytes()
    assert run().read_bytes() == first


def test_names_belong_to_alternatives(run):
    with pytest.raises(InputError, match=r"0 names .* for 1 alternatives"):
        run(names=[])


def test_an_observable_without_settings_is_named(run, observables):
    known = Given({"seed": 1, "unfolding": {"observables": {"mass": observables["mass"]}}})
    with pytest.raises(InputError, match=r"unfolded.parquet: the observable 'multiplicity' has no"):
        run(settings=known)


def test_an_alternative_of_other_observables_is_named(run, files, sample):
    other = sample(seed=3, alternative="a14")
    bare = replace(other, names=("mass",), values=other.values[:, :1])
    unfolded_file.write(files / "other.parquet", bare)
    with pytest.raises(InputError, match=r"other.parquet: observables mass, and"):
        run(alternatives=[files / "other.parquet"])


def test_weights_of_single_observables_are_used(run, files, sample):
    one = sample()
    own = {f"{name}@mass": weight for name, weight in one.weights.items()}
    own |= {f"{name}@multiplicity": 2 * weight for name, weight in one.weights.items()}
    alone = Unfolded(one.names, one.values, one.ids, one.prior, own, one.about)
    unfolded_file.write(files / "alone.parquet", alone)
    common, _ = spectrum_file.read(run(alternatives=[], names=[]))
    spectra, _ = spectrum_file.read(
        run(alternatives=[], names=[], unfolded=files / "alone.parquet")
    )
    for name, factor in (("mass", 1), ("multiplicity", 2)):
        found, expected = spectra["published"][name], common["published"][name]
        np.testing.assert_allclose(found.counts, factor * expected.counts)
        for source, matrix in expected.covariances.items():
            np.testing.assert_allclose(
                found.covariances[source], factor**2 * matrix, atol=1e-12 * matrix.max()
            )
