"""Published sets of jets, each in its own layout, go through every architecture of tagger."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fullchain.jets import cluster
from fullchain.ntuples import convert, ingest
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import perturb, predict, train
from fullchain.tagging.architectures import Architecture
from fullchain.tagging.settings import TaggerSettings, TaggingSettings

JETS = 80

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [8], "f": [8]},
    "efn": {"phi": [8], "f": [8]},
    "particlenet": {"neighbours": 3, "blocks": [[8, 8]], "fc": [8]},
    "part": {
        "embedding": [8, 8], "pairs": [8], "heads": 2, "blocks": 1, "class_blocks": 1,
    },
    "lgatr": {"blocks": 1, "vector_channels": 2, "scalar_channels": 4, "heads": 1},
    "lund": {"blocks": [[8, 8]], "head": [8]},
    "mlp": {"layers": [8]},
    "trees": {"iterations": 3, "min_jets_in_leaf": 5},
}  # fmt: skip

CLASSES = {
    "top_tagging": ("top", "gluon"),
    "jetclass": ("top", "gluon"),
    "quark_gluon": ("light", "gluon"),
}
"""Labels of signal and background in the files of each layout."""

WITH_FULL_INPUTS = ("jetclass", "quark_gluon")
"""Layouts that tell charge and kind of a particle."""

PARTICLES = ("pfn", "efn", "particlenet", "part", "lgatr")
"""Architectures that look at features of particles."""


@pytest.fixture(scope="module")
def jets(
    tmp_path_factory: pytest.TempPathFactory,
    write_top_tagging: Callable[..., Path],
    write_quark_gluon: Callable[..., Path],
    write_jetclass: Callable[..., Path],
) -> dict[str, Path]:
    """Jets of a small file of each layout, made by the steps before the taggers."""
    folder = tmp_path_factory.mktemp("sets")
    files = {
        "top_tagging": write_top_tagging(folder / "test.h5", JETS),
        "quark_gluon": write_quark_gluon(folder / "a.npz", JETS),
        "jetclass": write_jetclass(folder / "a.root", ("QCD", "Tbqq") * (JETS // 2)),
    }
    return {layout: _cluster(folder / layout, layout, path) for layout, path in files.items()}


def _cluster(folder: Path, layout: str, path: Path) -> Path:
    """Run the steps from the registry of samples to the jets."""
    settings = {
        "seed": 1,
        "ntuples": {"samples": {"mine": {"kind": "ingested", "files": [str(path)]}}},
        "jets": {
            "selection": {
                "pt_min": 50.0, "pt_max": 2000.0, "abs_eta_max": 2.5, "identification": False,
            },
            "shifts": {},
        },
    }  # fmt: skip
    folder.mkdir()
    manifest = folder / "0000.json"
    names: dict[str, Any] = {"sample": "mine", "part": "0000", "manifest": manifest}
    if layout == "jetclass":
        ingest.main(**names, settings=Given(settings))
    else:
        convert.main(**names, ntuple=folder / "0000.root", settings=Given(settings))
    result = folder / "jets.parquet"
    cluster.main(
        manifest=manifest, jets=result, summary=folder / "jets.json", settings=Given(settings)
    )
    return result


def given(layout: str, kind: str, inputs: str) -> Given:
    """Settings of a tiny tagger."""
    signal, background = CLASSES[layout]
    # Without, an equivariant network sees momenta only, whatever the inputs.
    more = {"scalars": "features"} if kind == "lgatr" and inputs == "full" else {}
    everything = validate(
        {
            "tagging": {
                "selection": {"pt_min": 50.0, "pt_max": 2000.0, "abs_eta_max": 2.5},
                "training": {"epochs": 1, "batch_size": 16},
                "evaluation": {"replicas": 20},
                "robustness": {
                    "perturbations": {
                        **dict.fromkeys(TaggingSettings().robustness.perturbations),
                        "drop": {"kind": "drop", "strengths": [0.5]},
                        "charged": {"kind": "drop", "particles": "charged", "strengths": [0.5]},
                        "angles": {"kind": "smear_angles", "strengths": [0.1]},
                    }
                },
                "taggers": {
                    "mine": {
                        "classes": {
                            "signal": {"samples": ["mine"], "labels": [signal]},
                            "background": {"samples": ["mine"], "labels": [background]},
                        },
                        "architecture": {"kind": kind, **ARCHITECTURES[kind], **more},
                        "inputs": inputs,
                        "n_constituents": 12,
                    }
                },
            },
            "ntuples": {"samples": {"mine": {"kind": "ingested", "files": ["a"]}}},
        }
    )
    return Given(everything.model_dump(mode="json"))


CASES = [
    *((layout, kind, "kin") for layout in CLASSES for kind in ARCHITECTURES),
    *((layout, kind, "full") for layout in WITH_FULL_INPUTS for kind in PARTICLES),
]


@pytest.mark.parametrize(("layout", "kind", "inputs"), CASES)
def test_every_architecture_trains_on_each_published_set(
    jets: dict[str, Path],
    tmp_path: Path,
    layout: str,
    kind: str,
    inputs: str,
) -> None:
    settings = given(layout, kind, inputs)
    files = {name: tmp_path / name for name in ("model", "history")}
    train.main(
        jets=[jets[layout]],
        samples=["mine"],
        tagger="mine",
        member="fold0_seed0",
        settings=settings,
        **files,
    )
    scores = tmp_path / "scores.parquet"
    predict.main(
        jets=[jets[layout]],
        sample="mine",
        models=[files["model"]],
        scores=scores,
        settings=settings,
    )
    found = pq.read_table(scores)["score"].to_numpy()
    assert len(found) == pq.read_metadata(jets[layout]).num_rows == JETS
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    assert len(np.unique(found)) > 1

    changed = tmp_path / "robustness.json"
    perturb.main(
        jets=[jets[layout]],
        samples=["mine"],
        models=[files["model"]],
        tagger="mine",
        robustness=changed,
        settings=settings,
    )
    study = json.loads(changed.read_text())
    assert set(study["left_out"]) == ({"charged"} if layout == "top_tagging" else set())
    assert {case["perturbation"] for case in study["cases"]} >= {"drop", "angles"}
    assert all(case["difference"]["auc"]["deviation"] >= 0 for case in study["cases"])


def test_there_is_a_case_for_every_architecture() -> None:
    union = inspect.get_annotations(TaggerSettings)["architecture"].__args__[0].__args__
    assert Architecture.__args__[0].__args__ == union
    kinds = {one.model_fields["kind"].default for one in union}
    assert kinds == set(ARCHITECTURES)


@pytest.mark.workflow
def test_the_run_on_the_reference_set_can_be_planned(
    project: Path, tmp_path: Path, write_top_tagging: Callable[..., Path]
) -> None:
    for name in ("train", "val", "test"):
        write_top_tagging(tmp_path / "data/top_tagging" / f"{name}.h5", 100)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text((project / "config/config.yaml").read_text())
    command = [
        sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--snakefile",
        str(project / "Snakefile"), "--directory", str(tmp_path), "--configfile",
        str(project / "config/top_landscape.yaml"), "--workflow-profile", "none",
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    # Ten taggers, three trainings each; the reference set comes in 40 parts.
    counts = dict(re.findall(r"^\s*(\w+) +(\d+)\s*$", done.stdout + done.stderr, re.MULTILINE))
    assert counts["tagging_train"] == "30" and counts["tagging_perturb"] == "10"
    assert counts["ntuples_convert"] == counts["jets_cluster"] == "40"
