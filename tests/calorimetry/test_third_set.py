"""A geometry as large as that of the third data set of the CaloChallenge: files and numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry import gflash, shower_collection, shower_file, shower_units
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.parts import divide
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_file import Showers
from fullchain.learning.device import repeatable

LAYERS, ANGLES, RINGS, THRESHOLD = 45, 50, 18, 0.01515


@pytest.fixture(scope="module")
def xml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many layers, angles and radii as the challenge's; the radii themselves are made up."""
    edges = ",".join(f"{4.65 * ring:g}" for ring in range(RINGS + 1))
    layers = "".join(
        f'<Layer id="{number}" r_edges="{edges}" n_bin_alpha="{ANGLES}"/>'
        for number in range(LAYERS)
    )
    path = tmp_path_factory.mktemp("third") / "binning_dataset_3.xml"
    path.write_text(f'<Bins><Bin pid="11" name="electron">{layers}</Bin></Bins>')
    return path


@pytest.fixture(scope="module")
def file(xml: Path) -> Path:
    """Electrons of 1 GeV to 1 TeV."""
    detector = default_detectors()["set2_electrons"].model_copy(update={"geometry": str(xml)})
    random = np.random.default_rng(1)
    energies = np.exp(random.uniform(np.log(1e3), np.log(1e6), 40))
    voxels = gflash.showers(energies, detectors.build(detector), random, photons=False)
    path = xml.with_name("dataset_3_1.hdf5")
    shower_file.write(path, Showers(energies, voxels))
    return path


@pytest.fixture
def geometry(xml: Path) -> Geometry:
    return geometries.load(str(xml))


def test_the_geometry(geometry: Geometry, tmp_path: Path) -> None:
    assert geometry.voxels == 40_500 and len(geometry.layers) == 45
    # Radius runs fastest, then alpha, then the layer.
    place = (2 * ANGLES + 3) * RINGS + 4
    assert geometry.layer_of_voxel[place] == 2
    assert geometry.radius_of_voxel[place] == pytest.approx(4.5 * 4.65)
    assert geometry.angle_of_voxel[place] == pytest.approx(-np.pi + 3.5 * 2 * np.pi / ANGLES)
    geometries.write(geometry, tmp_path / "again.xml")
    assert geometries.load(str(tmp_path / "again.xml")) == geometry
    turned = geometries.turned_voxels(geometry)
    assert turned.shape == (2 * ANGLES, 40_500)
    assert np.array_equal(np.sort(turned[37]), np.arange(40_500))


def test_files_are_read_in_pieces(
    file: Path, geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shower_file.read(file, geometry)
    assert whole.voxels.shape == (40, 40_500)
    shower_units.check_files([file], geometry, THRESHOLD)
    monkeypatch.setattr(shower_collection, "AT_ONCE", 7 * 40_500)
    collection = shower_collection.Collection([file, file], geometry, 1.0)
    chosen = shower_collection.some(len(collection), 30, np.random.default_rng(2))
    blocks = list(collection.blocks(chosen))
    assert len(blocks) > 5 and sum(map(len, blocks)) == 30
    found = np.concatenate([block.voxels for block in blocks])
    wanted = np.concatenate([whole.voxels, whole.voxels])[chosen]
    assert np.array_equal(found, np.where(wanted < 1.0, 0.0, wanted))


@pytest.mark.parametrize("marginals", ["standard", "normal"])
def test_showers_become_numbers_and_come_back(
    file: Path, geometry: Geometry, marginals: str
) -> None:
    showers = shower_file.read(file, geometry)
    parts = divide(showers, geometry)
    settings: dict[str, object] = {"marginals": marginals, "threshold": THRESHOLD, "noise": 1e-9}
    # Each table needs some showers.
    settings["normal"] = {"nodes": 2}
    preprocessing = Preprocessing(geometry, PreprocessingSettings.model_validate(settings))
    chance = torch.Generator().manual_seed(3)
    with repeatable(1):
        preprocessing.measure(parts, chance)
        numbers = preprocessing(parts.ratios, parts.fractions, chance, incident=parts.incident)
        back = preprocessing.inverse(numbers, parts.incident).numpy()
    assert numbers.shape == (40, 45 + 40_500) and bool(numbers.isfinite().all())
    total = showers.voxels.sum(axis=1)
    np.testing.assert_allclose(back.sum(axis=1), total, rtol=2e-3)
    layers = geometry.layer_energies(back) - geometry.layer_energies(showers.voxels)
    assert (np.abs(layers).max(axis=1) < 5e-3 * total).all()
    assert ((back == 0) | (back >= THRESHOLD * (1 - 1e-5))).all()
    bright = showers.voxels > 1.0
    np.testing.assert_allclose(back[bright], showers.voxels[bright], rtol=0.05)
