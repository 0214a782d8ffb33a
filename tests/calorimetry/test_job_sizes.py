"""What rules ask for: memory with the showers, time with the evaluations, GPUs with the devices."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fullchain.calorimetry import geometry, job_sizes
from fullchain.calorimetry.classifier_network import ShowerClassifier
from fullchain.calorimetry.classifier_settings import OFFICIAL_LAYERS, ClassifierSettings
from fullchain.calorimetry.matching_parts import ShowerMatching
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.settings import CalorimetrySettings
from fullchain.settings import Settings, validate

ELECTRONS = {"kind": "parameterised", "detector": "set2_electrons", "train": 5000, "test": 400}
FINE: dict[str, Any] = {
    "showers": {"electrons": ELECTRONS},
    "models": {
        "fine": {
            "kind": "matching",
            "showers": "electrons",
            "preprocessing": {"threshold": 0.01515},
            "shower": {"network": "vit"},
        }
    },
}


def stage_of(**changes: Any) -> CalorimetrySettings:
    found = validate({"calorimetry": changes}).calorimetry
    assert found is not None
    return found


def written(folder: Path, name: str, number: int) -> str:
    with h5py.File(folder / name, "w") as file:
        file["incident_energies"] = np.full((number, 1), 1e4)
        file["showers"] = np.ones((number, 320), dtype="f4")
    return str(folder / name)


def test_simulated_sets_are_as_large_as_their_settings() -> None:
    stage = stage_of(**FINE)
    assert job_sizes.voxels(stage, "electrons") == 6480
    assert job_sizes.megabytes(stage, "electrons", "train") == 5000 * 6480 * 4 / 1e6
    # The larger of the two.
    assert stage.showers["electrons"].reference == 10_000
    assert job_sizes.megabytes(stage, "electrons", "test", "reference") == 6480 * 0.04


def test_sets_of_files_are_as_large_as_the_files(tmp_path: Path) -> None:
    inner = geometry.as_xml(geometry.load("crystal"))[len("<Bins>\n") : -len("</Bins>\n")]
    both = f"<Bins>{inner}{inner.replace('photon', 'pion')}</Bins>"
    (tmp_path / "both.xml").write_text(both)
    files = {
        "kind": "files",
        "train": [written(tmp_path, "a.h5", 70), written(tmp_path, "b.h5", 50)],
        "test": [written(tmp_path, "c.h5", 40)],
        "geometry": str(tmp_path / "both.xml"),
        "bin": "pion",
        "reference": 0.4,
    }
    stage = stage_of(showers={"mine": files, "few": files | {"most": 30}})
    assert job_sizes.voxels(stage, "mine") == 320
    assert job_sizes.counts(stage, "mine") == {"train": 120, "test": 24, "reference": 16}
    assert job_sizes.counts(stage, "few") == {"train": 30, "test": 18, "reference": 12}
    assert job_sizes.megabytes(stage, "mine", "train") == pytest.approx(120 * 320 * 4 / 1e6)


def test_what_cannot_be_read_is_left_to_the_step_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no")
    files = {
        "kind": "files",
        "train": [str(tmp_path / "none.h5")],
        "test": [str(tmp_path / "text.h5")],
        "geometry": str(tmp_path / "none.xml"),
    }
    stage = stage_of(showers={"mine": files, "other": files | {"bin": "pion"}})
    assert job_sizes.counts(stage, "mine") == {"train": 0, "test": 0, "reference": 0}
    assert job_sizes.voxels(stage, "mine") == job_sizes.voxels(stage, "other") == 0
    assert job_sizes.megabytes(stage, "mine", "train") == 0.0


@pytest.mark.parametrize(
    ("mode", "layers", "kind"),
    [("lite", (100, 50), torch.float32), ("official", OFFICIAL_LAYERS, torch.float64)],
)
def test_the_network_of_a_classifier(mode: str, layers: tuple[int, ...], kind: torch.dtype) -> None:
    how = ClassifierSettings.model_validate({"mode": mode, "layers": [100, 50]})
    network = ShowerClassifier(1 + 368, layers).to(kind)
    size = sum(one.numel() * one.element_size() for one in network.parameters()) / 1e6
    found = job_sizes.classifier_megabytes(stage_of(), "photons", how)
    assert found == pytest.approx(5 * size, rel=0.02)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("photons", {"network": "resnet"}),
        ("photons", {"network": "resnet", "width": 100, "blocks": 5}),
        ("electrons", {"network": "vit", "width": 96, "heads": 4, "blocks": 2}),
        ("electrons", {"network": "vit", "width": 48, "patch": [3, 4, 1], "blocks": 3}),
    ],
)
def test_operations_are_those_of_the_network(name: str, network: dict[str, Any]) -> None:
    own = {"kind": "matching", "showers": name, "shower": network}
    own["preprocessing"] = {"threshold": 0.01515 if name == "electrons" else 1.0}
    stage = stage_of(showers={"electrons": ELECTRONS}, models={"one": own})
    how: Any = stage.models["one"]
    voxels = geometry.load("set2_electrons" if name == "electrons" else "set1_photons")
    velocity = ShowerMatching(Preprocessing(voxels, how.preprocessing), how).network
    given = [torch.randn(3, size) for size in (voxels.voxels, 1, 1 + len(voxels.layers))]
    # Attention in one kernel is not counted.
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        velocity(*given)
    counted = counter.get_total_flops() / 3
    assert job_sizes.operations(stage, "one") == pytest.approx(counted, rel=0.15)


def test_evaluations_are_those_of_all_solvers() -> None:
    solvers = {
        "evaluations": {"euler": [4], "midpoint": None, "rk4": [4, 8]},
        "tolerances": [1e-2, 1e-3],
        "reference": {"method": "rk4", "evaluations": 32},
    }
    few = {"kind": "bespoke", "teacher": "matching", "shower": {"steps": 5, "base": "midpoint"}}
    stage = stage_of(models={"few": few}, solvers=solvers)
    adaptive = 2 * job_sizes.ADAPTIVE
    assert job_sizes.evaluations(stage, "matching") == 32 + 4 + 4 + 8 + adaptive + 10


def rules(project: Path, settings: Settings) -> dict[str, Any]:
    """The functions of the rules, which are plain Python."""
    text = (project / "rules/calorimetry.smk").read_text()
    found: dict[str, Any] = {"CALORIMETRY": settings.calorimetry, "job_sizes": job_sizes}
    names = (
        "memory_of_showers",
        "memory_of_classifier",
        "memory_of_weights",
        "gpu_of",
        "solver_time",
    )
    for name in names:
        (source,) = re.findall(rf"^def {name}\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE)
        exec(source, found)
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    found["resources"] = {
        name: dict(re.findall(r"^        (mem_mb|runtime|gpu)=(.+),$", body, re.MULTILINE))
        for name, body in blocks
    }
    return found


def asked(found: dict[str, Any], rule: str, resource: str, **wildcards: str) -> Any:
    value = eval(found["resources"][f"calorimetry_{rule}"][resource], found)
    return value(SimpleNamespace(**wildcards), 1) if callable(value) else value


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 1), ("cuda", 1)])
def test_classifiers_ask_for_a_gpu_where_they_may_use_one(
    project: Path, device: str, gpus: int
) -> None:
    own = {"training": {"device": device}}
    found = rules(project, validate({"calorimetry": {"classifiers": own}}))
    assert asked(found, "classify", "gpu") == gpus and asked(found, "control", "gpu") == 0
    found = rules(project, validate({"calorimetry": {"control": {"classifier": own}}}))
    assert asked(found, "classify", "gpu") == 0 and asked(found, "control", "gpu") == gpus


@pytest.mark.parametrize(
    ("rule", "wildcard"),
    [
        ("train", "shower_model"),
        ("distil", "shower_model"),
        ("evaluate", "judged"),
        ("classify", "judged"),
        ("control", "shower_model"),
    ],
)
def test_memory_follows_the_showers(project: Path, rule: str, wildcard: str) -> None:
    def memory(number: int) -> int:
        own = {**ELECTRONS, "train": number, "test": number, "reference": 10}
        settings = validate({"calorimetry": {**FINE, "showers": {"electrons": own}}})
        megabytes: int = asked(rules(project, settings), rule, "mem_mb", **{wildcard: "fine"})
        return megabytes

    copies = (memory(101_000) - memory(1_000)) / (100_000 * 6480 * 4 / 1e6)
    assert copies == pytest.approx(COPIES[rule], abs=0.01)
    assert 1500 < memory(1_000) < 5000


COPIES = {"train": 8, "distil": 8, "evaluate": 1, "classify": 15, "control": 15}


@pytest.mark.parametrize(("discriminator", "copies"), [("trees", 15), ("network", 11)])
def test_weights_of_trees_ask_for_more(project: Path, discriminator: str, copies: int) -> None:
    how = {"discriminator": discriminator, "classifier": {"trees": False}}

    def memory(number: int) -> int:
        own = {**ELECTRONS, "train": 10, "test": number, "reference": 10}
        chosen = {**FINE, "showers": {"electrons": own}, "control": how}
        found = rules(project, validate({"calorimetry": chosen}))
        megabytes: int = asked(found, "control", "mem_mb", shower_model="fine")
        return megabytes

    asked_for = (memory(101_000) - memory(1_000)) / (100_000 * 6480 * 4 / 1e6)
    assert asked_for == pytest.approx(copies, abs=0.01)


def test_the_official_mode_asks_for_more(project: Path) -> None:
    def memory(mode: str) -> int:
        how = {"mode": mode, "trees": False}
        settings = validate({"calorimetry": {**FINE, "classifiers": how}})
        megabytes: int = asked(rules(project, settings), "classify", "mem_mb", judged="fine")
        return megabytes

    # 10 000 showers in the reference; and a network of 21 million weights in double precision.
    assert memory("official") - memory("lite") > 4 * 259 + 750


def test_the_time_of_solvers_follows_the_network(project: Path) -> None:
    found = rules(project, validate({"calorimetry": FINE}))
    default, fine = (
        asked(found, "solve", "runtime", shower_model=name) for name in ("matching", "fine")
    )
    assert 60 <= default < 70
    # All showers of the test, 348 evaluations of 60 ms each at the measured speed.
    assert fine > 2 * 400 * 348 * 0.06 / 60
