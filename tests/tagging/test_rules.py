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
    functions = ("training_memory", "training_of", "training_gpu")
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
    assert text.count("gpu=TAGGING_GPU") == 1
    assert text.count("gpu=training_gpu") == 1


def test_a_tagger_with_its_own_training_does_not_depend_on_the_common_one(text: str) -> None:
    common = {"epochs": 5}
    overlay = {"training": common, "taggers": {"pfn": {"training": {"epochs": 3}}}}
    assert "tagging.training" in given(text, {"training": common}, "training_settings")
    assert "tagging.training" not in given(text, overlay, "training_settings")


def test_memory_of_training_follows_the_jets(text: str) -> None:
    def memory(size_mb: float, particles: int) -> int:
        settings = validate({"tagging": {"taggers": {"pfn": {"n_constituents": particles}}}})
        function = definitions(text, settings)["training_memory"]
        megabytes: int = function(SimpleNamespace(tagger="pfn"), SimpleNamespace(size_mb=size_mb))
        return megabytes

    assert "mem_mb=training_memory" in text
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


def test_scores_depend_on_stand_ins_with_folds_only(text: str) -> None:
    stand_ins = "tagging.evaluation.alternatives"
    assert stand_ins not in given(text, {}, "prediction_settings")
    folds = {"taggers": {"pfn": {"folds": 2}}}
    assert stand_ins in given(text, folds, "prediction_settings")


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
