"""Voxels that keep their occupancy when their energies are made to add up to that of the layer."""

import torch
from torch import Tensor

from fullchain.calorimetry.geometry import Geometry


def scaled(layers: Tensor, voxels: Tensor, geometry: Geometry, threshold: float) -> Tensor:
    """Scale what voxels have above the threshold so that layers have their energies.

    A voxel below the threshold is empty, and no other one falls below it: a cut after a common
    factor would remove voxels near the threshold wherever the factor is less than one. Where a
    layer has too little energy for its voxels the weakest are emptied, and where it has no voxel
    the one nearest to the threshold takes all.

    Parameters
    ----------
    layers
        Energies of layers [MeV], (n, layers), 0 or at least the threshold.
    voxels
        Proposed energies [MeV], (n, voxels), not negative.
    threshold
        Least energy of a voxel that is not empty [MeV], above zero.

    Returns
    -------
    Energies of voxels [MeV], (n, voxels), float32.
    """
    parts = []
    for number, place in enumerate(geometry.slices):
        energy = layers[:, [number]].double()
        own = voxels[:, place]
        kept = own >= threshold
        none = ~kept.any(dim=1)
        kept[none] = _strongest(own[none], torch.ones_like(energy[none]))
        count = kept.sum(dim=1, keepdim=True)
        crowded = (count * threshold > energy).squeeze(1)
        kept[crowded] &= _strongest(
            torch.where(kept[crowded], own[crowded], -1.0), (energy[crowded] / threshold).floor()
        )
        count = kept.sum(dim=1, keepdim=True)
        excess = torch.where(kept, (own - threshold).clamp_min(0.0), 0.0)
        total = excess.sum(dim=1, keepdim=True, dtype=torch.float64)
        spare = (energy - count * threshold).clamp_min(0.0)
        factor = (spare / total.clamp_min(1e-30)).float()
        # Without any excess all voxels get the same.
        equal = (spare / count.clamp_min(1)).float()
        more = torch.where(total > 1e-20, excess * factor, equal)
        parts.append(torch.where(kept, threshold + more, 0.0))
    return torch.cat(parts, dim=1)


def _strongest(values: Tensor, number: Tensor) -> Tensor:
    """Say which of the values (n, k) are among the largest, as many as `number` (n, 1) says."""
    order = values.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    rank.scatter_(1, order, places)
    return rank < number
