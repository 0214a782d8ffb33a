"""Factors on the weights of events in the replicas of the bootstrap.

Replica k of all methods and of all observables of a measurement has the same factors, so that
results can be compared and joined replica by replica.
"""

import numpy as np
import numpy.typing as npt

from fullchain.seeds import stream

Array = npt.NDArray[np.float64]


def data_factors(seed: int, measurement: str, k: int, rows: int) -> Array:
    """Poisson factors of mean one, (rows,), for the data in replica k.

    Parameters
    ----------
    seed
        The seed of the configuration.
    measurement
        Name of the measurement.
    k
        Number of the replica, from 0.
    rows
        Number of measured events, in the order of their tables.

    Examples
    --------
    >>> data_factors(1, "zjets", 0, 5).tolist() == data_factors(1, "zjets", 0, 5).tolist()
    True
    """
    return _factors(seed, measurement, "data", k, rows)


def simulation_factors(seed: int, measurement: str, k: int, rows: int) -> Array:
    """Poisson factors of mean one, (rows,), for the simulated events in replica k."""
    return _factors(seed, measurement, "simulation", k, rows)


def background_factors(seed: int, measurement: str, k: int, rows: int) -> Array:
    """Poisson factors of mean one, (rows,), for the simulated background in replica k.

    They belong to replica k of the simulation: both are of limited size.
    """
    return _factors(seed, measurement, "background", k, rows)


def _factors(seed: int, measurement: str, what: str, k: int, rows: int) -> Array:
    return stream(seed, "unfolding", measurement, what, k).poisson(1.0, rows).astype(float)
