"""The scans of strengths in the configurations: what they have, and trainings that last."""

from pathlib import Path

import pytest

from fullchain.decorrelation.settings import DecorrelationSettings
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import Settings, validate


def with_overlay(project: Path, name: str) -> Settings:
    files = (project / "config" / one for one in ("config.yaml", f"{name}.yaml"))
    return validate(merge(*(read_yaml(file) for file in files)))


def scan(settings: Settings) -> DecorrelationSettings:
    assert settings.decorrelation is not None
    return settings.decorrelation


@pytest.mark.parametrize("name", ["benchmark", "w_tagging"])
def test_penalties_have_patience_and_boosting_does_not_diverge(project: Path, name: str) -> None:
    methods = set()
    for classifier in scan(with_overlay(project, name)).classifiers.values():
        method = classifier.method
        methods.add((method.kind, getattr(method, "order", None), getattr(method, "loss", None)))
        if method.kind in ("disco", "mode", "adversary"):
            # The loss with a penalty rises near the highest learning rate of one cycle.
            assert classifier.epochs is not None and classifier.patience is not None
            assert classifier.patience >= classifier.epochs
        if method.kind == "boosting" and method.loss == "flatness":
            assert max(method.strengths) < 100.0
    assert methods == {
        ("disco", None, None),
        *(("mode", order, None) for order in (0, 1, 2)),
        ("adversary", None, None),
        ("planing", None, None),
        ("boosting", None, "flatness"),
        ("boosting", None, "uboost"),
        ("flow", None, None),
    }


def test_the_benchmark_has_a_tagger_without_mass_and_one_of_top_quarks(project: Path) -> None:
    settings = with_overlay(project, "benchmark")
    assert settings.tagging is not None
    taggers = settings.tagging.taggers
    found = {(one.tagger, one.method.kind) for one in scan(settings).classifiers.values()}
    assert {("w_no_mass", "disco"), ("top_mlp", "disco"), ("top_mlp", "mode")} <= found
    features = taggers["w_no_mass"].architecture.features  # type: ignore[union-attr]
    assert len(features) == 10 and not any("mass" in name or "drop" in name for name in features)
    assert taggers["top_mlp"].signal == "top"
    flat = scan(settings).classifiers["no_mass"].method
    assert flat.kind == "disco" and flat.weighting == "flat"
    # Two folds, so that all jets are measured.
    assert all(taggers[name].folds == 2 for name in ("w_mlp", "w_no_mass", "top_mlp"))
