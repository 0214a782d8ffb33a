"""Describe what the trigger sees, by class: distributions, medians and widths of the features."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import feature_census, trigger_jets
from fullchain.learning.roc import event_numbers
from fullchain.seeds import derive
from fullchain.step import Given, Input, Output
from fullchain.tagging.class_settings import classes_of

REPLICAS = 100

LEADING = "leading_share"
"""Share of the pT of a jet's candidates that those have which are written."""


def main(
    *,
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    report: Annotated[Path, Output("distributions by class, JSON")],
    settings: Given,
) -> None:
    """Read, describe, write."""
    classes = classes_of(settings["firmware.classes"])
    everything, target, sample, _ = trigger_jets.read_all(jets, classes)
    for number, name in enumerate(classes):
        if not (target == number).any():
            raise InputError(
                f"firmware.classes.{name}: no such jets in {', '.join(classes[name].samples)}; "
                "make more events, or widen the class"
            )
    columns = dict(zip(everything.feature_names, everything.features.T, strict=True))
    if "pt_share" in everything.candidate_names:
        place = everything.candidate_names.index("pt_share")
        columns[LEADING] = everything.candidates[..., place].sum(axis=1)
    identity = (everything.scalars[name] for name in ("run", "luminosityBlock", "event"))
    content = feature_census.census(
        {name: column.astype(np.float64) for name, column in columns.items()},
        target,
        list(classes),
        event_numbers(sample, *identity),
        REPLICAS,
        derive(settings.seed, "firmware", "census"),
    )
    content["candidates"] = everything.candidates.shape[1]
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")
