"""Replicas of the bootstrap over events: how uncertainties are found that no formula gives."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fullchain.seeds import stream


def event_factors(
    event: npt.ArrayLike, replicas: int, seed: int, key: str = "bootstrap"
) -> Iterator[npt.NDArray[np.float64]]:
    """Give Poisson factors of mean one for rows, (rows,) in each replica, equal within an event.

    Parameters
    ----------
    event
        Number of the event of each row, from 0, (rows,).
    replicas, seed, key
        Number of replicas; replica k depends on seed, key and k only.
    """
    numbers = np.asarray(event)
    events = int(numbers.max()) + 1 if len(numbers) else 0
    for replica in range(replicas):
        yield stream(seed, key, replica).poisson(1.0, events)[numbers].astype(float)
