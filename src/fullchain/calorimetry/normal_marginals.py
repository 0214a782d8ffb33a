"""Numbers made normal, at each energy, by tabulated quantiles.

A table has, for each group of numbers (a ring of voxels, a ratio) and at several energies (nodes),
the quantiles at equally spaced places of a standard normal distribution. Between nodes quantiles
are interpolated in the logarithm of the energy: the map is monotonic at each energy, its inverse
needs no search, and its first derivative is positive everywhere. Beyond the last quantile it goes
on as a straight line.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor, nn

Array = NDArray[Any]

REACH = 4.0
"""Last quantile [standard deviations]."""

END = 0.5
"""Range from which the slope beyond the last measured quantile is taken [standard deviations]."""

LEAST_SLOPE = 1e-5
"""Of the tables, so that they can be inverted where many values are equal."""

POOLED = 30_000
"""Most values that make one table."""

LEAST_SHOWERS = 20
"""Fewest showers a node, on average: quantiles of less make numbers of any size."""

LEAST_ROWS = 5
"""Fewest showers that make a table of their own."""


class NormalMarginals(nn.Module):
    """Monotonic maps of columns to normal numbers and back.

    Parameters
    ----------
    group
        For each column the number of its table.
    energy
        For each column the number of the energy that its table depends on.
    nodes, knots
        Sizes of each table.
    """

    def __init__(self, group: Array, energy: Array, nodes: int, knots: int) -> None:
        super().__init__()
        self.groups, self.energies = int(group.max()) + 1, int(energy.max()) + 1
        self.nodes, self.knots = nodes, knots
        self.group: Tensor
        self.energy: Tensor
        self.positions: Tensor
        self.tables: Tensor
        normal = torch.linspace(-REACH, REACH, knots)
        self.register_buffer("group", torch.from_numpy(group.astype(np.int64)), persistent=False)
        self.register_buffer("energy", torch.from_numpy(energy.astype(np.int64)), persistent=False)
        self.register_buffer("positions", torch.arange(float(nodes)).repeat(self.energies, 1))
        self.register_buffer("tables", normal.repeat(self.groups, nodes, 1))

    def place_nodes(self, given: Array, which: int) -> None:
        """Place the nodes of one energy: at its discrete values, or at quantiles of (n) logs.

        Of few showers there are fewer nodes.
        """
        values = np.unique(given)
        nodes = min(self.nodes, max(1, len(given) // LEAST_SHOWERS))
        if len(values) > nodes:
            places = np.linspace(0.002, 0.998, nodes) if nodes > 1 else [0.5]
            values = np.unique(np.quantile(given, places))
        values = values if len(values) else np.zeros(1)
        # Places that are not needed lie above all energies.
        rest = values[-1] + 1.0 + np.arange(self.nodes - len(values))
        self.positions[which] = torch.from_numpy(np.concatenate([values, rest])).float()

    def windows(self, given: Array, which: int) -> list[tuple[int, float, Array]]:
        """Give the node, its log energy, and the rows nearest to it, where there are enough."""
        position = self.positions[which].double().numpy()
        nearest = np.searchsorted(0.5 * (position[1:] + position[:-1]), given)
        found = ((node, np.flatnonzero(nearest == node)) for node in range(self.nodes))
        enough = ((node, rows) for node, rows in found if len(rows) >= LEAST_ROWS)
        return [(node, float(position[node]), rows) for node, rows in enough]

    def set_table(self, group: int, node: int, values: Array) -> None:
        """Set the quantiles of a group at a node to those of values (n)."""
        self.tables[group, node] = torch.from_numpy(quantiles(values, self.knots)).float()

    def complete(self, measured: Array) -> None:
        """Copy tables of the nearest node to nodes without any; `measured` is (groups, nodes)."""
        for group, have in enumerate(measured):
            there = np.flatnonzero(have)
            for node in np.flatnonzero(~have):
                if len(there):
                    nearest = there[np.abs(there - node).argmin()]
                    self.tables[group, node] = self.tables[group, nearest]

    def forward(self, values: Tensor, given: Tensor) -> Tensor:
        """Map values (n, columns) at log energies (n, energies) to normal numbers."""
        flat, base, weight = self.tables.reshape(-1), *self._located(given)
        low = torch.zeros_like(base)
        high = torch.full_like(base, self.knots - 1)
        for _ in range((self.knots - 2).bit_length()):
            middle = torch.div(low + high, 2, rounding_mode="floor")
            above = values >= self._at(flat, base + middle, weight)
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        low = low.clamp_max(self.knots - 2)
        start = self._at(flat, base + low, weight)
        step = self._at(flat, base + low + 1, weight) - start
        place = low + (values - start) / step
        return place * (2.0 * REACH / (self.knots - 1)) - REACH

    def inverse(self, numbers: Tensor, given: Tensor) -> Tensor:
        """Undo `forward`."""
        flat, base, weight = self.tables.reshape(-1), *self._located(given)
        place = (numbers + REACH) * ((self.knots - 1) / (2.0 * REACH))
        low = place.floor().clamp(0, self.knots - 2)
        base = base + low.to(base.dtype)
        start = self._at(flat, base, weight)
        return start + (place - low) * (self._at(flat, base + 1, weight) - start)

    def _located(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Where the table at the node below begins (n, columns), and the weight of the next."""
        held = self.held(given).T.contiguous()
        below = torch.searchsorted(self.positions, held, right=True) - 1
        below = below.clamp(0, self.nodes - 2)
        first = self.positions.gather(1, below)
        weight = (held - first) / (self.positions.gather(1, below + 1) - first)
        base = (self.group * self.nodes).int() + below.T.int()[:, self.energy]
        return base * self.knots, weight.T[:, self.energy].contiguous()

    def held(self, given: Tensor) -> Tensor:
        """Log energies (n, energies), moved to the nearest node where they lie beyond all."""
        return torch.minimum(torch.maximum(given, self.positions[:, 0]), self.positions[:, -1])

    def _at(self, flat: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        one = index.reshape(-1)
        below = flat.index_select(0, one).view(index.shape)
        above = flat.index_select(0, one + self.knots).view(index.shape)
        return torch.lerp(below, above, weight)


def quantiles(values: Array, knots: int) -> Array:
    """Quantiles (knots) of values (n) at equally spaced places of the normal distribution."""
    own = np.sort(values)
    if len(own) > POOLED:
        own = own[np.linspace(0, len(own) - 1, POOLED).astype(int)]
    places = np.linspace(-REACH, REACH, knots)
    normal = ndtri((np.arange(len(own)) + 0.5) / len(own))
    table = np.interp(places, normal, own)
    if len(own) > 1:
        for end, side in ((normal[0], -1.0), (normal[-1], 1.0)):
            inner = min(abs(end), END)
            slope = (
                abs(np.interp(end, normal, own) - np.interp(end - side * inner, normal, own))
                / inner
            )
            beyond = side * (places - end) > 0
            table[beyond] = np.interp(end, normal, own) + slope * (places - end)[beyond]
    rising: Array = np.maximum.accumulate(table - LEAST_SLOPE * places) + LEAST_SLOPE * places
    return rising
