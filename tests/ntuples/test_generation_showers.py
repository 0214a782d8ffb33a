"""Generated files with showers in the place of the resolution formula."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uproot
from torch import Tensor

from fullchain.calorimetry import geometry, learned_source
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.errors import InputError
from fullchain.ntuples import generate, generate_learned, generate_parameterised, initialise
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.step import Given


def given(**electromagnetic: Any) -> Given:
    sample = {"kind": "generated", "process": "wjet", "events": 100, "pthat_min": 525.0}
    ntuples = NtuplesSettings(
        samples={"w": sample},
        cross_section_events=1000,
        detector={"calorimeter": {"electromagnetic": electromagnetic}},
    )
    detectors = {name: one.model_dump(mode="json") for name, one in default_detectors().items()}
    return Given(
        {
            "seed": 5,
            "ntuples": ntuples.model_dump(mode="json"),
            "calorimetry": {"detectors": detectors},
        }
    )


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pythia")
    initialise.main(
        sample="w",
        initialisation=folder / "pythia.mpi",
        generator=folder / "generator.json",
        settings=given(kind="resolution"),
    )
    return folder


def run(step: Any, initialised: Path, folder: Path, settings: Given, **more: Any) -> Any:
    step.main(
        initialisation=initialised / "pythia.mpi",
        generator=initialised / "generator.json",
        sample="w",
        part="0000",
        ntuple=folder / "0000.root",
        manifest=folder / "0000.json",
        settings=settings,
        **more,
    )
    with uproot.open(folder / "0000.root") as file:
        return file["Events"].arrays(library="np")


def test_parameterised_showers_change_photons_alone(
    initialised: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("formula", "showers", "again")]
    for folder in folders:
        folder.mkdir()
    before = run(generate, initialised, folders[0], given(kind="resolution"))
    after, again = (
        run(generate_parameterised, initialised, folder, given(kind="parameterised"))
        for folder in folders[1:]
    )
    assert "became showers" in capsys.readouterr().err
    for name in before:
        if name.startswith("Gen"):
            assert all(map(np.array_equal, before[name], after[name])), name

    def of(events: Any, code: int) -> np.ndarray:
        codes, pt = np.concatenate(events["PFCands_pdgId"]), np.concatenate(events["PFCands_pt"])
        return pt[np.abs(codes) == code]

    assert np.array_equal(np.sort(of(before, 211)), np.sort(of(after, 211)))
    assert not np.array_equal(np.sort(of(before, 22)), np.sort(of(after, 22)))
    assert of(after, 22).sum() == pytest.approx(of(before, 22).sum(), rel=0.05)
    assert all(map(np.array_equal, after["PFCands_pt"], again["PFCands_pt"]))


class Pencil(ShowerModel):
    """All energy in one voxel, trained for too few energies."""

    def sample(self, incident: Tensor, generator: torch.Generator) -> Tensor:
        voxels = torch.zeros(len(incident), self.preprocessing.geometry.voxels)
        voxels[:, :1] = incident
        return voxels


def test_a_model_makes_events_and_too_small_a_range_is_an_error(
    initialised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = geometry.load(default_detectors()["crystal"].geometry)
    model = Pencil(Preprocessing(voxels, PreprocessingSettings()))
    monkeypatch.setattr(learned_source.model_file, "read", lambda path: (model, None, {}))
    settings, more = given(kind="model", model="pencil"), {"model": tmp_path / "model.pt"}
    model.preprocessing.energy_range.copy_(torch.tensor([500.0, 5e6]))
    events = run(generate_learned, initialised, tmp_path, settings, **more)
    assert len(events["PFCands_pt"]) == 100
    model.preprocessing.energy_range.copy_(torch.tensor([500.0, 2e3]))
    with pytest.raises(InputError, match=r"model.pt: showers are made for 0.5 to 2 GeV"):
        run(generate_learned, initialised, tmp_path, settings, **more)


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (generate, {"kind": "parameterised"}, "the step is ntuples generate_parameterised"),
        (generate, {"kind": "model", "model": "m"}, "the step is ntuples generate_learned"),
        (generate_parameterised, {"kind": "resolution"}, "is resolution, not parameterised"),
        (generate_learned, {"kind": "parameterised"}, "is parameterised, not model"),
    ],
)
def test_a_step_refuses_the_response_of_another(
    step: Any, kind: dict[str, Any], words: str, initialised: Path, tmp_path: Path
) -> None:
    more = {"model": tmp_path / "model.pt"} if step is generate_learned else {}
    with pytest.raises(InputError, match=words):
        run(step, initialised, tmp_path, given(**kind), **more)
