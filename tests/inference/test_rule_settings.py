"""Each rule of the stage gets the settings that it reads, and no others."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow

STEPS = ("templates", "workspace", "fit", "plot")


def _settings_of_steps(project: Path, folder: Path, overlay: dict) -> dict[str, dict]:
    """What a dry run would pass to each step of the stage."""
    configuration = folder / "overlay.yaml"
    configuration.write_text(yaml.safe_dump({"run": "never_made", **overlay}))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1"]
    # The project's profile would hide the commands.
    command += ["--workflow-profile", "none", "--configfile", str(configuration), "--"]
    command += ["results/never_made/inference/figures/index.json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    assert printed.returncode == 0, printed.stdout + printed.stderr
    found = {}
    for line in (printed.stdout + printed.stderr).splitlines():
        for step in STEPS:
            if f"fullchain inference {step} " in line:
                words = shlex.split(line)
                found[step] = json.loads(words[words.index("--settings") + 1])
    assert set(found) == set(STEPS)
    return found


def test_a_setting_reaches_its_readers_only(project, tmp_path):
    default = _settings_of_steps(project, tmp_path, {})

    def readers(overlay: dict) -> tuple[set[str], dict[str, dict]]:
        changed = _settings_of_steps(project, tmp_path, overlay)
        return {step for step in STEPS if changed[step] != default[step]}, changed

    model = {"luminosity": {"value": 2.0}, "systematics": {"jes": None}, "data": {"kind": "asimov"}}
    rerun, changed = readers({"inference": model})
    assert rerun == {"workspace"}
    assert "seed" in default["workspace"]
    assert "seed" not in changed["workspace"], "expected data do not depend on the seed"
    rerun, _ = readers({"inference": {"selection": {"working_point": {"efficiency": 0.1}}}})
    assert rerun == {"templates"}
