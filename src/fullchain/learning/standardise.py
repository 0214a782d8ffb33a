"""Shift and scale of input features, measured or given, as part of a network."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Standardisation:
    """For each feature: what to subtract, and what to multiply by afterwards."""

    subtract: tuple[float, ...]
    multiply: tuple[float, ...]


def weighted_quantiles(
    values: npt.ArrayLike, weights: npt.ArrayLike, quantiles: npt.ArrayLike
) -> Array:
    """Quantiles of weighted values, interpolated between the midpoints of their weights.

    `values` and `weights` have shape (rows,); the weights must not be negative.
    """
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    midpoints = (cumulative - 0.5 * weights[order]) / cumulative[-1]
    return np.asarray(np.interp(np.asarray(quantiles), midpoints, values[order]))


def measure(features: npt.NDArray[np.floating], weights: npt.ArrayLike) -> Standardisation:
    """Median to zero and half the distance of the 16 % and 84 % quantiles to one.

    `features` has shape (rows, features), `weights` (rows,). A feature that does not vary keeps
    its scale. Quantiles and not moments, because a few extreme values must not set the scale.
    """
    subtract, multiply = [], []
    for column in features.T:
        low, median, high = weighted_quantiles(column, weights, [0.16, 0.5, 0.84])
        half_width = 0.5 * (high - low)
        subtract.append(float(median))
        multiply.append(1.0 / float(half_width) if half_width > 0 else 1.0)
    return Standardisation(tuple(subtract), tuple(multiply))


class Standardise(nn.Module):
    """Apply a `Standardisation` to the last dimension and clip; it travels in the state dict.

    Parameters
    ----------
    values
        Shift and scale for each feature.
    clip
        Largest absolute value of the result.
    """

    subtract: Tensor
    multiply: Tensor

    def __init__(self, values: Standardisation, clip: float) -> None:
        super().__init__()
        self.register_buffer("subtract", torch.tensor(values.subtract))
        self.register_buffer("multiply", torch.tensor(values.multiply))
        self.clip = clip

    def forward(self, features: Tensor) -> Tensor:
        """Shift, scale and clip features of shape (..., features)."""
        scaled = (features - self.subtract) * self.multiply
        return scaled.clamp(-self.clip, self.clip)
