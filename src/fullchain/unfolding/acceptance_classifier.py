"""Small classifiers whose probabilities are taken at face value.

They tell events that pass a level from those that fail it, data from background, unfolded from
simulated events. Several fits go together: the same events with other weights, other labels or
other inputs. What is learned is the probability of label 1 for given inputs, by cross-entropy with
early stopping; a constant is then added to each logit, so that probabilities sum to the weight of
label 1. A fit with hardly any event of a label is this constant alone. A network that seems no
better than the constant on the validation events is kept all the same: to leave it out whenever a
difference is within the noise would bias what is small in one event and not small in the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.dense_network import GroupedNetwork
from fullchain.learning.training import Batch, initialised, train, weighted_mean
from fullchain.unfolding.generative_settings import SmallClassifierSettings

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST = 25
"""Events of each label below which nothing but their ratio is learned."""

LARGEST = 5.0
"""Bound on inputs, which are of width one."""

CERTAIN = 20.0
"""Bound on logits: where all events have one label, its probability is one to 2e-9."""

ROWS = 32_768
NEWTON_STEPS = 25


class Network(nn.Module):
    """Logits of all fits.

    Parameters
    ----------
    which
        For each fit the number of the set of inputs that it takes.
    inputs
        Number of inputs.
    layers
        Sizes.
    """

    def __init__(self, which: Sequence[int], inputs: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.which = list(which)
        self.network = GroupedNetwork(len(which), inputs, layers, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Map (rows, sets, inputs) to (rows, fits)."""
        own = values.clamp(-LARGEST, LARGEST)[:, self.which].transpose(0, 1)
        logits: Tensor = self.network(own)
        return logits.squeeze(-1).T


