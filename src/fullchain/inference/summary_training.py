"""Training of the networks of one loss, all seeds in one computation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.inference import summary_losses
from fullchain.inference.summaries_settings import SummaryTraining
from fullchain.inference.summary_rows import Rows
from fullchain.learning.dense_network import GroupedNetwork
from fullchain.learning.optimisers import Adam
from fullchain.seeds import derive, stream

Array = NDArray[np.float64]


class Summary(nn.Module):
    """Networks of all seeds that put events into bins.

    Parameters
    ----------
    loss
        Name of the loss: with `likelihood` bins of a score with learned edges; with `significance`
        one bin, of the events that the score selects; with `cross_entropy` the score alone; with
        `inferno` a softmax.
    members, features, layers, bins
        Sizes.
    temperature
        Softness of the bins.
    """

    def __init__(
        self,
        loss: str,
        members: int,
        features: int,
        layers: Sequence[int],
        bins: int,
        temperature: float,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.scored = loss != "inferno"
        self.temperature = temperature
        self.network = GroupedNetwork(members, features, layers, 1 if self.scored else bins)
        self.binned = (
            summary_losses.LearnedEdges(members, bins, temperature)
            if loss == "likelihood"
            else None
        )

    def logits(self, features: Tensor) -> Tensor:
        """Logits (members, events) of the score; of a softmax, of its last bin over its first."""
        found: Tensor = self.network(features)
        return found.squeeze(-1) if self.scored else found[..., -1] - found[..., 0]

    def forward(self, features: Tensor) -> Tensor:
        """Soft memberships (members, events, bins)."""
        if self.binned is not None:
            found: Tensor = self.binned(torch.sigmoid(self.logits(features)))
            return found
        if self.loss == "significance":
            return torch.sigmoid(self.logits(features) / self.temperature).unsqueeze(-1)
        return summary_losses.softmax_bins(self.network(features), self.temperature)

    @torch.no_grad()
    def hard(self, features: Tensor) -> NDArray[np.int64]:
        """Bins (members, events) of events (events, features), where training made bins."""
        shared = features.expand(len(self.network.last.weight), *features.shape)
        if self.binned is not None:
            found = self.binned.hard(torch.sigmoid(self.logits(shared)))
        else:
            found = self.network(shared).argmax(dim=-1)
        return found.numpy()

    @torch.no_grad()
    def score(self, features: Tensor) -> Array:
        """Scores (members, events) of events (events, features), as logits."""
        shared = features.expand(len(self.network.last.weight), *features.shape)
        return self.logits(shared).double().numpy()


@dataclass(frozen=True)
class History:
    """Losses (epochs, members) of training and validation, and the epoch that each member kept.

    Without the epochs of the warming up.
    """

    training: Array
    validation: Array
    best: NDArray[np.int64]


def train(
    loss: str,
    training: Rows,
    validation: Rows,
    precision: Sequence[float],
    settings: SummaryTraining,
    *,
    members: int,
    layers: Sequence[int],
    bins: int,
    simulation: bool,
    seed: int,
) -> tuple[Summary, History]:
    """Train all members, and give them with the weights of their lowest validation loss.

    Raises
    ------
    InputError
        A loss is not finite.
    """
    torch.manual_seed(derive(seed, "inference", "summaries", loss))
    summary = Summary(loss, members, training.features.shape[1], layers, bins, settings.temperature)
    constraints = torch.tensor(precision, dtype=torch.float64)

    def losses(events: summary_losses.Events, warm: bool = False) -> Tensor:
        if loss == "cross_entropy" or warm:
            return summary_losses.cross_entropy(summary.logits(events.features), events)
        found = summary_losses.soft_yields(summary, events, simulation=simulation)
        return summary_losses.LOSSES[loss](found, constraints)

    optimiser = Adam(summary.parameters(), lr=settings.learning_rate)
    kept = _Best(summary, members)
    whole = validation.batch(members, settings.derivative)
    found: list[tuple[Array, Array]] = []
    for epoch in range(settings.epochs):
        warm = epoch < settings.warm_up
        total = np.zeros(members)
        batches = _batches(training, settings, members, seed, (loss, epoch))
        for events in batches:
            optimiser.zero_grad(set_to_none=True)
            each = losses(events, warm)
            each.sum().backward()
            optimiser.step()
            total += each.detach().double().numpy() / settings.batches
        with torch.no_grad():
            seen = losses(whole).double().numpy()
        if not (np.isfinite(total).all() and np.isfinite(seen).all()):
            raise InputError(
                f"summary {loss}: the loss is not finite in epoch {epoch}; lower "
                f"inference.summaries.losses.{loss}.learning_rate, or look for extreme weights"
            )
        if warm:
            continue
        found.append((total, seen))
        if kept.look(seen, len(found) - 1, settings.patience):
            break
    kept.restore()
    return summary, History(
        np.stack([one for one, _ in found]), np.stack([one for _, one in found]), kept.epoch
    )


class _Best:
    """Weights of the lowest validation loss of each member."""

    def __init__(self, summary: Summary, members: int) -> None:
        self.summary = summary
        self.loss = np.full(members, np.inf)
        self.epoch = np.zeros(members, dtype=np.int64)
        self.stopped = np.zeros(members, dtype=bool)
        self.weights = {name: one.detach().clone() for name, one in summary.named_parameters()}

    def look(self, loss: Array, epoch: int, patience: int) -> bool:
        """Keep the weights of members that are better; true when all have stopped."""
        better = (loss < self.loss) & ~self.stopped
        self.loss = np.where(better, loss, self.loss)
        self.epoch[better] = epoch
        chosen = torch.from_numpy(better)
        with torch.no_grad():
            for name, one in self.summary.named_parameters():
                self.weights[name][chosen] = one[chosen]
        self.stopped |= epoch - self.epoch >= patience
        return bool(self.stopped.all())

    @torch.no_grad()
    def restore(self) -> None:
        for name, one in self.summary.named_parameters():
            one.copy_(self.weights[name])


def _batches(
    training: Rows,
    settings: SummaryTraining,
    members: int,
    seed: int,
    keys: tuple[str | int, ...],
) -> list[summary_losses.Events]:
    """Batches of an epoch: the same fraction of each sample in each, for each member its own."""
    if settings.batches == 1:
        return [training.batch(members, settings.derivative)]
    random = stream(seed, "inference", "summaries", *keys)
    strata = [np.flatnonzero(training.stratum == one) for one in np.unique(training.stratum)]
    parts: list[list[NDArray[np.intp]]] = [[] for _ in range(settings.batches)]
    scales: list[NDArray[np.float64]] = []
    for own in strata:
        size = len(own) // settings.batches
        if size == 0:
            raise InputError(
                f"summary: a sample has {len(own)} training events for {settings.batches} batches; "
                "take fewer batches, or generate more events"
            )
        shuffled = np.stack([random.permutation(own) for _ in range(members)])
        for number, part in enumerate(parts):
            part.append(shuffled[:, number * size : (number + 1) * size])
        scales.append(np.full(size, len(own) / size))
    scale = torch.from_numpy(np.concatenate(scales)).float()
    return [
        training.part(
            torch.from_numpy(np.concatenate(part, axis=1)),
            scale,
            float(settings.batches),
            settings.derivative,
        )
        for part in parts
    ]


Binning = Callable[[Tensor], NDArray[np.int64]]


def quantile_edges(scores: Array, weights: Array, bins: int) -> Array:
    """Inner edges that divide the weight of the (signal) events with these scores equally."""
    order = np.argsort(scores, kind="stable")
    cumulative = np.cumsum(weights[order]) / weights.sum()
    wanted = np.arange(1, bins) / bins
    return scores[order][np.searchsorted(cumulative, wanted)]
