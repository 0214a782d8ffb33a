r"""Moments of the score in bins of the mass as a penalty: MoDe, arXiv:2010.09745.

The mass m of background jets is mapped to [-1, 1] and divided into M bins of equal occupancy. With
the distribution function F_b(s) of the score in each bin, the penalty is

    \int ds 1/M \sum_b (F_b(s) - F^{(l)}_b(s))^2,
    F^{(l)}_b(s) = \sum_{k \le l} c_k(s) P_k(b),

where P_k(b) is the mean of the Legendre polynomial P_k(m) over the bin. At order 0 any dependence
on the mass costs, at order 1 a linear one is free, at order 2 a quadratic one. The moments c_k(s)
are those of the paper, (2k + 1)/2 \int dm P_k(m) F(s|m), wherever the bins are narrow. Bins of
equal occupancy in a falling spectrum are wide at its end, though, and there a sum over bins is not
the integral: a straight line would not come back as one. The c_k are therefore the least-squares
fit in the P_k(b) with the widths of the bins as weights. It has the integral as its limit and
leaves free exactly what is meant to be.

Options of the paper: c_1 -> C c_0 tanh(c_1 / (C c_0)) caps the slope at C times the constant, and
c_2 -> c_1/3 tanh(3 c_2 / c_1) keeps the quadratic dependence monotonic in m.

Of a batch the F_b have a variance F_b (1 - F_b) / n_b, which the square does not tell from a
dependence on the mass: it adds about a sixth of M / n for a uniform score of n jets, and scores
that are all the same make it small. `unbiased` subtracts it (without regard to the two options
above), so that steps with small batches go, on average, where one with all jets would.

Between two neighbouring scores all F_b are constant. With g the mean over the bins, the integral is
the sum of g_k (s_(k+1) - s_k) over sorted scores, and its exact derivative with respect to the k-th
score is g_(k-1) - g_k: no distribution function needs a derivative. Where g is quadratic in F this
is -w dg/dF at the middle of the step of F, which is what the authors' code takes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.decorrelation.background import checked
from fullchain.decorrelation.method_settings import ModeSettings
from fullchain.errors import InputError
from fullchain.learning.sums import cumulated

JETS_IN_A_BIN = 5
"""Mean number of background jets of a batch in a bin, at least."""

_SMALL = 1e-12


class Mode(nn.Module):
    """Mean square of what is left of the dependence on the mass, integrated over the score.

    Parameters
    ----------
    settings
        Order, bins, options.
    against, weight
        Of the training background, shapes (jets, 1) and (jets,): the range and the bins.

    Raises
    ------
    InputError
        Several variables, options that the order does not have, fewer different values than bins,
        or see `background.checked`.
    """

    edges: Tensor
    polynomials: Tensor
    widths: Tensor

    def __init__(
        self,
        settings: ModeSettings,
        against: npt.NDArray[Any],
        weight: npt.NDArray[Any],
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if against.shape[1] != 1:
            raise InputError(
                f"MoDe is defined for one variable, and decorrelation.against has "
                f"{against.shape[1]}: take one, or the method disco or adversary"
            )
        against, weight = checked(against, weight, names)
        self.unbiased = settings.unbiased
        self.monotonic, self.largest_slope = settings.monotonic, settings.largest_slope
        mass = against[:, 0]
        low, high = mass.min(), mass.max()
        mapped = 2.0 * (mass - low) / (high - low) - 1.0
        edges = _equal_occupancy(mapped, weight, settings.bins)
        index = np.searchsorted(edges[1:-1], mapped, side="right")
        content = np.bincount(index, weight, settings.bins)
        if (content <= 0).any():
            raise InputError(
                f"{settings.bins} bins of equal occupancy need as many different masses: one of "
                f"them stays empty with {len(np.unique(mass))} different values among {len(mass)} "
                "background jets; lower bins"
            )
        legendre = (np.ones_like(mapped), mapped, 0.5 * (3.0 * mapped**2 - 1.0))
        means = [
            np.bincount(index, weight * values, settings.bins) / content
            for values in legendre[: settings.order + 1]
        ]
        inner = low + 0.5 * (edges[1:-1] + 1.0) * (high - low)
        self.register_buffer("edges", torch.tensor(inner, dtype=torch.float32))
        self.register_buffer("polynomials", torch.tensor(np.stack(means)))
        self.register_buffer("widths", torch.tensor(np.diff(edges)))

    def forward(self, score: Tensor, against: Tensor, weight: Tensor) -> Tensor:
        """Give the penalty of scores (n,) of jets with `against` (n, 1) and `weight` (n,)."""
        if len(score) < 2:
            return score.sum() * 0.0
        ordered, order = torch.sort(score)
        steps = ordered[1:] - ordered[:-1]
        with torch.no_grad():
            index = torch.searchsorted(self.edges, against[:, 0].contiguous(), right=True)
            heights = self._heights(index[order], weight[order].double().clamp(min=0.0))
        return heights.to(score.dtype) @ steps

    def _heights(self, index: Tensor, weight: Tensor) -> Tensor:
        """Mean over bins of the squares between each score and the next one, shape (n - 1,)."""
        bins = len(self.widths)
        parts = torch.zeros(len(index), bins, dtype=weight.dtype, device=weight.device)
        parts[torch.arange(len(index), device=index.device), index] = weight
        sums = cumulated(parts)
        # What the jets of a bin say is worth (sum w)^2 / sum w^2 of them.
        chance = parts.square().sum(0) / sums[-1].square().clamp(min=_SMALL)
        # A bin without a jet in this batch says nothing, and one with a single jet not how much
        # it says.
        filled = (sums[-1] > 0) & ((chance < 1.0 - _SMALL) | (not self.unbiased))
        if int(filled.sum()) <= len(self.polynomials):
            return weight.new_zeros(len(index) - 1)
        functions, chance = sums[:-1, filled] / sums[-1, filled], chance[filled]
        p, widths = self.polynomials[:, filled], self.widths[filled]
        solution = torch.linalg.solve((p * widths) @ p.T, p * widths)
        left = functions - self._limited(functions @ solution.T) @ p
        heights = left.square().mean(1)
        if not self.unbiased:
            return heights
        kept = torch.eye(len(widths), dtype=p.dtype, device=p.device) - (solution.T @ p).T
        variance = functions * (1.0 - functions) * (chance / (1.0 - chance))
        return heights - variance @ kept.square().mean(0)

    def _limited(self, moments: Tensor) -> Tensor:
        """Moments (n, order + 1) with a capped slope and a monotonic dependence."""
        columns = list(moments.unbind(1))
        if self.largest_slope is not None and len(columns) > 1:
            columns[1] = _soft(columns[1], self.largest_slope * columns[0])
        if self.monotonic and len(columns) > 2:
            columns[2] = _soft(columns[2], columns[1] / 3.0)
        return torch.stack(columns, dim=1)


def _soft(value: Tensor, limit: Tensor) -> Tensor:
    """limit tanh(value / limit), zero where the limit is."""
    zero = limit.abs() < _SMALL
    safe = torch.where(zero, 1.0, limit)
    return torch.where(zero, 0.0, safe * torch.tanh(value / safe))


def _equal_occupancy(
    values: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], bins: int
) -> npt.NDArray[np.float64]:
    """Edges of bins of equal weight over the range of the values, shape (bins + 1,)."""
    order = np.argsort(values, kind="stable")
    ordered, sums = values[order], np.cumsum(weight[order])
    # Between two jets, so that none lies on an edge whatever the precision.
    places = np.searchsorted(sums, sums[-1] * np.arange(1, bins) / bins)
    inner = 0.5 * (ordered[places] + ordered[np.minimum(places + 1, len(ordered) - 1)])
    return np.concatenate([ordered[:1], inner, ordered[-1:]])
