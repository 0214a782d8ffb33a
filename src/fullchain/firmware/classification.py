"""Telling classes of jets apart, with or without a teacher."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, softmax

from fullchain.firmware.network_settings import NetworkSettings
from fullchain.firmware.task import Classes, Task
from fullchain.firmware.trigger_jets import Labelled
from fullchain.firmware.validation_performance import judge_classes
from fullchain.learning.training import weighted_mean


class Classification(nn.Module):
    """Cross-entropy, and with a teacher that with its softened probabilities (arXiv:1503.02531).

    loss = (1 - a) H(true class, p) + a T^2 H(q_T, p_T), where p_T and q_T are the probabilities of
    network and teacher with logits divided by the temperature T; T^2 keeps the size of gradients.

    Parameters
    ----------
    part
        The part a of the teacher; 0 without one.
    temperature
        T.
    """

    def __init__(self, part: float = 0.0, temperature: float = 1.0) -> None:
        super().__init__()
        self.part, self.temperature = part, temperature

    def forward(self, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give loss and accuracy of logits (rows, classes)."""
        target, weight = batch["target"], batch["weight"]
        loss = cross_entropy(outputs, target, reduction="none")
        right = (outputs.detach().argmax(dim=1) == target).to(outputs.dtype)
        terms = {"accuracy": weighted_mean(right, weight)}
        if self.part > 0:
            # The teacher gives probabilities; their logarithms are logits.
            logits = torch.log(batch["teacher"].clamp(min=1e-12))
            soft = softmax(logits / self.temperature, dim=1)
            own = log_softmax(outputs / self.temperature, dim=1)
            taught = -(soft * own).sum(dim=1) * self.temperature**2
            terms["cross_entropy"] = weighted_mean(loss, weight)
            terms["teacher"] = weighted_mean(taught, weight)
            loss = (1 - self.part) * loss + self.part * taught
        return {"loss": weighted_mean(loss, weight), **terms}


def _objective(settings: NetworkSettings, classes: Classes, quantities: int) -> nn.Module:
    del classes, quantities
    if settings.distillation is None:
        return Classification()
    return Classification(settings.distillation.weight, settings.distillation.temperature)


def _trains_on(settings: NetworkSettings, jets: Labelled, classes: Classes) -> NDArray[np.bool_]:
    del settings, classes
    return np.asarray(jets.target >= 0)


TASK = Task(
    settings=NetworkSettings,
    objective=_objective,
    trains_on=_trains_on,
    width=lambda settings, classes: len(classes),
    outputs=lambda settings, classes: classes,
    balanced=True,
    last=(),
    judge=judge_classes,
)
