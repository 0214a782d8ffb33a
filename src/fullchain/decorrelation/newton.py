"""Newton's method for many small fits of one kind at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Objective = Callable[[Array, Rows], tuple[Array, Array, Array]]
"""Of parameters (rows, p) of some of the fits, and their numbers (rows,): values (rows,), gradients
(rows, p), information (rows, p, p)."""

RIDGE = 1e-10
"""Part of the diagonal that is added to the information, which may be singular."""

HALVINGS = 20


@dataclass(frozen=True)
class Minimum:
    """Where the fits ended.

    `covariance` is the inverse of the information, (fits, p, p); `converged` says which fits
    reached their minimum, (fits,).
    """

    parameters: Array
    value: Array
    covariance: Array
    converged: npt.NDArray[np.bool_]

    def where_better(self, other: "Minimum", better: npt.NDArray[np.bool_]) -> "Minimum":
        """Take the fits of `other` where it is `better`, (fits,)."""
        return Minimum(
            np.where(better[:, None], other.parameters, self.parameters),
            np.where(better, other.value, self.value),
            np.where(better[:, None, None], other.covariance, self.covariance),
            np.where(better, other.converged, self.converged),
        )


def minimise(
    objective: Objective, start: Array, *, tolerance: float = 1e-6, steps: int = 60
) -> Minimum:
    """Minimise negative log-likelihoods by steps of inverse information times gradient.

    A step that does not lower the objective is halved; the information may be the expected one
    (Fisher scoring).

    Parameters
    ----------
    objective
        What is minimised, in each fit by itself.
    start
        First parameters, (fits, p).
    tolerance
        A fit has converged where the next step would gain less than this.
    steps
        Largest number of steps.
    """
    parameters = np.array(start, dtype=float)
    value, gradient, information = objective(parameters, np.arange(len(parameters)))
    converged = np.zeros(len(parameters), dtype=bool)
    open_fits = np.arange(len(parameters))
    for _ in range(steps):
        move = -_solve(information[open_fits], gradient[open_fits])
        small = -(gradient[open_fits] * move).sum(axis=1) < 2.0 * tolerance
        converged[open_fits[small]] = True
        open_fits, move = open_fits[~small], move[~small]
        size, tried = np.ones(len(open_fits)), np.arange(len(open_fits))
        moved = np.zeros(len(open_fits), dtype=bool)
        for _ in range(HALVINGS):
            if not len(tried):
                break
            rows = open_fits[tried]
            trial = parameters[rows] + size[tried, None] * move[tried]
            found = objective(trial, rows)
            good = found[0] <= value[rows] + 1e-12 * np.abs(value[rows])
            taken = rows[good]
            parameters[taken], value[taken] = trial[good], found[0][good]
            gradient[taken], information[taken] = found[1][good], found[2][good]
            moved[tried[good]] = True
            tried = tried[~good]
            size[tried] *= 0.5
        # Fits that no step helps stay where they are.
        open_fits = open_fits[moved]
        if not len(open_fits):
            break
    covariance = np.asarray(np.linalg.pinv(_ridged(information)), dtype=float)
    return Minimum(parameters, value, covariance, converged)


def _ridged(information: Array) -> Array:
    diagonal = np.einsum("tii->ti", information)
    scale = np.maximum(diagonal, diagonal.max(axis=1, keepdims=True) * RIDGE) + 1e-6
    return information + RIDGE * scale[:, :, None] * np.eye(information.shape[1])


def _solve(information: Array, gradient: Array) -> Array:
    return np.asarray(np.linalg.solve(_ridged(information), gradient[:, :, None])[:, :, 0])
