"""Uncertainty of generated distributions: several draws of the weights, several samples.

The spread of a bin over draws of Bayesian weights is what the model says that it does not know; the
same normal numbers are behind all samples, so that the spread does not come from their chance.
Set against test showers, (test - mean) / error has width one where the spread is what it should be
(M. Bellagente et al., 2104.04543, study such uncertainties of generated distributions).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers

Array = NDArray[Any]

FEWEST = 10
"""Test showers that a bin needs to count in a summary."""


def observables(showers: Showers, geometry: Geometry) -> dict[str, Array]:
    """Quantities of each shower, (n): response, energies and occupancies of layers."""
    layers = geometry.layer_energies(showers.voxels)
    found = {"E_tot_over_E_inc": layers.sum(axis=1) / showers.energies}
    for number, (layer, place) in enumerate(zip(geometry.layers, geometry.slices, strict=True)):
        name = layer.identifier
        found[f"log10_E_layer_{name}"] = np.log10(np.maximum(layers[:, number], 1e-3))
        found[f"occupancy_{name}"] = (showers.voxels[:, place] > 0).mean(axis=1)
    return found


def edges(values: Array, bins: int) -> Array:
    """Bins (bins + 1) over what values (n) span, with a margin."""
    low, high = np.quantile(values, [0.001, 0.999])
    margin = 0.05 * max(float(high - low), 1e-3)
    return np.linspace(low - margin, high + margin, bins + 1)


def parts(values: Array, limits: Array) -> Array:
    """Part of the values in each bin, (bins), with what lies beyond in the outer ones."""
    inside = np.clip(values, limits[0], np.nextafter(limits[-1], limits[0]))
    return np.histogram(inside, limits)[0] / len(values)


def compared(
    test: Mapping[str, Array], samples: Sequence[Mapping[str, Array]], bins: int
) -> dict[str, Any]:
    """Compare samples of several draws of weights with test showers.

    Parameters
    ----------
    test, samples
        `observables` of the test showers and of each draw.
    bins
        Of a distribution.

    Returns
    -------
    For each observable: edges; parts of test showers and their counting error; mean and spread over
    draws; counting error of a sample; pull in each bin; and, of the bins with enough test showers,
    the mean square of the pull with and without the spread, and the part of pulls within one.
    """
    found = {}
    for name, values in test.items():
        limits = edges(values, bins)
        true = parts(values, limits)
        several = np.stack([parts(sample[name], limits) for sample in samples])
        mean, spread = several.mean(axis=0), several.std(axis=0, ddof=1)
        number = len(values)
        counting = np.sqrt(true * (1 - true) / number)
        sampling = np.sqrt(mean * (1 - mean) / len(samples[0][name]))
        plain = np.sqrt(counting**2 + sampling**2)
        whole = np.sqrt(plain**2 + spread**2)
        pull = (true - mean) / np.maximum(whole, 1.0 / number)
        used = true * number >= FEWEST
        without = (true - mean) / np.maximum(plain, 1.0 / number)
        found[name] = {
            "edges": limits.tolist(),
            "test": true.tolist(),
            "test_error": counting.tolist(),
            "mean": mean.tolist(),
            "spread": spread.tolist(),
            "sample_error": sampling.tolist(),
            "pull": pull.tolist(),
            "bins_used": int(used.sum()),
            "relative_spread": float((spread[used] / true[used]).mean()),
            "mean_squared_pull": float((pull[used] ** 2).mean()),
            "mean_squared_pull_without_spread": float((without[used] ** 2).mean()),
            "within_one": float((np.abs(pull[used]) < 1).mean()),
        }
    return found
