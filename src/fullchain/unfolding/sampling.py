"""Uncertainty of unfolded spectra from the finite number of samples of each event."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from fullchain.unfolding.binned_events import BinnedEvents, Norm, fill
from fullchain.unfolding.covariances import normalisation_jacobian
from fullchain.unfolding.unfolded import NOMINAL, Array, Unfolded


def has_samples(unfolded: Unfolded) -> bool:
    """Whether several rows of the sample come from one event."""
    ids = unfolded.ids[unfolded.weights[NOMINAL] != 0]
    return len(np.unique(ids, axis=0)) < len(ids)


def sampling_covariance(
    unfolded: Unfolded, binned: Sequence[BinnedEvents], norm: Norm = "none"
) -> Array:
    """Covariance (bins, bins) from the finite number of samples generated for each event.

    Of an event with S rows it is S / (S - 1) times the sum over its rows of the outer product of
    what each adds to the bins, less the mean of the rows; events are independent. An event with
    one row gives nothing. Replicas of the data vary the rows together with their event, and have
    this error in them: it must not be added to theirs.

    Parameters
    ----------
    unfolded
        Rows of one event share their `ids`.
    binned
        The rows in the bins of each histogram.
    norm
        As of `projection.histograms`; the sum of all weights is taken as exact.
    """
    weight = unfolded.weights[NOMINAL]
    used = np.flatnonzero(weight)
    _, event = np.unique(unfolded.ids[used], axis=0, return_inverse=True)
    event = event.reshape(-1)
    rows, bins, start = [], [], 0
    for one in binned:
        place = one.place[used]
        inside = np.flatnonzero(place < one.size)
        rows.append(inside)
        bins.append(place[inside] + start)
        start += one.size
    row = np.concatenate(rows)
    shape = (len(used), start)
    entries = csr_array((weight[used][row], (row, np.concatenate(bins))), shape=shape)
    samples = np.bincount(event)
    factor = np.where(samples > 1, samples / np.maximum(samples - 1, 1), 0.0)
    of_event = csr_array(
        (np.ones(len(used)), (event, np.arange(len(used)))), shape=(len(samples), len(used))
    )
    sums = of_event @ entries
    squares = entries.T @ entries.multiply(factor[event][:, None])
    means = sums.T @ sums.multiply((factor / samples)[:, None])
    matrix = (squares - means).toarray()
    jacobian = _jacobian(unfolded, binned, norm)
    found: Array = jacobian @ ((matrix + matrix.T) / 2) @ jacobian.T
    return found


def _jacobian(unfolded: Unfolded, binned: Sequence[BinnedEvents], norm: Norm) -> Array:
    """Give (bins, bins) derivatives of the normalised bins with respect to their contents."""
    weight = unfolded.weights[NOMINAL]
    counts = fill(binned, weight, "none", NOMINAL)
    matrix = np.eye(len(counts))
    if norm == "fiducial":
        matrix /= weight.sum()
    if norm == "bins":
        start = 0
        for one in binned:
            mine = slice(start, start + one.size)
            matrix[mine, mine] = normalisation_jacobian(counts[mine])
            start = mine.stop
    return matrix
