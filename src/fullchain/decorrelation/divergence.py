"""Jensen-Shannon divergence of the masses that pass a cut and that fail it.

    JSD(P, Q) = KL(P, M) / 2 + KL(Q, M) / 2,   M = (P + Q) / 2

(J. Lin, IEEE Trans. Inf. Theory 37 (1991) 145), with logarithms of base 2: in bits, from 0 for
equal shapes to 1 for shapes that do not overlap. Base, bins (50) and the weight of one half
whatever the number of jets are those of the public code of ATL-PHYS-PUB-2018-014 (asogaard/
adversarial), whose study the papers on DisCo (arXiv:2001.05310) and MoDe (2010.09745) repeat.

Of finite samples it is above zero even where shapes are equal: by about
(bins - 1) / (8 ln 2) (1/n_P + 1/n_Q), which is what random cuts give, too. A divergence therefore
comes with that of random cuts of the same size, its *floor*.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ONE_SIDED_95 = 1.645
"""Standard deviations of a one-sided limit at 95 % CL."""


def jensen_shannon(one: npt.ArrayLike, other: npt.ArrayLike) -> Array:
    """Give the divergence [bits] of two histograms, or of two sets of them: (..., bins) -> (...).

    They need not be normalised. Bins in which signed weights sum to less than zero count as empty.
    Where all of a histogram is empty, the answer is NaN.

    Examples
    --------
    >>> float(jensen_shannon([3.0, 0.0], [0.0, 5.0])), float(jensen_shannon([1, 2], [2, 4]))
    (1.0, 0.0)
    """
    p, q = _normalised(one), _normalised(other)
    middle = 0.5 * (p + q)
    return np.asarray(0.5 * (_relative_entropy(p, middle) + _relative_entropy(q, middle)))


def _normalised(content: npt.ArrayLike) -> Array:
    positive = np.maximum(np.asarray(content, dtype=float), 0.0)
    total = positive.sum(axis=-1, keepdims=True)
    return np.divide(positive, total, out=np.full_like(positive, np.nan), where=total > 0)


def _relative_entropy(p: Array, m: Array) -> Array:
    ratio = np.divide(p, m, out=np.ones_like(p), where=p > 0)
    # Rounding must not make the divergence of equal shapes negative.
    return np.asarray(np.maximum((p * np.log2(ratio)).sum(axis=-1), 0.0))


@dataclass(frozen=True)
class Divergence:
    """A divergence with what is needed to judge it.

    Parameters
    ----------
    value
        Of the sample [bits].
    replicas
        Of bootstrap replicas, (replicas,); NaN where a replica says nothing.
    random
        Of random cuts of the same size, (random cuts,).
    sparse
        Fewer jets pass, or fail, than there are bins: the divergence then comes near its largest
        value whatever the shapes, and the floor does not tell how much of it is by chance.
    """

    value: float
    replicas: Array
    random: Array
    sparse: bool = False

    @property
    def deviation(self) -> float:
        """Standard deviation of the replicas: too large by up to sqrt(3) at the floor."""
        return float(np.nanstd(self.replicas, ddof=1))

    @property
    def floor(self) -> float:
        """Mean of random cuts."""
        return float(np.mean(self.random))

    @property
    def p_value(self) -> float:
        """Part of random cuts with at least this divergence, this one among them."""
        return float((1 + np.sum(self.random >= self.value)) / (1 + len(self.random)))

    def summary(self) -> dict[str, Any]:
        """Give divergence, floor, corrected value, and their inverses, for JSON.

        The corrected value is that less the floor. Its inverse is a lower limit at 95 % CL, and
        says so, where random cuts give as much in more than one of twenty. Of sparse samples it is
        the limit from the value as it is, which is above the true divergence on average.
        """
        deviation = self.deviation
        corrected = self.value - self.floor
        if self.sparse or self.p_value > 0.05:
            start = self.value if self.sparse else max(corrected, 0.0)
            reach = 1.0 / (start + ONE_SIDED_95 * deviation)
            upward = {"value": reach, "low": reach, "high": None, "is_limit": True}
        else:
            upward = {**inverse(corrected, deviation), "is_limit": False}
        low, high = np.quantile(self.random, [0.16, 0.84])
        return {
            "jsd": {"value": self.value, "deviation": deviation},
            "floor": {"value": self.floor, "deviation": float(np.std(self.random, ddof=1))},
            "p_value": self.p_value,
            "sparse": self.sparse,
            "corrected": {"value": corrected, "deviation": deviation},
            "inverse": inverse(self.value, deviation),
            "inverse_floor": {
                "value": 1.0 / self.floor,
                "low": float(1.0 / high),
                "high": float(1.0 / low),
            },
            "inverse_corrected": upward,
        }


def inverse(value: float, deviation: float) -> dict[str, float | None]:
    """1/`value` with the inverses of the ends of its interval; `high` is None without upper end.

    `value` is above zero; `uncertainty` is that of small deviations.
    """
    return {
        "value": 1.0 / value,
        "uncertainty": deviation / value**2,
        "low": 1.0 / (value + deviation),
        "high": 1.0 / (value - deviation) if value > deviation else None,
    }
