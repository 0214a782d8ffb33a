"""The step `shower`: simulated sets, sets of files, and what files may have wrong."""

import hashlib
import json

import h5py
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import (
    geometry,
    gflash,
    shower,
    shower_blocks,
    shower_collection,
    shower_file,
    shower_units,
)
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_writer import writing
from fullchain.calorimetry.showers_settings import ShowersSettings, default_showers
from fullchain.errors import InputError
from fullchain.step import Given

SMALL = {"kind": "parameterised", "train": 700, "test": 600, "reference": 550}
XML = geometry.as_xml(geometry.load("crystal"))


def run(folder, chosen, name="photons", seed=1, **paths):
    values = TypeAdapter(ShowersSettings).validate_python(chosen)
    detectors = {key: one.model_dump(mode="json") for key, one in default_detectors().items()}
    own = json.loads(values.model_dump_json())
    shower.main(
        set=name,
        train=folder / "train.h5",
        test=folder / "test.h5",
        reference=folder / "reference.h5",
        geometry=folder / "geometry.xml",
        numbers=folder / "showers.json",
        settings=Given(
            {"seed": seed, "calorimetry": {"detectors": detectors, "showers": {name: own}}}
        ),
        **paths,
    )
    return json.loads((folder / "showers.json").read_text())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("showers")
    return folder, run(folder, SMALL)


def checksums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_set_has_its_parts_in_the_format_of_the_challenge(small):
    folder, content = small
    voxels = geometry.load(str(folder / "geometry.xml"))
    assert voxels == geometry.load("set1_photons")
    assert content["counts"] == {"train": 700, "test": 600, "reference": 550}
    for part, number in content["counts"].items():
        with h5py.File(folder / f"{part}.h5") as file:
            assert file["incident_energies"].shape == (number, 1)
            assert file["showers"].shape == (number, 368)
            assert file["showers"].compression == "gzip"
        showers = shower_file.read(folder / f"{part}.h5", voxels)
        assert set(np.log2(showers.energies)) == set(range(8, 23))
        assert not ((showers.voxels > 0) & (showers.voxels < 1.0)).any()
    assert content["range_mev"] == [256.0, 4194304.0]
    assert content["detector"]["name"] == "set1_photons"


def test_parts_are_independent_and_two_runs_are_alike(small, tmp_path):
    folder, _ = small
    run(tmp_path, SMALL)
    assert checksums(tmp_path) == checksums(folder)
    voxels = geometry.load("set1_photons")
    first, second = (
        shower_file.read(folder / f"{part}.h5", voxels) for part in ("test", "reference")
    )
    assert not np.array_equal(first.voxels[:550], second.voxels)


def test_another_seed_or_name_gives_other_showers(small, tmp_path):
    folder, _ = small
    for number, change in enumerate(({"seed": 2}, {"name": "others"})):
        other = tmp_path / str(number)
        run(other, SMALL, **change)
        assert checksums(other)["train.h5"] != checksums(folder)["train.h5"]


def test_more_showers_begin_with_the_same_ones(small, tmp_path):
    folder, _ = small
    run(tmp_path, {**SMALL, "train": 1200})
    voxels = geometry.load("set1_photons")
    more = shower_file.read(tmp_path / "train.h5", voxels)
    fewer = shower_file.read(folder / "train.h5", voxels)
    # Blocks have random numbers of their own: the first one is the same, whatever follows.
    block = slice(0, shower_blocks.BLOCK)
    assert np.array_equal(more.select(block).voxels, fewer.select(block).voxels)


def test_electrons_of_a_continuous_range(tmp_path):
    chosen = {
        "kind": "parameterised",
        "detector": "set2_electrons",
        "particle": "electron",
        "energies": {"kind": "log_uniform", "low": 1e3, "high": 1e5},
        "train": 10,
        "test": 300,
        "reference": 10,
    }
    content = run(tmp_path, chosen, "electrons")
    assert content["voxels"] == 6480
    energies = shower_file.read(tmp_path / "test.h5", geometry.load("set2_electrons")).energies
    assert energies.min() > 1e3 and energies.max() < 1e5
    assert np.log10(energies).mean() == pytest.approx(4.0, abs=0.15)


