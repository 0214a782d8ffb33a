"""Points of several windows or events in one flat tensor, and their neighbours as tensors."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from fullchain.pileup.surroundings import NONE, neighbour_lists


@dataclass(frozen=True)
class Points:
    """Candidates of some groups (windows or events), one group after the other.

    Parameters
    ----------
    features
        (n, features).
    place
        (n, 2) eta and phi.
    of_group
        (groups, globals) features of the event of each group.
    offsets
        (groups + 1) where each group begins; int64, on the CPU.
    """

    features: Tensor
    place: Tensor
    of_group: Tensor
    offsets: Tensor

    @property
    def group(self) -> Tensor:
        """(n) the group of each candidate."""
        counts = self.offsets.diff().to(self.features.device)
        return torch.repeat_interleave(
            torch.arange(len(counts), device=counts.device), counts, output_size=len(self.features)
        )

    @property
    def event_features(self) -> Tensor:
        """(n, globals) features of its event for each candidate."""
        return self.of_group.index_select(0, self.group)


@dataclass(frozen=True)
class Neighbourhood:
    """Neighbours of n points, k places each.

    Parameters
    ----------
    index
        (n, k) places of the neighbours, nearest first; 0 where there is none.
    present
        (n, k) whether there is one.
    """

    index: Tensor
    present: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Values (n, size) of the neighbours, (n, k, size)."""
        n, k = self.index.shape
        return values.index_select(0, self.index.reshape(-1)).view(n, k, values.shape[1])


def near_in_direction(points: Points, radius: float, k: int) -> Neighbourhood:
    """Find the k nearest in eta and phi, within the radius, by a search on a grid."""
    place = points.place.detach().cpu().double().numpy()
    lists = neighbour_lists(place[:, 0], place[:, 1], points.offsets.numpy(), radius, k)
    index = torch.from_numpy(lists).to(points.features.device)
    return Neighbourhood(index.clamp(min=0), index != NONE)


@torch.no_grad()
def near_in_features(values: Tensor, offsets: Tensor, k: int) -> Neighbourhood:
    """Find the k nearest by Euclidean distance of `values` (n, size), within each group.

    All distances within a group are computed: for windows, not for whole events.
    """
    index = values.new_zeros((len(values), k), dtype=torch.int64)
    present = torch.zeros_like(index, dtype=torch.bool)
    limits = offsets.tolist()
    for first, last in itertools.pairwise(limits):
        inside = values[first:last].detach()
        number = min(k, len(inside) - 1)
        if number < 1:
            continue
        distance = torch.cdist(inside, inside)
        distance.fill_diagonal_(float("inf"))
        found = distance.topk(number, largest=False).indices
        index[first:last, :number] = found + first
        present[first:last, :number] = True
    return Neighbourhood(index, present)
