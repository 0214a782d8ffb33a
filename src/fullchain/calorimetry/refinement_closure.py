"""Whether super-resolved images are like true ones: spectrum of cells, occupancy, width.

Separations are 1/2 sum (h1 - h2)^2 / (h1 + h2) of histograms normalised to one, with under- and
overflow in the outermost bins. The floor is that of a second true sample of equal size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.separation import of_counts
from fullchain.learning.bootstrap import event_factors

Array = NDArray[Any]

SPECTRUM = 40
"""Bins of the logarithm of cell energies."""

WIDTHS = 40
"""Bins of the width of an image."""


def closure(
    images: dict[str, Array], cell: float, threshold: float, replicas: int, seed: int
) -> dict[str, Any]:
    """Compare images.

    Parameters
    ----------
    images
        `fine` and others, by name, (n, side, side) [MeV].
    cell, threshold
        Side [mm] and least energy [MeV] of a cell.
    replicas, seed
        Of the bootstrap over images.

    Returns
    -------
    For each quantity the edges, and for each name the histogram normalised to one with its errors
    and, except for `fine`, [separation, error] from it; under `occupancy` for each name
    [mean number of lit cells, error].
    """
    highest = max(float(one.max()) for one in images.values())
    widths = {name: width(one, cell) for name, one in images.items()}
    reach = float(np.quantile(widths["fine"], 0.995)) * 1.2
    edges = {
        "cell": np.geomspace(threshold, max(highest, 2 * threshold) * 1.0001, SPECTRUM + 1),
        "width": np.linspace(0.0, reach, WIDTHS + 1),
    }
    counts: dict[str, dict[str, Array]] = {"cell": {}, "width": {}}
    for name, one in images.items():
        counts["cell"][name] = _counts(one.reshape(len(one), -1), edges["cell"])
        counts["width"][name] = _counts(widths[name][:, None], edges["width"])
    found: dict[str, Any] = {}
    for quantity, of in counts.items():
        drawn = {
            name: _replicas(rows, replicas, seed, f"{quantity} {name}") for name, rows in of.items()
        }
        found[quantity] = {"edges": edges[quantity].tolist(), "of": {}}
        for name, values in drawn.items():
            entry = {"values": values[0].tolist(), "errors": values[1:].std(0, ddof=1).tolist()}
            if name != "fine":
                apart = of_counts(values, drawn["fine"])
                entry["separation"] = [float(apart[0]), float(apart[1:].std(ddof=1))]
            found[quantity]["of"][name] = entry
    lit = {name: (one > 0).sum(axis=(1, 2)) for name, one in images.items()}
    found["occupancy"] = {
        name: [float(one.mean()), float(one.std(ddof=1) / np.sqrt(len(one)))]
        for name, one in lit.items()
    }
    return found


def width(images: Array, cell: float) -> Array:
    """Root of the mean square distance from the centre of energy, in one direction [mm], (n)."""
    places = (np.arange(images.shape[1]) - 0.5 * (images.shape[1] - 1)) * cell
    total = np.maximum(images.sum(axis=(1, 2), dtype=float), 1e-300)
    square = np.zeros(len(images))
    for axis in (1, 2):
        profile = images.sum(axis=axis, dtype=float) / total[:, None]
        mean = profile @ places
        square += np.maximum(profile @ places**2 - mean**2, 0.0)
    return np.sqrt(0.5 * square)


def _counts(values: Array, edges: Array) -> Array:
    """Counts of each image (n, bins); a value of 0 is no entry."""
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    size = len(edges) - 1
    flat = np.arange(len(values))[:, None] * size + bins
    return np.bincount(flat[values > 0], minlength=len(values) * size).reshape(-1, size)


def _replicas(counts: Array, replicas: int, seed: int, key: str) -> Array:
    """Histograms normalised to one: as it is, then of each replica, (1 + replicas, bins)."""
    weights = event_factors(np.arange(len(counts)), replicas, seed, key)
    sums = np.stack([counts.sum(axis=0), *(one @ counts for one in weights)])
    return sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-300)
