"""Histograms of generated and fully simulated showers, and how far they are apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import feature_bins, separation
from fullchain.calorimetry.features import RESPONSE, kind_of
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.separation import Resampled
from fullchain.calorimetry.shower_sums import Features

Array = NDArray[Any]
Content = dict[str, Any]

VOXELS = "voxels"
"""Name of the spectrum of voxel energies."""

KINDS = {RESPONSE: "E_tot"}
"""Names of means over layers, where they differ from the kind of the feature."""


@dataclass(frozen=True)
class Pair:
    """Features of generated showers and of the full simulation, with bootstrap samples of both.

    Parameters
    ----------
    paired
        Whether the i-th showers of both have one energy; then they are resampled together.
    """

    generated: Features
    test: Features
    resampled: tuple[Resampled, Resampled]
    paired: bool

    def select(self, chosen: Array, chosen_test: Array) -> "Pair":
        """Give some of the showers of each."""
        parts = [
            Features(
                one.energies[rows], {name: x[rows] for name, x in one.values.items()}, one.highest
            )
            for one, rows in ((self.generated, chosen), (self.test, chosen_test))
        ]
        again = self.resampled[0].select(chosen), self.resampled[1].select(chosen_test)
        return Pair(parts[0], parts[1], again, self.paired)


def pair(generated: Features, test: Features, bootstraps: int, random: np.random.Generator) -> Pair:
    """Put two samples together; where the energies are the same in order, they are paired."""
    paired = len(generated) == len(test) and bool(
        np.allclose(generated.energies, test.energies, rtol=1e-4, atol=0.0)
    )
    first = Resampled(len(generated), bootstraps, random)
    second = first if paired else Resampled(len(test), bootstraps, random)
    return Pair(generated, test, (first, second), paired)


@dataclass(frozen=True)
class Compared:
    """Separations and histograms.

    Parameters
    ----------
    each
        For each feature value, error and the value expected of samples of one distribution.
    means
        The same for means over the layers of each kind.
    histograms
        Edges, and entries of generated and test with underflow and overflow.
    """

    each: dict[str, Content]
    means: dict[str, Content]
    histograms: dict[str, Content]


def compare(
    both: Pair,
    geometry: Geometry,
    threshold: float,
    *,
    at_energy: bool = False,
    spectra: tuple[Array, Array, Array] | None = None,
) -> Compared:
    """Compare all features.

    Parameters
    ----------
    at_energy
        Whether the showers have one energy, for which bins are narrower.
    spectra
        Edges of the voxel spectrum [MeV], and entries (n, bins + 2) of generated and test.
    """
    each: dict[str, Content] = {}
    samples: dict[str, Array] = {}
    histograms: dict[str, Content] = {}
    edges_of = feature_bins.edges_at_energy if at_energy else feature_bins.edges
    for name, values in both.test.values.items():
        edges = edges_of(name, values, geometry, threshold)
        bins = len(edges) + 1
        numbers = [
            separation.bin_numbers(one.values[name], edges) for one in (both.generated, both.test)
        ]
        first, second = (np.bincount(one, minlength=bins) for one in numbers)
        if both.paired:
            expected = separation.expected_of_pairs(numbers[0], numbers[1], bins)
        else:
            expected = separation.expected(first, second)
        again = [
            one.counts(number, bins) for one, number in zip(both.resampled, numbers, strict=True)
        ]
        samples[name] = separation.of_counts(*again)
        each[name] = _entry(separation.of_counts(first, second), samples[name], expected)
        histograms[name] = _histogram(edges, first, second)
    if spectra is not None:
        edges, *rows = spectra
        first, second = (one.sum(axis=0, dtype=np.int64) for one in rows)
        expected = separation.expected_of_spectra(rows[0], rows[1], both.paired)
        again = [one.means(row) for one, row in zip(both.resampled, rows, strict=True)]
        samples[VOXELS] = separation.of_counts(*again)
        each[VOXELS] = _entry(separation.of_counts(first, second), samples[VOXELS], expected)
        histograms[VOXELS] = _histogram(edges, first, second)
    return Compared(each, _means(each, samples), histograms)


def _entry(value: Any, samples: Array, expected: float) -> Content:
    return {
        "value": float(value),
        "error": float(np.std(samples, ddof=1)),
        "expected": float(expected),
    }


def _histogram(edges: Array, generated: Array, test: Array) -> Content:
    return {"edges": edges.tolist(), "generated": generated.tolist(), "test": test.tolist()}


def _means(each: Mapping[str, Content], samples: Mapping[str, Array]) -> dict[str, Content]:
    """Means over layers; their errors know that layers fluctuate together."""
    names: dict[str, list[str]] = {}
    for name in each:
        kind = kind_of(name)
        names.setdefault(KINDS.get(kind, kind), []).append(name)
    return {
        kind: _entry(
            np.mean([each[name]["value"] for name in some]),
            np.mean([samples[name] for name in some], axis=0),
            float(np.mean([each[name]["expected"] for name in some])),
        )
        for kind, some in names.items()
    }


def response(both: Pair) -> Content:
    """Mean of E_tot / E_inc and its relative width, and how the generated ones differ."""
    values = [one.values[RESPONSE] for one in (both.generated, both.test)]
    mean = [float(one.mean()) for one in values]
    width = [float(one.std() / one.mean()) for one in values]
    moments = [
        one.means(np.stack([x, x**2], axis=1))
        for one, x in zip(both.resampled, values, strict=True)
    ]
    means = [one[:, 0] for one in moments]
    widths = [np.sqrt(np.maximum(one[:, 1] - one[:, 0] ** 2, 0.0)) / one[:, 0] for one in moments]
    return {
        "mean": {
            "generated": [mean[0], _spread(means[0])],
            "test": [mean[1], _spread(means[1])],
        },
        "resolution": {
            "generated": [width[0], _spread(widths[0])],
            "test": [width[1], _spread(widths[1])],
        },
        "bias": [mean[0] / mean[1] - 1.0, _spread(means[0] / means[1])],
    }


def _spread(samples: Array) -> float:
    return float(np.std(samples, ddof=1))


def correlations(both: Pair, geometry: Geometry) -> Content:
    """Correlations between the energies of layers over that of the particle.

    Returns
    -------
    Matrices of both, and the root mean square of the difference of their entries, with its error,
    and with what it would be by the fluctuations that bootstrap samples have about the whole.
    """
    names = [f"E_layer_{layer.identifier}" for layer in geometry.layers]
    found, again = [], []
    for one, resampled in zip((both.generated, both.test), both.resampled, strict=True):
        parts = np.stack([one.values[name] / one.energies for name in names], axis=1)
        found.append(_correlation(parts.mean(axis=0), parts.T @ parts / len(parts)))
        # One sample at a time: products of all pairs of layers of all showers would be too many.
        squares = [(parts * row[:, None]).T @ parts / row.sum() for row in resampled.weights]
        again.append(_correlation(resampled.means(parts), np.stack(squares)))
    upper = np.triu_indices(len(names), 1)
    if not len(upper[0]):
        return {"layers": names, "generated": [[1.0]], "test": [[1.0]], "difference": None}
    difference = found[0] - found[1]
    samples = again[0] - again[1]
    fluctuation = (samples - difference)[:, *upper]
    root = np.sqrt((samples[:, *upper] ** 2).mean(axis=1))
    return {
        "layers": names,
        "generated": found[0].tolist(),
        "test": found[1].tolist(),
        "difference": {
            "value": float(np.sqrt((difference[upper] ** 2).mean())),
            "error": _spread(root),
            "expected": float(np.sqrt((fluctuation**2).mean())),
        },
    }


def _correlation(mean: Array, square: Array) -> Array:
    covariance = square - mean[..., :, None] * mean[..., None, :]
    width = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 1e-30))
    return np.asarray(covariance / (width[..., :, None] * width[..., None, :]))
