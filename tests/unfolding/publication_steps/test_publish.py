"""The submission to HEPData."""

import hashlib
import io
import json
import socket
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import yaml

from fullchain import further_outputs
from fullchain.errors import InputError
from fullchain.hepdata_submission import Document, Submission, _flow, validate
from fullchain.unfolding import (
    project,
    publish,
    spectrum_file,
    unfolded_file,
    unfolded_record,
)
from fullchain.unfolding.covariances import correlation, total_covariance
from fullchain.unfolding.hepdata_tables import normalised
from fullchain.unfolding.joint_spectra import join
from fullchain.unfolding.projection import column, histogram, histograms
from fullchain.unfolding.unfolded import Spectrum


@pytest.fixture(scope="module")
def source(tmp_path_factory, sample, settings):
    """Folder with an unfolded sample and its spectra."""
    folder = tmp_path_factory.mktemp("unfolded")
    unfolded_file.write(folder / "unfolded.parquet", sample())
    unfolded_file.write(folder / "a14.parquet", sample(seed=2, alternative="a14"))
    project.main(
        unfolded=folder / "unfolded.parquet",
        alternatives=[folder / "a14.parquet"],
        names=["a14"],
        spectra=folder / "spectra.json",
        settings=settings(),
    )
    return folder


@pytest.fixture(scope="module")
def run(source, settings):
    """Function that publishes to a folder and gives the one of the submission."""

    def step(target, publication=None, **given):
        arguments = {
            "spectra": source / "spectra.json",
            "unfolded": [source / "unfolded.parquet"],
            "alternatives": [source / "a14.parquet"],
            "names": ["a14"],
            "measurement": "zjets",
            "method": "multifold",
            "submission": target / "hepdata.tar.gz",
            "listing": target / "hepdata" / "submission.yaml",
            "settings": settings(**(publication or {})),
        }
        publish.main(**(arguments | given))
        return target / "hepdata"

    return step


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("published"))


def table(folder, name):
    return yaml.safe_load((folder / name).read_text())


def values(variable):
    return np.array([entry["value"] for entry in variable["values"]])


def named(content, name):
    (found,) = [one for one in content["dependent_variables"] if one["header"]["name"] == name]
    return found


def errors(variable, label, side=None):
    found = []
    for entry in variable["values"]:
        (one,) = [error for error in entry["errors"] if error["label"] == label]
        found.append(one["asymerror"][side] if side else one["symerror"])
    return np.array(found)


