"""A flow of the scores of a classifier that was trained to be decorrelated."""

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from scipy.stats import kstest

from flow_study import Study, tagger_of, write
from fullchain.decorrelation import evaluate, looks
from fullchain.decorrelation.method_settings import ClassifierSettings, DiscoSettings
from fullchain.decorrelation.settings import DecorrelationSettings, base_of
from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.tagging import scored_jets
from fullchain.tagging.selection_settings import SelectionSettings

EVALUATION = {
    "replicas": 20,
    "random_cuts": 50,
    "mass_bins": 10,
    "working_points": [0.5],
    "mass_fit": None,
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Scores of a variant with two seeds, of a tagger that has one, and a flow of them."""
    torch.set_num_threads(1)
    found = Study(tmp_path, tagger_of(1))
    found.files = {name: write(tmp_path, name, tagger_of(2)) for name in found.samples}
    disco = ClassifierSettings(tagger="w", method=DiscoSettings(strengths=(3.0,)), seeds=2)
    classifiers = found.values["decorrelation"]["classifiers"]
    classifiers["disco"] = disco.model_dump(mode="json")
    classifiers["flow"]["tagger"] = "disco_3"
    found.values["decorrelation"]["evaluation"] = EVALUATION
    return found


def measured(study: Study, scores: dict[str, Path], classifier: str, variant: str) -> Any:
    path = study.folder / f"{variant}.json"
    evaluate.main(
        jets=[study.files[name][0] for name in study.samples],
        samples=list(study.samples),
        scores=[scores[name] for name in study.samples],
        tagger="w",
        classifier=classifier,
        variant=variant,
        performance=path,
        settings=Given(study.values),
    )
    return json.loads(path.read_text())


def test_its_seeds_are_those_of_the_variant_and_so_is_what_it_makes_flat(study: Study) -> None:
    flows = [study.flatten(member) for member in ("mean", "seed0", "seed1")]
    with pytest.raises(InputError, match="of the tagger disco_3 there are mean, seed0, seed1"):
        study.flatten("seed2")
    new = {name: study.transform(name, flows) for name in study.samples}
    old = {name: paths[1] for name, paths in study.files.items()}
    for name in study.samples:
        schemas = [pyarrow.parquet.read_schema(one[name]) for one in (old, new)]
        assert schemas[0].equals(schemas[1], check_metadata=True)
    files = {name: ([study.files[name][0]], new[name]) for name in study.samples}
    every = scored_jets.read(files, tagger_of(2), SelectionSettings(), ["msoftdrop"])
    jets = every.where(every.columns["split"] == "test")
    background, heavy = jets.target > 0, jets.columns["msoftdrop"] > 75
    for rows in (background & heavy, background & ~heavy):
        assert kstest(jets.probabilities[rows, 0], "uniform").statistic < 0.09
    before, after = (
        measured(study, scores, classifier, variant)
        for scores, classifier, variant in ((old, "disco", "disco_3"), (new, "flow", "flow"))
    )
    assert (before["tagger"], before["source"]) == ("w", None)
    assert (after["tagger"], after["source"]) == ("w", "disco_3")
    assert before["jets"] == after["jets"] and after["seeds"]["number"] == 2
    jsd = [one["sculpting"]["msoftdrop"][0]["jsd"] for one in (before, after)]
    assert jsd[1]["value"] < 0.5 * jsd[0]["value"]
    assert looks.method_name(after) == "flow (conditional flow of disco_3)"
    assert looks.method_name(before) == "disco (DisCo)"


def test_a_flow_of_another_tagger_is_not_measured_as_one_of_this(study: Study) -> None:
    other = copy.copy(study)
    other.values = copy.deepcopy(study.values)
    other.values["decorrelation"]["classifiers"]["disco"]["tagger"] = "another"
    scores = {name: paths[1] for name, paths in study.files.items()}
    with pytest.raises(InputError, match="flow is of the tagger another"):
        measured(other, scores, "flow", "flow")


def test_only_a_flow_is_put_on_a_variant_and_not_on_a_flow() -> None:
    disco = {"tagger": "w", "method": {"kind": "disco", "strengths": [0.5]}}
    flat = {"tagger": "disco_0p5", "method": {"kind": "flow"}}
    found = DecorrelationSettings.model_validate({"classifiers": {"flat": flat, "disco": disco}})
    assert found.taggers == ("w",)
    assert base_of(found, "flat") == base_of(found, "disco_0p5") == base_of(found, "w") == "w"

    def refused(match: str, **classifiers: Any) -> None:
        both = {"classifiers": {"disco": disco, **classifiers}}
        with pytest.raises(ValueError, match=match):
            DecorrelationSettings.model_validate(both)

    mode = {"tagger": "disco_0p5", "method": {"kind": "mode"}}
    refused("mode.tagger: disco_0p5 is a variant of disco, and mode trains a tagger", mode=mode)
    more = {"tagger": "flat", "method": {"kind": "flow"}}
    refused("more.tagger: flat is a variant of flat, which is a flow already", flat=flat, more=more)
    itself = {**flat, "tagger": "flat"}
    refused("flat.tagger: flat is a variant of flat, which is a flow already", flat=itself)


def test_classifiers_that_are_drawn_together_look_different() -> None:
    measured = [{"classifier": f"c{number}", "strength": None} for number in range(25)]
    found = [looks.look(one["classifier"], measured) for one in measured]
    assert len({(one["color"], one["marker"]) for one in found}) == len(measured)
