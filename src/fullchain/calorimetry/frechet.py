"""Distance between Gaussians of the moments of two samples, extrapolated to infinite samples.

The Frechet distance of Gaussians (D. Dowson and B. Landau, J. Multivar. Anal. 12 (1982) 450) of
physical features is the FPD of R. Kansal et al., 2211.10295. Its bias falls as 1/N, so that it is
measured at several sizes N, equally spaced in 1/N, and a straight line gives its limit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[Any]

PARTS = 10
"""Parts of a sample that are left out in turn for the error."""

MANY = 2**22
"""Numbers in the covariance matrices that are held at a time."""


def distance(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> Array:
    """Give the squared Frechet distance of Gaussians.

    Parameters
    ----------
    mean, other_mean
        (..., d).
    covariance, other_covariance
        (..., d, d).

    Returns
    -------
    |m - n|^2 + tr(C + D - 2 (C D)^(1/2)), (...).
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ vectors.swapaxes(-1, -2)
    # C^(1/2) D C^(1/2) has the eigenvalues of C D and is symmetric.
    product = root @ other_covariance @ root
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0.0)).sum(axis=-1)
    traces = np.trace(covariance, axis1=-2, axis2=-1) + np.trace(
        other_covariance, axis1=-2, axis2=-1
    )
    return np.asarray(((mean - other_mean) ** 2).sum(axis=-1) + traces - 2.0 * roots)


@dataclass(frozen=True)
class Moments:
    """Sums over blocks of a sample, of which those of any set of blocks follow.

    Parameters
    ----------
    size
        Entries of a block.
    first, second
        Sums of x, (blocks, d), and of x x^T, (blocks, d, d).
    """

    size: int
    first: Array
    second: Array

    def of(self, weights: Array) -> tuple[Array, Array]:
        """Mean and unbiased covariance of blocks taken `weights` (..., blocks) times."""
        number = weights.sum(axis=-1) * self.size
        mean = weights @ self.first / number[..., None]
        flat = weights @ self.second.reshape(len(self.second), -1)
        square = flat.reshape(*mean.shape, mean.shape[-1]) / number[..., None, None]
        covariance = square - mean[..., :, None] * mean[..., None, :]
        return mean, covariance * (number / (number - 1.0))[..., None, None]


def moments(values: Array, centre: Array, blocks: int, order: Array) -> Moments:
    """Divide a sample (n, d) in some order into blocks; what does not fill a block is left."""
    size = len(order) // blocks
    d = values.shape[1]
    first, second = np.empty((blocks, d)), np.empty((blocks, d, d))
    for number, chosen in enumerate(order[: size * blocks].reshape(blocks, size)):
        # Near its mean nothing is lost in differences of squares.
        x = values[chosen] - centre
        first[number], second[number] = x.sum(axis=0), x.T @ x
    return Moments(size, first, second)


@dataclass(frozen=True)
class Limit:
    """Limit of infinite samples.

    Parameters
    ----------
    value, error
        The limit and its error: of the fit, and of the samples (jackknife), in quadrature.
    slope
        Change with 1/N.
    sizes, distances, spreads
        N of each point, its mean distance and the error of the mean.
    """

    value: float
    error: float
    slope: float
    sizes: list[int]
    distances: list[float]
    spreads: list[float]


