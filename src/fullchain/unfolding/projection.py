"""Histograms of unfolded events with the full covariance of their bins.

The weights of unfolded events depend on each other: a fluctuation of the data moves the weights of
all events that the method takes for alike. Their sums of squares say how many events were
simulated, and nothing about the data; errors made of them are wrong, and neighbouring bins are
correlated (Desai, Long, Nachman, 2504.14072). So every histogram is filled once for each replica
of the unfolding, and its covariance is that of the replicas. Any number of histograms of any
functions of the kept observables can be filled at once; the covariance has the correlation between
them.

Examples
--------
Mass over width of four events, which two replicas of the data weigh differently:

>>> import numpy as np
>>> from fullchain.unfolding.unfolded import MODEL, Unfolded
>>> events = Unfolded(
...     names=("mass", "width"),
...     values=np.array([[20.0, 0.1], [40.0, 0.1], [60.0, 0.2], [90.0, 0.1]]),
...     ids=np.arange(12).reshape(4, 3),
...     prior=np.ones(4),
...     weights={
...         "nominal": np.array([1.0, 2.0, 1.0, 1.0]),
...         "data_0": np.array([1.5, 2.5, 0.5, 0.5]),
...         "data_1": np.array([0.5, 1.5, 1.5, 1.5]),
...     },
... )
>>> found = histogram(events, column(events, "mass") / column(events, "width"), [0, 250, 1000])
>>> found.counts
array([1., 4.])
>>> found.covariances["data"]
array([[ 0.5, -0.5],
       [-0.5,  0.5]])
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding.binned_events import Edges, Norm, Values, bin_events, called, fill
from fullchain.unfolding.covariances import (
    NETWORK,
    correlation,
    covariance_of,
    total_covariance,
)
from fullchain.unfolding.sampling import has_samples, sampling_covariance
from fullchain.unfolding.unfolded import (
    DATA,
    ENSEMBLE,
    MODEL,
    NOMINAL,
    OF_OBSERVABLE,
    SHIFT,
    SIMULATION,
    Array,
    Spectrum,
    Unfolded,
)

SAMPLING = "sampling"
Wanted = Mapping[str, tuple[Values, Edges]]


@dataclass(frozen=True)
class Histogram:
    """Unfolded number of events in the bins of one or of several histograms.

    Parameters
    ----------
    names
        Of the histograms.
    edges
        Of each: a tuple with the edges of each of its dimensions.
    counts
        (bins) of all histograms after each other, each flattened with its last dimension fastest.
    outside
        (histograms, 2) number of events below all and above all bins; of several dimensions, those
        outside of any of them, and 0.
    replicas
        (replicas, bins) counts in each replica of `data` and `simulation`, and of each single
        training (`network`).
    covariances
        (bins, bins) for each source: `data` and `simulation`, of the replicas; `network`, of the
        mean of the single trainings; `sampling`, see `sampling_covariance`, where there are no
        replicas of the data, which have it in them.
    shifts
        (bins) counts under each shift less the nominal ones, by its name; `model_<name>` of another
        simulation.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[Array, ...], ...]
    counts: Array
    outside: Array
    replicas: Mapping[str, Array]
    covariances: Mapping[str, Array]
    shifts: Mapping[str, Array]

    def bins(self, name: str) -> slice:
        """Give which of all bins are those of one histogram."""
        number = _position(self.names, name, "histogram")
        sizes = [int(np.prod([len(one) - 1 for one in edges])) for edges in self.edges]
        return slice(sum(sizes[:number]), sum(sizes[: number + 1]))

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the number of bins of each dimension of one histogram."""
        edges = self.edges[_position(self.names, name, "histogram")]
        return tuple(len(one) - 1 for one in edges)

    def covariance(self) -> Array:
        """Give the (bins, bins) covariance of all sources and shifts together."""
        return total_covariance(self.covariances, self.shifts)

    def correlation(self) -> Array:
        """Give the (bins, bins) correlation of all sources and shifts together."""
        return correlation(self.covariance())

    def spectrum(self, name: str) -> Spectrum:
        """Give one histogram, which must have one dimension, without the others."""
        number, mine = _position(self.names, name, "histogram"), self.bins(name)
        if len(self.edges[number]) != 1:
            raise ValueError(f"histogram {name} has {len(self.edges[number])} dimensions, not one")
        below, above = self.outside[number]
        return Spectrum(
            name,
            self.edges[number][0],
            self.counts[mine],
            (float(below), float(above)),
            {source: matrix[mine, mine] for source, matrix in self.covariances.items()},
            {shift: change[mine] for shift, change in self.shifts.items()},
        )


def column(unfolded: Unfolded, name: str) -> Array:
    """Give the (n) values of one of the kept observables. Raises InputError for another name."""
    return unfolded.values[:, _position(unfolded.names, name, "kept observable")]


def of_observable(unfolded: Unfolded, name: str) -> Unfolded:
    """Give the sample with the weights for spectra of one of the kept observables.

    They are the same for all observables, but not where each was unfolded by itself (UniFold). Its
    alternatives are treated likewise.

    Raises InputError where the sample or an alternative does not have it.
    """
    _position(unfolded.names, name, "kept observable")
    others = {what: of_observable(one, name) for what, one in unfolded.alternatives.items()}
    ending = f"{OF_OBSERVABLE}{name}"
    own = {
        result.removesuffix(ending): weight
        for result, weight in unfolded.weights.items()
        if result.endswith(ending)
    }
    return replace(unfolded, weights=own or unfolded.weights, alternatives=others)


def histogram(
    unfolded: Unfolded,
    values: Values,
    edges: Edges,
    *,
    norm: Norm = "none",
) -> Histogram:
    """Fill one histogram, of one dimension or of several. See `histograms`.

    Parameters
    ----------
    values
        (n), or (n, dimensions), any function of the kept observables.
    edges
        (bins + 1), or one such array for each dimension.
    """
    return histograms(unfolded, {"": (values, edges)}, norm=norm)


def histograms(
    unfolded: Unfolded,
    wanted: Wanted,
    *,
    norm: Norm = "none",
) -> Histogram:
    """Fill several histograms of the same events, with the covariance between them.

    Parameters
    ----------
    unfolded
        The events with the weights of all results; what each of its alternatives changes is the
        shift `model_<name>`.
    wanted
        Values and edges of each histogram by its name: values of (n) or (n, dimensions), or a
        function that gives them of an `Unfolded`, as alternatives need it; edges of (bins + 1), or
        one such array for each dimension. As in numpy a bin has its lower edge, and the last one
        both.
    norm
        `none`: numbers of events. `bins`: each result, nominal or not, is divided by its number of
        events in the bins of the histogram. `fiducial`: by the sum of all its weights. A divided
        histogram keeps no error of the rate; with `bins` its covariance has an eigenvalue of zero.

    Raises
    ------
    InputError
        Values are not finite or not of all events, edges do not rise, a source has a single
        replica, a result has no event to divide by, or the weights are of single observables.
    """
    for one in (unfolded, *unfolded.alternatives.values()):
        if NOMINAL not in one.weights:
            raise InputError(
                f"each observable was unfolded by itself and has weights of its own; take "
                f"of_observable(unfolded, {unfolded.names[0]!r}), and no other observable of it"
            )
    binned = [bin_events(unfolded, name, *one) for name, one in wanted.items()]
    filled = {name: fill(binned, weight, norm, name) for name, weight in unfolded.weights.items()}
    counts = filled[NOMINAL]
    replicas = {
        source: np.stack([filled[name] for name in names])
        for source, prefix in ((DATA, DATA), (SIMULATION, SIMULATION), (NETWORK, ENSEMBLE))
        if (names := _numbered(unfolded.weights, prefix))
    }
    # A single training is no ensemble, and what it would spread is not known.
    if len(replicas.get(NETWORK, ())) == 1:
        del replicas[NETWORK]
    covariances = {source: covariance_of(source, found) for source, found in replicas.items()}
    if DATA not in covariances and has_samples(unfolded):
        covariances[SAMPLING] = sampling_covariance(unfolded, binned, norm)
    shifts = {
        name.removeprefix(f"{SHIFT}_"): change - counts
        for name, change in filled.items()
        if name.startswith(f"{SHIFT}_")
    }
    for name, other in unfolded.alternatives.items():
        shifts[f"{MODEL}_{name}"] = _of_alternative(other, wanted, norm, name) - counts
    weight = unfolded.weights[NOMINAL]
    return Histogram(
        tuple(wanted),
        tuple(one.edges for one in binned),
        counts,
        np.array([[weight[one.below].sum(), weight[one.above].sum()] for one in binned]),
        replicas,
        covariances,
        shifts,
    )


def _of_alternative(other: Unfolded, wanted: Wanted, norm: Norm, what: str) -> Array:
    for name, (values, _) in wanted.items():
        if not callable(values):
            raise InputError(
                f"{called(name)}: with alternatives give the values as a function of the sample, "
                "such as lambda one: column(one, 'mass'); an array is of one sample only. Without "
                "the uncertainty of the model: replace(unfolded, alternatives={})"
            )
    binned = [bin_events(other, name, *one) for name, one in wanted.items()]
    return fill(binned, other.weights[NOMINAL], norm, f"{NOMINAL} of {what}")


def _numbered(weights: Mapping[str, Array], prefix: str) -> list[str]:
    """Names `<prefix>_<k>` by rising k."""
    pattern = re.compile(rf"{prefix}_(\d+)")
    return sorted(filter(pattern.fullmatch, weights), key=lambda name: int(name.rsplit("_")[-1]))


def _position(names: Sequence[str], name: str, what: str) -> int:
    if name not in names:
        raise InputError(f"no {what} is called {name!r}; there are {', '.join(names)}")
    return list(names).index(name)