def test_the_submission_is_valid_without_a_network(folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the validator asks the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    validate({path.name: path.read_bytes() for path in folder.iterdir()})
    assert sorted(path.name for path in folder.iterdir()) == [
        "all_observables.yaml",
        "all_observables_covariance.yaml",
        "alternative_a14.parquet",
        "mass.yaml",
        "mass_covariance.yaml",
        "multiplicity.yaml",
        "multiplicity_covariance.yaml",
        "submission.yaml",
        "unfolded.parquet",
    ]


def test_a_wrong_submission_is_refused():
    bad = {
        "independent_variables": [],
        "dependent_variables": [{"header": {"units": "GeV"}, "values": [{"value": 1}]}],
    }
    with pytest.raises(InputError, match=r"HEPData would refuse .*one.yaml: 'name' is a required"):
        validate(Submission("", {}, {"name": "", "url": ""}, (Document("one", "", bad),)).files())
    with pytest.raises(InputError, match="longer than 64 characters"):
        Submission("", {}, {}, (Document("x" * 65, "", bad),)).files()


def test_values_and_errors_are_those_of_the_spectra(folder, source):
    spectra, _ = spectrum_file.read(source / "spectra.json")
    for name, one in spectra["published"].items():
        content = table(folder, f"{name}.yaml")
        (axis,) = content["independent_variables"]
        np.testing.assert_allclose([entry["low"] for entry in axis["values"]], one.edges[:-1])
        np.testing.assert_allclose([entry["high"] for entry in axis["values"]], one.edges[1:])
        events = named(content, "Unfolded events")
        np.testing.assert_allclose(values(events), one.counts, rtol=1e-7)
        for what, label in (("data", "stat,data"), ("network", "sys,network")):
            expected = np.sqrt(np.diag(one.covariances[what]))
            np.testing.assert_allclose(errors(events, label), expected, rtol=1e-7, atol=1e-12)
        for side, shift in (("plus", "jes_up"), ("minus", "jes_down")):
            found = errors(events, "sys,jes", side)
            np.testing.assert_allclose(found, one.shifts[shift], rtol=1e-7, atol=1e-12)
        model = errors(events, "sys,model_a14", "plus")
        np.testing.assert_allclose(model, one.shifts["model_a14"], rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(errors(events, "sys,model_a14", "minus"), -model)
    assert table(folder, "mass.yaml")["independent_variables"][0]["header"] == {
        "name": "$m$",
        "units": "GeV",
    }


def test_the_density_has_unit_integral_and_the_errors_of_a_normalised_spectrum(
    folder, source, sample
):
    spectra, _ = spectrum_file.read(source / "spectra.json")
    one = spectra["published"]["mass"]
    content = table(folder, "mass.yaml")["dependent_variables"][1]
    assert content["header"] == {"name": "(1/N) dN/d($m$)", "units": "1/GeV"}
    widths = np.diff(one.edges)
    assert (values(content) * widths).sum() == pytest.approx(1, rel=1e-6)
    events = sample()
    exact = histogram(events, column(events, "mass"), one.edges, norm="bins")
    np.testing.assert_allclose(values(content), exact.counts / widths, rtol=1e-6)
    expected = np.sqrt(np.diag(exact.covariances["data"])) / widths
    np.testing.assert_allclose(errors(content, "stat,data"), expected, rtol=0.1)
    up = exact.shifts["jes_up"] / widths
    np.testing.assert_allclose(errors(content, "sys,jes", "plus"), up, rtol=1e-5, atol=1e-9)


def test_covariances_are_those_of_the_spectra(folder, source):
    spectra, _ = spectrum_file.read(source / "spectra.json")
    one = spectra["published"]["mass"]
    content = table(folder, "mass_covariance.yaml")
    total = total_covariance(one.covariances, one.shifts)
    shape = total.shape
    found = values(named(content, "Covariance of events, total")).reshape(shape)
    np.testing.assert_allclose(found, total, rtol=1e-7, atol=1e-9)
    found = values(named(content, "Correlation of events, total")).reshape(shape)
    np.testing.assert_allclose(found, correlation(total), rtol=1e-7, atol=1e-7)
    parts = ["stat,data", "stat,simulation", "sys,network", "sys,jes", "sys,model_a14"]
    added = sum(values(named(content, f"Covariance of events, {part}")) for part in parts)
    np.testing.assert_allclose(added.reshape(shape), total, rtol=1e-6, atol=1e-6)
    first, second = content["independent_variables"]
    assert first["values"][1]["low"] == one.edges[0] and second["values"][1]["low"] == one.edges[1]
    density = values(named(content, "Covariance of the density, total")).reshape(shape)
    widths = np.diff(one.edges)
    assert abs(widths @ density @ widths) < 1e-9


def test_the_joint_covariance_is_that_of_the_sample(folder, source, sample):
    spectra, _ = spectrum_file.read(source / "spectra.json")
    events = replace(sample(), alternatives={"a14": sample(seed=2, alternative="a14")})
    wanted = {
        name: (lambda s, name=name: column(s, name), one.edges)
        for name, one in spectra["published"].items()
    }
    exact = histograms(events, wanted)
    size = len(exact.counts)
    content = table(folder, "all_observables_covariance.yaml")
    total = values(named(content, "Covariance of events, total")).reshape(size, size)
    np.testing.assert_allclose(total, exact.covariance(), rtol=1e-3, atol=1e-4 * total.max())
    data = values(named(content, "Covariance of events, stat,data")).reshape(size, size)
    expected = exact.covariances["data"]
    np.testing.assert_allclose(data, expected, rtol=1e-3, atol=1e-5 * expected.max())
    mass, multiplicity = exact.bins("mass"), exact.bins("multiplicity")
    assert np.abs(data[mass, multiplicity]).max() > 0.1
    rows = table(folder, "all_observables.yaml")
    number, name, bins, _ = rows["independent_variables"]
    assert [entry["value"] for entry in number["values"]] == list(range(1, size + 1))
    assert name["values"][mass.stop] == {"value": "multiplicity"}
    assert bins["values"][mass.stop] == {"low": -0.5, "high": 9.5}
    np.testing.assert_allclose(values(rows["dependent_variables"][0]), exact.counts, rtol=1e-7)


def test_the_record_says_that_it_is_no_measurement(folder, source):
    first, *rest = yaml.safe_load_all((folder / "submission.yaml").read_text())
    assert all("no measurement" in one["description"] for one in rest)
    assert "no measurement" in first["comment"]
    numbers = "Replicas: 25 of data, 25 of simulation, 25 of network."
    assert all(numbers in one["description"] for one in rest)
    keywords = {one["name"]: one["values"] for one in rest[0]["keywords"]}
    assert keywords["cmenergies"] == [13600.0]
    assert keywords["reactions"] == ["P P --> Z0 JET X"] and keywords["observables"] == ["N"]
    resources = {one["location"]: one["description"] for one in first["additional_resources"]}
    files = {"unfolded.parquet": "unfolded.parquet", "alternative_a14.parquet": "a14.parquet"}
    assert resources.keys() == files.keys()
    assert "with the simulation 'a14'" in resources["alternative_a14.parquet"]
    for location, original in files.items():
        content = (source / original).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert digest in resources[location]
        assert f"{location}, {len(content)} bytes, SHA-256 {digest}" in first["comment"]
        assert (folder / location).read_bytes() == content


def test_a_new_observable_has_the_uncertainty_of_the_model(folder, source, sample):
    """What a reader makes of the files of the record is what the stage made of its own."""
    events = unfolded_record.read(folder / "unfolded.parquet")
    spectra, _ = spectrum_file.read(source / "spectra.json")
    edges = spectra["published"]["mass"].edges
    known = histogram(events, lambda s: column(s, "mass"), edges)
    content = table(folder, "mass_covariance.yaml")
    total = values(named(content, "Covariance of events, total"))
    np.testing.assert_allclose(known.covariance().ravel(), total, rtol=1e-6, atol=1e-6)

    def ratio(one):
        return column(one, "mass") / (1 + column(one, "multiplicity"))

    new = histogram(events, ratio, [0, 1, 2, 6])
    other = sample(seed=2, alternative="a14")
    counts = np.histogram(ratio(other), [0, 1, 2, 6], weights=other.weights["nominal"])[0]
    change = counts - new.counts
    without = histogram(sample(), ratio, [0, 1, 2, 6]).covariance()
    np.testing.assert_allclose(new.covariance() - without, np.outer(change, change), atol=1e-9)
    assert np.abs(change).max() > 1


def test_a_deposited_sample_is_linked_and_a_large_one_named(source, tmp_path, run):
    url = "https://example.org/record/1"
    linked = run(tmp_path / "a", {"sample_url": url, "pseudo_data": False})
    first, second, *_ = yaml.safe_load_all((linked / "submission.yaml").read_text())
    assert [one["location"] for one in first["additional_resources"]] == [url, url]
    assert "no measurement" not in first["comment"] + second["description"]
    large = run(tmp_path / "b", {"attached_up_to": 0.001, "luminosity": 30})
    (first, *_) = yaml.safe_load_all((large / "submission.yaml").read_text())
    digest = hashlib.sha256((source / "unfolded.parquet").read_bytes()).hexdigest()
    assert "additional_resources" not in first and digest in first["comment"]
    assert not list(large.glob("*.parquet"))
    qualifiers = table(large, "mass.yaml")["dependent_variables"][0]["qualifiers"]
    assert {"name": "Luminosity", "value": 30.0, "units": "fb$^{-1}$"} in qualifiers


def test_the_archive_has_the_same_bytes_whenever_and_wherever(tmp_path, run):
    run(tmp_path / "a")
    run(tmp_path / "b")
    first = (tmp_path / "a" / "hepdata.tar.gz").read_bytes()
    assert (tmp_path / "b" / "hepdata.tar.gz").read_bytes() == first
    packed = []
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        for entry in tar:
            content = (tmp_path / "a" / "hepdata" / entry.name.split("/")[1]).read_bytes()
            assert tar.extractfile(entry).read() == content
            assert (entry.mtime, entry.uid, entry.uname) == (0, 0, "")
            packed.append(entry.name)
    assert len(packed) == len(list((tmp_path / "a" / "hepdata").iterdir()))


def test_files_of_an_earlier_submission_do_not_stay(tmp_path, run):
    folder = run(tmp_path)
    (folder / "notes.txt").write_text("mine")
    run(tmp_path, unfolded=[], alternatives=[], names=[])
    assert not list(folder.glob("*.parquet"))
    assert (folder / "notes.txt").exists()


def test_the_files_of_the_submission_are_told_of(tmp_path, run):
    further_outputs.forget()
    run(tmp_path)
    written = {path for path in (tmp_path / "hepdata").iterdir() if path.is_file()}
    assert len(written) > 2
    assert written <= set(further_outputs.told())


def test_a_method_in_bins_needs_no_sample(source, tmp_path, run):
    content = json.loads((source / "spectra.json").read_text())
    content["replicas"]["published"]["mass"].pop("network")
    (tmp_path / "spectra.json").write_text(json.dumps(content))
    given = {"unfolded": [], "alternatives": [], "names": []}
    folder = run(tmp_path, spectra=tmp_path / "spectra.json", method="ibu", **given)
    events = named(table(folder, "mass.yaml"), "Unfolded events")
    expected = content["spectra"]["published"]["mass"]["counts"]
    np.testing.assert_allclose(values(events), expected, rtol=1e-6)
    documents = list(yaml.safe_load_all((folder / "submission.yaml").read_text()))
    assert "covariance of network is not known" in documents[-1]["description"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["spectra"].pop("published"), "no spectra in the binning 'published'"),
        (
            lambda c: c["spectra"]["published"]["mass"].update(covariances={}, shifts={}),
            "the spectrum of 'mass' has no uncertainty",
        ),
        (
            lambda c: c["spectra"]["published"]["mass"]["counts"].__setitem__(0, float("nan")),
            "spectrum of 'mass': a number is NaN",
        ),
        (
            lambda c: c["spectra"]["published"]["mass"]["counts"].__setitem__(2, 1e3),
            "the spectrum of 'mass' is not that of .*unfolded.parquet",
        ),
    ],
)
def test_wrong_spectra_are_named(source, tmp_path, change, message, run):
    content = json.loads((source / "spectra.json").read_text())
    change(content)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"wrong.json: {message}"):
        run(tmp_path, spectra=path)
    assert not (tmp_path / "hepdata").exists()


