"""A network beside the exponential moving average of its weights."""

import copy

import torch
from torch import Tensor, nn


class Averaged(nn.Module):
    """Trains one network, and is evaluated with the average of its weights over the steps.

    Of Karras et al., 2312.02696 and earlier: generated samples of averaged weights are better.

    Parameters
    ----------
    network
        Any network.
    decay
        Of the average, for each step; 0: no average, the network itself.
    """

    steps: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.live = network
        self.decay = decay
        self.average = copy.deepcopy(network).requires_grad_(False) if decay > 0 else None
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def update(self) -> None:
        """Let the average follow; called once for each step of the training."""
        if self.average is None:
            return
        # A short memory first, or the first weights would stay for long.
        decay = min(self.decay, (1.0 + float(self.steps)) / (10.0 + float(self.steps)))
        self.steps += 1.0
        for mean, weight in zip(self.average.parameters(), self.live.parameters(), strict=True):
            mean.lerp_(weight, 1.0 - decay)

    @property
    def network(self) -> nn.Module:
        """The network to call: that in training, or the average."""
        return self.live if self.training or self.average is None else self.average

    def forward(self, *inputs: Tensor) -> Tensor:
        """Call it."""
        result: Tensor = self.network(*inputs)
        return result


def parameters_in_use(network: nn.Module) -> int:
    """Count the parameters that are used to generate: of a network and its average, the average."""
    spare = sum(
        weights.numel()
        for part in network.modules()
        if isinstance(part, Averaged) and part.average is not None
        for weights in part.live.parameters()
    )
    return sum(weights.numel() for weights in network.parameters()) - spare
