r"""Training for all mixtures of two generators at once, arXiv:2212.10493.

A part r of the mixture is of the second generator. With the densities 2 (1 - r) for the jets of the
first and 2 r for those of the second, and equal sums of weights, the jets at given r are that
mixture, and r is uniform. A part of the jets (`AT_THE_ENDS`) has the r of its own generator: the
posterior changes fastest near the ends, where a uniform r has few jets, and the ends are what one
compares with. What the mixture is at given r does not change by it. The network gets r with each
jet, and so learns for each r the posterior

    p(class | x, r) = \frac{(1 - r) p_1(x | class) + r p_2(x | class)}{sum over classes of the same}

for classes of equal weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.learning.training import Batch, Objective
from fullchain.tagging.between_scores import RULE, cross_entropy, least_regret
from fullchain.tagging.conditioned import PARAMETER, at_parameter
from fullchain.tagging.tagger import Tagger, probabilities

SECOND = "second"
"""Name of the tensor (jets,) that is one for jets of the second generator and zero for others."""

AT_THE_ENDS = 0.2
"""Part of the jets whose r is that of their generator, 0 or 1."""

POINTS = np.linspace(0.0, 1.0, 11)
"""Where the losses are measured for a working point."""

_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


def drawn(second: Tensor) -> Tensor:
    """Draw r for each jet; `second` (jets,), the answer (jets, 1). The chance is torch's."""
    uniform = torch.rand(len(second), 1, device=second.device)
    inside = torch.sqrt(((uniform - AT_THE_ENDS) / (1.0 - AT_THE_ENDS)).clamp(min=0))
    root = torch.where(uniform < AT_THE_ENDS, 1.0, inside)
    return torch.where(second[:, None] > 0, root, 1.0 - root)


def fixed(second: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Give each jet an r of the same densities without chance, shape (jets, 1).

    Quantiles that follow one another by the golden section, of each generator for itself: any
    stretch of jets, such as those of one class, has all of them.
    """
    second = np.asarray(second, dtype=bool)
    result = np.empty(len(second))
    for mine in (second, ~second):
        uniform = (0.5 + _GOLDEN * np.arange(mine.sum())) % 1.0
        inside = np.sqrt(np.clip((uniform - AT_THE_ENDS) / (1.0 - AT_THE_ENDS), 0.0, None))
        root = np.where(uniform < AT_THE_ENDS, 1.0, inside)
        result[mine] = root if mine is second else 1.0 - root
    return result[:, None].astype(np.float32)


def own_tensors(second: npt.NDArray[Any], *, train: bool) -> dict[str, Tensor]:
    """Tensors of jets beside those of their view: the generator, and r where it does not change."""
    tensors = {SECOND: torch.from_numpy(np.asarray(second, dtype=np.float32))}
    if not train:
        tensors[PARAMETER] = torch.from_numpy(fixed(second))
    return tensors


@dataclass(frozen=True)
class Interpolated:
    """An objective whose jets get an r: drawn anew for each batch in training, else as given."""

    objective: Objective

    def __call__(self, model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Give the terms of the objective."""
        if model.training:
            batch = {**batch, PARAMETER: drawn(batch[SECOND])}
        return self.objective(model, batch)


def find_working_point(tagger: Tagger, validation: Batch, place: torch.device) -> dict[str, Any]:
    """Find the r of least regret on validation jets and leave it in the tagger, on the CPU.

    `validation` has the tensors of the view, `target`, `weight` and `second`. The record has the
    mean cross entropy on the jets of each generator at some r.
    """
    arrays = {name: validation[name].numpy() for name in tagger.view.examples}
    target, weight = validation["target"].numpy(), validation["weight"].double().numpy()
    second = validation[SECOND].numpy() > 0
    losses = np.empty((2, len(POINTS)))
    for index, r in enumerate(POINTS):
        chances = probabilities(tagger, at_parameter(arrays, float(r)), place)
        found = cross_entropy(chances.astype(float), target)
        for row, mine in enumerate((~second, second)):
            losses[row, index] = np.average(found[mine], weights=weight[mine])
    tagger.to("cpu")
    value = least_regret(POINTS, losses[0], losses[1])
    tagger.set_working_point(value)
    return {
        "working_point": value,
        "rule": RULE,
        "r": POINTS.tolist(),
        "first": losses[0].tolist(),
        "second": losses[1].tolist(),
    }