def extrapolated(
    first: Array,
    second: Array,
    sizes: tuple[int, int],
    random: np.random.Generator,
    *,
    points: int = 10,
    repetitions: int = 20,
    replace: bool = True,
    paired: bool = False,
    blocks: int = 200,
) -> Limit:
    """Extrapolate the Frechet distance of two samples to infinite N.

    Parameters
    ----------
    first, second
        Features, (n, d) and (m, d), already scaled.
    sizes
        Smallest and largest N; not more than the samples have, unless with replacement.
    points, repetitions
        Number of sizes, and of random samples of each.
    replace
        Whether samples are drawn with replacement, as the CaloChallenge does: then the limit is the
        distance of the two samples given, whose own finite size remains in it; without replacement
        it is an estimate of the distance of what they were drawn from.
    paired
        Whether the i-th entries of both have one energy. Without replacement they are then never
        drawn together, which would make the distance smaller than that of independent samples.
    blocks
        Parts that are drawn whole: moments are summed once.

    Raises
    ------
    InputError
        There are fewer entries than needed.
    """
    least, d = min(len(first), len(second)), first.shape[1]
    blocks = min(blocks, least // 4)
    if least < 4 * d or blocks < 2 * PARTS:
        raise InputError(
            f"the Frechet distance of {d} features needs {max(4 * d, 8 * PARTS)} showers or more "
            f"on each side, there are {least}"
        )
    centre = second.mean(axis=0)
    order = random.permutation(len(first))
    other = order if paired else random.permutation(len(second))
    one, two = moments(first, centre, blocks, order), moments(second, centre, blocks, other)
    most = None if replace else blocks // 2 if paired else blocks
    chosen = _numbers_of_blocks(sizes, points, one.size, most)
    means, spreads = [], []
    for number in chosen:
        found: list[float] = []
        # One at a time where the matrices are large.
        step = max(1, MANY // max(1, d * d))
        for start in range(0, repetitions, step):
            some = min(step, repetitions - start)
            draws = _drawn(number, blocks, some, replace, paired, random)
            found += distance(*one.of(draws[0]), *two.of(draws[1])).tolist()
        means.append(float(np.mean(found)))
        spreads.append(float(np.std(found, ddof=1) / np.sqrt(len(found))))
    numbers = [number * one.size for number in chosen]
    inverse = 1.0 / np.array(numbers)
    (slope, value), covariance = np.polyfit(inverse, means, 1, cov="unscaled")
    residual = np.array(means) - (value + slope * inverse)
    scatter = float((residual**2).sum() / max(1, len(means) - 2))
    fit = float(covariance[1, 1]) * scatter
    error = float(np.sqrt(fit + _jackknife(one, two, blocks, paired)))
    return Limit(float(value), error, float(slope), numbers, means, spreads)


def _numbers_of_blocks(
    sizes: tuple[int, int], points: int, size: int, most: int | None
) -> list[int]:
    """Blocks in samples whose sizes are equally spaced in 1/N."""
    low, high = (max(2, round(number / size)) for number in sizes)
    if most is not None:
        high = min(high, most)
    low = min(low, high // 2)
    wanted = 1.0 / np.linspace(1.0 / max(low, 2), 1.0 / high, points)
    return sorted({round(number) for number in wanted})


def _drawn(
    number: int,
    blocks: int,
    repetitions: int,
    replace: bool,
    paired: bool,
    random: np.random.Generator,
) -> tuple[Array, Array]:
    """How often each block is taken, of both samples, (repetitions, blocks) each."""
    if replace:
        part = np.full(blocks, 1.0 / blocks)
        first, second = (random.multinomial(number, part, repetitions) for _ in range(2))
        return first.astype(float), second.astype(float)
    weights = np.zeros((2, repetitions, blocks))
    for row in range(repetitions):
        order = random.permutation(blocks)
        other = order[number:] if paired else random.permutation(blocks)
        weights[0, row, order[:number]] = 1.0
        weights[1, row, other[:number]] = 1.0
    return weights[0], weights[1]


def _jackknife(one: Moments, two: Moments, blocks: int, paired: bool) -> float:
    """Variance of the distance of the whole samples."""
    every = np.ones(blocks)
    without = []
    for part in np.array_split(np.arange(blocks), PARTS):
        row = every.copy()
        row[part] = 0.0
        without.append(row)
    if paired:
        pairs = [[(row, row) for row in without]]
    else:
        pairs = [[(row, every) for row in without], [(every, row) for row in without]]
    found = [
        [float(distance(*one.of(first), *two.of(second))) for first, second in some]
        for some in pairs
    ]
    return float(sum((PARTS - 1) * np.var(row) for row in found))
