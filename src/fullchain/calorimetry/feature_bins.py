"""Bins of the histograms of features: those of the CaloChallenge, for any geometry.

E_tot / E_inc has 100 bins from 0.5 to 1.5, the energy of a layer 39 and that of voxels 49 bins in
its logarithm from the threshold to the highest of the full simulation, centres and widths 100,
sparsities 20. The challenge gives centres +-100 mm (+-500 mm in a layer of 2 m) and widths up to
100 mm (400 mm) for the geometries of its set 1, and 30 mm in sets 2 and 3, whose layers have a
radius of 41.85 mm; narrow layers of other geometries are scaled to the last.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.features import RESPONSE, kind_of
from fullchain.calorimetry.geometry import Geometry, Layer

Array = NDArray[Any]

WIDE, NARROW = 1000.0, 100.0
"""Outer radii from which, and below which, a layer has other ranges [mm]."""

NARROW_PART = 30.0 / 41.85
"""Range of a narrow layer over its radius."""


def centre_range(layer: Layer) -> float:
    """Give the end of the bins of centres of energy [mm]."""
    radius = layer.edges[-1]
    if radius < NARROW:
        return NARROW_PART * radius
    return 500.0 if radius >= WIDE else 100.0


def width_range(layer: Layer) -> float:
    """Give the end of the bins of widths [mm]."""
    radius = layer.edges[-1]
    if radius < NARROW:
        return NARROW_PART * radius
    return 400.0 if radius >= WIDE else 100.0


def logarithmic(values: Array, bins: int, threshold: float) -> Array:
    """Give bins equal in the logarithm, from the threshold to the highest value."""
    positive = values[values > 0]
    high = float(positive.max()) if len(positive) else 1.0
    low = threshold if threshold > 0 else float(positive.min()) if len(positive) else 0.1
    if low >= high:
        low = 0.5 * high
    return np.geomspace(low, high * (1.0 + 1e-6), bins + 1)


def edges(name: str, values: Array, geometry: Geometry, threshold: float) -> Array:
    """Give the edges of the bins of a feature.

    Parameters
    ----------
    name
        One of `features.feature_names`.
    values
        In the full simulation, which set the range of energies.
    threshold
        Least energy of a voxel [MeV].
    """
    if name == RESPONSE:
        return np.linspace(0.5, 1.5, 101)
    kind = kind_of(name)
    layer = {str(one.identifier): one for one in geometry.layers}[name.rpartition("_")[2]]
    if kind == "E_layer":
        return logarithmic(values, 39, threshold)
    if kind == "sparsity":
        return np.linspace(0.0, 1.0, 21)
    if kind.startswith("EC"):
        end = centre_range(layer)
        return np.linspace(-end, end, 101)
    return np.linspace(0.0, width_range(layer), 101)


def edges_at_energy(name: str, values: Array, geometry: Geometry, threshold: float) -> Array:
    """Give bins for showers of one energy, where E_tot / E_inc is narrow.

    It has 40 bins within four standard deviations of its mean; energies of layers have 39 from
    their lowest to their highest, all others those of `edges`.
    """
    kind = kind_of(name)
    if name == RESPONSE:
        mean, width = float(values.mean()), max(float(values.std()), 1e-6)
        return np.linspace(mean - 4.0 * width, mean + 4.0 * width, 41)
    if kind == "E_layer":
        positive = values[values > 0]
        # Not from a rare faint shower on: the bins are where most showers are.
        low = float(np.quantile(positive, 0.005)) if len(positive) else threshold
        return logarithmic(values, 39, max(low, threshold))
    return edges(name, values, geometry, threshold)
