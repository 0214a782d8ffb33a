"""Covariance of fitted parameters from exact second derivatives of the likelihood."""

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.inference import fit_diagnosis
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.minimise import hessian

Array = NDArray[np.float64]


def covariance(
    model: HistFactory,
    values: Array,
    data: Array,
    *,
    fixed: frozenset[int] = frozenset(),
    what: str = "the fit",
) -> Array:
    """Invert the Hessian at a minimum; rows of parameters that do not vary are zero.

    Parameters
    ----------
    model
        The likelihood.
    values
        The minimum.
    data
        Main bins followed by auxiliary measurements.
    fixed
        Parameters that are held besides those that the model holds.
    what
        Name of the fit in messages.

    Raises
    ------
    InputError
        The Hessian is singular or has a negative eigenvalue; the message names the parameters.
    """
    size = len(values)
    matrix = np.zeros((size, size))
    free = np.flatnonzero([not held and i not in fixed for i, held in enumerate(model.held)])
    if not len(free):
        return matrix
    point, seen = torch.as_tensor(values)[None], torch.as_tensor(data)[None]
    curvature = hessian(model, point, seen)[0].detach().numpy()[np.ix_(free, free)]
    complaint = fit_diagnosis.not_positive(model, curvature, free, values, what)
    if complaint is not None:
        raise complaint
    scale = np.sqrt(np.diagonal(curvature))
    inverse = np.linalg.inv(curvature / np.outer(scale, scale)) / np.outer(scale, scale)
    matrix[np.ix_(free, free)] = inverse + inverse.T  # half of twice the negative logarithm
    return matrix


def correlation(matrix: Array) -> Array:
    """Correlation matrix; zero off the diagonal for parameters that do not vary."""
    width = np.sqrt(np.diagonal(matrix))
    width = np.where(width > 0, width, 1.0)
    found = matrix / np.outer(width, width)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def conditional_variance(matrix: Array, index: int, held: NDArray[np.intp]) -> float:
    """Variance of a parameter when others are held, in the Gaussian approximation."""
    held = held[np.diagonal(matrix)[held] > 0]
    if not len(held):
        return float(matrix[index, index])
    shared = matrix[index, held]
    explained = shared @ np.linalg.solve(matrix[np.ix_(held, held)], shared)
    return float(matrix[index, index] - explained)
