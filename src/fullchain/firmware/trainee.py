"""A network together with its objective, price of resources and pruning: what is trained."""

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from fullchain.firmware.float_network import FloatNetwork
from fullchain.firmware.point_settings import PenaltySettings, PruningSettings
from fullchain.firmware.pruning import Prunable, prune, removed, removed_after, rounds_due
from fullchain.firmware.quantised_network import QuantisedNetwork
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import batches_of

UNPRUNED = 1e3
"""Price in the loss of the validation of weights that are still to be pruned, in units of the part
of all weights: an epoch before the end of the pruning is never the best one."""


class Trainee(nn.Module):
    """Gives the terms of the loss of a batch.

    Parameters
    ----------
    network
        In floating or fixed point.
    objective
        forward(outputs, batch) -> named means; its parameters are trained too.
    steps
        Steps of the optimiser in all, which schedules are relative to.
    penalty
        Price of resources; None for none.
    pruning
        Magnitude pruning; None for none.
    """

    step: Tensor

    def __init__(
        self,
        network: FloatNetwork | QuantisedNetwork,
        objective: nn.Module,
        steps: int,
        penalty: PenaltySettings | None,
        pruning: PruningSettings | None,
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.steps, self.penalty, self.pruning = steps, penalty, pruning
        # In the state, so that a training that is taken up again goes on where it was.
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give "loss" and the terms that it is made of."""
        if self.training:
            self._prune()
            self.step += 1
        if not isinstance(self.network, QuantisedNetwork):
            outputs = self.network(batch["inputs"])
            return self._with_unpruned(dict(self.objective(outputs, batch)))
        outputs, ebops, bits = self.network.passed(batch["inputs"])
        terms = dict(self.objective(outputs, batch))
        if self.penalty is not None:
            terms["task"] = terms["loss"]
            price = self.price() * ebops + self.penalty.bits * bits
            terms["loss"] = terms["loss"] + price
        terms["ebops"] = ebops
        return self._with_unpruned(terms)

    def price(self) -> float:
        """Price of an EBOP: that of the step in training, and the last one in validation.

        So the losses of all epochs can be compared.
        """
        assert self.penalty is not None
        last, first = self.penalty.ebops, self.penalty.first
        if first is None or not self.training or last == 0:
            return last
        progress = min(float(self.step) / self.steps, 1.0)
        return math.exp(math.log(first) + progress * (math.log(last) - math.log(first)))

    def _layers(self) -> list[Prunable]:
        return [cast(Prunable, layer) for layer in self.network.dense.values()]

    def _prune(self) -> None:
        if self.pruning is not None:
            layers = self._layers()
            due = rounds_due(float(self.step) / self.steps, self.pruning)
            prune(layers, removed_after(due, _weights(layers), self.pruning))

    def _with_unpruned(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.pruning is not None and not self.training:
            layers = self._layers()
            weights = _weights(layers)
            wanted = removed_after(self.pruning.rounds, weights, self.pruning)
            left = max(wanted - removed(layers), 0) / weights
            terms["loss"] = terms["loss"] + UNPRUNED * left
        return terms


def _weights(layers: list[Prunable]) -> int:
    return sum(layer.weight.numel() for layer in layers)


def terms(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Objective of the training loop for a trainee."""
    found: dict[str, Tensor] = model(batch)
    return found


def steps_of(rows: int, training: TrainingSettings) -> int:
    """Steps of the optimiser in all epochs, as `learning.training` divides rows into batches."""
    return training.epochs * batches_of(rows, training)
