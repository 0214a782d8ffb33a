"""Each rule of the stage gets the settings that it reads, and no others."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow

STEPS = ("templates", "workspace")


def _commands(project: Path, folder: Path, overlay: dict) -> dict[tuple[str, str], list[str]]:
    """What a dry run would call for the templates and workspaces, by step and analysis."""
    configuration = folder / "overlay.yaml"
    configuration.write_text(yaml.safe_dump({"run": "never_made", **overlay}))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1"]
    # The project's profile would hide the commands.
    command += ["--workflow-profile", "none", "--configfile", str(configuration), "--"]
    command += [
        f"results/never_made/inference/{name}/workspace.json" for name in ("ttbar", "zprime")
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    assert printed.returncode == 0, printed.stdout + printed.stderr
    found = {}
    for line in (printed.stdout + printed.stderr).splitlines():
        for step in STEPS:
            if f"fullchain inference {step} " in line:
                words = shlex.split(line)
                found[step, words[words.index("--analysis") + 1]] = words
    assert set(found) == {(step, name) for step in STEPS for name in ("ttbar", "zprime")}
    return found


def _settings(words: list[str]) -> dict:
    return dict(json.loads(words[words.index("--settings") + 1]))


@pytest.fixture(scope="module")
def default(project, tmp_path_factory):
    """The commands of the default configuration."""
    return _commands(project, tmp_path_factory.mktemp("default"), {})


def test_a_setting_reaches_its_readers_only(project, tmp_path, default):
    def readers(**changes: dict) -> tuple[set[tuple[str, str]], dict[tuple[str, str], list[str]]]:
        changed = _commands(project, tmp_path, {"inference": {"analyses": {"ttbar": changes}}})
        return {
            one for one in default if _settings(changed[one]) != _settings(default[one])
        }, changed

    rerun, changed = readers(
        luminosity={"value": 2.0}, systematics={"jes": None}, data={"kind": "asimov"}
    )
    assert rerun == {("workspace", "ttbar")}
    assert "seed" in _settings(default["workspace", "ttbar"])
    assert "seed" not in _settings(changed["workspace", "ttbar"]), (
        "expected data do not depend on the seed"
    )
    rerun, _ = readers(selection={"working_point": {"efficiency": 0.1}})
    assert rerun == {("templates", "ttbar")}


def test_a_blind_analysis_does_not_read_its_data(project, tmp_path):
    recorded = {"kind": "sample", "sample": "qcd_pu50"}

    def read(**changes: object) -> bool:
        overlay = {"inference": {"analyses": {"ttbar": {"data": recorded, **changes}}}}
        words = _commands(project, tmp_path, overlay)["templates", "ttbar"]
        return any("qcd_pu50" in word for word in words)

    assert read()
    assert not read(blind=True)


def test_an_analysis_reads_the_scores_of_a_decorrelated_variant(project, tmp_path):
    overlay = {"inference": {"analyses": {"ttbar": {"tagger": "disco_30"}}}}
    words = _commands(project, tmp_path, overlay)["templates", "ttbar"]
    assert "results/never_made/decorrelation/disco_30/scores/tt.parquet" in words
    assert list(_settings(words)["tagging"]["taggers"]) == ["w_mlp"]


def test_all_hypotheses_are_filled(default):
    words = default["templates", "zprime"]
    for name in ("zprime", "zprime_1500", "zprime_1700"):
        assert f"results/never_made/tagging/bdt/scores/{name}.parquet" in words
