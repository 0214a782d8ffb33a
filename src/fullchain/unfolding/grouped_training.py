"""Training of several classifiers in one computation, each as if it were alone.

All members take their steps together. What a member learns depends on its own rows, weights, order
and start only: losses of members add up, so that gradients do not mix, and Adam works on each
parameter by itself. A member that stops early keeps its best weights, while the others go on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.grouped import Inputs
from fullchain.learning.optimisers import Adam, AdamW
from fullchain.learning.schedule import factor
from fullchain.seeds import stream
from fullchain.unfolding.omnifold_settings import ClassifierTrainingSettings

Integers = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

VECTOR = 32
"""Rows come in multiples of this. Functions are evaluated for several numbers at once, and for
those that are left over one by one, which may round otherwise: what is left over must not depend on
how many members there are."""


@dataclass(frozen=True)
class Order:
    """Which rows a member trains on, in which order, and which ones it keeps for validation.

    Parameters
    ----------
    training, validation
        Numbers of rows.
    seed, keys
        Of the shuffling.
    """

    training: Integers
    validation: Integers
    seed: int
    keys: tuple[str | int, ...]

    def epoch(self, number: int) -> Integers:
        """Give the training rows in the order of an epoch."""
        return stream(self.seed, *self.keys, number).permutation(self.training)


@dataclass(frozen=True)
class Weights:
    """Weights of the two classes.

    Parameters
    ----------
    one, zero
        (members, rows) weight with which a row is of class 1 and of class 0. A row may be of both:
        its two copies are then on one side of the division and take one evaluation.
    balanced
        Whether classes are scaled to equal sums. Weights may be negative where they are not.
    """

    one: Array
    zero: Array
    balanced: bool = True


@dataclass(frozen=True)
class Fitted:
    """What came of a training.

    Parameters
    ----------
    loss
        (members) validation loss of the weights that are kept; ln 2 for a classifier that knows
        nothing, where classes are balanced.
    epochs
        (members) passes over the rows until it stopped.
    log_prior
        (members) logarithm of the sum of class 1 over that of class 0, which is to be added to
        logits where classes were balanced.
    """

    loss: Array
    epochs: Integers
    log_prior: Array


def train(
    network: nn.Module,
    inputs: Inputs,
    weights: Weights,
    orders: Sequence[Order],
    settings: ClassifierTrainingSettings,
    names: Sequence[str],
    what: str,
    logit_limit: float | None = None,
) -> Fitted:
    """Train all members to separate the classes; leave the network with their best weights.

    The loss is the weighted binary cross entropy, so that f/(1-f) of the trained classifier is the
    ratio of densities, times exp(`log_prior`) the ratio of weights.

    Parameters
    ----------
    network
        A `GroupedClassifier` whose parameters have the members in their first dimension.
    inputs
        Of all rows, see `grouped.Inputs`; particles only with one order for all members.
    weights
        Of the classes.
    orders
        Of each member; the same object where members share it. All have as many rows.
    names, what
        Names of the members and of the classification, for messages.
    logit_limit
        Beyond it a logit has no gradient; for negative weights, whose loss has no lower limit.

    Raises
    ------
    InputError
        A class of a member is empty, in the training or in the validation part; or the loss is not
        finite.
    """
    one, zero, log_prior = _scaled(weights, orders, names, what)
    place = next(network.parameters()).device
    rows = _Rows(inputs, one, zero, orders, place)
    batches = _batches(len(orders[0].training), settings.batch_size)
    optimiser = _optimiser(network, settings)

    def losses(index: Tensor) -> Tensor:
        batch, ones, sums = rows.take(index)
        logits = network(batch)
        if logit_limit is not None:
            logits = logits.clamp(-logit_limit, logit_limit)
        # one softplus(-x) + zero softplus(x), with softplus(-x) = softplus(x) - x
        return sums * nn.functional.softplus(logits) - ones * logits

    best = _Best(network, losses, rows.of([order.validation for order in orders]), settings)
    for epoch in range(settings.epochs):
        index = rows.of(_epoch(orders, epoch))
        network.train()
        for number, chosen in enumerate(index[..., : sum(batches)].split(batches, dim=-1)):
            step = epoch * len(batches) + number
            _set_rate(optimiser, settings, step, settings.epochs * len(batches))
            optimiser.zero_grad(set_to_none=True)
            losses(chosen).mean(dim=1).sum().backward()
            optimiser.step()
        best.look(epoch + 1)
        if best.stopped.all():
            break
    best.restore()
    bad = ~np.isfinite(best.loss.numpy())
    if bad.any():
        raise InputError(
            f"{what} of {names[int(np.flatnonzero(bad)[0])]}: the loss is not finite; lower "
            "training.learning_rate, or look for extreme values in observables or weights"
        )
    return Fitted(best.loss.numpy().astype(float), best.epochs.numpy(), log_prior)


@torch.no_grad()
def logits(network: nn.Module, inputs: Inputs, at_once: int) -> Array:
    """Evaluate all members on all rows, `at_once` at a time: (members, rows)."""
    network.eval()
    place = next(network.parameters()).device
    rows = inputs["values"].shape[-2]
    found = []
    for first in range(0, rows, at_once):
        index = torch.arange(first, min(first + at_once, rows))
        filled = {name: rows.to(place) for name, rows in taken(inputs, _filled(index)).items()}
        found.append(network(filled)[:, : len(index)].cpu())
    return torch.cat(found, dim=1).double().numpy()


def taken(inputs: Inputs, index: Tensor) -> dict[str, Tensor]:
    """Give some rows of the inputs: the same of all members (n), or (members, n)."""
    return {name: _taken(name, rows, index) for name, rows in inputs.items()}


def _taken(name: str, rows: Tensor, index: Tensor) -> Tensor:
    by_member = name == "values" and rows.dim() == 3
    if index.dim() == 1:
        return rows.index_select(int(by_member), index)
    if by_member:
        return rows[torch.arange(len(rows), device=rows.device)[:, None], index]
    return rows[index]


class _Rows:
    """Rows and their weights, as batches need them, where the network is."""

    def __init__(
        self,
        inputs: Inputs,
        one: Array,
        zero: Array,
        orders: Sequence[Order],
        place: torch.device,
    ) -> None:
        self.place = place
        self.inputs = {name: rows.to(place) for name, rows in inputs.items()}
        self.one = torch.from_numpy(one).float().to(place)
        self.sum = torch.from_numpy(one + zero).float().to(place)
        self.shared = all(order is orders[0] for order in orders)

    def of(self, rows: Sequence[Integers]) -> Tensor:
        """Give numbers of rows as an index: (n), or (members, n) where members differ."""
        found = torch.from_numpy(rows[0] if self.shared else np.stack(rows))
        return found.to(self.place)

    def take(self, index: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Give inputs, weights of class 1 and sums of weights."""
        batch = taken(self.inputs, index)
        if self.shared:
            return batch, self.one.index_select(1, index), self.sum.index_select(1, index)
        return batch, self.one.gather(1, index), self.sum.gather(1, index)


