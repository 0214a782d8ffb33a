"""Fit posteriors to pairs of both levels, and draw from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Batch, History, Resumption, train, weighted_mean
from fullchain.seeds import stream
from fullchain.unfolding.posterior import Posterior

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ROWS = 32_768
"""Events that are drawn at once, of all members together."""

LARGEST = 6.0
"""Bound on conditions, which are of width one."""


@dataclass(frozen=True)
class Pairs:
    """Simulated events that pass both levels, under a shift at least.

    Parameters
    ----------
    target
        (rows, observables) of the particle level, transformed.
    conditions
        (rows, levels, observables) of the detector level, transformed, for each shift that is
        used; 0 where the event fails.
    validation
        (rows) which do not train.
    """

    target: Array
    conditions: Array
    validation: Flags

    def tensors(self, weight: Array, training: bool) -> dict[str, Tensor]:
        """Give the rows of one part with a weight, whose mean is one for each member."""
        rows = (self.validation != training) & (weight > 0).any(axis=1)
        own = weight[rows]
        if len(own) == 0 or (own.sum(axis=0) <= 0).any():
            raise InputError(
                f"no simulated event that passes both levels is left for "
                f"{'training' if training else 'validation'} of the posterior; make more events"
            )
        columns = {
            "target": self.target[rows],
            "conditions": self.conditions[rows],
            "weight": own / own.mean(axis=0),
        }
        return {name: _tensor(column) for name, column in columns.items()}


class PosteriorLoss:
    """Sum over the members of the weighted mean over the rows.

    Parameters
    ----------
    which
        For each member the number of its conditions.
    """

    def __init__(self, which: Sequence[int]) -> None:
        self.which = list(which)

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the loss of a batch of `Pairs.tensors`."""
        conditions = batch["conditions"].clamp(-LARGEST, LARGEST)[:, self.which].transpose(0, 1)
        losses = model(batch["target"], conditions)
        return {"loss": weighted_mean(losses, batch["weight"].T) * len(self.which)}


def fit(
    posterior: Posterior,
    pairs: Pairs,
    weight: Array,
    which: Sequence[int],
    settings: TrainingSettings,
    *,
    seed: int,
    resumption: Resumption | None = None,
    description: str = "posterior",
) -> History:
    """Train all members in place, from where they are.

    Parameters
    ----------
    weight
        (rows, members), not negative.
    which
        For each member the number of its conditions in the pairs.

    Raises
    ------
    InputError
        No rows, or a loss that is not finite.
    """
    return train(
        posterior,
        PosteriorLoss(which),
        pairs.tensors(weight, training=True),
        pairs.tensors(weight, training=False),
        settings,
        seed=seed,
        resumption=resumption,
        description=description,
    )


@torch.no_grad()
def draw(posterior: Posterior, condition: Array, samples: int, seed: int) -> Array:
    """Draw from the posteriors of all members.

    Parameters
    ----------
    condition
        (events, conditions) of the detector level, transformed.
    samples
        For each event and each member.
    seed
        Members of one ancestor get the same normal numbers, and the first of many samples are
        those of fewer.

    Returns
    -------
    ndarray
        (members, events, samples, observables), transformed.
    """
    events, observables = len(condition), posterior.observables
    latent = {
        ancestor: np.stack(
            [
                stream(seed, "latent", ancestor, number).standard_normal((events, observables))
                for number in range(samples)
            ],
            axis=1,
        ).astype(np.float32)
        for ancestor in sorted(set(posterior.lineage))
    }
    own = np.stack([latent[ancestor] for ancestor in posterior.lineage])
    given = _tensor(condition).clamp(-LARGEST, LARGEST)
    result = np.empty(own.shape)
    step = max(1, ROWS // (samples * posterior.members))
    for start in range(0, events, step):
        part = slice(start, start + step)
        numbers = torch.from_numpy(own[:, part])
        conditions = given[part].unsqueeze(1).expand(-1, samples, -1).flatten(0, 1)
        found = posterior.sampled(
            numbers.flatten(1, 2), conditions.expand(posterior.members, -1, -1)
        )
        result[:, part] = found.reshape(numbers.shape).double().numpy()
    bad = ~np.isfinite(result).all(axis=-1)
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {bad.size} unfolded events are not finite: lower learning_rate, "
            "set gradient_clip, or look for extreme values in the inputs"
        )
    return result


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
