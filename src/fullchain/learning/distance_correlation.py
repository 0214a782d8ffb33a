r"""Distance correlation of weighted rows: zero for independent variables only.

dCor^2 of x and y is <AB> / sqrt(<AA><BB>), where A_ij = a_ij - a_i - a_j + a are the distances
a_ij = |x_i - x_j| less their weighted means, B the same of y (Szekely, Rizzo and Bakirov 0803.4101;
with weights as in Kasieczka and Shih 2001.05310). This is the plain estimate: of a finite number of
rows it is above zero for independent variables, too, by about one over the effective number.

Everything here holds all pairs of rows at once; `large_distance_correlation` does not.
"""

import torch
from torch import Tensor

_SMALL = 1e-12
"""Smallest distance variance that is divided by: that of a column which does not vary is zero."""


def centred_distances(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Distances of the rows in each column, centred; from (rows, columns) to (columns, rows, rows).

    `weights` (rows,) must not be negative nor sum to zero; None for equal ones.
    """
    distance = (values.T.unsqueeze(2) - values.T.unsqueeze(1)).abs()
    return _centred(distance, _normalised(values, weights))


def distance_correlations(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared distance correlation of each pair of columns, shape (columns, columns).

    Parameters
    ----------
    values
        Shape (rows, columns); a column that does not vary has a correlation of zero.
    weights
        Shape (rows,), not negative; None for equal ones.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 50)
    >>> pairs = distance_correlations(torch.stack([x, 3 * x + 1, x**2], dim=1))
    >>> [round(float(pair), 2) for pair in pairs[0]]
    [1.0, 1.0, 0.24]
    """
    own = _normalised(values, weights)
    centred = centred_distances(values, weights)
    rooted = own.sqrt()
    # A weight of a pair is the product of those of its rows, half of which each factor takes.
    flat = (centred * rooted[:, None] * rooted[None, :]).flatten(1)
    covariance = flat @ flat.T
    variance = covariance.diagonal()
    return ratio(covariance, variance.unsqueeze(0), variance.unsqueeze(1))


def distance_correlation(
    x: Tensor, y: Tensor, weights: Tensor | None = None, *, power: float = 1.0
) -> Tensor:
    """Squared distance correlation of x and y, a scalar; gradients are those of `y` and `x`.

    Parameters
    ----------
    x, y
        Shapes (rows, k) and (rows, m), of one type; distances are Euclidean. What does not vary
        has a correlation of zero.
    weights
        Shape (rows,), not negative; None for equal ones.
    power
        Exponent of the distances, above 0 and at most 2. At 2 a correlation of zero is that of
        linear dependence only.
    """
    own = _normalised(y, weights)
    a, b = (_centred(_distances(values, power).unsqueeze(0), own)[0] for values in (x, y))
    weighted_a, weighted_b = a * own, b * own
    covariance = own @ (weighted_a * b).sum(1)
    return ratio(covariance, own @ (weighted_a * a).sum(1), own @ (weighted_b * b).sum(1))


def ratio(covariance: Tensor, variance_x: Tensor, variance_y: Tensor) -> Tensor:
    """Squared distance correlation from the squared distance covariances."""
    # The root only of what is clearly positive: its slope at zero is infinite.
    return covariance / (variance_x * variance_y).clamp(min=_SMALL**2).sqrt()


def powered(square: Tensor, power: float) -> Tensor:
    """Powers of distances from their squares, with a gradient of zero where they are zero."""
    # Below half a square, where the slope at zero would be infinite.
    smallest = torch.finfo(square.dtype).tiny
    return torch.where(square > 0, square.clamp(min=smallest) ** (0.5 * power), 0.0)


def _distances(values: Tensor, power: float) -> Tensor:
    if values.shape[1] == 1 and power == 1:
        return (values - values.T).abs()
    return powered((values.unsqueeze(1) - values.unsqueeze(0)).square().sum(2), power)


def _normalised(values: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return values.new_full((len(values),), 1.0 / len(values))
    return weights / weights.sum()


def _centred(distance: Tensor, weights: Tensor) -> Tensor:
    means = distance @ weights
    return (
        distance
        - means.unsqueeze(2)
        - means.unsqueeze(1)
        + (means @ weights).unsqueeze(1).unsqueeze(2)
    )