class CrossEntropy:
    """Sum over the fits of the mean over the rows."""

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the loss of a batch with `values`, `labels` and `weight`."""
        losses = nn.functional.binary_cross_entropy_with_logits(
            model(batch["values"]), batch["labels"], reduction="none"
        )
        return {"loss": weighted_mean(losses, batch["weight"]) * losses.shape[1]}


@dataclass(frozen=True)
class Classifier:
    """Fitted classifiers.

    Parameters
    ----------
    network
        Logits of all fits.
    constant
        (fits) added to the logits, or the logit itself where nothing else was learned.
    learned
        (fits) whether the network is used.
    loss
        (fits) validation loss less that of the constant, relative to it; 0 where not learned. It
        is above 0 where a difference is lost in the noise.
    """

    network: Network
    constant: Array
    learned: Flags
    loss: Array

    @torch.no_grad()
    def logits(self, values: Array) -> Array:
        """Give logits (rows, fits) for inputs (rows, sets, inputs) or (rows, inputs)."""
        found = _raw(self.network, values)
        return np.clip(
            np.where(self.learned, found + self.constant, self.constant), -CERTAIN, CERTAIN
        )

    def probabilities(self, values: Array) -> Array:
        """Give probabilities of label 1, (rows, fits)."""
        return 1.0 / (1.0 + np.exp(-self.logits(values)))


def fit(
    values: Array,
    labels: Array,
    weight: Array,
    validation: Flags,
    settings: SmallClassifierSettings,
    *,
    seed: int,
    which: Sequence[int] | None = None,
    names: Sequence[str] = (),
    description: str = "classifier",
) -> Classifier:
    """Fit classifiers.

    Parameters
    ----------
    values
        Inputs of width about one, (rows, sets, inputs) or (rows, inputs).
    labels
        0 or 1, (rows, fits) or (rows, 1).
    weight
        (rows, fits), not negative; 0 for rows that a fit does not have.
    validation
        (rows) which decide when training stops.
    which
        For each fit the number of its set of inputs; None: one set, or a set for each fit.
    names
        Of the fits, for messages.

    Raises
    ------
    InputError
        Inputs or weights that are not finite, negative weights, or a fit without any weight; names
        the first such fit.
    """
    values = values[:, None] if values.ndim == 2 else values
    fits = weight.shape[1]
    labels = np.broadcast_to(labels, weight.shape).astype(np.float64)
    _check(values, weight, names, description)
    if which is None:
        which = [0] * fits if values.shape[1] == 1 else list(range(fits))
    network = initialised(seed, lambda: Network(which, values.shape[2], settings.layers))
    assert isinstance(network, Network)
    ones = np.array([(weight * labels).sum(axis=0), (weight * (1 - labels)).sum(axis=0)])
    constant = _logit(*ones)
    numbers = [((weight > 0) & (labels == label))[~validation].sum(axis=0) for label in (0, 1)]
    enough = (np.min(numbers, axis=0) >= LEAST) & (weight[validation].sum(axis=0) > 0)
    if not enough.any():
        return Classifier(network.eval(), constant, enough, np.zeros(fits))
    used = weight * enough
    parts = [
        _tensors(values, labels, used, rows & used.any(axis=1))
        for rows in (~validation, validation)
    ]
    train(
        network,
        CrossEntropy(),
        parts[0],
        parts[1],
        settings.training,
        seed=seed,
        description=description,
    )
    raw = _raw(network.eval(), values)
    better = _gain(raw[validation], constant, labels[validation], weight[validation])
    shifts = [
        _balanced(raw[:, k], labels[:, k], weight[:, k]) if enough[k] else constant[k]
        for k in range(fits)
    ]
    return Classifier(network, np.array(shifts), enough, np.where(enough, better, 0.0))


def _check(values: Array, weight: Array, names: Sequence[str], description: str) -> None:
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        fit = int(np.argmax(bad.any(axis=0)))
        row = int(np.argmax(bad[:, fit]))
        raise InputError(
            f"{description}{_of_fit(names, fit)}: {int(bad[:, fit].sum())} of {len(weight)} "
            f"weights are NaN, infinite or negative (first: {weight[row, fit]:g})"
        )
    used = weight.any(axis=1)
    if not np.isfinite(values[used]).all():
        raise InputError(f"{description}: inputs are NaN or infinite")
    empty = weight.sum(axis=0) <= 0
    if empty.any():
        raise InputError(
            f"{description}{_of_fit(names, int(np.argmax(empty)))}: no event has a weight; the "
            "selection of a level leaves nothing"
        )


def _of_fit(names: Sequence[str], fit: int) -> str:
    return f", {names[fit]}" if names else ""


def _logit(one: Array, zero: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(one) - np.log(zero), -CERTAIN, CERTAIN)


def _tensors(values: Array, labels: Array, weight: Array, rows: Flags) -> dict[str, Tensor]:
    own = weight[rows]
    mean = own.mean(axis=0)
    own = own / np.where(mean > 0, mean, 1.0)
    columns = {"values": values[rows], "labels": labels[rows], "weight": own}
    return {name: torch.from_numpy(column.astype(np.float32)) for name, column in columns.items()}


@torch.no_grad()
def _raw(network: Network, values: Array) -> Array:
    values = values[:, None] if values.ndim == 2 else values
    found = [
        network(torch.from_numpy(values[start : start + ROWS].astype(np.float32)))
        for start in range(0, len(values), ROWS)
    ]
    fits = len(network.which)
    return torch.cat(found).double().numpy() if found else np.zeros((0, fits))


def _gain(raw: Array, constant: Array, labels: Array, weight: Array) -> Array:
    """Cross-entropy of the network less that of the constant, relative to it, (fits)."""
    total = np.where(weight.sum(axis=0) > 0, weight.sum(axis=0), 1.0)
    own = (weight * (np.logaddexp(0.0, raw) - labels * raw)).sum(axis=0) / total
    flat = (weight * (np.logaddexp(0.0, constant) - labels * constant)).sum(axis=0) / total
    return np.where(flat > 0, own / np.where(flat > 0, flat, 1.0) - 1.0, 0.0)


def _balanced(raw: Array, labels: Array, weight: Array) -> float:
    """Find the constant with which probabilities sum to the weight of label 1, by Newton steps."""
    constant = 0.0
    for _ in range(NEWTON_STEPS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(raw + constant, -CERTAIN, CERTAIN)))
        wrong = (weight * (labels - probability)).sum()
        slope = (weight * probability * (1.0 - probability)).sum()
        step = float(np.clip(wrong / max(slope, 1e-12), -1.0, 1.0))
        constant += step
        if abs(step) < 1e-10:
            break
    return constant