def source(folder, name, number=400, seed=1, scale=(1.0, 1.0), xml="crystal"):
    """A file like those of the challenge."""
    random = np.random.default_rng(seed)
    voxels = geometry.load(xml).voxels
    energies = np.sort(random.uniform(1e3, 1e5, number))
    shares = random.dirichlet(np.full(voxels, 0.2), number)
    path = folder / name
    shower_file.write(
        path,
        Showers(energies * scale[0], (0.9 * scale[1] * energies[:, None] * shares).astype("f4")),
    )
    return path


def files(folder, **changes):
    (folder / "binning.xml").write_text(XML)
    return {
        "kind": "files",
        "train": [str(source(folder, "a.h5")), str(source(folder, "b.h5", seed=2))],
        "test": [str(source(folder, "c.h5", 2300, seed=3))],
        "geometry": str(folder / "binning.xml"),
        **changes,
    }


def test_files_are_joined_and_the_reference_is_split_off(tmp_path):
    content = run(tmp_path / "out", files(tmp_path, threshold=5.0, reference=0.4))
    assert content["counts"] == {"train": 800, "test": 1380, "reference": 920}
    assert content["detector"] is None and content["physics"]["depths"] is None
    voxels = geometry.load("crystal")
    parts = [shower_file.read(tmp_path / "out" / f"{part}.h5", voxels)
             for part in ("test", "reference")]  # fmt: skip
    whole = shower_file.read(tmp_path / "c.h5", voxels)
    joined = np.concatenate([part.energies for part in parts])
    assert np.array_equal(np.sort(joined), whole.energies)
    # Files are often ordered by energy: both parts must have all of them.
    assert parts[0].energies.mean() == pytest.approx(parts[1].energies.mean(), rel=0.1)
    assert not ((parts[0].voxels > 0) & (parts[0].voxels < 5.0)).any()


def test_what_is_read_at_once_does_not_matter(tmp_path, monkeypatch):
    chosen = files(tmp_path)
    run(tmp_path / "whole", chosen)
    monkeypatch.setattr(shower_collection, "AT_ONCE", 320 * 70)
    run(tmp_path / "pieces", chosen)
    voxels = geometry.load("crystal")
    for part in ("train", "test", "reference"):
        one, other = (
            shower_file.read(tmp_path / folder / f"{part}.h5", voxels)
            for folder in ("whole", "pieces")
        )
        assert np.array_equal(one.energies, other.energies)
        assert np.array_equal(one.voxels, other.voxels)


def test_files_given_on_the_command_line_come_before_those_of_the_settings(tmp_path):
    chosen = files(tmp_path) | {"train": ["missing.h5"], "geometry": "missing.xml"}
    content = run(
        tmp_path / "out",
        chosen | {"most": 50},
        train_files=[tmp_path / "a.h5"],
        binning=[tmp_path / "binning.xml"],
    )
    assert content["counts"] == {"train": 50, "test": 25, "reference": 25}


def test_voxels_that_disagree_are_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.h5.*320.*368 voxels"):
        run(tmp_path / "out", files(tmp_path, geometry="set1_photons"))


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ((1e-3, 1.0), "incident energies seem to be in GeV and voxels in MeV"),
        ((1.0, 1e-3), "energies of voxels seem to be in GeV and incident energies in MeV"),
        ((1e-5, 1e-5), "seem to be in GeV"),
    ],
)
def test_units_off_by_a_thousand_are_suspected(tmp_path, scale, words):
    chosen = files(tmp_path)
    source(tmp_path, "a.h5", scale=scale)
    with pytest.raises(InputError, match=words):
        run(tmp_path / "out", chosen)
    assert not (tmp_path / "out" / "train.h5").exists()


@pytest.mark.parametrize("response", [0.02, 0.5, 1.0, 1.4])
def test_a_poor_calorimeter_is_not_taken_for_other_units(response):
    voxels = np.full((5, 4), response * 2500.0, dtype="f4")
    shower_units.check_response(Showers(np.full(5, 1e4), voxels), "here")


