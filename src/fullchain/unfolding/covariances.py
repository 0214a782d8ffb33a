"""Covariance of the bins of unfolded spectra, from replicas and from shifts."""

import re
from collections.abc import Mapping

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding.unfolded import Array

NETWORK = "network"


def covariance_of(source: str, counts: Array) -> Array:
    """Covariance of bins from (replicas, bins) counts: of one replica, or of the mean (`network`).

    The mean over replicas is subtracted, not the nominal result, from which they may be biased.
    With R replicas a standard deviation is known to a part 1 / sqrt(2 (R - 1)); the matrix has rank
    R - 1, and its inverse is too large by (R - 1) / (R - bins - 2) (Hartlap et al.,
    astro-ph/0608064).

    Raises InputError where there is a single replica.
    """
    if len(counts) < 2:
        raise InputError(
            f"{source}: a single replica gives no covariance; ask for two or more, or for none"
        )
    away = counts - counts.mean(axis=0)
    matrix: Array = away.T @ away / (len(counts) - 1)
    return matrix / len(counts) if source == NETWORK else matrix


def shift_covariances(shifts: Mapping[str, Array]) -> dict[str, Array]:
    """Covariance of bins for each systematic source, from the changes under its shifts.

    Bins move together under a shift. `<source>_up` and `<source>_down` are one source: half the sum
    of the two outer products, which is the square of the change where up and down are opposite, and
    does not vanish where both go the same way. Any other shift counts as one standard deviation.
    """
    found: dict[str, Array] = {}
    for source, (up, down) in paired(shifts).items():
        matrix = np.outer(up, up)
        found[source] = matrix if down is None else (matrix + np.outer(down, down)) / 2
    return found


def paired(shifts: Mapping[str, Array]) -> dict[str, tuple[Array, Array | None]]:
    """Give for each source the change up and down; None as the second where it has one only."""
    found: dict[str, tuple[Array, Array | None]] = {}
    for name, change in shifts.items():
        base = re.sub(r"_(up|down)$", "", name)
        if base != name and f"{base}_up" in shifts and f"{base}_down" in shifts:
            found[base] = (shifts[f"{base}_up"], shifts[f"{base}_down"])
        else:
            found[name] = (change, None)
    return found


def total_covariance(covariances: Mapping[str, Array], shifts: Mapping[str, Array]) -> Array:
    """Sum of the covariances of all sources and of all shifts, which are independent."""
    matrices = [*covariances.values(), *shift_covariances(shifts).values()]
    if not matrices:
        raise InputError("no replicas, no ensemble and no shifts: nothing gives an uncertainty")
    total: Array = np.sum(matrices, axis=0)
    return total


def correlation(covariance: Array) -> Array:
    """Correlation of a covariance; 0 with a bin that does not vary, and 1 with itself."""
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    found = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return np.clip(found, -1.0, 1.0)


def normalisation_jacobian(counts: Array) -> Array:
    """Give (bins, bins) derivatives of counts / counts.sum() with respect to the counts."""
    total = counts.sum()
    if total <= 0:
        raise InputError("a histogram without events cannot be normalised")
    matrix: Array = (np.eye(len(counts)) - np.outer(counts / total, np.ones(len(counts)))) / total
    return matrix
