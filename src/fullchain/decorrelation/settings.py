"""Settings of the stage decorrelation."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from fullchain.decorrelation.evaluation_settings import EvaluationSettings
from fullchain.decorrelation.method_settings import (
    ClassifierSettings,
    DiscoSettings,
    FlowSettings,
    Method,
    ModeSettings,
)
from fullchain.model import SettingsModel


@dataclass(frozen=True)
class Variant:
    """One classifier with one strength of its method.

    `name` is that of its folder and scores; `strength` is None for methods that have none.
    """

    name: str
    classifier: str
    strength: float | None


class DecorrelationSettings(SettingsModel):
    """Taggers that say little about the mass."""

    against: tuple[str, ...] = Field(
        ("msoftdrop",),
        min_length=1,
        description="columns of the jets that scores are decorrelated against",
    )
    classifiers: dict[str, ClassifierSettings] = Field(
        default_factory=lambda: {
            # Penalties are measured in a batch, and take more epochs than plain training; at the
            # highest learning rate the loss rises for a while, which is no reason to stop.
            "disco": ClassifierSettings(
                tagger="w_mlp", method=DiscoSettings(), batch_size=1024, epochs=100, patience=100
            ),
            "mode": ClassifierSettings(
                tagger="w_mlp", method=ModeSettings(), batch_size=1024, epochs=100, patience=100
            ),
            "flow": ClassifierSettings(tagger="w_mlp", method=FlowSettings()),
            # Of the tagger of the analyses, for the comparison of summaries.
            "top_flow": ClassifierSettings(tagger="bdt", method=FlowSettings()),
        },
        min_length=1,
        description="classifiers by name; for none, set decorrelation to null",
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="what is measured"
    )

    @model_validator(mode="after")
    def _names_of_variants(self) -> "DecorrelationSettings":
        seen: dict[str, str] = {}
        for name in self.classifiers:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"classifiers: {name!r} must be letters, digits and _")
            for variant in variants(name, self.classifiers[name].method):
                other = seen.setdefault(variant.name, name)
                if other != name:
                    raise ValueError(
                        f"classifiers: {other} and {name} both have a variant {variant.name}"
                    )
        return self

    @property
    def variants(self) -> dict[str, Variant]:
        """All classifiers with each of their strengths, by name."""
        return {
            variant.name: variant
            for name, classifier in self.classifiers.items()
            for variant in variants(name, classifier.method)
        }

    @property
    def taggers(self) -> tuple[str, ...]:
        """Names of the taggers that are decorrelated, each once."""
        return tuple(dict.fromkeys(one.tagger for one in self.classifiers.values()))


def base_of(settings: DecorrelationSettings, name: str) -> str:
    """Name of the tagger that a variant is made of; any other name is a tagger's own."""
    variant = settings.variants.get(name)
    return name if variant is None else settings.classifiers[variant.classifier].tagger


def variants(classifier: str, method: Method | Any) -> list[Variant]:
    """Give the classifier with each strength of its method.

    Examples
    --------
    >>> [one.name for one in variants("disco", DiscoSettings(strengths=(0.5, 10.0)))]
    ['disco_0p5', 'disco_10']
    """
    strengths = getattr(method, "strengths", None)
    if strengths is None:
        return [Variant(classifier, classifier, None)]
    return [
        Variant(f"{classifier}_{f'{strength:g}'.replace('.', 'p')}", classifier, strength)
        for strength in strengths
    ]
