"""Settings of the tagger on high-level features, and the features that there are."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from fullchain.model import SettingsModel

Feature = Literal[
    "pt",
    "mass",
    "mass_over_pt",
    "msoftdrop",
    "msoftdrop_over_pt",
    "tau1",
    "tau2",
    "tau3",
    "tau4",
    "tau21",
    "tau32",
    "tau43",
    "d2",
    "n2",
    "n_constituents",
    "chf",
    "nhf",
    "phf",
    "elf",
    "muf",
]

DEFAULT_FEATURES: tuple[Feature, ...] = (
    "mass",
    "msoftdrop",
    "tau1",
    "tau21",
    "tau32",
    "tau43",
    "d2",
    "n2",
    "n_constituents",
)
"""Masses in GeV and not over pT, as that of a resonance is the same at each pT. No pT, which tells
of the spectrum of the sample, and no energy fractions, which tell of the detector."""


def _distinct(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    if len(set(features)) < len(features):
        raise ValueError(f"a feature is named twice: {', '.join(features)}")
    return features


Features = Annotated[tuple[Feature, ...], Field(min_length=1), AfterValidator(_distinct)]
"""Features of a tagger, each once."""


class MlpSettings(SettingsModel):
    """Dense network on high-level features, a baseline without a paper of its own."""

    kind: Literal["mlp"] = Field("mlp", description="the architecture")
    features: Features = Field(
        DEFAULT_FEATURES,
        description="columns of the jets, or quotients of them: tau43, and masses over pT",
    )
    layers: tuple[int, ...] = Field((64, 64, 64), min_length=1, description="dense layers")
    dropout: tuple[float, ...] = Field(
        (0.1,),
        min_length=1,
        description="dropout after each layer; one number is for all layers",
    )

    @model_validator(mode="after")
    def _matching(self) -> "MlpSettings":
        if len(self.dropout) not in (1, len(self.layers)):
            raise ValueError(
                f"dropout has {len(self.dropout)} numbers for {len(self.layers)} layers; "
                "give one for each layer, or one for all"
            )
        if not all(0 <= rate < 1 for rate in self.dropout):
            raise ValueError(f"dropout is a probability in [0, 1), not {self.dropout}")
        return self
