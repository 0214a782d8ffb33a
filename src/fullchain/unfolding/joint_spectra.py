"""Spectra of several observables as one vector, with the covariance between observables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullchain.unfolding.covariances import correlation, covariance_of, total_covariance
from fullchain.unfolding.unfolded import Array, Spectrum


@dataclass(frozen=True)
class JointSpectra:
    """Spectra of the same events after each other.

    Parameters
    ----------
    spectra
        Of each observable.
    covariances
        (bins, bins) over the bins of all spectra, for each source.
    shifts
        (bins) change under each shift, 0 for an observable without it.
    unknown
        Sources whose covariance between observables is not known, because a spectrum has no
        replicas of them; it is 0 in `covariances`.
    """

    spectra: tuple[Spectrum, ...]
    covariances: Mapping[str, Array]
    shifts: Mapping[str, Array]
    unknown: tuple[str, ...]

    def covariance(self) -> Array:
        """Give the (bins, bins) covariance of all sources and shifts together."""
        return total_covariance(self.covariances, self.shifts)

    def correlation(self) -> Array:
        """Give the (bins, bins) correlation of all sources and shifts together."""
        return correlation(self.covariance())


def join(spectra: Sequence[Spectrum], replicas: Mapping[str, Mapping[str, Array]]) -> JointSpectra:
    """Join spectra by their replicas: replica k varies the same events for all observables.

    Parameters
    ----------
    spectra
        With one covariance matrix for each source.
    replicas
        (replicas, bins) counts by observable and source. Without those of a source its covariance
        between observables is left at 0, which `JointSpectra.unknown` says.

    Raises
    ------
    ValueError
        Numbers of bins or of replicas of a source differ between spectrum and replicas.
    """
    sizes = [len(one.counts) for one in spectra]
    places = np.concatenate([[0], np.cumsum(sizes)])
    covariances: dict[str, Array] = {}
    unknown = []
    for source in dict.fromkeys(source for one in spectra for source in one.covariances):
        several = [replicas.get(one.observable, {}).get(source) for one in spectra]
        known = [counts for counts in several if counts is not None]
        if len(known) == len(spectra):
            covariances[source] = covariance_of(source, np.concatenate(known, axis=1))
            if len(covariances[source]) != places[-1]:
                raise ValueError(f"{source}: replicas have other numbers of bins than the spectra")
            continue
        unknown.append(source)
        covariances[source] = np.zeros((places[-1], places[-1]))
        for one, begin, end in zip(spectra, places, places[1:], strict=False):
            if source in one.covariances:
                covariances[source][begin:end, begin:end] = one.covariances[source]
    names = dict.fromkeys(name for one in spectra for name in one.shifts)
    shifts = {
        name: np.concatenate(
            [one.shifts.get(name, np.zeros(size)) for one, size in zip(spectra, sizes, strict=True)]
        )
        for name in names
    }
    return JointSpectra(tuple(spectra), covariances, shifts, tuple(unknown))
