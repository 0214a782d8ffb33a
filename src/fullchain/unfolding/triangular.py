"""Triangular discriminator: how far two spectra are from each other.

As OmniFold's authors use it, PRL 124 (2020) 182001, 1911.09107, with the factor 1/2, which some
public code leaves out. It is 0 for equal spectra and, times 1000, 1000 for spectra that share no
bin.
"""

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]

SCALE = 1000.0


def discriminator(p_counts: npt.ArrayLike, q_counts: npt.ArrayLike, edges: npt.ArrayLike) -> Array:
    """1000 times 1/2 sum over bins of width (p - q)^2 / (p + q), of densities of unit integral.

    Parameters
    ----------
    p_counts, q_counts
        (..., bins) numbers of events; leading axes, such as one of replicas, are kept, and
        broadcast against each other. What lies outside of the bins does not count.
    edges
        (bins + 1), rising.

    Returns
    -------
    array
        (...), a scalar array of two plain spectra. A bin that is empty in both adds nothing.

    Raises
    ------
    InputError
        A spectrum is not finite or its sum is not positive, or the numbers of bins differ.

    Examples
    --------
    >>> float(discriminator([1, 1], [1, 1], [0.0, 0.5, 1.0]))
    0.0
    >>> float(discriminator([1, 0], [0, 3], [0.0, 0.5, 1.0]))
    1000.0
    """
    # With probabilities instead of densities the widths cancel, bin by bin.
    p, q = _probabilities(p_counts, edges), _probabilities(q_counts, edges)
    total = p + q
    apart = np.divide((p - q) ** 2, total, out=np.zeros(total.shape), where=total > 0)
    return SCALE * 0.5 * apart.sum(axis=-1)


def bootstrap_error(
    p_counts: npt.ArrayLike, q_counts: npt.ArrayLike, edges: npt.ArrayLike
) -> float:
    """Standard deviation of the discriminator over replicas.

    Parameters
    ----------
    p_counts, q_counts
        (replicas, bins), or (bins) for one that does not fluctuate.

    Raises
    ------
    InputError
        As `discriminator`, or there are fewer than two replicas.

    Notes
    -----
    The mean over replicas is no estimate of the value: fluctuations only add to a square, and a
    replica has those of the sample and its own. See `noise`.
    """
    found = np.atleast_1d(discriminator(p_counts, q_counts, edges))
    if found.ndim != 1 or len(found) < 2:
        raise InputError(
            f"the error of a triangular discriminator needs at least two replicas, not "
            f"{found.shape[0] if found.ndim == 1 else found.shape}; raise the number of replicas"
        )
    return float(found.std(ddof=1))


def noise(p_counts: npt.ArrayLike, replicas: npt.ArrayLike, edges: npt.ArrayLike) -> float:
    """Mean discriminator of replicas (replicas, bins) against their own spectrum (bins).

    What fluctuations of this size alone give: a value near it says that no difference is seen.
    """
    return float(np.mean(discriminator(replicas, p_counts, edges)))


def _probabilities(counts: npt.ArrayLike, edges: npt.ArrayLike) -> Array:
    values = np.asarray(counts, dtype=float)
    bins = len(np.asarray(edges)) - 1
    if values.shape[-1:] != (bins,):
        raise InputError(
            f"a spectrum of {values.shape[-1] if values.ndim else 0} bins does not belong to "
            f"{bins + 1} edges"
        )
    total = values.sum(axis=-1, keepdims=True)
    if not np.isfinite(values).all() or not (total > 0).all():
        raise InputError(
            "a spectrum is not finite, or has no events inside its bins: there is nothing to "
            "compare; widen the edges or look at how it was made"
        )
    return values / total
