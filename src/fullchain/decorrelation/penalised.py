"""Cross entropy and a penalty on what the score says of the mass, in one training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fullchain.decorrelation import adversary, disco, mode
from fullchain.decorrelation.method_settings import (
    AdversarySettings,
    DiscoSettings,
    Method,
    ModeSettings,
)
from fullchain.errors import InputError
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Batch, weighted_mean
from fullchain.tagging.views import View

Penalty = DiscoSettings | ModeSettings | AdversarySettings
"""Methods that are a term of the loss."""

AGAINST = "against"
"""Name of the tensor (jets, k) of what the score is decorrelated against."""


def penalty_of(
    method: Method,
    against: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    names: Sequence[str] = (),
) -> nn.Module:
    """Give the penalty of a method, called as penalty(score (n,), against (n, k), weight (n,)).

    Parameters
    ----------
    method
        Settings of a method that is a term of the loss.
    against, weight
        Columns and weights of the background jets of the training part, shapes (jets, k) and
        (jets,); a penalty takes its scale from them.
    names
        Names of the columns, for messages.

    Raises
    ------
    InputError
        A constant column, weights that sum to nothing, values that are not finite, several columns
        where the method takes one.
    TypeError
        The method is no term of the loss.
    """
    checked_columns = (against, weight, names)
    if isinstance(method, DiscoSettings):
        return disco.Disco(method, *checked_columns)
    if isinstance(method, ModeSettings):
        return mode.Mode(method, *checked_columns)
    if isinstance(method, AdversarySettings):
        return adversary.Adversary(method, *checked_columns)
    raise TypeError(f"{method.kind} is no term of the loss")


def smallest_batch(method: Penalty) -> int:
    """Give the least mean number of background jets of a batch that a penalty is measured in."""
    if isinstance(method, ModeSettings):
        return mode.JETS_IN_A_BIN * method.bins
    return adversary.SMALLEST if isinstance(method, AdversarySettings) else disco.SMALLEST


def check_batch(method: Penalty, training: Batch, how: TrainingSettings) -> None:
    """Raise InputError where the background of a batch is too small for the penalty.

    Also where the network would be compiled: a penalty, whose shapes change from batch to batch and
    whose gradient is its own, is not made for that.

    `training` has `target` and `weight` of all training jets. A batch of several processes is
    divided among them, and each measures the penalty in its share.
    """
    if how.compile:
        raise InputError(
            f"compile is true, but a training with the penalty {method.kind} cannot be compiled: "
            "set compile to false in the training of this tagger"
        )
    target, weight = training["target"], training["weight"]
    jets = len(target)
    background = int(((target != 0) & (weight > 0)).sum())
    batches = max(1, round(jets / how.batch_size))
    found = background / batches / how.processes
    wanted = smallest_batch(method)
    if found >= wanted:
        return
    shares = f" in each of {how.processes} processes" if how.processes > 1 else ""
    enough = -(-wanted * how.processes * jets // max(background, 1))
    advice = (
        f"set batch_size to {enough} or more"
        if background >= wanted * how.processes
        else "make more events, or widen the selection of the tagger"
    )
    if isinstance(method, ModeSettings):
        advice += ", or lower method.bins"
    raise InputError(
        f"a batch of {how.batch_size} has about {found:.0f} background jets{shares}, and the "
        f"penalty {method.kind} needs {wanted} ({background} of the {jets} training jets are "
        f"background): {advice}"
    )


class Penalised(nn.Module):
    """A tagger and the penalty on its score.

    Parameters
    ----------
    tagger
        From tensors of a batch to logits (jets, classes); the first class is the signal.
    penalty
        See `penalty_of`.
    """

    def __init__(self, tagger: nn.Module, penalty: nn.Module) -> None:
        super().__init__()
        self.tagger, self.penalty = tagger, penalty

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the logits and the penalty on the signal probability of background jets.

        `batch` has the tensors of the tagger, `target`, `weight` (jets,) and `against` (jets, k).
        """
        logits = self.tagger(batch).float()
        # Small differences of large numbers: not with fewer bits.
        with torch.autocast(logits.device.type, enabled=False):
            background = batch["target"] != 0
            score = logits[background].softmax(dim=1)[:, 0]
            penalty = self.penalty(score, batch[AGAINST][background], batch["weight"][background])
        return logits, penalty


@dataclass(frozen=True)
class PenalisedClassification:
    """Cross entropy plus `strength` times the penalty of a batch, for a `Penalised` model.

    Parameters
    ----------
    view
        What the tagger sees.
    rotate
        Turn training jets at random.
    strength
        Factor on the penalty.
    """

    view: View
    rotate: bool
    strength: float

    def __call__(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Give the weighted means over the jets of the batch, and its penalty."""
        turned = self.rotate and model.training
        logits, penalty = model({**batch, **self.view.augmented(batch)} if turned else batch)
        losses = cross_entropy(logits, batch["target"], reduction="none")
        right = (logits.argmax(dim=1) == batch["target"]).float()
        classification = weighted_mean(losses, batch["weight"])
        return {
            "loss": classification + self.strength * penalty,
            "classification": classification,
            "penalty": penalty,
            "accuracy": weighted_mean(right, batch["weight"]),
        }
