"""What a conditional flow is told of a jet: the variables that the score is decorrelated against.

Each variable is seen twice: as its rank among background jets, which resolves where jets are, and
on a linear scale, which resolves the tail of a falling spectrum. Both are cut to the range of the
jets that were measured: beyond, the condition is that of the edge, for a network is no guide
outside of its training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning.standardise import weighted_quantiles

Array = npt.NDArray[np.float64]

KNOTS = 65
"""Quantiles between which ranks are interpolated."""

PER_COLUMN = 2
"""Numbers that the flow sees of each variable."""

EDGE = 1e-3
"""Part of the weight beyond each end of the range; a handful of jets must not set the scale."""


@dataclass(frozen=True)
class Conditions:
    """Quantiles of each variable over background jets, (columns, knots), at equal steps."""

    knots: Array

    @classmethod
    def measured(cls, against: Array, weights: Array, names: Sequence[str]) -> "Conditions":
        """Measure the range of variables (jets, columns) with weights (jets,), not negative.

        Raises
        ------
        InputError
            A variable is not finite, or is constant.
        """
        rows = []
        for name, column in zip(names, against.T, strict=True):
            bad = int((~np.isfinite(column)).sum())
            if bad:
                raise InputError(
                    f"{name} of {bad} background jets is not finite; make the jets again, or cut "
                    "them away by the selection of the tagger"
                )
            found = weighted_quantiles(column, weights, np.linspace(EDGE, 1.0 - EDGE, KNOTS))
            if found[0] == found[-1]:
                raise InputError(
                    f"{name} is {found[0]:g} for all background jets: no score depends on a "
                    "constant; take another variable in decorrelation.against, or a wider selection"
                )
            rows.append(found)
        return cls(np.stack(rows))

    def context(self, against: Array) -> Array:
        """Map variables (jets, columns) to numbers in [-1, 1], (jets, PER_COLUMN * columns).

        What is not finite, as a variable of a jet with too few particles, counts as the lower edge.
        """
        result = []
        for ranks, inside, knots in zip(
            self.ranks(against).T, self._inside(against), self.knots, strict=True
        ):
            linear = (inside - knots[0]) / (knots[-1] - knots[0])
            result += [2.0 * ranks - 1.0, 2.0 * linear - 1.0]
        return np.stack(result, axis=1)

    def ranks(self, against: Array) -> Array:
        """Map variables to their ranks over background in [0, 1], both (jets, columns)."""
        levels = np.linspace(0.0, 1.0, self.knots.shape[1])
        result = []
        for inside, knots in zip(self._inside(against), self.knots, strict=True):
            # Where several quantiles are one value, its rank is the middle of theirs.
            first = np.searchsorted(knots, inside, side="left")
            last = np.searchsorted(knots, inside, side="right") - 1
            tied = levels[np.clip((first + last) // 2, 0, len(knots) - 1)]
            result.append(np.where(last > first, tied, np.interp(inside, knots, levels)))
        return np.stack(result, axis=1)

    def _inside(self, against: Array) -> list[Array]:
        """Cut each variable to its range."""
        return [
            np.clip(np.where(np.isfinite(column), column, knots[0]), knots[0], knots[-1])
            for column, knots in zip(np.asarray(against, dtype=float).T, self.knots, strict=True)
        ]
