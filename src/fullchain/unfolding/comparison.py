"""An unfolded spectrum against the truth, beside that of the prior against the truth.

Replica k of the data has the same factors on events in the unfolded spectrum and in the truth of
these events, and replica k of the simulation the same in the spectrum and in the prior. Differences
therefore do not count twice what both have in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.unfolding import triangular
from fullchain.unfolding.chi_squared import Part, agreement, effective_freedom, groups, merged
from fullchain.unfolding.unfolded import DATA, SIMULATION, Spectrum

Array = npt.NDArray[np.float64]

BOOTSTRAPPED = (DATA, SIMULATION)
"""Sources whose replicas are of the bootstrap."""

LEAST_CONTENT = 10.0
"""Least number of true events in a group of bins of a chi-squared."""

REPLICAS_PER_BIN = 3
"""A covariance of replicas is inverted for at most one group of bins in so many of them."""


@dataclass(frozen=True)
class Reference:
    """A spectrum that the unfolded one is compared to.

    Parameters
    ----------
    counts
        (bins).
    replicas
        (replicas, bins) with the factors of the bootstrap; None for a spectrum that is known.
    """

    counts: Array
    replicas: Array | None = None

    def moved(self, number: int) -> Array:
        """Changes of the counts in replicas (number, bins); those there are come again."""
        if self.replicas is None:
            return np.zeros((number, len(self.counts)))
        rows = np.arange(number) % len(self.replicas)
        moved: Array = (self.replicas - self.replicas.mean(axis=0))[rows]
        return moved


def total_covariance(spectrum: Spectrum) -> Array:
    """Sum of the covariances (bins, bins) of all sources.

    Raises InputError where there is none.
    """
    if not spectrum.covariances:
        raise InputError(
            f"spectrum of {spectrum.observable}: no covariance; unfold with replicas of the data"
        )
    total: Array = np.sum(list(spectrum.covariances.values()), axis=0)
    return total


def moved(
    spectrum: Spectrum, replicas: Mapping[str, Array], number: int, chance: np.random.Generator
) -> Array:
    """Changes of the unfolded counts in replicas (number, bins).

    Of each source those of its replicas (replicas, bins), which come again where they are fewer,
    or else normal numbers with its covariance.
    """
    found = np.zeros((number, len(spectrum.counts)))
    for source in sorted(spectrum.covariances):
        # Single trainings are no replicas of the network's uncertainty, which is of their mean.
        known = replicas.get(source) if source in BOOTSTRAPPED else None
        if known is not None and len(known) > 1:
            found += Reference(spectrum.counts, known).moved(number)
            continue
        values, vectors = np.linalg.eigh(spectrum.covariances[source])
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        found += chance.normal(size=(number, len(values))) @ root.T
    return found


def discriminators(
    spectrum: Spectrum, changes: Array, truth: Reference, prior: Reference
) -> dict[str, Any]:
    """Triangular discriminators to the truth of an unfolded spectrum and of the prior.

    Parameters
    ----------
    changes
        Of the unfolded counts in replicas, (replicas, bins), see `moved`.

    Returns
    -------
    dict
        `method`, `prior` and their `difference` with bootstrap errors; `noise`, the mean
        discriminator of the truth with and without the fluctuations of the unfolded spectrum,
        below which a difference cannot be seen; and the values of the replicas.
    """
    number, edges = len(changes), spectrum.edges
    true = np.clip(truth.counts + truth.moved(number), 0.0, None)
    found = np.clip(spectrum.counts + changes, 0.0, None)
    before = np.clip(prior.counts + prior.moved(number), 0.0, None)
    of_method = triangular.discriminator(found, true, edges)
    of_prior = triangular.discriminator(before, true, edges)
    value = float(triangular.discriminator(spectrum.counts, truth.counts, edges))
    reference = float(triangular.discriminator(prior.counts, truth.counts, edges))
    # Relative to the truth, so that what both fluctuate by together drops out.
    apart = np.clip(truth.counts + changes - truth.moved(number), 0.0, None)
    return {
        "method": {"value": value, "deviation": _spread(of_method)},
        "prior": {"value": reference, "deviation": _spread(of_prior)},
        "difference": {
            "value": value - reference,
            "deviation": _spread(of_method - of_prior),
        },
        "noise": triangular.noise(truth.counts, apart, edges),
        "replicas": [float(f"{one:.6g}") for one in of_method],
    }


def closure(spectrum: Spectrum, replicas: Mapping[str, Array], truth: Reference) -> dict[str, Any]:
    """Pulls of all bins, and the chi-squared of unfolded spectrum and truth.

    The covariance of the difference is that of the spectrum. Where the truth is of the same events
    as the data and both have replicas, the part of the data is that of the difference in them.

    Returns
    -------
    dict
        `difference`, `deviation` and `pulls` (None in a bin without uncertainty) of all bins;
        `chi_squared` with the first bins of the groups it was taken in, None where no two groups
        of bins were possible; and `covariance_of`, what the part of the data is of.
    """
    difference = spectrum.counts - truth.counts
    parts, of = difference_covariance(spectrum, replicas, truth)
    covariance = summed(parts)
    deviation = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    known = deviation > 0
    pulls = [
        float(one / error) if sure else None
        for one, error, sure in zip(difference, deviation, known, strict=True)
    ]
    return {
        "difference": difference.tolist(),
        "deviation": deviation.tolist(),
        "pulls": pulls,
        "chi_squared": _chi_squared(difference, parts, truth.counts),
        "covariance_of": of,
    }


def difference_covariance(
    spectrum: Spectrum, replicas: Mapping[str, Array], truth: Reference
) -> tuple[list[Part], str]:
    """Covariances of unfolded counts less true ones, one of each source, and what they are of."""
    total_covariance(spectrum)
    parts: list[Part] = []
    of = "unfolded spectrum"
    for source, covariance in spectrum.covariances.items():
        own = replicas.get(source)
        known = own is None or len(own) < 2
        if source == DATA and own is not None and not known and truth.replicas is not None:
            if len(truth.replicas) != len(own):
                raise InputError(
                    f"{len(own)} replicas of the unfolded spectrum and {len(truth.replicas)} of "
                    "the truth; they must be the same"
                )
            covariance, of = np.cov((own - truth.replicas).T), "unfolded spectrum less truth"
        parts.append((covariance, None if own is None or known else len(own) - 1))
    return parts, of


def summed(parts: Sequence[Part]) -> Array:
    """Sum of covariances (bins, bins)."""
    total: Array = np.sum([matrix for matrix, _ in parts], axis=0)
    return total


def _chi_squared(difference: Array, parts: Sequence[Part], truth: Array) -> dict[str, Any] | None:
    replicas = [freedom + 1 for _, freedom in parts if freedom is not None]
    # Single trainings are few, and the spread that they show is a small part as a rule.
    most = max(replicas) // REPLICAS_PER_BIN if replicas else len(difference)
    starts = groups(np.clip(truth, 0.0, None), most, LEAST_CONTENT)
    if len(starts) < 2:
        return None
    together = [(merged(matrix, starts), freedom) for matrix, freedom in parts]
    try:
        freedom = effective_freedom(together)
        found = agreement(merged(difference, starts), summed(together), freedom)
    except InputError:
        return None
    return {**found.plain(), "groups": starts.tolist(), "freedom": freedom}


def _spread(values: Array) -> float:
    return float(values.std(ddof=1))
