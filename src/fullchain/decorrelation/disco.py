r"""Distance correlation of score and mass as a penalty: DisCo, arXiv:2001.05310.

The penalty is the squared distance correlation of the score of background jets with what they are
decorrelated against, from 0 (independent) to 1 (equal up to a scale). With several variables the
distance is Euclidean, each variable divided by its standard deviation.
"""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.decorrelation.background import checked, flat_factors, mean_and_spread
from fullchain.decorrelation.method_settings import DiscoSettings
from fullchain.learning.distance_correlation import distance_correlation
from fullchain.learning.large_distance_correlation import by_blocks, by_sorting

SMALLEST = 30
"""Background jets of a batch. For n jets, flat and independent, the estimate is about 2.5 / n."""

_DENSE = 256
"""Rows up to which all pairs at once are as fast as anything else."""

_FLAT_BINS, _LARGEST = 20, 20.0
"""Bins in each variable, and largest factor, of flat weights: as those of planing."""


class Disco(nn.Module):
    """Squared distance correlation of score and variables.

    Parameters
    ----------
    settings
        Exponent and weights.
    against, weight
        Of the training background, shapes (jets, k) and (jets,): the scale, and what flat is.

    Raises
    ------
    InputError
        See `background.checked`.
    """

    multiply: Tensor
    factors: Tensor

    def __init__(
        self,
        settings: DiscoSettings,
        against: npt.NDArray[Any],
        weight: npt.NDArray[Any],
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        against, weight = checked(against, weight, names)
        self.power = settings.power
        self.flat = settings.weighting == "flat"
        _, spread = mean_and_spread(against, weight)
        self.register_buffer("multiply", torch.tensor(1.0 / spread, dtype=torch.float32))
        if self.flat:
            edges, factors = flat_factors(against, weight, _FLAT_BINS, _LARGEST)
            self.register_buffer("factors", torch.tensor(factors, dtype=torch.float32))
            for number, inner in enumerate(edges):
                self.register_buffer(f"edges{number}", torch.tensor(inner, dtype=torch.float32))

    def forward(self, score: Tensor, against: Tensor, weight: Tensor) -> Tensor:
        """Give the penalty of scores (n,) of jets with `against` (n, k) and `weight` (n,)."""
        weight = weight.clamp(min=0.0)
        if self.flat:
            weight = weight * self._factor(against)
        if not bool((weight > 0).sum() > 1):
            return 0.0 * score.sum()
        scaled = against * self.multiply
        if len(score) <= _DENSE:
            return distance_correlation(scaled, score[:, None], weight, power=self.power)
        # On CUDA cumulative sums are not the same bits again, and the training loop refuses them.
        if self.power == 1 and scaled.shape[1] == 1 and score.device.type == "cpu":
            return by_sorting(scaled[:, 0], score, weight)
        return by_blocks(scaled, score[:, None], weight, power=self.power)

    def _factor(self, against: Tensor) -> Tensor:
        cells = [
            torch.searchsorted(getattr(self, f"edges{number}"), column.contiguous(), right=True)
            for number, column in enumerate(against.T)
        ]
        return self.factors[tuple(cells)]
