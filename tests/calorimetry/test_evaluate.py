import json

import numpy as np
import pytest

from fullchain.calorimetry import evaluate, geometry, shower_file
from fullchain.calorimetry.evaluation_settings import EvaluationSettings
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.step import Given

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>
<Layer id="1" r_edges="0,2,6,20" n_bin_alpha="4"/>
<Layer id="12" r_edges="0,50,200" n_bin_alpha="1"/>
</Bin></Bins>"""

SHAPE = geometry.parse(XML, "test")

ENERGIES = np.array([1e3, 4e3, 16e3, 64e3])

SHOWERS = {
    "set": "photons",
    "threshold_mev": 1.0,
    "physics": {"depths": [[0.0, 2.0], [2.0, 10.0], [10.0, 20.0]]},
}

SETTINGS = {
    "seed": 7,
    "calorimetry": {
        "evaluation": {
            "bootstraps": 20,
            "least": 50,
            "frechet": {"smallest": 200, "largest": 400},
            "coverage_size": 100,
        },
        "models": {"flow": {"leave_out": [4e3]}},
    },
}


def showers(energies, seed, scale=1.0, spread=1.0):
    """Gamma distributed voxels whose means depend on the energy, empty below 1 MeV."""
    random = np.random.default_rng(seed)
    depth = 1.0 + 0.2 * np.log(energies / 1e3)[:, None]
    layer = SHAPE.layer_of_voxel[None, :]
    weight = np.exp(-((layer - depth) ** 2)) * np.exp(-SHAPE.radius_of_voxel / (6.0 * spread))
    mean = scale * weight / weight.sum(axis=1, keepdims=True) * energies[:, None]
    voxels = random.gamma(mean / 100.0) * 100.0
    return Showers(energies, np.where(voxels >= 1.0, voxels, 0.0).astype(np.float32))


def energies(number=800, seed=1):
    return np.random.default_rng(seed).choice(ENERGIES, number)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    geometry.write(SHAPE, folder / "geometry.xml")
    at = energies()
    shower_file.write(folder / "test.h5", showers(at, 1))
    shower_file.write(folder / "good.h5", showers(at, 2))
    shower_file.write(folder / "biased.h5", showers(at, 3, scale=1.05, spread=1.5))
    shower_file.write(folder / "reference.h5", showers(energies(800, 4), 4))
    shower_file.write(folder / "train.h5", showers(at[at < 6e4], 5))
    (folder / "showers.json").write_text(json.dumps(SHOWERS))
    return folder


def run(files, name, out=None, **options):
    given = {"generated": files / f"{name}.h5", "test": files / "test.h5"}
    options = given | {"showers": [files / "showers.json"]} | options
    path = files / f"{out or name}.json"
    evaluate.main(
        name=name,
        geometry_xml=files / "geometry.xml",
        evaluation=path,
        settings=Given(options.pop("settings", SETTINGS)),
        **options,
    )
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def good(files):
    return run(files, "good", model="flow", train=[files / "train.h5"])


@pytest.fixture(scope="module")
def biased(files):
    return run(files, "biased")


def test_an_equal_model_is_at_the_floor(good):
    assert good["paired"] and good["threshold"] == 1.0
    for kind, entry in good["means"].items():
        assert abs(entry["value"] - entry["expected"]) < 4 * entry["error"] + 0.001, kind
    bias, error = good["response"]["bias"]
    assert abs(bias) < 4 * error
    assert abs(good["distances"]["kpd"]["value"]) < 5 * good["distances"]["kpd"]["error"]
    assert good["correlations"]["difference"]["value"] < 0.15


def test_a_biased_model_is_found(biased):
    bias, error = biased["response"]["bias"]
    assert bias == pytest.approx(0.05, abs=4 * error)
    for kind in ("E_tot", "EC_r", "width_eta"):
        entry = biased["means"][kind]
        assert entry["value"] > entry["expected"] + 3 * entry["error"], kind
    assert biased["distances"]["fpd_subsampled"]["value"] > 0
    group = biased["energies"]["groups"][-1]
    generated, test = (group["shapes"][of]["radius"] for of in ("generated", "test"))
    assert generated[0] > test[0] + 3 * np.hypot(generated[1], test[1])


def test_histograms_hold_all_showers(good):
    for name, found in good["histograms"].items():
        showers_of = 800 * (SHAPE.voxels if name == "voxels" else 1)
        assert sum(found["generated"]) == sum(found["test"]) == showers_of
        assert len(found["edges"]) + 1 == len(found["test"])


def test_energies_are_marked(good):
    groups = good["energies"]["groups"]
    assert [one["energy"] for one in groups] == ENERGIES.tolist()
    assert [one["kind"] for one in groups] == ["trained", "left out", "trained", "extrapolated"]
    rows = good["energies"]["neighbours"]
    assert [one["neighbours"] for one in rows] == [[1e3, 16e3], [16e3]]
    own = {one["energy"]: one["separations"]["E_tot"]["value"] for one in groups}
    pair = rows[0]["separations"]["E_tot"]
    assert pair["own"][0] == own[4e3]
    assert pair["neighbours"][0] == pytest.approx(0.5 * (own[1e3] + own[16e3]))


def test_mean_shower_and_profile_are_means(good, files):
    showers_of = shower_file.read(files / "test.h5", SHAPE)
    parts = (showers_of.voxels / showers_of.energies[:, None]).mean(axis=0)
    np.testing.assert_allclose(good["mean_shower"]["test"], parts, rtol=1e-5)
    chosen = showers_of.energies == 16e3
    parts = (showers_of.voxels[chosen] / 16e3).mean(axis=0)
    layers = np.array([parts[own].sum() for own in SHAPE.slices])
    found = good["energies"]["groups"][2]["shapes"]["test"]["profile"][0]
    np.testing.assert_allclose(found, layers / layers.sum(), rtol=2e-2)


def test_two_runs_give_the_same_bytes_and_pieces_do_not_matter(files, good, monkeypatch):
    options = {"model": "flow", "train": [files / "train.h5"]}
    assert run(files, "good", "again", **options) == good
    monkeypatch.setattr(evaluate, "HELD", 90 * SHAPE.voxels)
    pieces = run(files, "good", "pieces", **options)
    assert pieces["histograms"] == good["histograms"]
    for name, values in pieces["mean_shower"].items():
        np.testing.assert_allclose(values, good["mean_shower"][name], rtol=1e-9)


def test_a_reference_may_have_energies_of_its_own(files):
    found = run(files, "reference", role="reference")
    assert not found["paired"]
    for kind, entry in found["means"].items():
        assert entry["value"] < 4 * entry["expected"], kind


def test_depths_give_the_centre_in_radiation_lengths(good):
    shapes = good["energies"]["groups"][2]["shapes"]["test"]
    assert good["set"] == "photons"
    assert shapes["centre"][0] == pytest.approx(np.dot(shapes["profile"][0], [1.0, 6.0, 15.0]))


def test_depths_of_another_geometry_are_an_error(files):
    (files / "other.json").write_text(json.dumps({"physics": {"depths": [[0, 1]]}}))
    with pytest.raises(InputError, match="depths of 1 layers, the geometry has 3"):
        run(files, "good", "none", showers=[files / "other.json"])


def test_a_spectrum_is_cut_into_slices(files):
    at = np.exp(np.random.default_rng(9).uniform(np.log(1e3), np.log(1e5), 800))
    shower_file.write(files / "wide.h5", showers(at, 10))
    shower_file.write(files / "wide_model.h5", showers(at, 11))
    found = run(files, "wide_model", test=files / "wide.h5", left_out=[1e4])
    assert not found["energies"]["discrete"]
    groups = found["energies"]["groups"]
    assert sum(one["showers"][1] for one in groups) == 800
    marked = [one for one in groups if one["kind"] == "left out"]
    assert len(marked) == 1 and marked[0]["range"][0] <= 1e4 < marked[0]["range"][1]


def _wrong(files, name, showers_of):
    shower_file.write(files / f"{name}.h5", showers_of)
    return name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.select(slice(700)), "has 700 showers and .* 800"),
        (lambda one: one.select(slice(10)), "10 showers are too few"),
        (
            lambda one: Showers(one.energies[::-1].copy(), one.voxels[::-1].copy()),
            "same in another order",
        ),
        (lambda one: Showers(one.energies / 1e3, one.voxels / 1e3), "first look like GeV"),
        (lambda one: Showers(one.energies, one.voxels / 1e3), "E_tot / E_inc.*look like GeV"),
        (lambda one: Showers(one.energies / 1e3, one.voxels), "energies look like GeV"),
        (lambda one: Showers(one.energies, -one.voxels), "negative energies"),
        (lambda one: Showers(one.energies, one.voxels[:, :-1]), "has 16 voxels"),
        (lambda one: Showers(one.energies, 0 * one.voxels), "no energy in any voxel"),
        (lambda one: Showers(one.energies * 1.01, one.voxels), "differ in 800 of 800 places"),
    ],
)
def test_samples_that_cannot_be_compared(files, change, message):
    one = change(shower_file.read(files / "good.h5", SHAPE))
    with pytest.raises(InputError, match=message):
        run(files, _wrong(files, "wrong", one))


def test_a_reference_in_other_units(files):
    one = shower_file.read(files / "reference.h5", SHAPE)
    name = _wrong(files, "gev", Showers(one.energies / 1e3, one.voxels / 1e3))
    with pytest.raises(InputError, match="is one of them in GeV"):
        run(files, name, role="reference", settings=SETTINGS)


def test_a_missing_model_setting_is_named(files):
    with pytest.raises(KeyError, match="leave_out"):
        run(files, "good", "none", model="unknown")


def test_sizes_of_the_frechet_distance_must_allow_a_line():
    with pytest.raises(ValueError, match="at least twice"):
        EvaluationSettings.model_validate({"frechet": {"smallest": 100, "largest": 150}})
