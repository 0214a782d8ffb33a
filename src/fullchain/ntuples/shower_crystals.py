"""Showers in crystals: what a crystal gets of each, and clusters with their positions."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples import calorimeter, crystal_clusters
from fullchain.ntuples.calorimeter import ENDCAP_END, Clusters, Deposits
from fullchain.ntuples.crystal_clusters import REACH
from fullchain.ntuples.detector_settings import CalorimeterSettings
from fullchain.ntuples.electromagnetic_settings import ShowerResponse
from fullchain.ntuples.shower_points import Points

Array = NDArray[Any]


MOST_CELLS = 4_000_000
"""Largest table of crystals that is filled at once."""

EMPTY = 2 * REACH + 1
"""Rows and columns without crystals between parts of the calorimeter."""

INNERMOST = ENDCAP_END - 1e-6
"""Largest |eta| of the middle of a crystal: of some, a part alone lies below |eta| = 3."""

FORWARD_CELLS = calorimeter.CELLS
"""Number of the first cell of HF, beyond those of all crystals."""


@dataclass(frozen=True)
class Grid:
    """Crystals, numbered so that neighbours differ by one in row and column.

    Those of the barrel have one size in eta and phi, and columns that close; those of an endcap are
    squares. Barrel, endcap of positive z and of negative z follow each other in the rows, with
    empty ones between.

    Parameters
    ----------
    radius, half_length
        Face of the barrel and of the endcaps [cm].
    crystal
        Size in eta and phi, barrel.
    crystal_endcap
        Size of the squares [cm].
    """

    radius: float
    half_length: float
    crystal: float
    crystal_endcap: float

    @classmethod
    def of(cls, how: ShowerResponse, calo: CalorimeterSettings) -> "Grid":
        """Take the sizes of settings."""
        return cls(calo.radius, calo.half_length, how.crystal, how.crystal_endcap)

    @cached_property
    def corner(self) -> float:
        """|eta| where the barrel ends."""
        return float(np.arcsinh(self.half_length / self.radius))

    @cached_property
    def around(self) -> int:
        """Number of columns."""
        squares = int(np.ceil(2.0 * self.radius / self.crystal_endcap)) + EMPTY
        return max(round(2.0 * np.pi / self.crystal), squares)

    @cached_property
    def turn(self) -> int:
        """Number of columns of the barrel, which close."""
        return round(2.0 * np.pi / self.crystal)

    @cached_property
    def begins(self) -> tuple[int, int, int]:
        """First rows of the endcaps of positive and negative z, and the number of rows."""
        barrel = int(np.ceil(2.0 * self.corner / self.crystal)) + EMPTY
        endcap = int(np.ceil(2.0 * self.radius / self.crystal_endcap)) + EMPTY
        return barrel, barrel + endcap, barrel + 2 * endcap

    def place(self, eta: Array, phi: Array) -> tuple[Array, Array]:
        """Row and column of points seen at eta and phi; columns of the barrel are not closed."""
        row = np.floor((eta + self.corner) / self.crystal)
        column = np.floor((phi + np.pi) / (2.0 * np.pi) * self.turn)
        endcap = np.abs(eta) >= self.corner
        if endcap.any():
            x, y, _ = self.face(eta[endcap], phi[endcap])
            positive, negative, _ = self.begins
            begin = np.where(eta[endcap] > 0, positive, negative)
            row[endcap] = begin + np.floor((x + self.radius) / self.crystal_endcap)
            column[endcap] = np.floor((y + self.radius) / self.crystal_endcap)
        return row.astype(np.int64), column.astype(np.int64)

    def closed(self, row: Array, column: Array) -> Array:
        """Give columns with those of the barrel closed."""
        return np.where(row < self.begins[0], np.mod(column, self.turn), column)

    def centre(self, row: Array, column: Array) -> tuple[Array, Array]:
        """Eta and phi of the middle of crystals."""
        positive, negative, _ = self.begins
        barrel = row < positive
        side = np.where(row < negative, 1.0, -1.0)
        begin = np.where(row < negative, positive, negative)
        x = (row - begin + 0.5) * self.crystal_endcap - self.radius
        y = (column + 0.5) * self.crystal_endcap - self.radius
        endcap = np.arcsinh(self.half_length / np.maximum(np.hypot(x, y), 1e-9))
        endcap = np.minimum(endcap, INNERMOST)
        eta = np.where(barrel, (row + 0.5) * self.crystal - self.corner, side * endcap)
        angle = (np.mod(column, self.turn) + 0.5) * (2.0 * np.pi / self.turn) - np.pi
        return eta, np.where(barrel, angle, np.arctan2(y, x))

    def face(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """Point of the face [cm] that is seen at eta and phi from the centre."""
        slope = np.sinh(eta)
        distance = np.minimum(self.radius, self.half_length / np.maximum(np.abs(slope), 1e-9))
        return distance * np.cos(phi), distance * np.sin(phi), distance * slope


@dataclass(frozen=True)
class Hits:
    """Deposits and their crystals; beyond |eta| = 3, where there are none, the row is -1."""

    deposits: Deposits
    row: Array
    column: Array


def pointlike(deposits: Deposits, grid: Grid) -> Hits:
    """Find the crystals of deposits at points."""
    row, column = grid.place(deposits.eta, deposits.phi)
    column = grid.closed(row, column)
    return Hits(deposits, np.where(np.abs(deposits.eta) < ENDCAP_END, row, -1), column)


def in_crystals(some: Deposits, energies: Array, where: Points, grid: Grid) -> Hits:
    """Make one deposit of all points of a shower in one crystal.

    The momentum of a track is shared among the deposits like the energy. What would lie beyond
    |eta| = 3 is lost, as at the edge of a calorimeter. A particle whose shower leaves nothing keeps
    a deposit without energy, so that its track is not forgotten.

    Parameters
    ----------
    some
        Of n particles, at the points of impact.
    energies
        Of points [GeV], (n, points).
    where
        Places of the points.
    """
    number = len(some.energy)
    distance = np.hypot(some.x, some.y)[:, None]
    eta = some.eta[:, None] + where.x / distance
    row, column = grid.place(eta, some.phi[:, None] + where.y / distance)
    energies = np.where(np.abs(eta) < ENDCAP_END, energies, 0.0)
    region = np.digitize(row, grid.begins)
    crosses = (region != region[:, :1]).any(axis=1)
    parts = [_sums(energies, row, column, chosen) for chosen in (~crosses, crosses)]
    shower, row, column, energy = (np.concatenate(values) for values in zip(*parts, strict=True))
    column = grid.closed(row, column)
    lost = np.setdiff1d(np.arange(number), shower)
    total = np.maximum(np.bincount(shower, energy, minlength=number), 1e-30)
    eta, phi = grid.centre(row, column)
    x, y, z = grid.face(eta, phi)
    drawn = Deposits(
        event=some.event[shower],
        eta=eta,
        phi=phi,
        x=x,
        y=y,
        z=z,
        energy=energy,
        track=some.track[shower] * energy / total[shower],
        hard=some.hard[shower],
        showered=energy,
    )
    forgotten = pointlike(replace(picked(some, lost), energy=np.zeros(len(lost))), grid)
    return together([Hits(drawn, row, column), forgotten])


def _sums(energies: Array, row: Array, column: Array, chosen: Array) -> tuple[Array, ...]:
    """Sum points of each of the chosen showers over crystals: shower, row, column, energy."""
    at = np.flatnonzero(chosen)
    if not len(at):
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, np.zeros(0)
    row, column = row[at], column[at]
    lowest, left = row.min(axis=1, keepdims=True), column.min(axis=1, keepdims=True)
    height, width = int((row - lowest).max()) + 1, int((column - left).max()) + 1
    local = (row - lowest) * width + (column - left)
    local += np.arange(len(at))[:, None] * (height * width)
    cells, values = local.ravel(), energies[at].ravel()
    if len(at) * height * width > MOST_CELLS:
        cells, inverse = np.unique(cells, return_inverse=True)
        sums = np.bincount(inverse, values, minlength=len(cells))
        filled, sums = cells[sums > 0], sums[sums > 0]
    else:
        sums = np.bincount(cells, values, minlength=len(at) * height * width)
        filled = np.flatnonzero(sums > 0)
        sums = sums[filled]
    shower, cell = np.divmod(filled, height * width)
    down, along = np.divmod(cell, width)
    return at[shower], lowest[shower, 0] + down, left[shower, 0] + along, sums


@dataclass(frozen=True)
class Crystals:
    """Crystals of |eta| < 3 with energy [GeV], of all events."""

    event: Array
    row: Array
    column: Array
    energy: Array


def joined(hits: Hits, how: ShowerResponse, calo: CalorimeterSettings) -> tuple[Clusters, Crystals]:
    """Sum deposits over crystals, and crystals over clusters; give both.

    Raises
    ------
    ValueError
        The crystals are so small that their numbers overflow.
    """
    grid, deposits = Grid.of(how, calo), hits.deposits
    if grid.begins[2] * grid.around > FORWARD_CELLS:
        raise ValueError(f"crystals of {how.crystal} are too small to be numbered")
    sizes = calorimeter.cell_sizes(True, calo)
    forward = calorimeter.cell_number(deposits.eta, deposits.phi, sizes)
    cell = hits.row * grid.around + hits.column
    cell = np.where(hits.row >= 0, cell, FORWARD_CELLS + forward)
    key = deposits.event.astype(np.int64) * (2 * FORWARD_CELLS) + cell
    crystals, crystal = np.unique(key, return_inverse=True)
    energy = np.bincount(crystal, deposits.energy, minlength=len(crystals))
    event, cell = np.divmod(crystals, 2 * FORWARD_CELLS)
    middle = np.flatnonzero(cell < FORWARD_CELLS)
    row, column = np.divmod(cell[middle], grid.around)
    label = np.arange(len(crystals))
    label[middle] = middle[
        crystal_clusters.labels(
            event[middle],
            row,
            column,
            energy[middle],
            crystal_clusters.Seeds(how.seed_energy, how.seed_fraction),
            grid.turn,
            grid.begins[0],
        )
    ]
    of_cluster = crystals[label]
    clusters = calorimeter.summed(deposits, of_cluster[crystal])
    hit = Crystals(event[middle], row, column, energy[middle])
    return _placed(clusters, deposits, crystal, of_cluster), hit


def _placed(clusters: Clusters, deposits: Deposits, crystal: Array, of_cluster: Array) -> Clusters:
    """Set the positions of clusters of several crystals, of the energy that has no track."""
    number = len(of_cluster)
    cluster = np.searchsorted(clusters.key, of_cluster)
    loose = np.where(deposits.track > 0, 0.0, deposits.energy)
    has_loose = np.bincount(cluster[crystal], loose, minlength=len(clusters.key)) > 0
    weight = np.where(has_loose[cluster[crystal]], loose, deposits.energy)
    energy = np.bincount(crystal, weight, minlength=number)
    safe = np.maximum(energy, 1e-30)
    middle = [
        np.bincount(crystal, weight * values, minlength=number) / safe
        for values in (deposits.x, deposits.y, deposits.z)
    ]
    log = np.where(
        energy > 0, crystal_clusters.log_weights(energy, cluster, len(clusters.key)), 0.0
    )
    norm = np.bincount(cluster, log, minlength=len(clusters.key))
    several = (np.bincount(cluster, minlength=len(clusters.key)) > 1) & (norm > 0)
    x, y, z = (
        np.where(
            several,
            np.bincount(cluster, log * values, minlength=len(clusters.key))
            / np.maximum(norm, 1e-30),
            before,
        )
        for values, before in zip(middle, (clusters.x, clusters.y, clusters.z), strict=True)
    )
    eta = np.arcsinh(z / np.maximum(np.hypot(x, y), 1e-9))
    return replace(clusters, x=x, y=y, z=z, eta=np.where(several, eta, clusters.eta))


def picked(deposits: Deposits, chosen: Array) -> Deposits:
    """Give some of the deposits, none of which is made of showers."""
    columns = {
        name: getattr(deposits, name)[chosen]
        for name in Deposits.__dataclass_fields__
        if name != "showered"
    }
    return Deposits(**columns, showered=np.zeros(len(columns["energy"])))


def together(parts: list[Hits]) -> Hits:
    """Put hits together."""
    deposits = {
        name: np.concatenate([getattr(part.deposits, name) for part in parts])
        for name in Deposits.__dataclass_fields__
    }
    row, column = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "column")
    )
    return Hits(Deposits(**deposits), row, column)
