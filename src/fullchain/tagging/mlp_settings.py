"""Settings of the tagger on high-level features, and the features that there are."""

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

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

FEATURES: tuple[str, ...] = get_args(Feature)
"""Features of the jets that the stage jets makes."""

FileColumn = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""Name of a column of a ROOT file with one jet per entry."""

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


def check_measured(features: Sequence[str]) -> None:
    """Raise ValueError, with the nearest name, for a feature that the stage jets does not make."""
    for name in features:
        if name in FEATURES:
            continue
        close = difflib.get_close_matches(name, FEATURES, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(FEATURES)}."
        raise ValueError(
            f"architecture.features: the stage jets makes no {name!r}; {hint} Columns of ROOT "
            "files with one jet per entry need jets_from: ntuples"
        )


def _distinct(features: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(features)) < len(features):
        raise ValueError(f"a feature is named twice: {', '.join(features)}")
    return features


Features = Annotated[
    tuple[Feature | FileColumn, ...], Field(min_length=1), AfterValidator(_distinct)
]
"""Features of a tagger, each once. Which there can be depends on where its jets come from."""


class MlpSettings(SettingsModel):
    """Dense network on high-level features, a baseline without a paper of its own."""

    kind: Literal["mlp"] = Field("mlp", description="the architecture")
    features: Features = Field(
        DEFAULT_FEATURES,
        description="columns of the jets, or quotients of them: tau43, and masses over pT; with "
        "jets_from: ntuples any columns of the ROOT files that have one number a jet",
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
