"""What physicists know showers by: maximum, containment, linearity, resolution, mean profiles.

Showers are reduced to the energy of layers and that within some radii, and compared in groups of
like incident energy. Pairs in results are a value and its statistical error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls
from scipy.special import gammainc

from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers

Array = NDArray[Any]

RADII = 40
"""Most radii at which containment is given."""

MOLIERE = (1.0, 3.5)
"""Radii [Moliere radii] within which the contained energy is given."""

DISCRETE = 30
"""Most different energies that are groups of their own."""

BINS = 8
"""Groups of a continuous range of energies, equal in its logarithm."""

FEWEST = 20
"""Least number of showers in a group."""

REPLICAS = 200
"""Bootstrap replicas."""


@dataclass(frozen=True)
class Lengths:
    """What sizes of showers are measured in.

    Parameters
    ----------
    depths
        Where layers begin and end [radiation lengths], (layers, 2), or None.
    moliere_radius
        [mm], or None.
    """

    depths: Array | None = None
    moliere_radius: float | None = None


@dataclass(frozen=True)
class Reduced:
    """What is kept of showers.

    Parameters
    ----------
    energies
        Of the incident particles [MeV], (n).
    layers, within
        Measured energy of each layer, and within each radius in all layers [MeV], (n, layers) and
        (n, radii).
    """

    energies: Array
    layers: Array
    within: Array

    @staticmethod
    def joined(parts: Sequence["Reduced"]) -> "Reduced":
        """Put parts together."""
        return Reduced(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("energies", "layers", "within")
            )
        )


def radii(geometry: Geometry, moliere_radius: float | None = None) -> Array:
    """Radii for containment [mm]: edges of voxels, then those in Moliere radii if it is known."""
    edges = np.unique(np.concatenate([layer.edges for layer in geometry.layers]))
    edges = edges[edges > 0]
    if len(edges) > RADII:
        edges = np.geomspace(edges[0], edges[-1], RADII)
    extra = [] if moliere_radius is None else [number * moliere_radius for number in MOLIERE]
    return np.append(edges, extra)


def reduce(showers: Showers, geometry: Geometry, at: Array) -> Reduced:
    """Reduce showers; the energy of a voxel is spread evenly over its area."""
    inner, outer = (
        np.concatenate(
            [np.tile(np.array(layer.edges)[chosen] ** 2, layer.angles) for layer in geometry.layers]
        )
        for chosen in (slice(None, -1), slice(1, None))
    )
    part = np.clip((at[None, :] ** 2 - inner[:, None]) / (outer - inner)[:, None], 0.0, 1.0)
    within = showers.voxels @ part.astype(np.float32)
    return Reduced(showers.energies, geometry.layer_energies(showers.voxels), within)


def groups(energies: Array) -> list[Array]:
    """Give the indices of showers of like energy, in rising order."""
    values = np.unique(energies)
    if len(values) <= DISCRETE:
        chosen = [np.flatnonzero(energies == value) for value in values]
    else:
        edges = np.geomspace(values[0], values[-1], BINS + 1)
        place = np.clip(np.searchsorted(edges, energies, side="right") - 1, 0, BINS - 1)
        chosen = [np.flatnonzero(place == number) for number in range(BINS)]
    return [one for one in chosen if len(one) >= FEWEST]


def summary(
    showers: Reduced,
    at: Array,
    lengths: Lengths,
    random: np.random.Generator,
    replicas: int = REPLICAS,
) -> dict[str, Any]:
    """Measure showers.

    Parameters
    ----------
    at
        Radii of `showers.within` [mm], as `radii` gives them with `lengths.moliere_radius`.
    lengths
        As far as they are known.
    random
        For the bootstrap.

    Returns
    -------
    `groups`, by rising energy, each with `energy` [MeV], `number`, `response` and `resolution`
    (mean of measured over incident energy, and its standard deviation over its mean), `layers`
    (mean parts of the incident energy), `within` (parts of the measured energy within `radii`),
    `contained` (those within 1 and 3.5 Moliere radii) and `maximum` [radiation lengths] where they
    are known; `resolution`, the fit of its square by a^2/E + b^2.
    """
    steps = len(at) - (0 if lengths.moliere_radius is None else len(MOLIERE))
    found, squares = [], []
    for chosen in groups(showers.energies):
        group, replicated = _group(showers, chosen, steps, lengths, random, replicas)
        found.append(group)
        squares.append(replicated)
    return {
        "radii": at[:steps].tolist(),
        "depths": None if lengths.depths is None else np.asarray(lengths.depths).tolist(),
        "moliere_radius": lengths.moliere_radius,
        "groups": found,
        "resolution": fit_resolution(found, np.array(squares)) if len(found) > 2 else None,
    }


def _group(
    showers: Reduced,
    chosen: Array,
    steps: int,
    lengths: Lengths,
    random: np.random.Generator,
    replicas: int,
) -> tuple[dict[str, Any], Array]:
    energies, layers = showers.energies[chosen], showers.layers[chosen]
    number = len(chosen)
    response = layers.sum(axis=1) / energies
    weights = random.multinomial(number, np.full(number, 1.0 / number), replicas) / number
    means = weights @ response
    widths = np.sqrt(np.maximum(weights @ response**2 - means**2, 0.0)) / means
    parts = layers / energies[:, None]
    within = showers.within[chosen].astype(float)
    whole = layers.sum(axis=1)
    contained = within.sum(axis=0) / whole.sum()
    contained_error = ((weights @ within) / (weights @ whole)[:, None]).std(axis=0, ddof=1)
    group: dict[str, Any] = {
        "energy": float(np.exp(np.log(energies).mean())),
        "number": number,
        "response": [float(response.mean()), float(means.std(ddof=1))],
        "resolution": [float(response.std() / response.mean()), float(widths.std(ddof=1))],
        "layers": _pairs(parts.mean(axis=0), (weights @ parts).std(axis=0, ddof=1)),
        "within": _pairs(contained[:steps], contained_error[:steps]),
    }
    if lengths.moliere_radius is not None:
        names = [f"{radius:g}" for radius in MOLIERE]
        pairs = _pairs(contained[steps:], contained_error[steps:])
        group["contained"] = dict(zip(names, pairs, strict=True))
    if lengths.depths is not None:
        group["maximum"] = maximum(parts, np.asarray(lengths.depths))
    return group, widths**2


def _pairs(values: Array, errors: Array) -> list[list[float]]:
    return np.stack([values, errors], axis=1).tolist()


def maximum(parts: Array, depths: Array) -> list[float] | None:
    """Fit a gamma distribution to the mean longitudinal profile.

    Parameters
    ----------
    parts
        Energy of layers over the incident energy, (n, layers).
    depths
        Where layers begin and end [radiation lengths], (layers, 2).

    Returns
    -------
    Depth of its maximum [radiation lengths] and the error, from the covariance of the layers'
    energies; None with fewer than four layers, or where the fit does not converge.
    """
    if depths.shape[0] < 4:
        return None
    mean = parts.mean(axis=0)
    scale = mean.max() if mean.max() > 0 else 1.0

    def model(values: Array) -> Array:
        peak, alpha, size = np.exp(values[0]), 1.0 + np.exp(values[1]), values[2]
        beta = (alpha - 1.0) / peak
        return size * np.diff(gammainc(alpha, beta * depths), axis=1)[:, 0]

    middle = float((mean * depths.mean(axis=1)).sum() / max(mean.sum(), 1e-12))
    start = np.array([np.log(max(0.7 * middle, 0.5)), 1.0, mean.sum()])
    fit = least_squares(lambda values: (model(values) - mean) / scale, start)
    if not fit.success:
        return None
    covariance = np.cov(parts, rowvar=False) / len(parts)
    gain = np.linalg.pinv(fit.jac * scale)
    peak = float(np.exp(fit.x[0]))
    return [peak, float(peak * np.sqrt((gain @ covariance @ gain.T)[0, 0]))]


def fit_resolution(found: Sequence[Mapping[str, Any]], squares: Array) -> dict[str, list[float]]:
    """Fit (sigma/E)^2 = a^2 / E + b^2, E in GeV, a and b not negative.

    Parameters
    ----------
    found
        Groups, with `energy` and `resolution`.
    squares
        Of the resolution in bootstrap replicas, (groups, replicas).

    Returns
    -------
    Both terms with errors, and chi-squared with its degrees of freedom.
    """
    energies = np.array([group["energy"] for group in found]) / 1000.0
    measured = np.array([group["resolution"][0] for group in found]) ** 2
    error = np.maximum(squares.std(axis=1, ddof=1), 1e-3 * measured + 1e-15)
    design = np.stack([1.0 / energies, np.ones_like(energies)], axis=1) / error[:, None]
    value = np.sqrt(nnls(design, measured / error)[0])
    # A term at its limit of zero has no spread: its error is that of the free fit.
    free = np.linalg.lstsq(design, squares / error[:, None], rcond=None)[0].std(axis=1, ddof=1)
    spread = np.sqrt(free)
    large = value > spread
    spread[large] = 0.5 * free[large] / value[large]
    misses = measured / error - design @ value**2
    return {
        **{
            name: [float(value[place]), float(spread[place])]
            for place, name in enumerate(("stochastic", "constant"))
        },
        "chi_squared": [float((misses**2).sum()), float(len(found) - 2)],
    }
