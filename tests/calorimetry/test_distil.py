"""The step that teaches: files in, files out, and what it refuses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.calorimetry import distil, geometry, model_file, shower_file, train
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.step import Given

LAYERS = '<Layer id="0" r_edges="0,10,20" n_bin_alpha="1"/>'
SMALL = f'<Bins><Bin pid="22" name="small">{LAYERS}</Bin></Bins>'
LARGER = SMALL.replace("0,10,20", "0,10,20,30").replace("small", "larger")

FLOW = {"blocks": 2, "layers": [8], "embedding": 4, "bins": 3, "bound": 5.0}
TRAINING = {"epochs": 2, "batch_size": 50}
MODELS: dict[str, dict[str, Any]] = {
    "slow": {
        "kind": "autoregressive",
        "energy_flow": FLOW,
        "shower_flow": FLOW,
        "training": TRAINING,
    },
    "fast": {"kind": "student", "teacher": "slow", "training": TRAINING},
}


def given(models: Mapping[str, Any] = MODELS) -> Given:
    return Given({"seed": 1, "calorimetry": {"models": models}})


def showers(folder: Path, xml: str = SMALL) -> dict[str, Path]:
    (folder / "geometry.xml").write_text(xml)
    voxels = geometry.load(str(folder / "geometry.xml")).voxels
    random = np.random.default_rng(1)
    energies = 1000.0 * 2.0 ** random.integers(0, 3, 200)
    energy = energies[:, None] * random.gamma(20.0, 0.015, (200, voxels))
    shower_file.write(folder / "train.h5", Showers(energies, energy.astype(np.float32)))
    return {"showers": folder / "train.h5", "geometry": folder / "geometry.xml"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("slow")
    inputs = showers(folder)
    teacher = folder / "model.pt"
    train.main(**inputs, model="slow", trained=teacher, history=folder / "t.json", settings=given())
    return {**inputs, "teacher": teacher}


def run(files: Mapping[str, Path], folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    options: dict[str, Any] = {"model": "fast", "settings": given(), **files, **changes}
    distil.main(trained=folder / "model.pt", history=folder / "training.json", **options)
    return folder / "model.pt"


def test_a_student_is_written_with_what_it_took_from_its_teacher(
    files: dict[str, Path], tmp_path: Path
) -> None:
    path = run(files, tmp_path / "one")
    model, settings, extra = model_file.read(path)
    assert extra["teacher"] == "slow"
    assert settings.shower_flow.bins == FLOW["bins"]
    history = json.loads((tmp_path / "one" / "training.json").read_text())
    assert history["rows"] == {"training": 180, "validation": 20}
    assert history["below_threshold"]["voxels"] == 0.0
    assert len(history["validation"]) == 2
    assert history["validation"][0]["divergence"] > -1.0
    assert not (tmp_path / "one" / "checkpoint.pt").exists()
    drawn = model.sample(torch.full((10, 1), 2000.0), torch.Generator().manual_seed(1))
    assert drawn.shape == (10, 2)
    other, _, _ = model_file.read(run(files, tmp_path / "two"))
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, other.state_dict()[name])


def test_a_kind_without_a_teacher_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"calorimetry.models.slow: kind 'autoregressive'"):
        run(files, tmp_path, model="slow")


def test_a_teacher_of_another_geometry_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'small' \(1 layers, 2 voxels\).*'larger' .*3 voxels"):
        run({**files, **showers(tmp_path, LARGER)}, tmp_path)


def test_a_teacher_of_another_kind_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    student = run(files, tmp_path / "student")
    with pytest.raises(InputError, match=r"calorimetry.models.fast, teacher .*kind student.*auto"):
        run({**files, "teacher": student}, tmp_path / "again")
