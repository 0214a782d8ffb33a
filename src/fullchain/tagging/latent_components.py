"""Principal components of what the last layer of a network sees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning.bootstrap import event_factors
from fullchain.tagging.association import (
    Array,
    Integers,
    deviation,
    plain,
    weighted_covariance,
)


@dataclass(frozen=True)
class Components:
    """Directions of largest variance.

    Parameters
    ----------
    mean
        Of the activations, (width,).
    axes
        One row for each component, (components, width), of length one.
    share
        Part of the variance along each, (components,).
    """

    mean: Array
    axes: Array
    share: Array

    def of(self, latent: Array) -> Array:
        """Give the components of activations, (jets, components), from (jets, width)."""
        return (latent - self.mean) @ self.axes.T


def principal_components(latent: Array, weight: Array, number: int, logit: Array) -> Components:
    """Find the components of the covariance of the activations, which are centred and not scaled.

    Parameters
    ----------
    latent
        Activations, (jets, width).
    weight
        Not negative, (jets,).
    number
        Components to keep at most; there are none beyond the width.
    logit
        Log-odds of the signal, (jets,): each component rises with it.
    """
    mean, covariance = weighted_covariance(latent, weight)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values)[:number]
    axes = vectors[:, order].T
    part = weight / weight.sum()
    rising = ((latent - mean) @ axes.T * (part * (logit - part @ logit))[:, None]).sum(axis=0)
    axes = axes * np.where(rising < 0, -1.0, 1.0)[:, None]
    return Components(mean, axes, _shares(values)[:number])


def variance_shares(
    latent: Array, weight: Array, event: Integers, number: int, *, replicas: int, seed: int
) -> dict[str, Any]:
    """Part of the variance in each component, with bootstrap errors over events, for JSON.

    Each replica has axes of its own, in order of its own variances.
    """
    found = []
    for factor in [np.ones(len(latent)), *event_factors(event, replicas, seed)]:
        drawn = weight * factor
        if drawn.sum() > 0:
            _, covariance = weighted_covariance(latent, drawn)
            found.append(_shares(np.linalg.eigvalsh(covariance))[:number])
    return {"value": plain(found[0]), "deviation": plain(deviation(found[1:]))}


def _shares(values: npt.NDArray[np.floating]) -> Array:
    falling = np.sort(np.clip(values, 0.0, None))[::-1]
    total = falling.sum()
    return np.asarray(falling / total if total > 0 else falling)