def test_a_sample_is_published_with_the_alternatives_of_its_spectra(source, tmp_path, run, sample):
    with pytest.raises(InputError, match="other simulations a14, and --names are none"):
        run(tmp_path, alternatives=[], names=[])
    with pytest.raises(InputError, match=r"0 names .* for 1 alternatives"):
        run(tmp_path, names=[])
    with pytest.raises(InputError, match="without a sample; give --unfolded"):
        run(tmp_path, unfolded=[])
    unfolded_file.write(tmp_path / "a14.parquet", sample(seed=3, alternative="a14"))
    with pytest.raises(InputError, match=r"'mass' is not that of .*a14\.parquet"):
        run(tmp_path, alternatives=[tmp_path / "a14.parquet"])
    assert not (tmp_path / "hepdata").exists()


def test_a_sample_that_is_too_large_with_its_alternatives_is_not_attached_alone(
    source, tmp_path, run
):
    sizes = [(source / name).stat().st_size for name in ("unfolded.parquet", "a14.parquet")]
    fits = run(tmp_path / "a", {"attached_up_to": (sum(sizes) + 1) / 1e6})
    assert len(list(fits.glob("*.parquet"))) == 2
    above = run(tmp_path / "b", {"attached_up_to": (sum(sizes) - 1) / 1e6})
    assert not list(above.glob("*.parquet"))