class _Best:
    """The weights of each member to keep so far, and whether it has stopped."""

    def __init__(
        self,
        network: nn.Module,
        losses: Callable[[Tensor], Tensor],
        validation: Tensor,
        settings: ClassifierTrainingSettings,
    ) -> None:
        self.network = network
        self.losses = losses
        self.patience = settings.patience
        self.parts = torch.split(validation, settings.batch_size, dim=-1)
        self.tolerance = settings.tolerance
        # With a tolerance the start counts: what goes on from before may be good enough already.
        self.lowest = self._measured()
        self.loss = self.lowest.mean(dim=1)
        self.parameters = {
            name: parameter.detach().clone() for name, parameter in network.named_parameters()
        }
        self.last_better = torch.zeros(len(self.loss), dtype=torch.int64)
        self.epochs = torch.zeros(len(self.loss), dtype=torch.int64)
        self.stopped = torch.zeros(len(self.loss), dtype=torch.bool)

    def look(self, epoch: int) -> None:
        """Measure the loss after an epoch, and keep the weights of members that are good.

        Without a tolerance all are. With one, those whose loss is not above the lowest one by more
        than that, in standard errors of the mean difference over the rows: with few rows the lowest
        loss is often that of a network that has hardly learned, by chance.
        """
        losses = self._measured()
        loss, difference = losses.mean(dim=1), losses - self.lowest
        excess = difference.mean(dim=1)
        spread = ((difference - excess[:, None]) ** 2).mean(dim=1).sqrt()
        self.epochs[~self.stopped] = epoch
        # A loss that is not finite is kept too, so that it is reported and not passed over.
        good = torch.ones_like(self.stopped)
        if self.tolerance is not None:
            error = spread / math.sqrt(losses.shape[1])
            good = (excess < 0) | (excess < self.tolerance * error)
        better = ~self.stopped & (good | ~torch.isfinite(loss))
        self.lowest = torch.where((excess < 0)[:, None], losses, self.lowest)
        self.loss = torch.where(better, loss, self.loss)
        self.last_better[better] = epoch
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                choose = better.to(parameter.device).view(-1, *(1,) * (parameter.dim() - 1))
                self.parameters[name] = torch.where(choose, parameter, self.parameters[name])
        self.stopped |= (epoch - self.last_better >= self.patience) | ~torch.isfinite(self.loss)

    @torch.no_grad()
    def restore(self) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.copy_(self.parameters[name])

    @torch.no_grad()
    def _measured(self) -> Tensor:
        """Losses of all validation rows, (members, rows)."""
        self.network.eval()
        losses = [self.losses(_filled(part))[:, : part.shape[-1]] for part in self.parts]
        return torch.cat(losses, dim=1).cpu()


