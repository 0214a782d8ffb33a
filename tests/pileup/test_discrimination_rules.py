"""What the rule of 'pileup discriminate' asks for."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fullchain.pileup import figures
from fullchain.pileup.discrimination_pairs import pairs
from fullchain.settings import validate

LEARNED = {
    "ntuples": {
        "samples": {
            "qcd_train": {
                "kind": "generated", "process": "qcd", "events": 100, "events_per_job": 100,
                "pthat_min": 525.0, "pthat_max": 675.0, "pileup": 20.0,
            }
        }
    },
    "pileup": {"learned": {"graph": {"kind": "graph", "samples": ["qcd_train"], "seeds": 2}}},
}  # fmt: skip


def test_figures_are_known_before_they_are_drawn() -> None:
    assert figures.of_pairs([]) == []
    assert figures.of_pairs(["pu50"]) == [
        "top_auc_interactions", "substructure_interactions", "top_auc_pu50", "substructure_pu50"
    ]  # fmt: skip


def functions(project: Path, overlay: dict[str, Any], *names: str) -> dict[str, Any]:
    """Functions of the rules, which are plain Python, with a configuration."""
    settings = validate(overlay)
    assert settings.pileup is not None
    found: dict[str, Any] = {
        "CONFIG": settings,
        "LEARNED": settings.pileup.learned,
        "PILEUP_PAIRS": pairs(None, settings.ntuples.samples, settings.pileup.trained_on),
        "part_files": lambda pattern, sample: [f"{sample}/{part:04d}" for part in range(9)],
    }
    text = (project / "rules/pileup.smk").read_text()
    for name in names:
        (source,) = re.findall(rf"^def {name}\(.*\n(?:(?:    .*)?\n)+", text, re.MULTILINE)
        exec(source, found)
    return found


def test_only_the_parts_that_are_needed_are_asked_for(project: Path) -> None:
    overlay = {
        "ntuples": {"samples": {name: {"events_per_job": 200} for name in ("tt_pu50", "qcd_pu50")}},
        "pileup": {"discrimination": {"max_events": 300}},
    }
    wanted = functions(project, overlay, "paired_parts")["paired_parts"]
    names = [f"{sample}/{part}" for sample in ("tt_pu50", "qcd_pu50") for part in ("0000", "0001")]
    assert wanted("pu50", "x") == names
    assert wanted("pu50", "x", ("background",)) == names[2:]


def test_the_step_is_told_which_densities_trained_the_weights(project: Path) -> None:
    found = functions(project, LEARNED, "trained_densities")
    assert found["trained_densities"]() == [
        "pileup.learned.graph.samples",
        "ntuples.samples.qcd_train.pileup",
        "ntuples.samples.qcd_train.pileup_profile",
    ]
    assert functions(project, {}, "trained_densities")["trained_densities"]() == []


@pytest.mark.workflow
def test_the_workflow_measures_each_pair_with_weights_of_both_samples(
    project: Path, tmp_path: Path
) -> None:
    overlay = tmp_path / "learned.yaml"
    overlay.write_text(yaml.safe_dump(LEARNED))
    target = "results/default/pileup/discrimination/pu50.json"
    command = (sys.executable, "-m", "snakemake", "-n", "--nolock", "--configfile", overlay)
    done = subprocess.run(
        [*map(str, command), "--directory", tmp_path, "-s", project / "Snakefile", target],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
    )
    said = done.stdout + done.stderr
    jobs = dict(re.findall(r"pileup[ _](train|apply|discriminate) +(\d+)", said))
    # weights of the method on both samples, none of its single trainings
    assert jobs == {"train": "2", "apply": "2", "discriminate": "1"}, said
