"""Anomaly models among the kinds of networks that are trained."""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fullchain.firmware.anomaly_objective import (
    ReconstructionObjective,
    VariationalObjective,
    trained_on,
)
from fullchain.firmware.anomaly_settings import AnomalySettings, AutoencoderSettings
from fullchain.firmware.reconstruction_error import SCORE, with_error
from fullchain.firmware.task import Classes, Task
from fullchain.learning.bootstrap import event_factors


def _variational(settings: AnomalySettings, classes: Classes, quantities: int) -> nn.Module:
    del classes
    return VariationalObjective(settings, quantities)


def _reconstruction(settings: AutoencoderSettings, classes: Classes, quantities: int) -> nn.Module:
    del classes, quantities
    return ReconstructionObjective(settings.clip)


def _width(settings: AnomalySettings, classes: Classes) -> int:
    del classes
    return settings.dimensions


def _outputs(settings: AnomalySettings, classes: Classes) -> tuple[str, ...]:
    del settings, classes
    return (SCORE,)


def _reconstructed(settings: AutoencoderSettings, classes: Classes) -> tuple[str, ...]:
    """Give names of the outputs of an autoencoder: those of its inputs."""
    del classes
    names = settings.architecture.quantities or []
    candidates = settings.architecture.used_candidates
    if not candidates:
        return tuple(names)
    return tuple(f"{name}_{number}" for number in range(candidates) for name in names)


def judge_background(
    scores: NDArray[np.float64],
    target: NDArray[np.intp],
    event: NDArray[np.intp],
    classes: Classes,
    replicas: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Give mean and standard deviation of anomaly scores of background jets, with their errors.

    Without a signal there is nothing to tell it from; the step `trigger` has numbers of signals.

    Parameters
    ----------
    scores
        (jets, 1) anomaly scores.
    event
        (jets) number of the event, from 0.
    replicas, seed
        Of the bootstrap over events.
    """
    del target, classes
    own = scores[:, 0]
    found = []
    for factor in (np.ones(len(own)), *event_factors(event, replicas, seed)):
        mean = np.average(own, weights=factor)
        found.append([mean, np.sqrt(np.average((own - mean) ** 2, weights=factor))])
    errors = np.std(found[1:], axis=0, ddof=1)
    return {
        name: (float(value), float(error))
        for name, value, error in zip(("mean", "deviation"), found[0], errors, strict=True)
    }


LATENT = Task(
    settings=AnomalySettings,
    objective=_variational,
    trains_on=trained_on,
    width=_width,
    outputs=_outputs,
    balanced=False,
    last=("squared_norm",),
    judge=judge_background,
)

AUTOENCODER = Task(
    settings=AutoencoderSettings,
    objective=_reconstruction,
    trains_on=trained_on,
    width=lambda settings, classes: settings.outputs,
    outputs=_reconstructed,
    balanced=False,
    last=(),
    judge=judge_background,
    finish=with_error,
)
