"""Mutual information of a score and columns of jets, measured in bins."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.learning.standardise import weighted_quantiles
from fullchain.learning.sums import cumulated

_SCORE_BINS, _CELLS = 6, 12
"""Bins of equal occupancy in the score, and cells in the columns, shared out among these."""


def inner_edges(
    against: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> list[npt.NDArray[np.float64]]:
    """Edges between bins of equal occupancy in each column of (jets, k)."""
    bins = max(2, round(_CELLS ** (1.0 / against.shape[1])))
    levels = np.arange(1, bins) / bins
    return [weighted_quantiles(column, weight, levels) for column in against.T]


def binned_information(
    score: Tensor, against: Tensor, weight: Tensor, edges: Sequence[Tensor]
) -> Tensor:
    """Mutual information [nats], less its expectation for independent ones; a scalar.

    Parameters
    ----------
    score, against, weight
        Shapes (n,), (n, k) and (n,); weights not negative, their sum positive.
    edges
        Edges between the bins in each column.

    Returns
    -------
        The plain estimate less (a - 1) (b - 1) / 2 n, where a and b are the numbers of bins with
        jets and n = (sum w)^2 / sum w^2: about zero for independent ones, at times below.
    """
    weight = weight.double() / weight.double().sum()
    order = torch.argsort(score)
    levels = cumulated(weight[order, None])[:, 0] - 0.5 * weight[order]
    bins_of_score = torch.empty_like(order)
    bins_of_score[order] = (levels * _SCORE_BINS).long().clamp(0, _SCORE_BINS - 1)
    cell = torch.zeros_like(order)
    cells = 1
    for inner, column in zip(edges, against.T, strict=True):
        found = torch.searchsorted(inner, column.contiguous(), right=True)
        cell = cell * (len(inner) + 1) + found
        cells *= len(inner) + 1
    one_hot = torch.nn.functional.one_hot
    rows = one_hot(bins_of_score, _SCORE_BINS).double() * weight[:, None]
    joint = rows.T @ one_hot(cell, cells).double()
    in_score, in_cells = joint.sum(1), joint.sum(0)
    expected = in_score[:, None] * in_cells
    ratio = torch.where(joint > 0, joint / expected.clamp(min=torch.finfo(torch.double).tiny), 1.0)
    freedom = ((in_score > 0).sum() - 1) * ((in_cells > 0).sum() - 1)
    information = (joint * ratio.log()).sum() - 0.5 * freedom * weight.square().sum()
    return information.to(score.dtype)
