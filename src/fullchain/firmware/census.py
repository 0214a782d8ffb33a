"""Describe what the trigger sees, by class: distributions, medians and widths of the features."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import feature_census, trigger_jets
from fullchain.firmware.trigger_jets import TriggerJets
from fullchain.seeds import stream
from fullchain.step import Given, Input, Output
from fullchain.tagging.class_settings import ClassSettings

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
    given = settings["firmware.classes"]
    classes = {name: ClassSettings.model_validate(one) for name, one in given.items()}
    everything, target, sample = _read(jets, classes)
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
    identity = [everything.scalars[name] for name in ("run", "luminosityBlock", "event")]
    content = feature_census.census(
        {name: column.astype(np.float64) for name, column in columns.items()},
        target,
        list(classes),
        np.stack([*(column.astype(np.int64) for column in identity), sample], axis=1),
        REPLICAS,
        stream(settings.seed, "firmware", "census"),
    )
    content["candidates"] = everything.candidates.shape[1]
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _read(
    paths: Sequence[Path], classes: Mapping[str, ClassSettings]
) -> tuple[TriggerJets, NDArray[np.intp], NDArray[Any]]:
    """Give the jets of all files, and of each the number of its class and of its sample."""
    if not paths:
        raise InputError("no files of trigger jets were given; run firmware observe")
    pieces: list[TriggerJets] = []
    targets, numbers = [], []
    samples: list[str] = []
    for path in paths:
        jets, sample = trigger_jets.read(path)
        if pieces and (jets.feature_names, jets.candidate_names, jets.candidates.shape[1]) != (
            pieces[0].feature_names,
            pieces[0].candidate_names,
            pieces[0].candidates.shape[1],
        ):
            raise InputError(
                f"{path}: other features or candidates than in {paths[0]}; run firmware observe "
                "again for both"
            )
        if sample not in samples:
            samples.append(sample)
        pieces.append(jets)
        targets.append(jets.classes(sample, list(classes.values())))
        numbers.append(np.full(len(jets), samples.index(sample)))
    return trigger_jets.concatenate(pieces), np.concatenate(targets), np.concatenate(numbers)
