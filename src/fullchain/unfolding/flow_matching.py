r"""Conditional flow matching: a velocity that carries normal numbers to the posterior.

Lipman et al. 2210.02747 with straight paths: x_t = (1 - t) \epsilon + t z, along which the velocity
is z - \epsilon. A network of time, position and condition is fitted to it in the mean square; what
is minimised is the expected velocity of the flow from the normal distribution at time 0 to the
posterior at time 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fullchain.learning import ode
from fullchain.learning.dense_network import GroupedNetwork
from fullchain.unfolding.generative_settings import FlowMatchingSettings
from fullchain.unfolding.posterior import Posterior

FIXED = 20_221
"""Seed of the times and positions with which the validation loss is found."""


class FlowMatching(Posterior):
    """The network of the velocity.

    Parameters
    ----------
    lineage
        See `Posterior`.
    observables, conditions
        Sizes of both levels.
    settings
        Sizes of the network, and how the velocity is followed.
    """

    def __init__(
        self,
        lineage: Sequence[int],
        observables: int,
        conditions: int,
        settings: FlowMatchingSettings,
    ) -> None:
        super().__init__(lineage, observables)
        self.settings = settings
        inputs = 1 + observables + conditions
        self.network = GroupedNetwork(len(lineage), inputs, settings.layers, observables)

    def velocity(self, time: Tensor, position: Tensor, condition: Tensor) -> Tensor:
        """Give the velocity; all have shape (members, rows, ...), that of `time` ends in one."""
        result: Tensor = self.network(torch.cat([time, position, condition], dim=-1))
        return result

    def forward(self, target: Tensor, condition: Tensor) -> Tensor:
        """Give the mean square over the observables at random times, (members, rows)."""
        rows, observables = target.shape
        # The validation loss of one epoch compares with that of another only at the same times.
        chance = None if self.training else torch.Generator(target.device).manual_seed(FIXED)
        ancestors = sorted(set(self.lineage))
        place = [ancestors.index(ancestor) for ancestor in self.lineage]
        shape = (len(ancestors), rows, observables)
        noise = torch.randn(shape, generator=chance, device=target.device)[place]
        time = torch.rand((len(ancestors), rows, 1), generator=chance, device=target.device)[place]
        position = (1 - time) * noise + time * target
        wrong = self.velocity(time, position, condition) - (target - noise)
        return (wrong**2).mean(dim=-1)

    def sampled(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Follow the velocity from time 0 to time 1, (members, rows, observables)."""

        def velocity(time: float, position: Tensor) -> Tensor:
            times = position.new_full((*position.shape[:-1], 1), time)
            return self.velocity(times, position, condition)

        if self.settings.solver == "dopri5":
            return ode.dopri5(velocity, latent, self.settings.tolerance)[0]
        return ode.rk4(velocity, latent, max(1, self.settings.evaluations // 4))
