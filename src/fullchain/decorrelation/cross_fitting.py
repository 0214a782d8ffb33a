"""Flows for jets that none of them was fitted to: one for each fold of the events.

The flow of a fold is fitted to scores of background in the other folds, and transforms the jets of
its own (cross-fitting, e.g. Chernozhukov et al. 1608.00060). So all jets can be measured, and none
by a flow that has seen it. A tagger with one fold has one flow, and jets that were put aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.decorrelation.quantile_flow import QuantileFlow

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CrossFitted:
    """The flow of each fold, in their order, each fitted without the events of its fold."""

    flows: Sequence[QuantileFlow]

    def transformed(
        self,
        scores: npt.ArrayLike,
        against: Array,
        chance: Array,
        folds: npt.NDArray[np.intp] | None,
    ) -> Array:
        """Give the quantile of scores among background jets of the same mass, in (0, 1).

        Parameters
        ----------
        scores
            Scores of the tagger in [0, 1], (jets,); a jet without one, NaN, stays without.
        against
            Variables, (jets, columns).
        chance
            Numbers in [0, 1) that part jets of equal scores, (jets,).
        folds
            Number of the fold of each jet, (jets,), whose flow transforms it. None for jets that
            are in no fold, which no flow has seen: they get the mean over the flows. Each flow is
            an estimate of one distribution function, and so is their mean at a score, with a
            smaller error; it rises with the score as each of them does.

        Returns
        -------
        ndarray
            Shape (jets,).
        """
        values = np.asarray(scores, dtype=float)
        if folds is None:
            every = [flow.transformed(values, against, chance) for flow in self.flows]
            return np.asarray(np.mean(every, axis=0))
        result = np.empty(values.shape)
        for fold, flow in enumerate(self.flows):
            mine = folds == fold
            result[mine] = flow.transformed(values[mine], against[mine], chance[mine])
        return result
