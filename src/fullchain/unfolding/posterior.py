"""What a conditional density of several members can do, whatever it is made of.

Members are fits of their own that are trained in one computation. Each descends from one member of
an ensemble, which it shares random numbers with: between a fit and the same fit under a shift of
the detector, chance then cancels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Posterior(nn.Module, ABC):
    """Densities of particle-level events for given detector-level events.

    Parameters
    ----------
    lineage
        For each member the number of the member of the ensemble that it descends from.
    observables
        Number of observables of the particle level.

    Notes
    -----
    The first dimension of all parameters and buffers is that of the members.
    """

    def __init__(self, lineage: Sequence[int], observables: int) -> None:
        super().__init__()
        self.lineage = tuple(lineage)
        self.observables = observables

    @property
    def members(self) -> int:
        """Number of fits."""
        return len(self.lineage)

    @abstractmethod
    def forward(self, target: Tensor, condition: Tensor) -> Tensor:
        """Give what is minimised, (members, rows), up to constants.

        Parameters
        ----------
        target
            (rows, observables) of the particle level, the same for all members.
        condition
            (members, rows, conditions).
        """

    @abstractmethod
    def sampled(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Turn normal numbers into events.

        Parameters
        ----------
        latent
            (members, rows, observables).
        condition
            (members, rows, conditions).

        Returns
        -------
        Tensor
            (members, rows, observables).
        """


Build = Callable[[Sequence[int]], Posterior]
"""Makes an untrained posterior of a lineage."""


def descendants(parent: Posterior, lineage: Sequence[int], build: Build) -> Posterior:
    """Give a posterior whose members begin as those of the ensemble that they descend from."""
    return selected(parent, [parent.lineage.index(ancestor) for ancestor in lineage], build)


def selected(parent: Posterior, members: Sequence[int], build: Build) -> Posterior:
    """Give copies of some of the members, by their places, in that order."""
    child = build([parent.lineage[member] for member in members])
    rows = torch.tensor(list(members))
    child.load_state_dict({name: value[rows] for name, value in parent.state_dict().items()})
    return child.eval()
