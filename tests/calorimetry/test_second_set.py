"""Models in the geometry of the second data set of the CaloChallenge, 6480 voxels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import geometry as geometries
from fullchain.calorimetry import gflash, sample, shower_file, train
from fullchain.calorimetry.shower_file import Showers
from fullchain.settings import Settings, load
from fullchain.step import Given

SHOWERS = 160
LOW, HIGH = 1e3, 1e6


@pytest.fixture(scope="module")
def run(project: Path) -> Settings:
    return load(project / "config/config.yaml", project / "config/calorimeter_set2.yaml")


@pytest.fixture(scope="module")
def electrons(run: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Showers to learn from, with their geometry beside them."""
    folder = tmp_path_factory.mktemp("electrons")
    assert run.calorimetry is not None
    detector = detectors.build(run.calorimetry.detectors["set2_electrons"])
    random = np.random.default_rng(1)
    energies = np.exp(random.uniform(np.log(LOW), np.log(HIGH), SHOWERS))
    voxels = gflash.showers(energies, detector, random, photons=False)
    threshold = run.calorimetry.detectors["set2_electrons"].threshold
    voxels[voxels < threshold] = 0.0
    shower_file.write(folder / "train.h5", Showers(energies, voxels))
    geometries.write(detector.geometry, folder / "geometry.xml")
    return folder


def brief(settings: dict[str, Any]) -> dict[str, Any]:
    """The same model with two passes over the showers."""
    found = {**settings, "training": {**settings["training"], "epochs": 2, "batch_size": 32}}
    if isinstance(found.get("energies"), dict):
        own = found["energies"]["training"]
        found["energies"] = {**found["energies"], "training": {**own, "epochs": 2}}
    return found


def test_the_run_has_a_flow_and_a_transformer_of_patches(run: Settings) -> None:
    assert run.calorimetry is not None
    models = run.calorimetry.models
    assert {one.kind for one in models.values()} == {"coupling", "matching"}
    geometry = geometries.load("set2_electrons")
    assert geometry.voxels == 6480
    for one in models.values():
        assert one.showers == "electrons"
        assert one.preprocessing.threshold == run.calorimetry.detectors["set2_electrons"].threshold


@pytest.mark.parametrize("name", ["coupling", "transformer"])
def test_a_model_learns_and_draws(
    name: str, run: Settings, electrons: Path, tmp_path: Path
) -> None:
    values = run.model_dump(mode="json")
    models = {name: brief(values["calorimetry"]["models"][name])}
    given = Given({"seed": 1, "calorimetry": {"models": models}})
    model, drawn, geometry = (
        tmp_path / "model.pt",
        tmp_path / "drawn.h5",
        electrons / "geometry.xml",
    )
    train.main(
        showers=electrons / "train.h5", geometry=geometry, model=name, trained=model,
        history=tmp_path / "history.json", settings=given,
    )  # fmt: skip
    sample.main(model=model, points=["5000:40", "200000:40"], output=drawn, settings=given)
    found = shower_file.read(drawn, geometries.load(str(geometry)))
    assert found.voxels.shape == (80, 6480)
    filled = found.voxels[found.voxels > 0]
    assert filled.min() >= models[name]["preprocessing"]["threshold"]
    # After two passes over few showers an order of magnitude of the response is all there is.
    response = found.voxels.sum(axis=1) / found.energies
    assert 0.5 < np.median(response) < 1.2
    occupancy = (found.voxels > 0).mean(axis=1)
    assert occupancy[40:].mean() > 1.5 * occupancy[:40].mean()
