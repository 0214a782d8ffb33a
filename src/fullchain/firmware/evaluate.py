"""Judge a model: float, quantised at each point, and every emulation, on the jets of the test."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import fixed_network
from fullchain.firmware.evaluation_settings import EvaluationSettings
from fullchain.firmware.float_scores import float_scores
from fullchain.firmware.judged_model import (
    Emulated,
    anomaly_jets,
    class_jets,
    judged_model,
)
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.firmware.stimuli import Stimuli, read, read_outputs
from fullchain.firmware.trigger_jets import Labelled, labelled
from fullchain.firmware.trigger_scores import Score
from fullchain.firmware.vectors_of_jets import check_vectors
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TEST
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of

CHECKED = 1000
"""Vectors that are put through a network again to see that they are of it."""


def main(
    *,
    model: Annotated[str, Option("name of the model in firmware.models")],
    trained: Annotated[Path, Input("model before it was quantised: float.pt, or forest.json")],
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    points: Annotated[list[str], Option("names of the points of the model")],
    networks: Annotated[
        list[Path], Input("fixed-point network of each point, JSON; none for trees")
    ] = [],  # noqa: B006
    stimuli: Annotated[list[Path], Input("test vectors of each point, HDF5")],
    outputs: Annotated[list[Path], Input("outputs of emulations, HDF5")] = [],  # noqa: B006
    outputs_of: Annotated[
        list[str],
        Option("point of each file of outputs; left out: equally many of each point, in order"),
    ] = [],  # noqa: B006
    evaluation: Annotated[Path, Output("numbers of all points, JSON")],
    settings: Given,
) -> None:
    """Read vectors and outputs, judge, write."""
    chosen = settings.model("firmware.evaluation", EvaluationSettings)
    kind = str(settings[f"firmware.models.{model}.kind"])
    score: Score = ANOMALY_SCORES.get(kind, "classes")
    classes = tuple(settings["firmware.classes"])
    if len(stimuli) != len(points) or len(networks) not in (0, len(points)):
        raise InputError(
            f"model {model}: {len(points)} points, but {len(stimuli)} files of vectors and "
            f"{len(networks)} networks: give one of each for each point, in one order"
        )
    vectors = [read(path) for path in stimuli]
    for path, own in zip(networks, vectors, strict=False):
        _check_network(path, own)
    tested = _tested(jets, settings)
    for path, own in zip(stimuli, vectors, strict=True):
        check_vectors(tested, own, path)
    emulated = {
        point: Emulated(own, _emulations(outputs, _owners(outputs, outputs_of, points), point))
        for point, own in zip(points, vectors, strict=True)
    }
    columns = vectors[0].columns
    judged_jets = (
        anomaly_jets(columns, vectors[0].samples, classes, chosen)
        if kind in ANOMALY_SCORES
        else class_jets(columns, classes)
    )
    scores = float_scores(kind, trained, tested.jets)
    if kind not in ANOMALY_SCORES:
        _check_widths(scores, {name: one.vectors for name, one in emulated.items()}, model, classes)
    seed = derive(settings.seed, "firmware", "evaluate")
    content = {
        "model": model,
        "kind": kind,
        "classes": list(classes),
        "settings": chosen.model_dump(mode="json"),
        **judged_model(scores, emulated, judged_jets, score, chosen, seed),
    }
    write_text(evaluation, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _tested(jets: list[Path], settings: Given) -> Labelled:
    """Give the jets of the test part."""
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    return everything.where(everything.part == TEST)


def _check_network(path: Path, vectors: Stimuli) -> None:
    network, _ = fixed_network.read(path)
    some = vectors.inputs[:CHECKED]
    if some.shape[1] != int(np.prod(network.input_shape)) or not np.array_equal(
        network.evaluate(some.reshape(-1, *network.input_shape)), vectors.outputs[:CHECKED]
    ):
        raise InputError(f"{path}: the test vectors are of another network; stimulate again")


def _check_widths(
    scores: NDArray[np.float64],
    vectors: Mapping[str, Stimuli],
    model: str,
    classes: tuple[str, ...],
) -> None:
    """Check that there is one output for each class."""
    found = {"float": scores} | {name: one.outputs for name, one in vectors.items()}
    for name, outputs in found.items():
        if outputs.shape[1] != len(classes):
            raise InputError(
                f"model {model}, {name}: {outputs.shape[1]} outputs for the classes "
                f"{', '.join(classes)}; train and quantise again"
            )


def _owners(outputs: list[Path], owners: list[str], points: list[str]) -> list[str]:
    """Give the point of each file of outputs."""
    if not owners:
        each, left = divmod(len(outputs), len(points))
        if left:
            raise InputError(
                f"{len(outputs)} files of outputs for {len(points)} points: name the point of "
                "each with --outputs-of"
            )
        return [point for point in points for _ in range(each)]
    wrong = [owner for owner in owners if owner not in points]
    if wrong or len(owners) != len(outputs):
        raise InputError(
            f"--outputs-of: {len(owners)} points for {len(outputs)} files, "
            f"{', '.join(wrong) or 'none'} unknown; the points are {', '.join(points)}"
        )
    return owners


def _emulations(
    outputs: list[Path], owners: list[str], point: str
) -> dict[str, NDArray[np.float64]]:
    found = {}
    for path, owner in zip(outputs, owners, strict=True):
        if owner == point:
            values, name = read_outputs(path)
            if name in found:
                raise InputError(f"{path}: a second file of {name} for the point {point}")
            found[name] = values
    return found
