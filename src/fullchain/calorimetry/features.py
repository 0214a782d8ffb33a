r"""What showers are judged by: energies, centres, widths and sparsities of layers.

The definitions are those of the CaloChallenge (C. Krause et al., 2410.21611). With the voxels of a
layer at radius r and angle alpha (middles), eta = r cos(alpha) and phi = r sin(alpha); a centre of
energy is <x> = \sum x E / \sum E, a width sqrt(max(0, <x^2> - <x>^2)), and the sparsity the part of
the voxels that are empty. In a layer without energy, centres and widths are zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers

Array = NDArray[Any]

RESPONSE = "E_tot_over_E_inc"

ROWS = 4096
"""Showers that are summed at a time in double precision."""

FAINTEST = 1e-8
"""Added to the energy of a layer before the logarithm [MeV]."""

SCALE = 100.0
"""What centres and widths are divided by [mm] among the high-level features."""

ROUNDING = 1e-5
"""Relative distance by which single precision may put a voxel below the threshold."""


def feature_names(geometry: Geometry) -> list[str]:
    """Names of the features of a geometry; the number at the end is that of the layer in the file.

    `E_tot_over_E_inc`, `E_layer_0`, `sparsity_0`, `EC_r_0`, `width_r_0`, and in layers that are
    divided in alpha `EC_eta_1`, `EC_phi_1`, `width_eta_1`, `width_phi_1`.
    """
    names = [RESPONSE]
    for layer in geometry.layers:
        kinds = ["E_layer", "sparsity", "EC_r", "width_r"]
        if layer.angles > 1:
            kinds += ["EC_eta", "EC_phi", "width_eta", "width_phi"]
        names += [f"{kind}_{layer.identifier}" for kind in kinds]
    return names


def kind_of(name: str) -> str:
    """Give the name of a feature without its layer.

    Examples
    --------
    >>> kind_of("EC_eta_12"), kind_of("E_tot_over_E_inc")
    ('EC_eta', 'E_tot_over_E_inc')
    """
    head, _, tail = name.rpartition("_")
    return head if tail.isdigit() else name


def features(showers: Showers, geometry: Geometry, threshold: float = 0.0) -> dict[str, Array]:
    """Give the features of showers.

    Parameters
    ----------
    showers
        Energies (n) and voxels (n, voxels) [MeV].
    geometry
        Of the voxels.
    threshold
        Voxels below it are taken as empty [MeV], in all features.

    Returns
    -------
    For each of `feature_names` an array (n): energies in MeV, centres and widths in mm.
    """
    found = {name: np.zeros(len(showers)) for name in feature_names(geometry)}
    total = np.zeros(len(showers))
    for layer, place in zip(geometry.layers, geometry.slices, strict=True):
        radius, angle = geometry.radius_of_voxel[place], geometry.angle_of_voxel[place]
        coordinates = {"r": radius}
        if layer.angles > 1:
            coordinates |= {"eta": radius * np.cos(angle), "phi": radius * np.sin(angle)}
        values = list(coordinates.values())
        powers = np.stack([np.ones_like(radius), *values, *(x**2 for x in values)], axis=1)
        sums = np.empty((len(showers), powers.shape[1]))
        active = np.empty(len(showers))
        for first in range(0, len(showers), ROWS):
            rows = slice(first, first + ROWS)
            voxels = without_faint(showers.voxels[rows, place], threshold).astype(float)
            sums[rows] = voxels @ powers
            active[rows] = np.count_nonzero(voxels, axis=1)
        energy = sums[:, 0]
        total += energy
        found[f"E_layer_{layer.identifier}"] = energy
        found[f"sparsity_{layer.identifier}"] = 1.0 - active / layer.voxels
        divisor = np.where(energy > 0, energy, 1.0)
        for number, name in enumerate(coordinates, start=1):
            mean = sums[:, number] / divisor
            square = sums[:, number + len(coordinates)] / divisor
            found[f"EC_{name}_{layer.identifier}"] = mean
            width = np.sqrt(np.maximum(square - mean**2, 0.0))
            found[f"width_{name}_{layer.identifier}"] = width
    found[RESPONSE] = total / showers.energies
    return found


def without_faint(voxels: Array, threshold: float) -> Array:
    """Give energies of voxels with those below the threshold [MeV] set to zero."""
    if threshold <= 0:
        return voxels
    return np.where(voxels >= threshold * (1.0 - ROUNDING), voxels, 0.0)


def joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Put the features of chunks together."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def high_level(found: Mapping[str, Array], energies: Array) -> Array:
    """Give the features that FPD, KPD and the classifier on high-level features see.

    Parameters
    ----------
    found
        As `features` gives them, (n) each.
    energies
        Of the incident particles [MeV], (n).

    Returns
    -------
    (n, 1 + layers + 4 x layers divided in alpha): log10 E_inc, log10(E_layer + 1e-8), and centres
    and widths in eta and phi over 100 mm, energies in MeV.
    """
    columns = [np.log10(energies)]
    for kind in ("E_layer", "EC_eta", "EC_phi", "width_eta", "width_phi"):
        for name, values in found.items():
            if kind_of(name) == kind:
                scaled = np.log10(values + FAINTEST) if kind == "E_layer" else values / SCALE
                columns.append(scaled)
    return np.stack(columns, axis=1)
