"""Gated graph network (Li et al., 1511.05493), as PuppiML (1810.07988) uses it."""

import torch
from torch import Tensor, nn

from fullchain.pileup.cloud_graph import Points, near_in_direction
from fullchain.pileup.graph_settings import GatedSettings


class GatedLayers(nn.Module):
    r"""Rounds of messages between candidates.

    With the state h_i of candidate i and its neighbours in the ring r of distance, N_r(i),

        m_i = \sum_r A_r \mathrm{mean}_{j \in N_r(i)} h_j + b,   h_i <- GRU(m_i, h_i).

    Each ring is a type of edge of 1511.05493. A mean and not a sum, so that a state does not grow
    with the density of pile-up; a ring without neighbours sends nothing.

    Parameters
    ----------
    features, of_event
        Number of features of a candidate and of its event.
    """

    def __init__(self, settings: GatedSettings, features: int, of_event: int) -> None:
        super().__init__()
        self.settings = settings
        size = settings.hidden
        self.embedding = nn.Linear(features + of_event, size)
        self.message = nn.Linear(size * len(settings.rings), size)
        self.gate = nn.GRUCell(size, size)
        layers: list[nn.Module] = []
        width = size + features + of_event
        for wide in settings.fc:
            layers += [nn.Linear(width, wide), nn.ReLU()]
            width = wide
        self.last = nn.Sequential(*layers, nn.Linear(width, 1))
        self.register_buffer("edges", torch.tensor(settings.rings[:-1]), persistent=False)

    edges: Tensor

    def forward(self, points: Points) -> Tensor:
        """Give logits (n)."""
        near = near_in_direction(points, self.settings.radius, self.settings.neighbours)
        share = self._shares(points, near.index, near.present)
        told = torch.cat([points.features, points.event_features], dim=1)
        state = torch.tanh(self.embedding(told))
        for _ in range(self.settings.rounds):
            means = torch.bmm(share, near.of(state))
            state = self.gate(self.message(means.flatten(1)), state)
        logits: Tensor = self.last(torch.cat([state, told], dim=1)).squeeze(1)
        return logits

    def _shares(self, points: Points, index: Tensor, present: Tensor) -> Tensor:
        """Give the share of each neighbour in the mean of its ring, (n, rings, k)."""
        place = points.place
        difference = place.index_select(0, index.reshape(-1)).view(*index.shape, 2)
        difference = difference - place.unsqueeze(1)
        turn = torch.remainder(difference[..., 1] + torch.pi, 2 * torch.pi) - torch.pi
        distance = torch.sqrt(difference[..., 0] ** 2 + turn**2)
        ring = torch.bucketize(distance, self.edges, right=True)
        rings = len(self.settings.rings)
        inside = (ring.unsqueeze(1) == torch.arange(rings, device=ring.device).view(1, -1, 1)) & (
            present.unsqueeze(1)
        )
        member = inside.to(points.features.dtype)
        return member / member.sum(dim=2, keepdim=True).clamp(min=1.0)