def challenge(folder, name, energies, unit=1.0, threshold=0.01515, detector="set2_electrons"):
    """A file of showers of the parameterisation in the layout of one of the challenge's."""
    own = default_detectors()[detector].model_copy(update={"threshold": threshold})
    random = np.random.default_rng(7)
    voxels = gflash.showers(energies, detectors.build(own), random, photons=False)
    path = folder / name
    shower_file.write(path, Showers(unit * energies, (unit * voxels).astype("f4")))
    return str(path)


def log_uniform(low, high, number=60):
    return np.exp(np.random.default_rng(8).uniform(np.log(low), np.log(high), number))


@pytest.mark.parametrize("threshold", [0.0, 1.515e-5, 0.01515])
def test_files_with_all_energies_in_gev_are_suspected(tmp_path, threshold):
    """Sets 2 and 3 in GeV, 1 to 1000: no incident energy is impossible, and the response is one."""
    path = challenge(tmp_path, "gev.hdf5", log_uniform(1e3, 1e6), unit=1e-3)
    good = challenge(tmp_path, "mev.hdf5", log_uniform(1e3, 1e6))
    chosen = {"kind": "files", "geometry": "set2_electrons", "threshold": threshold}
    for files in ({"train": [path], "test": [path]}, {"train": [good], "test": [good, path]}):
        with pytest.raises(InputError, match=r"gev\.hdf5: .*from 1\.\d+ to .*GeV.*in_mev: true"):
            run(tmp_path / "out", chosen | files)
        assert not (tmp_path / "out" / "train.h5").exists()
    assert run(tmp_path / "out", chosen | {"train": [path], "test": [path], "in_mev": True})


@pytest.mark.parametrize(
    ("energies", "detector", "least", "threshold"),
    [
        # The challenge's sets, whether or not the settings know their thresholds.
        (2.0 ** np.arange(8, 23).repeat(4), "set1_photons", 1.0, 1.0),
        (2.0 ** np.arange(8, 23).repeat(4), "set1_photons", 0.0, 1.0),
        (log_uniform(1e3, 1e6), "set2_electrons", 0.01515, 0.0),
        (log_uniform(1e3, 1e6), "set2_electrons", 0.01515, 0.01515),
        # Low energies alone, read out with a threshold.
        (log_uniform(300.0, 3000.0), "set2_electrons", 0.01515, 0.01515),
        (log_uniform(300.0, 3000.0), "crystal", 0.5, 0.5),
        (np.full(60, 1000.0), "set2_electrons", 0.01515, 0.0),
    ],
)
def test_files_in_mev_are_not_suspected(tmp_path, energies, detector, least, threshold):
    path = challenge(tmp_path, "mev.hdf5", energies, threshold=least, detector=detector)
    shower_units.check_files([tmp_path / "mev.hdf5"], geometry.load(detector), threshold)
    assert path.endswith("mev.hdf5")


def test_a_file_for_each_energy_is_not_suspected(tmp_path):
    """Without a threshold, as some give the first data set."""
    paths = []
    for power in (8, 14, 20):
        name = f"pid22_E{2**power}.h5"
        challenge(tmp_path, name, np.full(20, 2.0**power), threshold=0.0, detector="set1_photons")
        paths.append(tmp_path / name)
    voxels = geometry.load("set1_photons")
    shower_units.check_files(paths, voxels, 1.0)
    with pytest.raises(InputError, match=r"E256\.h5.*1 in 100 voxels.*threshold 1 MeV"):
        shower_units.check_files(paths[:1], voxels, 1.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [(-1.0, "negative energies"), (np.nan, "energies that are not finite")],
)
def test_impossible_voxels_are_named(tmp_path, value, words, monkeypatch):
    monkeypatch.setattr(shower_collection, "AT_ONCE", 320 * 70)
    chosen = files(tmp_path)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["showers"][107, 3] = value
        file["showers"][200, 1] = value
    told = rf"b\.h5: 1 showers have {words}, first in row 107 \(from 0\), voxel 3"
    with pytest.raises(InputError, match=told):
        run(tmp_path / "out", chosen)


@pytest.mark.parametrize("value", [0.0, -5.0, np.inf])
def test_impossible_incident_energies_are_named(tmp_path, value):
    chosen = files(tmp_path)
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        file["incident_energies"][1800:1802, 0] = value
    with pytest.raises(InputError, match=r"c\.h5: 2 incident_energies are .* in row 1800"):
        run(tmp_path / "out", chosen)


