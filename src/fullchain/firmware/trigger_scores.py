"""Scores that models are judged by and that trigger, from what networks and trees give."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.model_kinds import AnomalyScore

Array = NDArray[np.float64]

Score = Literal["classes", "latent", "reconstruction"]
"""What is judged: logits of classes, or an anomaly score and what it is made of."""


def of_classes(
    logits: Array,
    chosen: Sequence[int],
    score: Literal["log_odds", "margin"],
) -> Array:
    """Give the score of some classes together against all others, (rows).

    Parameters
    ----------
    logits
        (rows, classes).
    chosen
        Numbers of the classes; neither none nor all.
    score
        `log_odds`: log(sum of exp(z) of the chosen) - log(the same of the others). `margin`:
        the largest of the chosen less the largest of the others, exact for fixed-point logits.
    """
    rest = [number for number in range(logits.shape[1]) if number not in chosen]
    if score == "margin":
        return np.asarray(logits[:, list(chosen)].max(axis=1) - logits[:, rest].max(axis=1))
    return _log_sum(logits[:, list(chosen)]) - _log_sum(logits[:, rest])


def _log_sum(logits: Array) -> Array:
    highest = logits.max(axis=1)
    if logits.shape[1] == 1:
        return np.asarray(highest)
    return np.asarray(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))


def class_numbers(wanted: Sequence[str], classes: Sequence[str], trigger: str) -> list[int]:
    """Give the numbers of the classes of a trigger.

    Raises
    ------
    InputError
        A name is no class, or no class is left for the others; names the trigger.
    """
    where = f"firmware.trigger.triggers.{trigger}"
    for name in wanted:
        if name not in classes:
            raise InputError(f"{where}: {name} is none of the classes {', '.join(classes)}")
    if len(set(wanted)) == len(classes):
        raise InputError(f"{where}: takes all classes, and leaves none to tell them from")
    return [classes.index(name) for name in wanted]


def anomaly(outputs: Array, inputs: Array, score: AnomalyScore) -> Array:
    """Give the anomaly score of rows, (rows).

    Parameters
    ----------
    outputs
        (rows, 1) where the network ends with its score; else for `latent` (rows, dimensions), whose
        squares are summed, and for `reconstruction` (rows, inputs), whose squared differences from
        the inputs are summed.
    inputs
        (rows, inputs) what the network was given.
    score
        What it is made of.

    Raises
    ------
    InputError
        There are neither one nor as many outputs as inputs to reconstruct.
    """
    if outputs.shape[1] == 1:
        return outputs[:, 0]
    if score == "latent":
        return np.asarray((outputs * outputs).sum(axis=1))
    if outputs.shape != inputs.shape:
        raise InputError(
            f"{outputs.shape[1]} outputs for {inputs.shape[1]} inputs: an autoencoder has one "
            "output, its score, or one for each input"
        )
    difference = outputs - inputs
    return np.asarray((difference * difference).sum(axis=1))


def scores_of(outputs: Array, inputs: Array, score: Score) -> Array:
    """Give what is judged, (rows, classes) or (rows, 1), of outputs and inputs of a network.

    `outputs` and `inputs` as in `anomaly`, or logits (rows, classes) of `classes`.

    Raises
    ------
    InputError
        As `anomaly`.
    """
    return outputs if score == "classes" else anomaly(outputs, inputs, score)[:, None]
