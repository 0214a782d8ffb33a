r"""Conditional flow matching on straight paths, with what is known of the velocity taken out.

Lipman et al. 2210.02747: x_t = (1 - t) \epsilon + t z from a normal number to the data; a network
is fitted to the velocity z - \epsilon. For data of unit variance the best linear guess of the
velocity at x_t is (2t - 1)/((1-t)^2 + t^2) x_t and what is left has the width
((1-t)^2 + t^2)^{-1/2}: the network gives this rest, from inputs of unit variance, as in Karras et
al. 2206.00364. A network that gives zero carries normal numbers to normal numbers.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
"""Gives the rest (n, ...) of scaled positions (n, ...) and times (n, 1)."""


def spread(time: Tensor) -> Tensor:
    """Standard deviation of x_t for data of unit variance."""
    return torch.sqrt((1.0 - time) ** 2 + time**2)


def velocity(network: Network, time: Tensor, position: Tensor) -> Tensor:
    """Give the velocity at times (n, 1) and positions (n, numbers)."""
    width = spread(time)
    scaled = position / width
    return ((2.0 * time - 1.0) * scaled + network(scaled, time)) / width


def loss(network: Network, target: Tensor, time: Tensor, noise: Tensor) -> Tensor:
    """Give the mean square of what the network misses, in widths of the rest: (n, ...) -> (n, ...).

    Weighted with (1-t)^2 + t^2, so that all times have the same scale.
    """
    width = spread(time)
    scaled = ((1.0 - time) * noise + time * target) / width
    rest = (target - noise) * width - (2.0 * time - 1.0) * scaled
    return (network(scaled, time) - rest) ** 2


def times(
    number: int, how: str, device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Draw times, one in each of `number` parts of equal probability, in any order, (number, 1).

    `how` is uniform, or logit_normal (Esser et al. 2403.03206), which has more in the middle.
    """
    place = torch.randperm(number, generator=generator, device=device)
    inside = torch.rand(number, generator=generator, device=device)
    uniform = ((place + inside) / number).clamp(1e-5, 1.0 - 1e-5).view(-1, 1)
    return uniform if how == "uniform" else torch.special.ndtri(uniform).sigmoid()
