r"""A solver of few steps that is fitted to one velocity.

Shaul et al. 2310.19075: with a time t(r) and a scale s(r) the path \bar x(r) = s(r) x(t(r)) has the
velocity \dot s / s \bar x + \dot t s u(t, \bar x / s). A method with equal steps in r sees t, s and
their derivatives at its nodes only: these numbers are free, are the same for all starting points,
and are fitted so that the end is that of the exact solution. The velocity is not changed.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from fullchain.learning.cumulative import cumulative
from fullchain.learning.ode import DifferentiableVelocity

Base = Literal["euler", "midpoint"]


class BespokeSolver(nn.Module):
    """Equal steps of a base method on a path with free time and scale.

    Parameters
    ----------
    steps
        How many.
    base
        euler, one evaluation in each step, or midpoint, two.

    Notes
    -----
    It begins as the base method. There are four free numbers for each evaluation.
    """

    def __init__(self, steps: int, base: Base) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"a solver needs a step or more, not {steps}")
        self.steps = steps
        self.nodes = steps * (1 if base == "euler" else 2)
        self.increments = nn.Parameter(torch.zeros(self.nodes))
        self.log_speed = nn.Parameter(torch.zeros(self.nodes))
        self.log_scale = nn.Parameter(torch.zeros(self.nodes))
        self.slope = nn.Parameter(torch.zeros(self.nodes))

    @property
    def evaluations(self) -> int:
        """Evaluations of the velocity."""
        return self.nodes

    def times(self) -> Tensor:
        """Times of the nodes, from 0 to 1, (nodes + 1)."""
        inside = cumulative(softmax(self.increments, dim=0))
        return torch.cat([inside.new_zeros(1), inside])

    def forward(self, velocity: DifferentiableVelocity, state: Tensor) -> Tensor:
        """Follow `velocity` from 0 to 1."""
        step = 1.0 / self.steps
        times, speeds = self.times(), self.log_speed.exp()
        scales = torch.cat([self.log_scale.new_zeros(1), self.log_scale]).exp()

        def transformed(node: int, scaled: Tensor) -> Tensor:
            own = scales[node]
            found = velocity(times[node], scaled / own)
            return self.slope[node] / own * scaled + speeds[node] * own * found

        each = self.nodes // self.steps
        for first in range(0, self.nodes, each):
            slope = transformed(first, state)
            if each == 2:
                slope = transformed(first + 1, state + step / 2 * slope)
            state = state + step * slope
        return state / scales[-1]
