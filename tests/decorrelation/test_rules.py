"""Rules of the stage: who trains, who is measured, and what a setting reaches."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.workflow

Steps = dict[tuple[str, str], dict[str, Any]]
# The last one is an input of other steps.
OUTPUTS = (
    "--model",
    "--flow",
    "--metrics",
    "--index",
    "--performance",
    "--transformed",
    "--scores",
)


def planned(project: Path, folder: Path, overlay: dict[str, Any], *targets: str) -> Steps:
    """Settings of each job of the stage in a dry run, by step and first output."""
    configuration = folder / "overlay.yaml"
    configuration.write_text(yaml.safe_dump({"run": "never_made", **overlay}))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1"]
    # The profile of the project would hide the commands.
    command += ["--workflow-profile", "none", "--configfile", str(configuration), "--"]
    command += [f"results/never_made/{target}" for target in targets]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: Steps = {}
    for line in (done.stdout + done.stderr).splitlines():
        before, _, rest = line.partition("fullchain ")
        own = rest.startswith(("decorrelation ", "tagging predict "))
        if before.strip() not in ("", "Shell command:") or not own:
            continue
        words = shlex.split(rest)
        first = next((words[words.index(one) + 1] for one in OUTPUTS if one in words), "")
        if first.startswith("results/never_made/decorrelation/"):
            values = json.loads(words[words.index("--settings") + 1])
            found[words[1], first.removeprefix("results/never_made/")] = values
    return found


MEASURED = "decorrelation/metrics.json"

SAMPLES = ("wjet", "qcd", "tt")
"""Those that the tagger w_mlp is trained on, and one more."""


def test_each_variant_is_trained_and_measured_beside_its_tagger(
    project: Path, tmp_path: Path
) -> None:
    classifiers = {
        "disco": {"method": {"kind": "disco", "strengths": [3.0, 0.5]}, "seeds": 2},
        "mode": None,
    }
    found = planned(project, tmp_path, {"decorrelation": {"classifiers": classifiers}}, MEASURED)
    trained = {output for step, output in found if step == "train"}
    assert trained == {
        f"decorrelation/disco_{strength}/fold0_seed{seed}/model.pt"
        for strength in ("3", "0p5")
        for seed in (0, 1)
    }
    flows = {output for step, output in found if step == "flatten"}
    assert flows == {
        *(f"decorrelation/flow/{score}/flow.pt" for score in ("mean", "seed0", "seed1", "seed2")),
        "decorrelation/top_flow/mean/flow.pt",
    }
    measured = {output.split("/")[1] for step, output in found if step == "evaluate"}
    assert measured == {"w_mlp", "disco_3", "disco_0p5", "flow", "bdt", "top_flow"}
    own = found["train", "decorrelation/disco_3/fold0_seed0/model.pt"]
    assert "seeds" not in own["tagging"]["taggers"]["w_mlp"]
    assert "strengths" not in own["decorrelation"]["classifiers"]["disco"]["method"]
    assert set(own["decorrelation"]["classifiers"]) == {"disco"}


def test_a_setting_of_one_method_reaches_that_method_only(project: Path, tmp_path: Path) -> None:
    def jobs(overlay: dict[str, Any]) -> dict[tuple[str, str], str]:
        found = planned(project, tmp_path, overlay, MEASURED)
        return {name: json.dumps(values, sort_keys=True) for name, values in found.items()}

    default = jobs({})

    def changed(overlay: dict[str, Any]) -> set[str]:
        now = jobs(overlay)
        assert set(now) == set(default)
        return {" ".join(name) for name in now if now[name] != default[name]}

    bins = {"classifiers": {"mode": {"method": {"kind": "mode", "bins": 12}}}}
    found = changed({"decorrelation": bins})
    assert found and all("mode_100" in name for name in found)
    found = changed({"decorrelation": {"evaluation": {"mass_bins": 40}}})
    assert found and all(name.startswith("evaluate ") for name in found)


def test_a_fit_reads_the_scores_of_a_variant(project: Path, tmp_path: Path) -> None:
    overlay = {"inference": {"analyses": {"ttbar": {"tagger": "flow"}}}}
    found = planned(project, tmp_path, overlay, "inference/ttbar/templates.root")
    assert {step for step, _ in found} == {"flatten", "transform"}
    assert not any("disco" in output or "mode" in output for _, output in found)


def test_a_flow_takes_the_scores_of_a_variant(project: Path, tmp_path: Path) -> None:
    classifiers = {
        "disco": {"seeds": 2},
        "flat": {"tagger": "disco_30", "method": {"kind": "flow"}},
        **dict.fromkeys(("mode", "flow")),
    }
    overlay = {"decorrelation": {"classifiers": classifiers}}
    target = "decorrelation/flat/scores/tt.parquet"
    found = planned(project, tmp_path, overlay, target)
    # As many flows as the scores of the variant have seeds, and none of the tagger itself.
    assert {name for name in found if name[0] != "train"} == {
        *(("flatten", f"decorrelation/flat/{name}/flow.pt") for name in ("mean", "seed0", "seed1")),
        *(("predict", f"decorrelation/disco_30/scores/{name}.parquet") for name in SAMPLES),
        ("transform", target),
    }
    assert len(found) == 2 + 3 + len(SAMPLES) + 1
    own = found["flatten", "decorrelation/flat/mean/flow.pt"]
    assert set(own["decorrelation"]["classifiers"]) == {"flat", "disco"}
    assert set(own["tagging"]["taggers"]) == {"w_mlp"}
    measured = planned(project, tmp_path, overlay, "decorrelation/flat/performance.json")
    evaluated = measured["evaluate", "decorrelation/flat/performance.json"]
    assert set(evaluated["decorrelation"]["classifiers"]) == {"flat", "disco"}
    # A fit may take it, and what is not asked for is not made.
    ttbar = {"inference": {"analyses": {"ttbar": {"tagger": "flat"}}}}
    found = planned(project, tmp_path, {**overlay, **ttbar}, "inference/ttbar/templates.root")
    assert {step for step, _ in found} == {"train", "predict", "flatten", "transform"}


def test_scores_of_folds_depend_on_who_stands_in(project: Path, tmp_path: Path) -> None:
    target = "decorrelation/flow/scores/qcd.parquet"

    def given(folds: int) -> dict[str, Any]:
        overlay = {"tagging": {"taggers": {"w_mlp": {"folds": folds}}}}
        found = planned(project, tmp_path, overlay, target)
        # A flow for each fold is in one file: the same jobs as with one.
        assert sorted(step for step, _ in found) == ["flatten"] * 4 + ["transform"]
        return found["transform", target]

    assert given(1) == {}
    assert list(given(3)["tagging"]["evaluation"]) == ["alternatives"]
