"""Dense networks of several members at once."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullchain.learning.grouped import GroupedLinear

Activation = Callable[[Tensor], Tensor]


class GroupedNetwork(nn.Module):
    """Dense layers, for each member.

    Parameters
    ----------
    members, inputs, layers, outputs
        Number of networks, and sizes of each.
    last
        Factor on the initial weights of the last layer.
    activation
        Between the layers.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        layers: Sequence[int],
        outputs: int,
        last: float = 1.0,
        activation: Activation = nn.functional.silu,
    ) -> None:
        super().__init__()
        self.activation = activation
        sizes = [inputs, *layers]
        self.layers = nn.ModuleList(
            GroupedLinear(members, below, above) for below, above in pairwise(sizes)
        )
        self.last = GroupedLinear(members, sizes[-1], outputs)
        with torch.no_grad():
            self.last.weight.mul_(last)
            self.last.bias.mul_(last)

    def forward(self, rows: Tensor, shared: bool = False) -> Tensor:
        """Map (members, ..., inputs), or (..., inputs) if shared, to (members, ..., outputs)."""
        for layer in self.layers:
            rows = self.activation(layer(rows, shared=shared))
            shared = False
        result: Tensor = self.last(rows, shared=shared)
        return result
