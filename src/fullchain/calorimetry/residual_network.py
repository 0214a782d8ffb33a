"""A dense residual network of the velocity of voxels, for small geometries."""

import torch
from torch import Tensor, nn

from fullchain.calorimetry.embedding import TimeEmbedding, dense, zeroed


class ResidualNetwork(nn.Module):
    """Dense layers that are added, shifted by time and condition.

    Parameters
    ----------
    numbers, conditions
        Of voxels, and of what they are conditional on.
    width, blocks
        Of the network; 2000 and 2 for photons of set 1 in CaloDREAM (2405.09629).
    embedding
        Width of time and condition.
    """

    def __init__(
        self, numbers: int, conditions: int, width: int, blocks: int, embedding: int
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding(embedding)
        self.condition = dense(embedding + conditions, width, width)
        self.first = nn.Linear(numbers, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.shifts = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.last = zeroed(nn.Linear(width, numbers))

    def forward(self, position: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Give the rest of the velocity: (n, numbers), (n, 1), (n, conditions) -> (n, numbers)."""
        given = nn.functional.silu(self.condition(torch.cat([self.time(time), condition], dim=1)))
        hidden = self.first(position)
        for norm, shift, layer in zip(self.norms, self.shifts, self.layers, strict=True):
            hidden = hidden + layer(nn.functional.silu(norm(hidden) + shift(given)))
        result: Tensor = self.last(nn.functional.silu(hidden))
        return result
