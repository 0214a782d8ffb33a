"""Unfolded spectra on disk: `spectra.json`.

`spectra` has those of each binning and observable. `replicas` has, where a method keeps them, the
counts in each replica of the bootstrap under `<binning>.<observable>.<source>`, (replicas, bins):
replica k has the same factors on the events for all observables, so that the covariance between
bins of two observables is that of their replicas. `joint` has spectra in several observables.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.saved_numbers import read_numbers
from fullchain.unfolding.unfolded import Spectrum

Array = npt.NDArray[np.float64]
Spectra = Mapping[str, Mapping[str, Spectrum]]
Replicas = Mapping[str, Mapping[str, Mapping[str, Array]]]

STAGE = "unfolding"
REPLICA_DIGITS = 7


@dataclass(frozen=True)
class JointSpectrum:
    """Unfolded number of events in bins of several observables.

    Parameters
    ----------
    observables
        Their names.
    edges
        Of the bins of each.
    counts
        (bins of the first, of the second, ...).
    outside
        Number of events that are outside of the bins of at least one observable.
    replicas
        (replicas, bins) of the flattened counts for each source, see `Spectrum`. There are easily
        more bins than replicas: these are kept, and not the covariance.
    shifts
        Change of the flattened counts under each shift, by its name.
    projections
        Spectrum of each observable, where the others have any value.
    """

    observables: tuple[str, ...]
    edges: tuple[Array, ...]
    counts: Array
    outside: float
    replicas: Mapping[str, Array]
    shifts: Mapping[str, Array] = field(default_factory=dict)
    projections: Mapping[str, Spectrum] = field(default_factory=dict)

    @property
    def covariances(self) -> dict[str, Array]:
        """Covariance of the flattened counts, (bins, bins), for each source."""
        return {source: covariance(counts) for source, counts in self.replicas.items()}


def covariance(counts: Array) -> Array:
    """Covariance of bins (bins, bins) over replicas (replicas, bins).

    With fewer replicas than bins it has no inverse.
    """
    return np.atleast_2d(np.cov(counts, rowvar=False))


def write(
    path: Path,
    spectra: Spectra,
    about: Mapping[str, Any],
    *,
    replicas: Replicas | None = None,
    joint: Mapping[str, JointSpectrum] | None = None,
) -> None:
    """Write the spectra of one method of one measurement.

    Parameters
    ----------
    spectra
        By binning, `metric` and `published`, and observable.
    about
        Plain values: method, measurement, diagnostics.
    replicas
        Counts in replicas, by binning, observable and source; kept with seven digits.
    joint
        Spectra in several observables, by a name.

    Raises
    ------
    ValueError
        A number is not finite.
    """
    content = {
        "about": dict(about),
        "spectra": {
            binning: {name: _plain(one) for name, one in found.items()}
            for binning, found in spectra.items()
        },
        "joint": {name: _plain_joint(one) for name, one in (joint or {}).items()},
        "replicas": {
            binning: {
                name: {source: _rounded(counts) for source, counts in sources.items()}
                for name, sources in found.items()
            }
            for binning, found in (replicas or {}).items()
        },
    }
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read(path: Path) -> tuple[dict[str, dict[str, Spectrum]], dict[str, Any]]:
    """Read the spectra by binning and observable, and what is known about them.

    Raises
    ------
    InputError
        The file is missing or holds no spectra.
    """
    found = {
        binning: {name: _spectrum(name, one) for name, one in kept.items()}
        for binning, kept in read_numbers(path, STAGE, "spectra").items()
    }
    return found, read_numbers(path, STAGE, "about")


def read_replicas(path: Path) -> dict[str, dict[str, dict[str, Array]]]:
    """Read the counts in replicas (replicas, bins) by binning, observable and source.

    Empty where the method kept none. Raises InputError as `read`.
    """
    return {
        binning: {
            name: {source: np.array(counts, dtype=float) for source, counts in sources.items()}
            for name, sources in kept.items()
        }
        for binning, kept in read_numbers(path, STAGE, "replicas").items()
    }


def read_joint(path: Path) -> dict[str, JointSpectrum]:
    """Read the spectra in several observables, by name. Raises InputError as `read`."""
    return {
        name: JointSpectrum(
            tuple(one["observables"]),
            tuple(np.array(edges) for edges in one["edges"]),
            np.array(one["counts"]),
            float(one["outside"]),
            _arrays(one["replicas"]),
            _arrays(one["shifts"]),
            {other: _spectrum(other, kept) for other, kept in one["projections"].items()},
        )
        for name, one in read_numbers(path, STAGE, "joint").items()
    }


def _plain(spectrum: Spectrum) -> dict[str, Any]:
    return {
        "edges": spectrum.edges.tolist(),
        "counts": spectrum.counts.tolist(),
        "outside": [float(number) for number in spectrum.outside],
        "covariances": _lists(spectrum.covariances),
        "shifts": _lists(spectrum.shifts),
    }


def _plain_joint(spectrum: JointSpectrum) -> dict[str, Any]:
    return {
        "observables": list(spectrum.observables),
        "edges": [edges.tolist() for edges in spectrum.edges],
        "counts": spectrum.counts.tolist(),
        "outside": float(spectrum.outside),
        "replicas": {source: _rounded(counts) for source, counts in spectrum.replicas.items()},
        "shifts": _lists(spectrum.shifts),
        "projections": {name: _plain(one) for name, one in spectrum.projections.items()},
    }


def _spectrum(name: str, kept: Mapping[str, Any]) -> Spectrum:
    below, above = kept["outside"]
    return Spectrum(
        name,
        np.array(kept["edges"]),
        np.array(kept["counts"]),
        (float(below), float(above)),
        _arrays(kept["covariances"]),
        _arrays(kept["shifts"]),
    )


def _arrays(kept: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.array(values, dtype=float) for name, values in kept.items()}


def _lists(kept: Mapping[str, Array]) -> dict[str, Any]:
    return {name: values.tolist() for name, values in kept.items()}


def _rounded(counts: Array) -> list[list[float]]:
    return [[float(f"{value:.{REPLICA_DIGITS}g}") for value in row] for row in counts]
