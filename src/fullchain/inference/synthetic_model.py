"""The synthetic benchmark of INFERNO: a mixture of known densities in three dimensions.

P. de Castro and T. Dorigo, arXiv:1806.04743. Signal is a normal of unit covariance around (0, 0)
in the first two dimensions, and an exponential of rate 2 in the third; background a normal of
covariance diag(5, 9) around (2 + r, 0), and an exponential of rate lambda. The text of the paper
has the signal around (1, 1), with which its table does not come out; with (0, 0) it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SIGNAL, BACKGROUND = 50.0, 1000.0
"""Expected events."""

SHIFT, RATE = 0.0, 3.0
"""Nominal r and lambda."""

SIGNAL_RATE = 2.0
MEAN = 2.0
VARIANCES = (5.0, 9.0)

NUISANCES = ("r", "rate", "b")
"""All nuisance parameters, in this order wherever they stand beside each other."""

NOMINAL = {"r": SHIFT, "rate": RATE, "b": BACKGROUND}


@dataclass(frozen=True)
class Case:
    """One of the five inference problems.

    Parameters
    ----------
    nuisances
        Parameters beside the signal yield that are not known.
    widths
        Standard deviation of the auxiliary measurement of those that have one.
    """

    nuisances: tuple[str, ...] = ()
    widths: Mapping[str, float] = field(default_factory=dict)

    @property
    def precision(self) -> Array:
        """Inverse variances of the constraints: of s, which has none, and the nuisances."""
        widths = [self.widths.get(name) for name in self.nuisances]
        return np.array([0.0, *(0.0 if width is None else width**-2 for width in widths)])

    @property
    def shapes(self) -> tuple[str, ...]:
        """Nuisances that change the density of the background."""
        return tuple(name for name in self.nuisances if name != "b")


_WIDTHS = {"r": 0.4, "rate": 1.0}

CASES: dict[str, Case] = {
    "B0": Case(),
    "B1": Case(("r",)),
    "B2": Case(("r", "rate")),
    "B3": Case(("r", "rate"), _WIDTHS),
    "B4": Case(NUISANCES, {**_WIDTHS, "b": 100.0}),
}


def sample_signal(events: int, generator: np.random.Generator) -> Array:
    """Draw signal events: (events, 3)."""
    normal = generator.normal(size=(events, 2))
    return np.column_stack([normal, generator.exponential(1.0 / SIGNAL_RATE, events)])


def sample_background(events: int, r: float, rate: float, generator: np.random.Generator) -> Array:
    """Draw background events: (events, 3)."""
    normal = generator.normal(size=(events, 2)) * np.sqrt(VARIANCES) + (MEAN + r, 0.0)
    return np.column_stack([normal, generator.exponential(1.0 / rate, events)])


def varied(nominal: Array, r: float = SHIFT, rate: float = RATE) -> Array:
    """Move background events (..., 3) drawn at the nominal parameters to others."""
    found = np.array(nominal)
    found[..., 0] += r - SHIFT
    found[..., 2] *= RATE / rate
    return found


def log_density_signal(x: Array) -> Array:
    """Logarithm of the density of signal at x (..., 3)."""
    return _normal(x[..., 0], 0.0, 1.0) + _normal(x[..., 1], 0.0, 1.0) + _exponential(
        x[..., 2], SIGNAL_RATE
    )  # fmt: skip


def log_density_background(x: Array, r: float = SHIFT, rate: float = RATE) -> Array:
    """Logarithm of the density of background at x (..., 3)."""
    return (
        _normal(x[..., 0], MEAN + r, VARIANCES[0])
        + _normal(x[..., 1], 0.0, VARIANCES[1])
        + _exponential(x[..., 2], rate)
    )


def _normal(x: Array, mean: float, variance: float) -> Array:
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2.0 * np.pi * variance))


def _exponential(x: Array, rate: float) -> Array:
    return np.where(x < 0.0, -np.inf, np.log(rate) - rate * x)
