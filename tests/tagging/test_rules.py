"""What the rules of the stage ask for."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fullchain.settings import Settings, validate
from fullchain.tagging.settings import TaggerSettings


def definitions(text: str, settings: Settings) -> dict[str, Any]:
    """The requests for GPUs and the function for the memory, which are plain Python."""
    found: dict[str, Any] = {"CONFIG": settings}
    found["TAGGERS"] = settings.tagging.taggers if settings.tagging else {}
    functions = ("tagger_memory", "training_of", "training_gpu", "figures_of_uncertainty")
    bodies = [rf"^def {name}\(.*\n(?:    .*\n)+" for name in functions]
    for pattern in (r"^TAGGING_GPU = .*\n", *bodies):
        (source,) = re.findall(pattern, text, re.MULTILINE)
        exec(source, found)
    return found


@pytest.fixture
def text(project: Path) -> str:
    return (project / "rules/tagging.smk").read_text()


def test_paths_are_quoted(text: str) -> None:
    assert "{input.jets:q}" in text
    assert not re.findall(r"\{(?:input|output)\.\w+\}|\{log\}", text)


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 1), ("cuda", 1)])
def test_a_gpu_is_asked_for_where_one_may_be_used(text: str, device: str, gpus: int) -> None:
    settings = validate({"tagging": {"training": {"device": device}}})
    assert definitions(text, settings)["TAGGING_GPU"] == gpus
    own = {"pfn": {"training": {"device": device}}}
    settings = validate({"tagging": {"training": {"device": "cpu"}, "taggers": own}})
    found = definitions(text, settings)
    assert found["TAGGING_GPU"] == 0
    assert found["training_gpu"](SimpleNamespace(tagger="pfn")) == gpus
    assert found["training_gpu"](SimpleNamespace(tagger="bdt")) == 0
    # Scores, and scores of changed jets.
    assert text.count("gpu=TAGGING_GPU") == 2
    assert text.count("gpu=training_gpu") == 1


def test_a_tagger_with_its_own_training_does_not_depend_on_the_common_one(text: str) -> None:
    common = {"epochs": 5}
    overlay = {"training": common, "taggers": {"pfn": {"training": {"epochs": 3}}}}
    assert "tagging.training" in given(text, {"training": common}, "training_settings")
    assert "tagging.training" not in given(text, overlay, "training_settings")


def test_figures_of_uncertainty_are_those_of_a_bayesian_tagger(text: str) -> None:
    taggers = {"one": {"bayesian": {}}, "two": {"bayesian": {}, "seeds": 2}}
    named = definitions(text, validate({"tagging": {"taggers": taggers}}))["figures_of_uncertainty"]
    assert named("pfn") == []
    assert named("one") == ["sigma", "sigma_arc", "calibration_posterior"]
    assert named("two") == [*named("one"), "pulls"]


def test_memory_of_training_follows_the_jets(text: str) -> None:
    def memory(size_mb: float, particles: int) -> int:
        settings = validate({"tagging": {"taggers": {"pfn": {"n_constituents": particles}}}})
        function = definitions(text, settings)["tagger_memory"]
        megabytes: int = function("pfn", size_mb)
        return megabytes

    assert "mem_mb=lambda w, input: tagger_memory(w.tagger, input.size_mb)" in text
    assert memory(5, 64) < 3000
    # Each of the jets in Parquet in memory, and room for a second copy.
    assert memory(6000, 64) > 12000
    assert memory(6000, 128) > 24000


def given(text: str, overlay: dict[str, Any], function: str) -> set[str]:
    """Dotted paths of the settings that a rule passes for the tagger pfn."""
    settings = validate({"tagging": overlay})
    found: dict[str, Any] = {
        "TAGGERS": settings.tagging.taggers if settings.tagging else {},
        "settings": lambda *paths: set(paths),
    }
    (source,) = re.findall(rf"^def {function}\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE)
    exec(source, found)
    passed: set[str] = found[function]("pfn")
    return passed


def test_one_seed_more_leaves_the_trainings_that_are_there(text: str) -> None:
    passed = given(text, {"taggers": {"pfn": {"seeds": 3}}}, "training_settings")
    assert "tagging.taggers.pfn.seeds" not in passed and "tagging.taggers.pfn" not in passed
    own = {f"tagging.taggers.pfn.{name}" for name in TaggerSettings.model_fields} - {
        "tagging.taggers.pfn.seeds"
    }
    assert own <= passed and "tagging.evaluation" not in passed


BETWEEN = {
    "between": {"samples": {"tt": "tt_a14", "qcd": "qcd_a14"}},
}


def test_scores_depend_on_the_grid_between_generators_where_there_are_two(text: str) -> None:
    grid = "tagging.evaluation.interpolation"
    assert grid not in given(text, {}, "prediction_settings")
    assert grid in given(text, {"taggers": {"pfn": BETWEEN}}, "prediction_settings")
    # Training does not depend on where it is measured.
    passed = given(text, {"taggers": {"pfn": BETWEEN}}, "training_settings")
    assert grid not in passed and "tagging.taggers.pfn.between" in passed


def samples_of(text: str, function: str, overlay: dict[str, Any]) -> list[str]:
    """Names of samples that a function of the rules gives for the tagger pfn."""
    settings = validate({"tagging": overlay})
    found: dict[str, Any] = {"CONFIG": settings}
    found["TAGGERS"] = settings.tagging.taggers if settings.tagging else {}
    for name in ("tagger_samples", "measured_samples"):
        (source,) = re.findall(rf"^def {name}\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE)
        exec(source, found)
    return list(found[function]("pfn"))


def test_samples_of_the_second_generator_are_trained_and_measured_on(text: str) -> None:
    both = ["tt", "qcd", "tt_a14", "qcd_a14"]
    overlay: dict[str, Any] = {"taggers": {"pfn": BETWEEN}}
    assert samples_of(text, "tagger_samples", {}) == ["tt", "qcd"]
    assert samples_of(text, "tagger_samples", overlay) == both
    assert samples_of(text, "measured_samples", overlay) == both
    overlay["evaluation"] = {"alternatives": {"pu": {"tt": "tt_pu50", "tt_a14": "wjet"}}}
    assert samples_of(text, "measured_samples", overlay) == [*both, "tt_pu50"]


def test_scores_depend_on_stand_ins_with_folds_only(text: str) -> None:
    stand_ins = "tagging.evaluation.alternatives"
    assert stand_ins not in given(text, {}, "prediction_settings")
    folds = {"taggers": {"pfn": {"folds": 2}}}
    assert stand_ins in given(text, folds, "prediction_settings")


def test_taggers_may_read_the_ntuples(text: str) -> None:
    samples = {
        "root": {"kind": "ingested", "layout": "jetclass", "files": ["jets/a.root"]},
        "table": {"kind": "ingested", "layout": "top_tagging", "files": ["val.h5"]},
    }
    classes = {
        "top": {"samples": ["root", "table"], "labels": ["top"]},
        "qcd": {"samples": ["root", "table"], "labels": ["gluon"]},
    }
    own = {"classes": classes, "jets_from": "ntuples"}
    settings = validate(
        {
            "ntuples": {"samples": samples},
            "tagging": {"taggers": {"direct": own, "through": {"classes": classes}}},
        }
    )
    assert settings.tagging is not None
    found: dict[str, Any] = {
        "CONFIG": settings,
        "TAGGERS": settings.tagging.taggers,
        "parts": lambda sample: ["0000"],
        "part_files": lambda pattern, sample: [pattern.format(sample=sample, part="0000")],
        "local_inputs": lambda sample, part: sample.files,
    }
    for name in ("jets_of", "given_jets", "listed_files"):
        (source,) = re.findall(rf"^def {name}\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE)
        exec(source, found)
    names = ["root", "table"]
    assert found["given_jets"]("direct", names) == [f"ntuples/{n}/0000.json" for n in names]
    assert found["listed_files"]("direct", names) == ["jets/a.root", "ntuples/table/0000.root"]
    assert found["given_jets"]("through", names) == [f"jets/{n}/0000.parquet" for n in names]
    assert found["listed_files"]("through", names) == []


def test_no_score_waits_for_an_export(text: str) -> None:
    rules = dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE))
    assert "model.onnx" in rules["tagging_export_onnx"]
    assert not [
        n
        for n, body in rules.items()
        if "onnx" in body and n not in ("tagging_export_onnx", "tagging_cost")
    ]
    assert 'EXPORTED += every_tagger("tagging/{tagger}/model.onnx")' in text


def test_an_explanation_does_not_depend_on_which_others_there_are(text: str) -> None:
    settings = validate({"tagging": {"explanation": {"jets": 500}}})
    found: dict[str, Any] = {"CONFIG": settings, "settings": lambda *paths: set(paths)}
    (source,) = re.findall(
        r"^def explanation_settings\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE
    )
    exec(source, found)
    passed = found["explanation_settings"]("pfn")
    assert "tagging.explanation.jets" in passed and "seed" in passed
    assert "tagging.explanation.taggers" not in passed and "tagging.explanation" not in passed


def test_trees_have_no_figures_of_latent_features(text: str) -> None:
    settings = validate({"tagging": {}})
    assert settings.tagging is not None
    found: dict[str, Any] = {"TAGGERS": settings.tagging.taggers}
    (source,) = re.findall(
        r"^def explanation_figures\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE
    )
    exec(source, found)
    function = found["explanation_figures"]
    assert function("pfn") == ["components", "disentangled", "shap", "formula"]
    assert function("bdt") == ["shap", "formula"]
