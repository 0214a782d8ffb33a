"""Masked autoregressive network (MADE, M. Germain et al., 1502.03509) with a condition.

What belongs to number i depends on the condition and on the numbers before i only. So all of it is
found in one pass where the numbers are known. Where they are not, because each is made of what the
network gives for it, the numbers come one after the other; but no node of a hidden layer has to be
found more than once, when the numbers it sees are complete, and all steps together cost as many
products as one pass (`Steps`).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings

ACTIVATIONS = {"relu": nn.functional.relu, "silu": nn.functional.silu}


class MaskedLinear(nn.Module):
    """A dense layer some of whose weights are zero for ever, and a free one for the condition.

    Parameters
    ----------
    mask
        True where a weight may be, (outputs, inputs).
    conditions
        Size of the condition.
    """

    def __init__(self, mask: Tensor, conditions: int) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        self.mask: Tensor
        self.register_buffer("mask", mask.float(), persistent=False)
        self.masked = nn.Linear(inputs, outputs)
        self.free = nn.Linear(conditions, outputs, bias=False)

    def weight(self) -> Tensor:
        """Give the weights, (outputs, inputs)."""
        return self.masked.weight * self.mask

    def forward(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Map (n, inputs) and (n, conditions) to (n, outputs)."""
        free = nn.functional.linear(condition, self.free.weight, self.masked.bias)
        return torch.addmm(free, rows, self.weight().t())


class MaskedNetwork(nn.Module):
    """The network.

    Parameters
    ----------
    numbers, conditions
        Sizes.
    outputs
        How many outputs belong to each number.
    settings
        Sizes of layers, activation, dropout.

    Notes
    -----
    A hidden node of degree d sees the numbers before d; nodes stand in the order of their degrees,
    which are spread evenly from 0 to numbers - 1. The last layer begins at zero.
    """

    def __init__(
        self, numbers: int, conditions: int, outputs: int, settings: MaskedFlowSettings
    ) -> None:
        super().__init__()
        self.numbers, self.outputs = numbers, outputs
        self.activation = ACTIVATIONS[settings.activation]
        self.dropout = settings.dropout
        self.embedding = nn.Sequential(
            nn.Linear(conditions, settings.embedding),
            nn.SiLU(),
            nn.Linear(settings.embedding, settings.embedding),
            nn.SiLU(),
        )
        self.degrees = [torch.arange(size) * numbers // size for size in settings.layers]
        places = torch.arange(numbers)
        masks = [places[None, :] < self.degrees[0][:, None]]
        masks += [below[None, :] <= above[:, None] for below, above in pairwise(self.degrees)]
        self.hidden = nn.ModuleList(MaskedLinear(mask, settings.embedding) for mask in masks)
        seen = (self.degrees[-1][None, :] <= places[:, None]).repeat(outputs, 1)
        self.last = MaskedLinear(seen, settings.embedding)
        with torch.no_grad():
            for layer in (self.last.masked.weight, self.last.masked.bias, self.last.free.weight):
                layer.zero_()

    def forward(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Map (n, numbers) and (n, conditions) to (n, outputs, numbers)."""
        embedded = self.embedding(condition)
        for layer in self.hidden:
            rows = self.activation(layer(rows, embedded))
            rows = nn.functional.dropout(rows, self.dropout, self.training)
        result: Tensor = self.last(rows, embedded)
        return result.view(-1, self.outputs, self.numbers)


class Steps:
    """The outputs of a network for one number after the other.

    Parameters
    ----------
    network
        In evaluation: dropout is left out.
    condition
        (n, conditions).

    Notes
    -----
    All is kept as (nodes, n): what is complete is then the first part of it, and lies together.
    """

    def __init__(self, network: MaskedNetwork, condition: Tensor) -> None:
        self.network = network
        embedded = network.embedding(condition).t()
        layers: Sequence[MaskedLinear] = [*network.hidden, network.last]
        self.weights = [layer.weight() for layer in layers[:-1]]
        self.values = [
            torch.addmm(layer.masked.bias[:, None], layer.free.weight, embedded) for layer in layers
        ]
        last = network.last
        shape = network.outputs, network.numbers
        self.last = last.weight().view(*shape, -1)
        self.given = self.values.pop().view(*shape, -1)
        # How many nodes of each layer are complete before number i is known: degrees of at most i.
        self.complete = [
            torch.searchsorted(degrees, torch.arange(network.numbers), right=True).tolist()
            for degrees in network.degrees
        ]

    def step(self, number: int, known: Tensor) -> Tensor:
        """Give the outputs (outputs, n) of `number`, the first ones (number, n) being known."""
        below, ready = known, number
        for weights, values, complete in zip(self.weights, self.values, self.complete, strict=True):
            first, last = complete[number - 1] if number else 0, complete[number]
            if last > first:
                fresh = torch.addmm(values[first:last], weights[first:last, :ready], below)
                values[first:last] = self.network.activation(fresh)
            below, ready = values[:last], last
        return torch.addmm(self.given[:, number], self.last[:, number, :ready], below)
