"""The median of a batch of measured events as a further condition of a posterior.

A posterior is drawn to the prior that it was trained with. Where the prior depends on one number,
such as the mass of the top quark, simulations with several values of it make the prior wide and the
bias smaller, but do not remove it: an event by itself says little about that number. All events of
the data together do. So the network is also told the median of an observable at detector level in
a batch of events of one sample, from which it learns which prior to use (Favaro et al. 2501.12363,
unfolding of decays of the top quark). Data are one batch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.seeds import stream
from fullchain.unfolding.sample import Measured, Simulation

Array = npt.NDArray[np.float64]

BATCHES = 200
"""Random batches of each sample; each event is told the median of one of them."""


@dataclass(frozen=True)
class BatchMedian:
    """Medians, less their mean over the simulated events and in units of their spread.

    Parameters
    ----------
    simulated
        (simulated events) median of a batch of the sample of each event.
    data
        Median of the data.
    """

    simulated: Array
    data: float


def measured(
    simulation: Simulation,
    data: Measured,
    weight: Array,
    observable: str,
    size: int | None,
    seed: int,
) -> BatchMedian:
    """Measure the medians.

    Parameters
    ----------
    simulation
        Of several samples, see its `group`.
    weight
        (data) of the measured events, without background.
    observable
        Name of the observable.
    size
        Events of a batch; None for as many as there are data.

    Raises
    ------
    InputError
        There is no such observable, the simulation is of one sample, no event of a sample passes
        the detector level, or the median is the same in all batches.
    """
    if observable not in simulation.names:
        raise InputError(
            f"median_of: {observable!r} is not unfolded here ({', '.join(simulation.names)})"
        )
    number = simulation.names.index(observable)
    group = simulation.group
    samples = 0 if group is None else len(np.unique(group))
    if group is None or samples < 2:
        raise InputError(
            "median_of: the simulation is of one sample, from which nothing is learned about the "
            "dependence on the median; give samples that differ in what moves it"
        )
    medians = np.empty(len(simulation))
    seen = simulation.reco.passed
    for one in np.unique(group):
        own = seen & (group == one)
        if not own.any():
            raise InputError(
                f"median_of: no event of sample {simulation.sample(int(one))} passes the detector "
                "level"
            )
        values = simulation.reco.values[own, number]
        chance = stream(seed, "median", int(one))
        total = simulation.weight[own].sum()
        if not total > 0:
            raise InputError(
                f"median_of: the weights of sample {simulation.sample(int(one))} sum to {total:g} "
                "at detector level"
            )
        part = simulation.weight[own] / total
        # One batch after the other: all at once would be 200 times the size of the data.
        drawn = [
            np.median(chance.choice(values, size or len(data), p=part)) for _ in range(BATCHES)
        ]
        mine = group == one
        medians[mine] = chance.choice(np.array(drawn), int(mine.sum()))
    mean, spread = medians.mean(), medians.std()
    if not medians.max() > medians.min():
        names = [simulation.sample(int(one)) for one in np.unique(group)]
        raise InputError(
            f"median_of: the median of {observable!r} is {medians[0]:g} in all batches of the "
            f"samples {', '.join(names)}, from which nothing is learned; give samples that differ "
            "in it, or choose an observable that is not discrete"
        )
    order = np.argsort(data.values[:, number], kind="stable")
    reached = np.cumsum(weight[order])
    middle = data.values[order[np.searchsorted(reached, 0.5 * reached[-1])], number]
    return BatchMedian((medians - mean) / spread, float((middle - mean) / spread))


def appended(conditions: Array, median: Array | float) -> Array:
    """Give conditions (rows, ..., n) with the median (rows), or of all, as one more."""
    rows = np.reshape(median, (-1,) + (1,) * (conditions.ndim - 1))
    column = np.broadcast_to(rows, (*conditions.shape[:-1], 1))
    return np.concatenate([conditions, column], axis=-1)
