"""AUC and background rejection of two scores on the same jets, with errors of their difference."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fullchain.learning import roc
from fullchain.seeds import stream

REPLICAS = 300


@dataclass(frozen=True)
class Quality:
    """AUC and 1/eB at 30 % signal efficiency of ours and weaver's, and of their difference.

    Each is a value and its error, from a bootstrap over the jets that both share.
    """

    ours_auc: tuple[float, float]
    weaver_auc: tuple[float, float]
    difference_auc: tuple[float, float]
    ours_r30: tuple[float, float]
    weaver_r30: tuple[float, float]
    difference_r30: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(ours: Any, weaver: Any, is_signal: Any, seed: int) -> Quality:
    """Compare scores (jets,) of the same jets."""
    rows = [roc.Sorted(ours, is_signal), roc.Sorted(weaver, is_signal)]
    nominal = np.array([_numbers(one.curve()) for one in rows])
    found = np.empty((REPLICAS, *nominal.shape))
    for replica in range(REPLICAS):
        weights = stream(seed, "bootstrap", replica).poisson(1.0, len(is_signal))
        found[replica] = [_numbers(one.curve(weights[one.order])) for one in rows]
    with np.errstate(invalid="ignore"):
        sides = {
            "ours": (nominal[0], found[:, 0]),
            "weaver": (nominal[1], found[:, 1]),
            "difference": (nominal[0] - nominal[1], found[:, 0] - found[:, 1]),
        }
    return Quality(
        **{
            f"{side}_{name}": (float(value[k]), _spread(replicas[:, k]))
            for side, (value, replicas) in sides.items()
            for k, name in enumerate(("auc", "r30"))
        }
    )


def _numbers(curve: roc.RocCurve) -> tuple[float, float]:
    passing = float(roc.background_efficiency(curve, 0.3))
    return roc.area(curve), 1.0 / passing if passing > 0 else np.inf


def _spread(values: Any) -> float:
    """Half of the central 68 %: a rejection may be infinite where few background jets pass."""
    finite = np.where(np.isnan(values), np.inf, values)
    low, high = np.quantile(finite, [0.16, 0.84], method="nearest")
    return float(0.5 * (high - low))
