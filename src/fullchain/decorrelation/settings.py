"""Settings of the stage decorrelation."""

import re
from collections.abc import Mapping
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

Classifiers = Mapping[str, ClassifierSettings]


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

    @model_validator(mode="after")
    def _flows_alone_transform_variants(self) -> "DecorrelationSettings":
        for name, classifier in self.classifiers.items():
            source = source_of(self.classifiers, name)
            if source is None:
                continue
            where = f"classifiers.{name}.tagger: {classifier.tagger} is a variant of {source}"
            kind = classifier.method.kind
            if kind != "flow":
                raise ValueError(
                    f"{where}, and {kind} trains a tagger: take that of {source}, or kind: flow"
                )
            if self.classifiers[source].method.kind == "flow":
                raise ValueError(
                    f"{where}, which is a flow already: take a tagger, or a classifier that is "
                    "trained"
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
        return tuple(dict.fromkeys(base_tagger(self.classifiers, one) for one in self.classifiers))


def base_of(settings: DecorrelationSettings, name: str) -> str:
    """Name of the tagger that a variant is made of; any other name is a tagger's own."""
    variant = settings.variants.get(name)
    return name if variant is None else base_tagger(settings.classifiers, variant.classifier)


def source_of(classifiers: Classifiers, name: str) -> str | None:
    """Name of the classifier whose variant this one starts from; None where that is a tagger.

    Examples
    --------
    >>> disco = ClassifierSettings(tagger="w_mlp", method=DiscoSettings(strengths=(30.0,)))
    >>> flat = ClassifierSettings(tagger="disco_30", method=FlowSettings())
    >>> both = {"disco": disco, "flat": flat}
    >>> source_of(both, "flat"), source_of(both, "disco"), base_tagger(both, "flat")
    ('disco', None, 'w_mlp')
    """
    wanted = classifiers[name].tagger
    for other, classifier in classifiers.items():
        if wanted in (variant.name for variant in variants(other, classifier.method)):
            return other
    return None


def base_tagger(classifiers: Classifiers, name: str) -> str:
    """Name of the tagger that a classifier is made of, be it by way of another classifier."""
    return classifiers[source_of(classifiers, name) or name].tagger


def seeds_of(classifiers: Classifiers, name: str) -> int | None:
    """Trainings of a classifier, a flow has those of its source; None: as many as the tagger."""
    return classifiers[source_of(classifiers, name) or name].seeds


def classifiers_of(given: Mapping[str, Any]) -> dict[str, ClassifierSettings]:
    """Classifiers that a step was given, from raw settings by name."""
    return {name: ClassifierSettings.model_validate(value) for name, value in given.items()}


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
