"""Settings: wrong ones are named before anything runs, and the committed files are in step."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fullchain.defaults import default_yaml, schema_json
from fullchain.errors import InputError
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import Settings, load, validate


def refuse(values: dict, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(values, "mine.yaml")
    for word in ("mine.yaml", *words):
        assert word in str(caught.value)


def test_defaults_are_valid() -> None:
    assert validate({}) == Settings()


@pytest.mark.parametrize(
    ("values", "path", "hint"),
    [
        ({"sed": 1}, "sed: unknown key", "did you mean 'seed'"),
        ({"tagging": {"trainin": {}}}, "tagging.trainin: unknown key", "'training'"),
        ({"tagging": {"training": {"epoch": 3}}}, "tagging.training.epoch", "'epochs'"),
        (
            {"tagging": {"taggers": {"pfn": {"input": "kin"}}}},
            "tagging.taggers.pfn.input",
            "'inputs'",
        ),
        ({"ntuples": {"samples": {"qcd": {"event": 5}}}}, "ntuples.samples.qcd.event", "'events'"),
    ],
)
def test_unknown_key_is_named_with_the_nearest_right_one(
    values: dict, path: str, hint: str
) -> None:
    refuse(values, path, hint)


def test_wrong_value_is_shown() -> None:
    refuse({"seed": -4}, "seed", "-4")
    refuse({"run": "a b"}, "run", "a b")


def analysis(**changes: Any) -> dict[str, Any]:
    """Overlay that changes one of the analyses of the stage inference."""
    return {"inference": {"analyses": {"ttbar": changes}}}


def test_names_across_stages() -> None:
    refuse(analysis(tagger="pfm"), "inference.analyses.ttbar.tagger", "did you mean 'pfn'")
    refuse(
        analysis(samples={"qcd": {"ntuples": ["qdc"]}}),
        "inference.analyses.ttbar.samples.qcd.ntuples",
        "'qdc'",
        "did you mean 'qcd'",
    )
    hypothesis = {"m": {"ntuples": ["zprime_1501"], "mass": 1501.0}}
    refuse(
        {"inference": {"analyses": {"zprime": {"hypotheses": hypothesis}}}},
        "inference.analyses.zprime.hypotheses.m.ntuples",
        "did you mean 'zprime_1500'",
    )
    recorded = {"kind": "sample", "sample": "run2024"}
    refuse(analysis(data=recorded), "inference.analyses.ttbar.data.sample", "'run2024'")
    assert validate(analysis(data=recorded, blind=True)).inference is not None
    refuse({"ntuples": {"samples": {"tt": None}}}, "'tt'")


def test_all_problems_are_told_at_once() -> None:
    refuse({"sed": 1, "tagging": {"trainin": {}}}, "sed", "trainin")


def test_none_removes_an_entry_and_another_kind_replaces_it() -> None:
    assert "zmumu" not in validate({"ntuples": {"samples": {"zmumu": None}}}).ntuples.samples
    mine = {"kind": "ingested", "files": ["a.root"]}
    sample = validate({"ntuples": {"samples": {"zmumu": mine}}}).ntuples.samples["zmumu"]
    assert sample.kind == "ingested"


def test_only_own_samples() -> None:
    mine = {"kind": "ingested", "files": ["a.root"]}
    settings = validate(
        {
            "ntuples": {"keep_default_samples": False, "samples": {"cms": mine}},
            "jets": {"figures": {"shifted": {"cms": -2}}},
            "tagging": None,
            "inference": None,
        }
    )
    assert list(settings.ntuples.samples) == ["cms"]
    assert settings.jets.figures.shifted == {"cms": -2}
    assert settings.jets.figures.alternatives == {}
    assert settings.tagging is None
    refuse(
        {
            "ntuples": {"keep_default_samples": False, "samples": {"cms": mine}},
            "jets": {"figures": {"shifted": {"csm": -2}}},
            "tagging": None,
            "inference": None,
        },
        "jets.figures.shifted",
        "did you mean 'cms'",
    )


def test_a_fit_needs_shifts_that_exist() -> None:
    refuse(
        analysis(systematics={"jes": {"shift": "jse"}}),
        "inference.analyses.ttbar.systematics.jes.shift",
        "did you mean 'jes'",
    )


@pytest.mark.parametrize(
    ("region", "path", "complaint"),
    [
        ({"observable": "msoftdorp"}, ".observable", "did you mean 'msoftdrop'"),
        ({"pt_min": 200.0, "pt_max": 400.0}, "regions.pass", "keeps 500-700 GeV"),
    ],
)
def test_a_region_needs_jets_that_are_kept(region: dict, path: str, complaint: str) -> None:
    refuse(analysis(selection={"regions": {"pass": region}}), path, complaint)


def test_a_dijet_needs_two_jets_of_each_event() -> None:
    refuse({"jets": {"selection": {"jets_per_event": 1}}}, "jets_per_event of at least 2")


@pytest.mark.parametrize("name", ["minbias", "pool", "my sample", "tt-dilepton"])
def test_names_of_samples(name: str) -> None:
    mine = {"kind": "ingested", "files": ["a.root"]}
    refuse({"ntuples": {"samples": {name: mine}}}, f"samples.{name}")


def test_merge_is_deep() -> None:
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_files_are_laid_over_each_other(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 7\nrun: mine\n")
    second.write_text("seed: 8\n")
    settings = load(first, second)
    assert (settings.seed, settings.run) == (8, "mine")


@pytest.mark.parametrize(
    ("text", "word"), [("a: [", "YAML"), ("- 1", "mapping"), ("seed: 1\nseed: 2", "twice")]
)
def test_bad_file_is_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"(?s)bad.yaml.*{word}"):
        read_yaml(path)
    with pytest.raises(InputError, match="absent"):
        read_yaml(tmp_path / "absent.yaml")


def test_committed_files_are_in_step(project: Path) -> None:
    assert (project / "config/config.yaml").read_text() == default_yaml(), "run `make config`"
    assert (project / "config/schema.json").read_text() == schema_json(), "run `make config`"


def test_the_default_file_says_what_the_models_say(project: Path) -> None:
    assert load(project / "config/config.yaml") == Settings()


@pytest.mark.parametrize("name", ["test", "benchmark", "paper"])
def test_overlays_are_valid_and_differ_in_numbers_only(project: Path, name: str) -> None:
    settings = load(project / "config/config.yaml", project / f"config/{name}.yaml")
    assert settings.run == name
    schema = json.loads((project / "config/schema.json").read_text())
    jsonschema.validate(settings.model_dump(mode="json"), schema)


def test_every_setting_is_explained() -> None:
    silent = []

    def visit(name: str, node: dict) -> None:
        for key, entry in node.get("properties", {}).items():
            if "description" not in entry:
                silent.append(f"{name}.{key}")

    schema = Settings.model_json_schema()
    visit("Settings", schema)
    for name, definition in schema["$defs"].items():
        visit(name, definition)
    assert not silent


def test_default_yaml_is_readable_by_a_person() -> None:
    text = default_yaml()
    assert yaml.safe_load(text)["seed"] == Settings().seed
    assert max(map(len, text.splitlines())) <= 200


def test_default_scores_of_summaries_need_their_classifier() -> None:
    def scores(values: dict[str, Any]) -> tuple[str, ...]:
        inference = validate(values).inference
        assert inference is not None and inference.summaries is not None
        return inference.summaries.scores

    assert scores({}) == ("top_flow",)
    assert scores({"decorrelation": None}) == ()
    mine = {"inference": {"summaries": {"scores": ["top_flow", "mine"]}}}
    refuse({**mine, "decorrelation": None}, "inference.summaries.scores", "'mine'")


def test_default_stand_ins_go_with_their_samples_and_own_ones_stay() -> None:
    mine = {"kind": "ingested", "files": ["a.root"]}
    classes = {
        "gluon": {"samples": ["qcd"], "labels": ["gluon"]},
        "quark": {"samples": ["qcd"], "labels": ["light"]},
    }
    own: dict[str, Any] = {
        "ntuples": {"keep_default_samples": False, "samples": {"qcd": mine, "qcd_a14": mine}},
        "tagging": {"taggers": {"mine": {"classes": classes}}},
        "inference": None,
        "calorimetry": None,
    }
    settings = validate(own)
    assert settings.tagging is not None
    assert settings.tagging.evaluation.alternatives == {"a14": {"qcd": "qcd_a14"}}
    own["tagging"]["evaluation"] = {"alternatives": {"herwig": {"qcd": "herwig"}}}
    refuse(own, "tagging.evaluation.alternatives.herwig", "'herwig'")


def test_default_taggers_and_classifiers_go_with_their_samples() -> None:
    mine = {"kind": "ingested", "files": ["a.root"]}
    tagger = {
        "architecture": {"kind": "trees"},
        "classes": {
            "top": {"samples": ["cms"], "labels": ["top"]},
            "qcd": {"samples": ["cms"], "labels": ["gluon"]},
        },
    }
    own = {
        "ntuples": {"keep_default_samples": False, "samples": {"cms": mine}},
        "tagging": {"taggers": {"mine": tagger}},
        "inference": None,
    }
    settings = validate(own)
    assert settings.tagging is not None
    assert list(settings.tagging.taggers) == ["mine"]
    assert settings.tagging.evaluation.alternatives == {}
    assert settings.decorrelation is None
    assert validate({"tagging": None, "inference": None}).decorrelation is None
    # A later file may take away what an earlier one has added.
    added = validate({"decorrelation": {"classifiers": {"added": None}}}).decorrelation
    assert added is not None
    assert "added" not in added.classifiers
    refuse(
        {**own, "tagging": {"taggers": {"mine": tagger, "pfn": {"n_constituents": 20}}}},
        "tagging.taggers.pfn",
        "'tt'",
    )


@pytest.mark.parametrize(
    ("classifier", "complaint"),
    [
        ({"tagger": "w_mpl"}, "did you mean 'w_mlp'"),
        ({"tagger": "disco_3", "method": {"kind": "flow"}}, "did you mean 'disco_30'"),
        ({"tagger": "disco_30"}, "disco_30 is a variant of disco, and disco trains a tagger"),
        ({"tagger": "bdt"}, "no gradient goes through trees"),
        ({"tagger": "w_mlp", "method": {"kind": "flow"}, "seeds": 2}, "as many as its tagger"),
        ({"tagger": "w_mlp", "method": {"strengths": [1.0, 1.0]}}, "each once"),
        ({"tagger": "w_mlp", "method": {"strengths": [0.0]}}, "above zero"),
    ],
)
def test_classifiers_that_cannot_be_decorrelated(
    classifier: dict[str, Any], complaint: str
) -> None:
    method = {"kind": "disco", **classifier.get("method", {})}
    mine = {**classifier, "method": method}
    refuse({"decorrelation": {"classifiers": {"mine": mine}}}, "classifiers.mine", complaint)


@pytest.mark.parametrize(
    ("against", "classifiers", "where", "complaint"),
    [
        (
            ["msoftdrop", "pt"],
            {},
            "decorrelation.classifiers.mode",
            "MoDe is defined for one variable",
        ),
        (["nonsense"], {"mode": None}, "decorrelation.against", "no column 'nonsense'"),
        (["msoftdrpo"], {}, "decorrelation.against", "did you mean 'msoftdrop'"),
        (
            ["msoftdrop", "pt", "eta"],
            {"mode": None, "mine": {"tagger": "w_mlp", "method": {"kind": "planing"}}},
            "decorrelation.classifiers.mine",
            "planing in 3 variables",
        ),
        (
            ["msoftdrop"],
            {"mine": {"tagger": "pfn", "method": {"kind": "boosting"}}},
            "decorrelation.classifiers.mine",
            "a tagger with architecture pfn does not",
        ),
    ],
)
def test_variables_and_taggers_that_a_method_cannot_take(
    against: list[str], classifiers: dict[str, Any], where: str, complaint: str
) -> None:
    values = {"decorrelation": {"against": against, "classifiers": classifiers}}
    refuse(values, where, complaint)


def test_columns_of_tables_are_known_as_far_as_settings_tell() -> None:
    table = {"kind": "ingested", "layout": "w_tagging", "files": ["a.npz"], "tree": "train"}
    tagger = {
        "jets_from": "ntuples",
        "architecture": {"kind": "mlp", "features": ["tau21", "d2"]},
        "classes": {
            "w": {"samples": ["set"], "labels": ["W"], "fully_contained": False},
            "qcd": {"samples": ["set"], "labels": ["gluon"], "fully_contained": False},
        },
    }

    def against(column: str, **changes: Any) -> dict[str, Any]:
        return {
            "ntuples": {"keep_default_samples": False, "samples": {"set": {**table, **changes}}},
            "tagging": {"taggers": {"mine": tagger}, "explanation": {"taggers": []}},
            "decorrelation": {
                "against": [column],
                "classifiers": {"flat": {"tagger": "mine", "method": {"kind": "disco"}}},
            },
            "inference": None,
        }

    assert validate(against("mass")).decorrelation is not None
    refuse(against("msoftdrop"), "decorrelation.against", "no column 'msoftdrop'")
    refuse(against("label"), "decorrelation.against", "no column 'label'")
    unknown = {"layout": "high_level", "tree": None, "table": {"classes": {"W": [1], "gluon": [0]}}}
    assert validate(against("msoftdrop", **unknown)).decorrelation is not None


def test_a_fit_may_use_a_decorrelated_score() -> None:
    settings = validate(analysis(tagger="disco_30"))
    assert settings.inference is not None
    assert settings.inference.analyses["ttbar"].tagger == "disco_30"
    refuse(analysis(tagger="disco_31"), "analyses.ttbar.tagger", "did you mean 'disco_30'")


def test_keys_replace_those_that_are_merged_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_yaml(path)["b"] == {"x": 1, "y": 3}
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 3, y: 4}\n")
    with pytest.raises(InputError, match="'y' stands twice"):
        read_yaml(path)
