"""What the rules of the stage ask for, and the settings that several stages share."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from fullchain.errors import InputError
from fullchain.jets.settings import OF_THE_FILE
from fullchain.pileup.methods import CLASSICAL
from fullchain.pileup.settings import CLASSICAL as NAMES
from fullchain.settings import validate

GRAPH = {"kind": "graph", "samples": ["qcd_pu50"], "seeds": 2}


def weights_input(project: Path, mitigation: str) -> list[str]:
    """Files of weights that the rule of the jets asks for."""
    text = (project / "rules/jets.smk").read_text()
    (source,) = re.findall(r"^def pileup_weights\(.*\n(?:    .*\n)+", text, re.MULTILINE)
    found = {
        "CONFIG": validate({"jets": {"clustering": {"mitigation": mitigation}}}),
        "OF_THE_FILE": OF_THE_FILE,
        "result": lambda path: path,
    }
    exec(source, found)
    wanted: list[str] = found["pileup_weights"](SimpleNamespace(sample="tt", part="0001"))
    return wanted


@pytest.mark.parametrize("mitigation", OF_THE_FILE)
def test_jets_need_no_weights_by_default(project: Path, mitigation: str) -> None:
    assert weights_input(project, mitigation) == []


@pytest.mark.parametrize("mitigation", ["puppi", "softkiller"])
def test_jets_ask_for_computed_weights(project: Path, mitigation: str) -> None:
    expected = [f"pileup/weights/{mitigation}/tt/0001.parquet"]
    assert weights_input(project, mitigation) == expected
    assert mitigation in CLASSICAL


def test_paths_are_quoted(project: Path) -> None:
    text = (project / "rules/pileup.smk").read_text()
    assert not re.findall(r"\{(?:input|output)\.\w+\}|\{log\}", text)


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        (
            {"pileup": None, "jets": {"clustering": {"mitigation": "puppi"}}},
            "puppi needs the stage pileup",
        ),
        ({"pileup": {"evaluation": {"samples": ["tt_pu5"]}}}, "tt_pu50"),
        ({"pileup": {"comparison": {"samples": ["cms"]}}}, "pileup.comparison.samples"),
        ({"pileup": {"classical": {"puppi": {"con": 0.3}}}}, "'cone'"),
        (
            {"jets": {"clustering": {"mitigation": "pupi"}}},
            r"jets.clustering.mitigation: no method is called 'pupi'.*puppi",
        ),
        ({"pileup": {"learned": {"puppi": GRAPH}}}, "'puppi' cannot name a method"),
        ({"pileup": {"learned": {"graph_seed1": GRAPH}}}, "for one training of a method"),
        ({"pileup": {"learned": {"graph": {**GRAPH, "samples": ["tt_pu5"]}}}}, "tt_pu50"),
        (
            {
                "pileup": {
                    "learned": {"graph": GRAPH},
                    "evaluation": {"samples": ["tt_pu50", "qcd_pu50"]},
                }
            },
            "qcd_pu50 trains graph",
        ),
    ],
)
def test_wrong_settings_are_named(overlay: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        validate(overlay)


def test_the_stage_can_be_left_out() -> None:
    assert validate({"pileup": None}).pileup is None


def test_learned_methods_are_measured_on_samples_that_did_not_train_them() -> None:
    pileup = validate({"pileup": {"learned": {"graph": GRAPH}}}).pileup
    assert pileup is not None
    assert pileup.trained_on == {"qcd_pu50"}
    assert pileup.weight_names == ("graph", "graph_seed0", "graph_seed1")
    single = validate({"pileup": {"learned": {"graph": {**GRAPH, "seeds": 1}}}}).pileup
    assert single is not None and single.weight_names == ("graph",)


def test_jets_may_take_a_learned_method() -> None:
    learned = {"pileup": {"learned": {"graph": GRAPH}}}
    validate({**learned, "jets": {"clustering": {"mitigation": "graph"}}})


def test_methods_without_training_are_known_by_name(project: Path) -> None:
    assert set(CLASSICAL) == set(NAMES)
    text = (project / "rules/pileup.smk").read_text()
    assert f'method="{"|".join(NAMES)}"' in text


@pytest.mark.workflow
def test_the_workflow_trains_and_measures_learned_methods(project: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "learned.yaml"
    overlay.write_text(yaml.safe_dump({"pileup": {"learned": {"graph": GRAPH}}}))
    command = (sys.executable, "-m", "snakemake", "-n", "--nolock", "--configfile", str(overlay))
    done = subprocess.run(
        [*command, "--directory", str(tmp_path), "-s", str(project / "Snakefile")],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
    )
    jobs = dict(re.findall(r"pileup[ _](train|apply|evaluate) +(\d+)", done.stdout + done.stderr))
    assert jobs == {"train": "2", "apply": "3", "evaluate": "1"}, done.stderr
