"""The steps train, sample and vary on a small geometry, and what they say about bad input."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fullchain.calorimetry import (
    energy_points,
    gflash,
    model_file,
    sample,
    shower_file,
    train,
    vary,
)
from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.step import Given

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,10,40" n_bin_alpha="1"/><Layer id="3" r_edges="0,5,20" n_bin_alpha="3"/>
</Bin></Bins>"""
GEOMETRY = geometries.parse(XML, "test")
MODEL: dict[str, Any] = {
    "kind": "coupling",
    "spline": "affine",
    "blocks": 4,
    "width": 16,
    "depth": 1,
    "preprocessing": {"marginals": "normal", "symmetric": True, "normal": {"nodes": 6}},
    "training": {"epochs": 2, "batch_size": 200, "learning_rate": 1e-3},
}


def given(**changes: Any) -> Given:
    models = {"flow": MODEL | changes}
    variation = {"draws": 3, "showers": 300, "bins": 8}
    return Given({"seed": 5, "calorimetry": {"models": models, "variation": variation}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Showers, their geometry, and a model."""
    folder = tmp_path_factory.mktemp("calorimetry")
    random = np.random.default_rng(1)
    detector = gflash.Detector(GEOMETRY, gflash.Medium(74, 7.4, 20.0), ((0, 4), (4, 25)), 1.0)
    energies = 2.0 ** random.integers(9, 13, 1500)
    voxels = gflash.showers(energies, detector, random, photons=True)
    there = voxels.sum(axis=1) > 0
    shower_file.write(folder / "train.h5", Showers(energies[there], voxels[there]))
    geometries.write(GEOMETRY, folder / "geometry.xml")
    trained(folder, "model.pt", given())
    return folder


def trained(folder: Path, name: str, settings: Given) -> dict[str, Any]:
    train.main(
        showers=folder / "train.h5",
        geometry=folder / "geometry.xml",
        model="flow",
        trained=folder / name,
        history=folder / f"{name}.json",
        settings=settings,
    )
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return content


def drawn(folder: Path, **options: Any) -> Showers:
    path = folder / "drawn.h5"
    sample.main(**{"model": folder / "model.pt", "output": path, "settings": given()} | options)
    return shower_file.read(path, GEOMETRY)


def test_training_is_repeatable_and_says_what_it_used(folder: Path) -> None:
    first = json.loads((folder / "model.pt.json").read_text())
    again = trained(folder, "again.pt", given())
    assert first == again
    assert again["rows"]["training"] + again["rows"]["validation"] == again_rows(folder)
    assert again["validation"][-1]["loss"] < again["validation"][0]["loss"]
    assert not (folder / "checkpoint.pt").exists()


def test_what_counts_as_empty_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = trained(folder, "faint.pt", given())
    assert whole["below_threshold"] == {"threshold_mev": 1.0, "voxels": 0.0, "energy": 0.0}
    assert "threshold of the model" not in capsys.readouterr().err
    voxels = shower_file.read(folder / "train.h5", GEOMETRY).voxels
    faint = (voxels > 0) & (voxels < 30.0)
    preprocessing = MODEL["preprocessing"] | {"threshold": 30.0}
    found = trained(folder, "faint.pt", given(preprocessing=preprocessing))["below_threshold"]
    assert found["threshold_mev"] == 30.0
    assert 0.1 < found["voxels"] < 0.9 and 0.0 < found["energy"] < 0.1
    assert found["voxels"] == pytest.approx(faint.sum() / (voxels > 0).sum())
    assert found["energy"] == pytest.approx(voxels[faint].sum() / voxels.sum(), rel=1e-5)
    assert (
        f"{found['voxels']:.2%} of the voxels with energy of 'photons'" in capsys.readouterr().err
    )


def again_rows(folder: Path) -> int:
    return len(shower_file.read(folder / "train.h5", GEOMETRY))


def test_an_energy_is_left_out(folder: Path) -> None:
    whole = again_rows(folder)
    less = trained(folder, "left.pt", given(leave_out=[1024.0]))
    energies = shower_file.read(folder / "train.h5", GEOMETRY).energies
    rows = less["rows"]["training"] + less["rows"]["validation"]
    assert rows == whole - int((energies == 1024).sum())
    _, _, extra = model_file.read(folder / "left.pt")
    assert extra == {"model": "flow", "leave_out": [1024.0]}
    with pytest.raises(InputError, match=r"leave_out.*1000 MeV; there are 512, 1024, 2048, 4096"):
        trained(folder, "left.pt", given(leave_out=[1000.0]))


def test_the_model_is_read_as_it_was_written(folder: Path) -> None:
    model, settings, _ = model_file.read(folder / "model.pt")
    assert model.preprocessing.geometry == GEOMETRY
    assert settings.kind == "coupling"
    assert settings.blocks == 4
    assert not model.training
    assert model.preprocessing.energy_range.tolist() == [512.0, 4096.0]


def test_a_broken_model_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match="no such file; train it first"):
        model_file.read(path)
    path.write_bytes((folder / "model.pt").read_bytes()[:500])
    with pytest.raises(InputError, match="not a model of showers"):
        model_file.read(path)


def test_samples_are_files_of_the_challenge(folder: Path) -> None:
    showers = drawn(folder, energies=folder / "train.h5")
    wanted = shower_file.read(folder / "train.h5", GEOMETRY)
    np.testing.assert_array_equal(showers.energies, wanted.energies)
    with h5py.File(folder / "drawn.h5") as file:
        assert sorted(file) == ["incident_energies", "showers"]
        assert file["incident_energies"].shape == (len(wanted), 1)
        assert file["showers"].shape == (len(wanted), GEOMETRY.voxels)
        assert file["showers"].dtype == np.float32
        assert file["showers"].compression == "gzip"
    assert ((showers.voxels == 0) | (showers.voxels >= 1.0 - 1e-6)).all()
    response = showers.voxels.sum() / wanted.voxels.sum()
    assert response == pytest.approx(1.0, abs=0.03)


def test_sampling_is_repeatable_and_depends_on_the_seed(folder: Path) -> None:
    first = drawn(folder, points=["2^10..2^12:20"])
    assert first.energies.tolist() == [1024.0] * 20 + [2048.0] * 20 + [4096.0] * 20
    np.testing.assert_array_equal(drawn(folder, points=["2^10..2^12:20"]).voxels, first.voxels)
    other = Given({"seed": 6})
    assert (drawn(folder, points=["2^10..2^12:20"], settings=other).voxels != first.voxels).any()


def test_energies_of_a_text_file(folder: Path) -> None:
    path = folder / "energies.txt"
    path.write_text("# MeV\n600\n\n1e3  # one\n")
    assert drawn(folder, energies=path).energies.tolist() == [600.0, 1000.0]
    path.write_text("600\nmany\n")
    with pytest.raises(InputError, match=r"line 2: 'many' is no energy"):
        drawn(folder, energies=path)


def test_energies_in_hdf5_that_are_none(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "energies.h5"
    for values, message in (
        (["1 GeV", "2 GeV"], "'incident_energies' has no numbers"),
        ([1e3, 0.0, -1.0], r"2 incident_energies are not positive, first in row 1 \(from 0\): 0"),
        ([1e3, np.nan], r"1 incident_energies are not finite, first in row 1 \(from 0\): nan"),
    ):
        with h5py.File(path, "w") as file:
            file["incident_energies"] = values
        with pytest.raises(InputError, match=rf"energies\.h5: {message}"):
            drawn(folder, energies=path)
    with h5py.File(path, "w") as file:
        file.create_group("incident_energies")
    with pytest.raises(InputError, match=r"energies\.h5: 'incident_energies' is no data set"):
        drawn(folder, energies=path)


def test_a_folder_has_no_energies(folder: Path) -> None:
    with pytest.raises(InputError, match=f"{folder}: a folder; a file with energies is needed"):
        drawn(folder, energies=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nan", "1 of 1 incident energies are not positive"),
        ("-5", "not positive"),
        ("0", "not positive"),
        ("1.5", "they look like GeV, and MeV are needed"),
        ("9000", "outside the trained range of 512 to 4096 MeV"),
    ],
)
def test_energies_that_cannot_be(folder: Path, text: str, message: str) -> None:
    path = folder / "energies.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        drawn(folder, energies=path)


def test_extrapolation_on_demand(folder: Path) -> None:
    showers = drawn(folder, points=["9000:5"], extrapolate=True)
    assert (showers.voxels.sum(axis=1) > 4000).all()


def test_energies_are_given_in_one_way(folder: Path) -> None:
    with pytest.raises(InputError, match="either --energies"):
        drawn(folder)
    with pytest.raises(InputError, match="either --energies"):
        drawn(folder, points=["600:2"], energies=folder / "train.h5")


@pytest.mark.parametrize(
    "text", ["600", "2^8..2^6:3", "2^8..3^9:3", "2^8..600:3", "a:3", "-5:3", "2^5000:5"]
)
def test_points_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="is no energy with a count"):
        energy_points.points([text])


def test_geometry_and_showers_that_disagree(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "geometry.xml").write_text(XML.replace("0,10,40", "0,10,20,40"))
    with pytest.raises(InputError, match="9 voxels"):
        train.main(
            showers=folder / "train.h5",
            geometry=tmp_path / "geometry.xml",
            model="flow",
            trained=tmp_path / "model.pt",
            history=tmp_path / "training.json",
            settings=given(),
        )


def test_a_wrong_kind_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"calorimetry.models.flow"):
        trained(folder, "wrong.pt", given(kind="couplings"))


def varied(folder: Path, name: str) -> dict[str, Any]:
    vary.main(
        model=folder / name,
        showers=folder / "train.h5",
        name="flow",
        numbers=folder / "variation.json",
        settings=given(),
    )
    content: dict[str, Any] = json.loads((folder / "variation.json").read_text())
    return content


def test_weights_with_a_distribution_vary_what_is_generated(folder: Path) -> None:
    trained(folder, "narrow.pt", given(weights={"initial_width": 1e-6}))
    trained(folder, "wide.pt", given(weights={"initial_width": 0.05}))
    narrow, wide = (varied(folder, name)["observables"] for name in ("narrow.pt", "wide.pt"))
    assert set(wide) == {
        "E_tot_over_E_inc",
        *(f"{what}_{layer}" for what in ("log10_E_layer", "occupancy") for layer in (0, 3)),
    }
    spreads = [each["log10_E_layer_0"]["relative_spread"] for each in (narrow, wide)]
    assert spreads[1] > 3 * spreads[0]
    for found in wide.values():
        assert sum(found["mean"]) == pytest.approx(1.0)
        assert sum(found["test"]) == pytest.approx(1.0)
        assert found["mean_squared_pull"] <= found["mean_squared_pull_without_spread"]


def test_only_weights_with_a_distribution_vary(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no distribution; train .* calorimetry.models.flow"):
        varied(folder, "model.pt")


def test_training_goes_on_where_it_was_killed(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("train.h5", "geometry.xml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())

    class Killed(Exception):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(model_file, "write", killed)
        with pytest.raises(Killed):
            trained(tmp_path, "model.pt", given())
    assert (tmp_path / "checkpoint.pt").exists()
    content = trained(tmp_path, "model.pt", given())
    assert "going on after epoch 2" in capsys.readouterr().err
    assert content == json.loads((folder / "model.pt.json").read_text())
    first, again = (model_file.read(where / "model.pt")[0] for where in (folder, tmp_path))
    for one, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
