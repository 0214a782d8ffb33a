"""What the training of a Bayesian tagger minimises."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fullchain.learning.training import Batch, weighted_mean
from fullchain.tagging.bayesian import divergence, only_last, sampled_logits
from fullchain.tagging.views import View

VALIDATION_PASSES = 5
"""Samples of the weights that validate where each is a pass through the whole network."""


@dataclass(frozen=True)
class NegativeBound:
    """Negative evidence lower bound per jet: cross entropy plus KL / N (1904.10004).

    In training the weights are drawn anew. In validation they are the same samples in each epoch,
    so that epochs do not differ by luck; the divergence is part of that loss, too, because the
    widths go on for longer than the cross entropy falls.

    Parameters
    ----------
    view
        What the tagger sees.
    rotate
        Turn training jets at random.
    jets
        Number N of training jets, (sum w)^2 / sum w^2 with weights: as many without weights would
        know as much. Rotated copies of a jet are no new jets.
    samples
        Samples of the weights that score jets. All of them validate where only the last layer has
        a distribution, else the first few.
    """

    view: View
    rotate: bool
    jets: float
    samples: int

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the weighted means over the jets of the batch."""
        if model.training:
            turned = self.view.augmented(batch) if self.rotate else batch
            logits = model(turned).float().unsqueeze(0)
        else:
            number = self.samples if only_last(model) else min(self.samples, VALIDATION_PASSES)
            logits = sampled_logits(model, batch, range(number)).float()
        target, weight = batch["target"], batch["weight"]
        losses = torch.stack([cross_entropy(one, target, reduction="none") for one in logits])
        found = logits.softmax(dim=2).mean(dim=0).argmax(dim=1)
        entropy = weighted_mean(losses.mean(dim=0), weight)
        distance = divergence(model) / self.jets
        return {
            "loss": entropy + distance,
            "cross_entropy": entropy,
            "divergence": distance,
            "accuracy": weighted_mean((found == target).float(), weight),
        }


def effective_number(weight: Tensor) -> float:
    """Jets of weight one that would know as much, (sum w)^2 / sum w^2; `weight` is (jets,)."""
    weight = weight.double()
    return float(weight.sum() ** 2 / weight.square().sum())
