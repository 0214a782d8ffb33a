"""Dense networks on observables, one for each of several fits, and how such networks start."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fullchain.learning.dense_network import GroupedNetwork
from fullchain.learning.grouped import GroupedLinear, Inputs

Build = Callable[[int, int], nn.Module]
"""From number of members and seed to a network of that many members."""


class GroupedMultilayer(nn.Module):
    """Dense layers with GELU (1606.08415) between them, of several members.

    Parameters
    ----------
    members
        Number of networks.
    observables
        Number of inputs of each.
    layers
        Sizes of the hidden layers.

    Notes
    -----
    A `GroupedClassifier` of `values`. The published OmniFold has layers of 3 x 100 nodes; 64, 128
    and 64 nodes are used in measurements.
    """

    def __init__(self, members: int, observables: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.members = members
        self.network = GroupedNetwork(
            members, observables, layers, 1, activation=nn.functional.gelu
        )

    @property
    def output(self) -> GroupedLinear:
        """The last layer."""
        return self.network.last

    def forward(self, inputs: Inputs) -> Tensor:
        """Give (members, rows) logits."""
        values = inputs["values"]
        logits: Tensor = self.network(values, shared=values.dim() == 2)
        return logits.squeeze(-1)


@torch.no_grad()
def undecided(network: nn.Module) -> None:
    """Set the last layer of a `GroupedClassifier` to zero: all logits are 0, and ratios one."""
    last = network.output
    assert isinstance(last, GroupedLinear)
    last.weight.zero_()
    last.bias.zero_()


def started(build: Build, seeds: Sequence[int]) -> nn.Module:
    """Give one network of several members, each as it would start alone with its seed.

    Parameters
    ----------
    build
        Makes a network whose parameters have the members in their first dimension.
    seeds
        Of each member. Equal seeds start equally.
    """
    joined = build(len(seeds), seeds[0])
    single = {seed: dict(build(1, seed).named_parameters()) for seed in dict.fromkeys(seeds)}
    with torch.no_grad():
        for name, parameter in joined.named_parameters():
            parameter.copy_(torch.cat([single[seed][name] for seed in seeds]))
    return joined