def test_showers_without_an_energy_are_named(tmp_path):
    chosen = files(tmp_path)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        del file["incident_energies"]
        file["incident_energies"] = np.full((390, 1), 1e4)
    with pytest.raises(InputError, match=r"b\.h5: 390 energies for 400 showers: from row 390"):
        run(tmp_path / "out", chosen)


@pytest.mark.parametrize(
    ("name", "made", "words"),
    [
        ("showers", lambda file: file.create_group("showers"), "'showers' is no data set"),
        ("showers", lambda file: file.create_dataset("showers", data=1.0), "but a scalar"),
        ("showers", lambda file: file.create_dataset("showers", data=["a"]), "has no numbers"),
        (
            "incident_energies",
            lambda file: file.create_dataset("incident_energies", data=["1 GeV"] * 400),
            "'incident_energies' has no numbers",
        ),
    ],
)
def test_data_sets_that_are_none_are_named(tmp_path, name, made, words):
    chosen = files(tmp_path)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        del file[name]
        made(file)
    with pytest.raises(InputError, match=rf"b\.h5: .*{words}"):
        run(tmp_path / "out", chosen)


def test_a_particle_without_a_number_is_named(tmp_path):
    chosen = files(tmp_path)
    (tmp_path / "binning.xml").write_text(XML.replace('pid="22"', 'pid="e-"'))
    with pytest.raises(InputError, match=r"binning\.xml: <Bin pid='e-'>.*11 for electrons"):
        run(tmp_path / "out", chosen)


def test_missing_and_foreign_files_are_named(tmp_path):
    chosen = files(tmp_path)
    with pytest.raises(InputError, match=r"none\.h5: no such file"):
        run(tmp_path / "out", chosen | {"train": [str(tmp_path / "none.h5")]})
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match=r"text\.h5: cannot be read as HDF5"):
        run(tmp_path / "out", chosen | {"test": [str(tmp_path / "text.h5")]})
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(InputError, match=r"empty\.h5: no data set 'showers'"):
        run(tmp_path / "out", chosen | {"test": [str(tmp_path / "empty.h5")]})


def test_files_for_a_simulated_set_are_refused(tmp_path):
    with pytest.raises(InputError, match="parameterised, and files are given"):
        run(tmp_path, SMALL, train_files=[tmp_path / "a.h5"])


def test_one_particle_of_an_xml_with_several(tmp_path):
    inner = XML.replace("<Bins>", "").replace("</Bins>", "")
    both = f"<Bins>{inner}{inner.replace('photon', 'pion')}</Bins>"
    (tmp_path / "both.xml").write_text(both)
    chosen = files(tmp_path) | {"geometry": str(tmp_path / "both.xml"), "particle": "pion"}
    with pytest.raises(InputError, match="one <Bin> is needed"):
        run(tmp_path / "out", chosen)
    content = run(tmp_path / "out", chosen | {"bin": "pion"})
    assert content["particle"] == "pion"
    assert geometry.load(str(tmp_path / "out" / "geometry.xml")).name == "pion"


def test_a_file_is_not_left_half_written(tmp_path):
    showers = Showers(np.ones(3), np.ones((3, 2), dtype="f4"))
    path = tmp_path / "a.h5"
    for number in (2, 4):
        with pytest.raises(ValueError, match="announced"), writing(path, number, 2) as append:
            append(showers)
        assert not path.exists()
    with writing(path, 6, 2) as append:
        append(showers)
        append(showers)
    with h5py.File(path) as file:
        assert file["showers"].shape == (6, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"energies": {"kind": "discrete", "values": [1e3, -1.0]}},
        {"energies": {"kind": "discrete", "values": [1e3, 1e3]}},
        {"energies": {"kind": "log_uniform", "low": 1e4, "high": 1e3}},
        {"particle": "muon"},
        {"kind": "made_up"},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValidationError):
        TypeAdapter(ShowersSettings).validate_python(SMALL | change)


def test_the_default_set_is_that_of_the_challenge():
    assert default_showers()["photons"].energies.values == tuple(2.0**n for n in range(8, 23))
