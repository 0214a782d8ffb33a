"""The classifier of the CaloChallenge: a dense network with LeakyReLU (2410.21611)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

CONSTANT = 1e-9
"""Width below which an input counts as constant, and keeps its scale."""


class ShowerClassifier(nn.Module):
    """Dense network whose output is the logit of the probability of a simulated shower.

    Parameters
    ----------
    inputs
        Number of inputs.
    layers
        Sizes of the hidden layers.

    Notes
    -----
    Inputs are shifted and scaled by buffers, zero and one until `standardise`.
    """

    def __init__(self, inputs: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.mean: Tensor
        self.width: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("width", torch.ones(inputs))
        parts: list[nn.Module] = []
        for below, above in pairwise([inputs, *layers]):
            parts += [nn.Linear(below, above), nn.LeakyReLU()]
        self.layers = nn.Sequential(*parts, nn.Linear(layers[-1], 1))

    @torch.no_grad()
    def standardise(self, rows: Tensor) -> None:
        """Make the mean of each input zero and its width one, for rows (n, inputs)."""
        width = rows.std(dim=0)
        self.mean.copy_(rows.mean(dim=0))
        self.width.copy_(torch.where(width > CONSTANT, width, torch.ones_like(width)))

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows (n, inputs) to logits (n)."""
        scaled = (rows - self.mean) / self.width
        logits: Tensor = self.layers(scaled)
        return logits.squeeze(1)
