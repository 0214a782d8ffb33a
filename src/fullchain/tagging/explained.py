"""Jets with what a tagger says of them, as the explanations need them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.seeds import stream
from fullchain.tagging.association import Array, separation
from fullchain.tagging.explained_jets import ExplainedJets

LIMIT = 6.0
"""Largest absolute log-odds that a formula or a surrogate learns: beyond, a fit of least squares
would spend itself on how sure a network is of jets that it is sure of anyway."""


@dataclass(frozen=True)
class Explained:
    """Jets with what a tagger says of them.

    Parameters
    ----------
    jets
        Jets of all parts.
    logit
        Log-odds of the signal against an equal mixture of the other classes, (jets,).
    latent
        Activations of the penultimate layer, (jets, width); None for trees.
    """

    jets: ExplainedJets
    logit: Array
    latent: Array | None

    @property
    def is_signal(self) -> npt.NDArray[np.bool_]:
        """Whether the class of a jet is the first, (jets,)."""
        return np.asarray(self.jets.target == 0)

    @property
    def weight(self) -> Array:
        """Weights with which signal and all background have equal sums, (jets,)."""
        signal, weight = self.is_signal, self.jets.weight
        sums = weight[signal].sum(), weight[~signal].sum()
        return np.asarray(weight / np.where(signal, *sums) * 0.5 * len(weight))

    def where(self, keep: npt.NDArray[Any]) -> "Explained":
        """Give the jets of a mask, or of some rows."""
        latent = None if self.latent is None else self.latent[keep]
        return Explained(self.jets.where(keep), self.logit[keep], latent)

    def part(self, *names: str) -> "Explained":
        """Give the jets of some parts. Raises InputError where a class has none there."""
        found = self.where(np.isin(self.jets.part, names))
        if len(np.unique(found.jets.target)) < len(np.unique(self.jets.target)):
            raise InputError(
                f"a class has no jets in the {' and '.join(names)} part: make more events, or "
                "raise tagging.explanation.jets"
            )
        return found

    def drawn(self, number: int, seed: int) -> "Explained":
        """Give at most `number` jets of equal weight, drawn by their weights at equal steps."""
        number = min(number, len(self.logit))
        edges = np.cumsum(self.weight) / self.weight.sum()
        steps = (np.arange(number) + stream(seed, "drawn").random()) / number
        return self.where(np.minimum(np.searchsorted(edges, steps), len(edges) - 1))

    def separation(self, values: Array, replicas: int, seed: int) -> dict[str, Any]:
        """Area under the ROC curve of values of the jets, (jets,)."""
        return separation(
            values, self.is_signal, self.weight, self.jets.event, replicas=replicas, seed=seed
        )


def log_odds(logits: Array) -> Array:
    """Log-odds of the first class against an equal mixture of the others, (jets,).

    `logits` has shape (jets, classes).
    """
    others = logits[:, 1:]
    highest = others.max(axis=1)
    mixture = highest + np.log(np.exp(others - highest[:, None]).mean(axis=1))
    return np.asarray(logits[:, 0] - mixture)


def limited(jets: Explained) -> Array:
    """Log-odds within the limit, which is what is learned, (jets,)."""
    return np.clip(jets.logit, -LIMIT, LIMIT)