def test_wrong_options_are_named(source, tmp_path, run):
    with pytest.raises(InputError, match=r"wants this file to be called submission\.yaml"):
        run(tmp_path, listing=tmp_path / "list.yaml")
    (tmp_path / "hepdata").mkdir()
    (tmp_path / "hepdata" / "submission.yaml").write_text("- a list")
    with pytest.raises(InputError, match="not a submission"):
        run(tmp_path)


def test_sources_without_replicas_are_uncorrelated_between_observables():
    def spectrum(name, bins):
        matrix = np.eye(bins)
        shifts = {"jes_up": np.ones(bins)} if name == "a" else {}
        return Spectrum(
            name, np.arange(bins + 1.0), np.ones(bins), (0, 0), {"data": matrix}, shifts
        )

    joint = join([spectrum("a", 2), spectrum("b", 3)], {"a": {"data": np.ones((4, 2))}})
    np.testing.assert_allclose(joint.covariances["data"], np.eye(5))
    np.testing.assert_allclose(joint.shifts["jes_up"], [1, 1, 0, 0, 0])
    assert joint.unknown == ("data",)


def test_normalised_spectra_take_shifts_whole():
    one = Spectrum("a", np.array([0.0, 1, 3]), np.array([1.0, 3.0]), (0, 0), {}, {})
    double = Spectrum("a", one.edges, one.counts, (0, 0), {}, {"rate": one.counts})
    found = normalised(double)
    np.testing.assert_allclose(found.counts, [0.25, 0.375])
    np.testing.assert_allclose(found.shifts["rate"], 0, atol=1e-15)


@pytest.mark.parametrize("value", [1e-05, -3.25e20, 1.0, 0.1, 7, "a: 'b' $\\mu$ \"c\"", [1.5, {}]])
def test_a_line_is_yaml(value):
    found = yaml.safe_load(_flow(value))
    assert found == value and type(found) is type(value)
