"""Models of showers by kind: what builds them, and what trains those that need their own way."""

from collections.abc import Callable, Mapping
from typing import Any

from fullchain.calorimetry import autoregressive, bespoke, coupling, matching, student, vae
from fullchain.calorimetry.model_settings import ShowerModelSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel

KINDS: Mapping[str, Callable[[Any, Preprocessing], ShowerModel]] = {
    "autoregressive": autoregressive.build,
    "bespoke": bespoke.build,
    "coupling": coupling.build,
    "matching": matching.build,
    "student": student.build,
    "vae": vae.build,
}

Fit = Callable[..., tuple[ShowerModel, dict[str, Any]]]
"""(settings, preprocessing, training, validation, seed, resumption) -> the model and its history;
the preprocessing is measured already."""

FITS: Mapping[str, Fit] = {"matching": matching.fit}
"""Kinds that are not trained by one run of the training loop on their loss."""


def build(settings: ShowerModelSettings, preprocessing: Preprocessing) -> ShowerModel:
    """Build the model of a kind; initial weights come from torch's own generator."""
    return KINDS[settings.kind](settings, preprocessing)
