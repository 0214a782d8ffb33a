"""Times and conditions as inputs of networks."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time in [0, 1], (n, 1) -> (n, width)."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"a time needs an even width, not {width}")
        # From half a period to many in the unit interval.
        octaves = torch.linspace(0.0, math.log(100.0), width // 2)
        self.register_buffer("frequencies", math.pi * octaves.exp())

    def forward(self, time: Tensor) -> Tensor:
        """Embed."""
        angle = time * self.frequencies
        return torch.cat([angle.cos(), angle.sin()], dim=-1)


def dense(*sizes: int) -> nn.Sequential:
    """Linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for below, above in pairwise(sizes):
        layers += [nn.Linear(below, above), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def zeroed(layer: nn.Linear) -> nn.Linear:
    """Set the weights of a layer to zero, and give it."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