def _batches(rows: int, size: int) -> list[int]:
    """Give nearly equal sizes of batches, in multiples of `VECTOR`.

    Up to `VECTOR` - 1 rows, in each epoch other ones, are in no batch.
    """
    units = rows // VECTOR
    if units == 0:
        return [rows]
    count = math.ceil(rows / max(size, VECTOR))
    return [len(part) * VECTOR for part in np.array_split(np.arange(units), min(count, units))]


def _filled(index: Tensor) -> Tensor:
    """Repeat the last row up to a multiple of `VECTOR`."""
    lacking = -index.shape[-1] % VECTOR
    return torch.cat([index, index[..., -1:].expand(*index.shape[:-1], lacking)], dim=-1)


def _epoch(orders: Sequence[Order], epoch: int) -> list[Integers]:
    """Shuffled rows of each member; members that share an order share the shuffling."""
    found: Mapping[int, Integers] = {id(order): order.epoch(epoch) for order in orders}
    return [found[id(order)] for order in orders]


def _scaled(
    weights: Weights, orders: Sequence[Order], names: Sequence[str], what: str
) -> tuple[Array, Array, Array]:
    """Scale weights so that the loss is of order one: classes to equal sums, or both by one."""
    _check_classes(weights, orders, names, what)
    rows = len(orders[0].training) + len(orders[0].validation)
    one = weights.one.sum(axis=1, keepdims=True)
    zero = weights.zero.sum(axis=1, keepdims=True)
    if not weights.balanced:
        both = rows / (one + zero)
        return weights.one * both, weights.zero * both, np.zeros(len(one))
    log_prior = np.log(one / zero)[:, 0]
    return weights.one * (0.5 * rows / one), weights.zero * (0.5 * rows / zero), log_prior


def _check_classes(
    weights: Weights, orders: Sequence[Order], names: Sequence[str], what: str
) -> None:
    for member, order in enumerate(orders):
        for number, of_class in ((1, weights.one), (0, weights.zero)):
            for part, rows in (("training", order.training), ("validation", order.validation)):
                total = of_class[member, rows].sum()
                if not (math.isfinite(total) and total > 0):
                    raise InputError(
                        f"{what} of {names[member]}: the weights of class {number} in the {part} "
                        f"part sum to {total:g}, so that there is nothing to classify; take more "
                        "events, or look at the selection and the weights"
                    )


def _optimiser(network: nn.Module, settings: ClassifierTrainingSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return AdamW(network.parameters(), lr=rate, weight_decay=decay, foreach=True)
    return Adam(network.parameters(), lr=rate, weight_decay=decay, foreach=True)


def _set_rate(
    optimiser: torch.optim.Optimizer, settings: ClassifierTrainingSettings, step: int, steps: int
) -> None:
    """Set the learning rate of a step."""
    scale = factor(settings.schedule, step, steps, 0.0, settings.final_rate)
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * scale
