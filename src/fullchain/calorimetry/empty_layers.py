"""Numbers of layers without energy, for densities that know no point masses.

A layer without energy has the ratio 0 exactly, and one behind which there is no energy the ratio 1.
A flow would spend itself on these two spikes. Any ratio that gives the layer, or what lies behind
it, less energy than the threshold stands for the same shower: one of these is taken by chance, in
the range next to the threshold, so that the density goes on smoothly across it.
"""

import torch
from torch import Tensor

from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.learning.cumulative import cumulative

RANGE = 2.0
"""Of the logarithm of the energy, below the threshold."""

LEAST = 1e-3
"""Threshold that is taken where there is none [MeV]."""


def spread(
    ratios: Tensor,
    energies: Tensor,
    preprocessing: Preprocessing,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Give the numbers of ratios with those of empty layers drawn anew.

    Parameters
    ----------
    ratios
        Standardised numbers of ratios, (n, layers).
    energies
        Of the same layers [MeV], (n, layers).
    preprocessing
        What made the numbers.
    generator
        Source of chance; the global one if there is none.

    Returns
    -------
    (n, layers); the first number, and those of layers that share energy with others behind them,
    as they were. Behind the last energy numbers mean nothing and are normal.
    """
    threshold = max(preprocessing.settings.threshold, LEAST)
    shape, place = (len(ratios), ratios.shape[1] - 1), ratios.device
    chance = torch.rand(shape, generator=generator, device=place)
    normal = torch.randn(shape, generator=generator, device=place)
    left = cumulative(energies.flip(1), 1).flip(1)[:, :-1]
    own, behind = energies[:, :-1], left - energies[:, :-1]
    # Half of what is left is the most that can be below the threshold on either side.
    faint = torch.logit((threshold / left.clamp_min(1e-9)).clamp_max(0.5)) - RANGE * chance
    mean, width = (one[1 : ratios.shape[1]] for one in (preprocessing.mean, preprocessing.width))
    least = 0.5 * threshold
    others = ratios[:, 1:]
    others = torch.where(behind < least, (-faint - mean) / width, others)
    others = torch.where(own < least, (faint - mean) / width, others)
    others = torch.where(left < least, normal, others)
    return torch.cat([ratios[:, :1], others], dim=1)
