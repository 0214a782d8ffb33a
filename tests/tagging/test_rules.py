"""What the rules of the stage ask for."""

import re
from pathlib import Path
from typing import Any

import pytest

from fullchain.settings import Settings, validate
from fullchain.tagging.settings import TaggerSettings


def definitions(text: str, settings: Settings) -> dict[str, Any]:
    """The requests for threads, GPUs and memory, which are plain Python."""
    found: dict[str, Any] = {"CONFIG": settings}
    found["TAGGERS"] = settings.tagging.taggers if settings.tagging else {}
    functions = ("tagger_memory", "training_of", "figures_of_uncertainty")
    requests = ("training_threads", "training_gpus", "scoring_threads", "scoring_gpu")
    for name in (*functions, *requests):
        pattern = rf"^def {name}\(.*\n(?:    .*\n)+"
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
    found = definitions(text, validate({"tagging": {"training": {"device": device}}}))
    assert (found["training_gpus"]("pfn"), found["scoring_gpu"]("pfn")) == (gpus, gpus)
    own = {"pfn": {"training": {"device": device}}}
    settings = validate({"tagging": {"training": {"device": "cpu"}, "taggers": own}})
    found = definitions(text, settings)
    assert (found["training_gpus"]("pfn"), found["scoring_gpu"]("pfn")) == (gpus, gpus)
    assert (found["training_gpus"]("bdt"), found["scoring_gpu"]("bdt")) == (0, 0)


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 4)])
def test_each_process_of_a_training_has_its_threads_and_gpu(
    text: str, device: str, gpus: int
) -> None:
    own = {"pfn": {"training": {"device": device, "processes": 4, "threads": 3}}}
    found = definitions(text, validate({"tagging": {"taggers": own}}))
    assert (found["training_threads"]("pfn"), found["training_gpus"]("pfn")) == (12, gpus)
    # Scores are the work of one process.
    assert (found["scoring_threads"]("pfn"), found["scoring_gpu"]("pfn")) == (3, min(gpus, 1))
    assert (found["training_threads"]("bdt"), found["scoring_threads"]("bdt")) == (1, 1)


def resources(text: str, rule: str) -> str:
    """From the threads of a rule to its parameters."""
    (found,) = re.findall(
        rf"^rule {rule}:\n(?:.*\n)*?(    threads:(?:.*\n)*?)    params:", text, re.M
    )
    return str(found)


@pytest.mark.parametrize(
    ("stage", "work", "doing", "gpu", "tagger"),
    [
        ("tagging", "train", "training", "gpus", "w.tagger"),
        ("tagging", "predict", "scoring", "gpu", "w.tagger"),
        ("tagging", "perturb", "scoring", "gpu", "w.tagger"),
        ("decorrelation", "train", "training", "gpus", "tagger_of(w.variant)"),
        ("decorrelation", "predict", "scoring", "gpu", "tagger_of(w.variant)"),
    ],
)
def test_rules_ask_for_what_the_tagger_takes(
    project: Path, stage: str, work: str, doing: str, gpu: str, tagger: str
) -> None:
    text = (project / f"rules/{stage}.smk").read_text()
    asked = resources(text, f"{stage}_{work}")
    assert f"threads: lambda w: {doing}_threads({tagger})\n" in asked
    assert f"gpu=lambda w: {doing}_{gpu}({tagger}),\n" in asked


def test_scores_do_not_depend_on_the_common_training_of_a_tagger_with_its_own(text: str) -> None:
    names = {"tagging.training.device", "tagging.training.threads"}
    assert names <= given(text, {}, "prediction_settings")
    overlay = {"taggers": {"pfn": {"training": {"threads": 2}}}}
    assert not names & given(text, overlay, "prediction_settings")


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
    for name in ("scoring_settings", "stand_in_settings", function):
        (source,) = re.findall(rf"^def {name}\(.*\n(?:    .*\n|\n(?=    ))+", text, re.MULTILINE)
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
