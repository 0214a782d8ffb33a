"""What the rules of the stage ask for, and the settings that several stages share."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from fullchain.dag.parts import part
from fullchain.errors import InputError
from fullchain.jets.settings import OF_THE_FILE
from fullchain.pileup.densities import trained_ranges
from fullchain.pileup.methods import CLASSICAL
from fullchain.pileup.settings import CLASSICAL as NAMES
from fullchain.setting_files import merge, read_yaml
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
        ({"pileup": {"evaluation": {"leading_jets": "AK6"}}}, "leading_jets.*'AK8' or 'AK4'"),
        ({"pileup": {"evaluation": {"n95_pixel": 0.0}}}, "n95_pixel"),
        ({"pileup": {"evaluation": {"correlation_beta": -1.0}}}, "correlation_beta"),
        ({"pileup": {"evaluation": {"baseline": "puppi"}}}, "baseline"),
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


def test_the_sample_like_that_of_pumml(project: Path) -> None:
    files = [project / "config" / name for name in ("config.yaml", "pumml.yaml")]
    chosen = validate(merge(*map(read_yaml, files)), "pumml")
    assert chosen.ntuples.beams.energy == 13000.0
    assert chosen.tagging is None and chosen.inference is None and chosen.pileup is not None
    samples = chosen.ntuples.samples
    assert {one.process for one in samples.values()} == {"scalar"}  # type: ignore[union-attr]
    pileup = chosen.pileup
    assert {one.kind for one in pileup.learned.values()} == {"pumml", "graph"}
    assert all(one.seeds >= 3 for one in pileup.learned.values())
    (train,) = pileup.trained_on
    assert samples[train].pileup == 140.0  # type: ignore[union-attr]
    measured = [one for name, one in samples.items() if name != train]
    assert all(one.events <= pileup.evaluation.max_events for one in measured)  # type: ignore[union-attr]
    profiles = [one.pileup_profile for one in measured if one.pileup_profile]  # type: ignore[union-attr]
    assert [(min(one), max(one)) for one in profiles] == [(0, 180)]
    assert (pileup.evaluation.leading_jets, pileup.evaluation.jet_pt_min) == ("AK4", 100.0)
    assert pileup.evaluation.jet_abs_eta_max == 2.5


def test_the_evaluation_is_told_what_was_trained_on(project: Path) -> None:
    text = (project / "rules/pileup.smk").read_text()
    (source,) = re.findall(
        r"^def trained_densities\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE
    )
    config = validate({"pileup": {"learned": {"graph": GRAPH}}})
    assert config.pileup is not None
    found = {"CONFIG": config, "LEARNED": config.pileup.learned}
    exec(source, found)
    paths = found["trained_densities"]()  # type: ignore[operator]
    ranges = trained_ranges(part(config.model_dump(mode="json"), *paths))
    assert ranges == {"graph": (pytest.approx(50 - 2 * 50**0.5), pytest.approx(50 + 2 * 50**0.5))}


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
