"""Expected uncertainty of the signal from the exact densities, by integration."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fullchain.inference import synthetic_model

NODES = 121
HALF_WIDTH = 8.0
"""Range of the normal variables, in standard deviations."""


@dataclass(frozen=True)
class Expected:
    """Uncertainties with which the information matrix bounds both parameters."""

    signal: float
    nuisance: float
    without_nuisance: float


def of_densities(
    signal: float, background: float, constraint: float, nuisance: float = 0.0, nodes: int = NODES
) -> Expected:
    r"""Integrate the information of the synthetic problem.

    I_jk = \int d_j \nu d_k \nu / \nu + constraints, with \nu = s f_s + b f_b(r). The normal
    variables are integrated on a grid of equal steps, the exponential one by Gauss-Laguerre.
    """
    # Wide enough for both normal densities: the background has the larger width.
    widths = np.sqrt(synthetic_model.VARIANCES)
    centre = synthetic_model.MEAN + nuisance
    first = np.linspace(-1.0, 1.0, 2 * nodes) * HALF_WIDTH * widths[0] + centre
    second = np.linspace(0.0, 1.0, nodes) * HALF_WIDTH * widths[1]
    step = (first[1] - first[0]) * (second[1] - second[0])
    # Both densities are even in the second variable.
    halves = np.full(nodes, 2.0)
    halves[0] = 1.0
    x = np.empty((2 * nodes, nodes, 3))
    x[..., 0], x[..., 1] = first[:, None], second
    places, weights = np.polynomial.laguerre.laggauss(40)
    # With the rate of the signal, so that what is left to integrate is smooth.
    inverse = weights * np.exp(places) / synthetic_model.SIGNAL_RATE
    information = np.zeros((2, 2))
    for value, weight in zip(places / synthetic_model.SIGNAL_RATE, inverse, strict=True):
        x[..., 2] = value
        of_signal = np.exp(synthetic_model.log_density_signal(x))
        of_background = background * np.exp(synthetic_model.log_density_background(x, nuisance))
        by_nuisance = of_background * (x[..., 0] - centre) / synthetic_model.VARIANCES[0]
        share = halves * step * weight / (signal * of_signal + of_background)
        rows = np.stack([of_signal, by_nuisance])
        information += np.einsum("axy,bxy,xy->ab", rows, rows, share)
    return _expected(torch.from_numpy(information), constraint)


def of_bins(
    signal_parts: Tensor, background_parts: Tensor, derivative: Tensor,
    signal: float, background: float, constraint: float,
) -> Expected:  # fmt: skip
    """The same of a histogram: parts of each class in the bins, and d log(part)/d nuisance."""
    expected = signal * signal_parts + background * background_parts
    rows = torch.stack([signal_parts, background * background_parts * derivative])
    return _expected((rows / expected) @ rows.T, constraint)


def _expected(information: Tensor, constraint: float) -> Expected:
    alone = float(information[0, 0]) ** -0.5
    full = information.clone()
    full[1, 1] += constraint**-2
    inverse = torch.linalg.inv(full)
    return Expected(float(inverse[0, 0]) ** 0.5, float(inverse[1, 1]) ** 0.5, alone)
