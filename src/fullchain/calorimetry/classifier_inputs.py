"""What classifiers see of showers, and whether two files of showers may be compared.

The inputs are those of the public evaluation of the CaloChallenge (C. Krause et al., 2410.21611):
low level, log10 E_inc and the part of E_inc in each voxel in per cent; high level, log10 of the
energies, centres and widths in units of 100 mm.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from fullchain.calorimetry.classifier_settings import FeatureSet, Seen
from fullchain.calorimetry.features import SCALE, features, kind_of
from fullchain.calorimetry.features import high_level as challenge_features
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError

Array = NDArray[Any]

FEWEST = 50
"""Showers of each kind that a classifier needs at least."""

HUNDRED = 100.0
"""Parts of the energy are in per cent."""

FURTHER = ("EC_r", "width_r", "sparsity")
"""Kinds of features that the challenge's classifier does not see."""

UNLIKELY = 1e-6
"""Probability below which two sets of incident energies count as different."""


def low_level(showers: Showers) -> Array:
    """Give log10 of the incident energy and voxels in per cent of it, (n, 1 + voxels), float32."""
    energies = showers.energies.reshape(-1, 1)
    parts = HUNDRED * showers.voxels / energies.astype(np.float32)
    return np.concatenate([np.log10(energies).astype(np.float32), parts], axis=1)


def high_level(showers: Showers, geometry: Geometry, chosen: FeatureSet, threshold: float) -> Array:
    """Give log10 of the incident energy and features, (n, 1 + features).

    Raises
    ------
    InputError
        A feature is not finite.
    """
    found = features(showers, geometry, threshold)
    for name, values in found.items():
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise InputError(f"the feature {name} of {wrong} showers is not a finite number")
    columns = [challenge_features(found, showers.energies)]
    if chosen == "all":
        for name, values in found.items():
            if kind_of(name) in FURTHER:
                scaled = values if kind_of(name) == "sparsity" else values / SCALE
                columns.append(scaled.reshape(-1, 1))
    return np.concatenate(columns, axis=1)


def inputs(
    showers: Showers, geometry: Geometry, level: Seen, chosen: FeatureSet, threshold: float
) -> Array:
    """Give what a classifier sees, (n, inputs); the threshold [MeV] is that of features."""
    if level == "low":
        return low_level(showers)
    if level == "both":
        # The incident energy once, and the precision of voxels: of those there are many.
        features_only = high_level(showers, geometry, "all", threshold)[:, 1:]
        return np.concatenate([low_level(showers), features_only.astype(np.float32)], axis=1)
    return high_level(showers, geometry, chosen, threshold)


def check_pair(generated: Showers, simulated: Showers, where: tuple[str, str]) -> None:
    """Check that what tells two files apart can only be their showers.

    Parameters
    ----------
    generated, simulated
        Of the same geometry.
    where
        Names of the two files, for messages.

    Raises
    ------
    InputError
        Too few showers, or incident energies that are not distributed alike.
    """
    for showers, name in zip((generated, simulated), where, strict=True):
        if len(showers) < FEWEST:
            raise InputError(
                f"{name}: {len(showers)} showers, and a classifier needs {FEWEST} at least"
            )
    first, second = np.sort(generated.energies), np.sort(simulated.energies)
    if len(first) == len(second) and np.allclose(first, second, rtol=1e-5):
        return
    ratio = float(np.median(first) / np.median(second))
    if ks_2samp(first, second).pvalue > UNLIKELY:
        return
    hint = ""
    if 300 < ratio < 3000 or 300 < 1 / ratio < 3000:
        hint = "; one of them may be in GeV, and MeV are needed"
    raise InputError(
        f"{where[0]}: incident energies from {first[0]:g} to {first[-1]:g} MeV are not distributed "
        f"as those of {where[1]}, from {second[0]:g} to {second[-1]:g} MeV: a classifier would see "
        f"the energy and not the shower{hint}; generate showers at the energies of {where[1]}"
    )
