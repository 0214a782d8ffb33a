"""Layers of several independent networks in one computation.

Fits that share their events and differ in weights, starts or shifts are trained together: a layer
of all of them is one batched matrix product, which keeps a processor busy where a small layer of
one network does not.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Tensor]
"""`values` (rows, observables) or, where members differ, (members, rows, observables). With
particles also `particles` (rows, places, features), 0 where there is none, and `mask` (rows,
places), true where there is one."""


class GroupedClassifier(Protocol):
    """Networks of several fits: (members, rows) logits of all inputs."""

    members: int
    output: "GroupedLinear"
    """The last layer, which gives the logits."""

    def __call__(self, inputs: Inputs) -> Tensor:
        """Give the logits."""
        ...


class GroupedLinear(nn.Module):
    """Linear layers of several members.

    Parameters
    ----------
    members, inputs, outputs
        Number of networks, and sizes of the layer of each.

    Notes
    -----
    Takes (..., inputs) for the same rows in all members, or (members, ..., inputs); gives
    (members, ..., outputs). Weights start as those of `torch.nn.Linear`.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, rows: Tensor, shared: bool = False) -> Tensor:
        """Apply the layers; `shared` says that all members take the same rows."""
        members = len(self.weight)
        if shared:
            flat = rows.reshape(1, -1, rows.shape[-1]).expand(members, -1, -1)
            shape = (members, *rows.shape[:-1], -1)
        else:
            flat = rows.reshape(members, -1, rows.shape[-1])
            shape = (*rows.shape[:-1], -1)
        if self.weight.shape[-1] == 1:
            # Faster than a product of matrices, and to the bit the same for any number of members.
            single = torch.linalg.vecdot(flat, self.weight.transpose(1, 2)).unsqueeze(-1)
            return (single + self.bias).reshape(shape)
        return torch.baddbmm(self.bias, flat, self.weight).reshape(shape)
